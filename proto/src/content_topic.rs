//! Content topics (23/WAKU2-TOPICS): the applications' topics, inside messages.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// `/{application}/{version}/{name}/{encoding}`, with `/{generation}` before it or not.
///
/// Two texts that differ are two topics, even where one only spells out generation 0. Cheap to clone.
///
/// ```
/// let topic: waku_proto::ContentTopic = "/toychat/2/huilong/proto".parse()?;
/// assert_eq!((topic.application(), topic.name()), ("toychat", "huilong"));
/// # Ok::<(), waku_proto::content_topic::ParseContentTopicError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentTopic {
    text: Arc<str>,
    /// As written; absent and 0 mean the same.
    generation: Option<u32>,
}

impl ContentTopic {
    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Generation of the autosharding rule, 0 when the topic does not name one.
    pub fn generation(&self) -> u32 {
        self.generation.unwrap_or_default()
    }

    /// Name of the application.
    pub fn application(&self) -> &str {
        self.segment(0)
    }

    /// Version of the application's topic.
    pub fn version(&self) -> &str {
        self.segment(1)
    }

    /// Name within the application.
    pub fn name(&self) -> &str {
        self.segment(2)
    }

    /// How payloads are encoded, for example `proto`.
    pub fn encoding(&self) -> &str {
        self.segment(3)
    }

    fn segment(&self, position: usize) -> &str {
        // One for the empty text before the first slash, one for a generation.
        let skipped = 1 + usize::from(self.generation.is_some());
        self.text.split('/').nth(skipped + position).unwrap_or_default()
    }
}

impl FromStr for ContentTopic {
    type Err = ParseContentTopicError;

    fn from_str(text: &str) -> Result<Self, ParseContentTopicError> {
        let refuse = |reason| Err(ParseContentTopicError { text: text.to_owned(), reason });
        let Some(path) = text.strip_prefix('/') else {
            return refuse("it does not begin with `/`");
        };
        if path.split('/').any(str::is_empty) {
            return refuse("a part between two slashes is empty");
        }
        let generation = match path.split('/').count() {
            4 => None,
            5 => match path.split('/').next().map(str::parse) {
                Some(Ok(generation)) => Some(generation),
                _ => return refuse("the first of five parts, the generation, is not a number"),
            },
            _ => return refuse("it has neither four parts nor five"),
        };
        Ok(Self { text: text.into(), generation })
    }
}

impl fmt::Display for ContentTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for ContentTopic {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Text that is not a content topic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a content topic `/application/version/name/encoding`: {reason}")]
pub struct ParseContentTopicError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}
