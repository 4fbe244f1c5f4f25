//! Pubsub topics (23/WAKU2-TOPICS): the gossipsub topics messages are relayed on.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::Shard;

/// Longest pubsub topic in bytes. No specification has a limit; peers' topics are kept in memory.
pub const MAX_PUBSUB_TOPIC_LEN: usize = 256;

const PREFIX: &str = "/waku/2/";
const SHARD_PREFIX: &str = "/waku/2/rs/";

/// `/waku/2/{name}`: a static shard `/waku/2/rs/{cluster}/{shard}`, or a name agreed on by its users.
///
/// At most [`MAX_PUBSUB_TOPIC_LEN`] bytes. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PubsubTopic(Arc<str>);

impl PubsubTopic {
    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The static shard this topic stands for, if it is not a named one.
    pub fn shard(&self) -> Option<Shard> {
        parse_shard(self.0.strip_prefix(SHARD_PREFIX)?)
    }
}

/// `{cluster}/{shard}` in plain decimal, so that every shard has one topic only.
fn parse_shard(text: &str) -> Option<Shard> {
    let (cluster, index) = text.split_once('/')?;
    let shard = Shard::new(cluster.parse().ok()?, index.parse().ok()?).ok()?;
    (format!("{}/{}", shard.cluster(), shard.index()) == text).then_some(shard)
}

impl FromStr for PubsubTopic {
    type Err = ParsePubsubTopicError;

    fn from_str(text: &str) -> Result<Self, ParsePubsubTopicError> {
        let refuse = |reason| Err(ParsePubsubTopicError { text: text.to_owned(), reason });
        if text.len() > MAX_PUBSUB_TOPIC_LEN {
            return refuse("it is longer than 256 bytes");
        }
        let Some(name) = text.strip_prefix(PREFIX) else {
            return refuse("it does not begin with `/waku/2/`");
        };
        if name.is_empty() {
            return refuse("it has no name after `/waku/2/`");
        }
        if text.strip_prefix(SHARD_PREFIX).is_some_and(|shard| parse_shard(shard).is_none()) {
            return refuse("after `/waku/2/rs/` come a cluster up to 65535 and a shard up to 1023");
        }
        Ok(Self(text.into()))
    }
}

impl From<Shard> for PubsubTopic {
    fn from(shard: Shard) -> Self {
        Self(format!("{SHARD_PREFIX}{}/{}", shard.cluster(), shard.index()).into())
    }
}

impl fmt::Display for PubsubTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PubsubTopic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Text that is not a pubsub topic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a pubsub topic: {reason}")]
pub struct ParsePubsubTopicError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}
