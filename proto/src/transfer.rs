//! WAKU-SYNC, the transfer protocol: messages another store lacks are pushed to it.

use crate::message::embedded;
use crate::wire::required;
use crate::{WakuMessage, Wire, WireError, generated};

/// One message another store lacks.
///
/// # Differences from the specification
/// The two fields are numbered as nwaku does, the other way round than written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAndTopic {
    /// Pubsub topic it was relayed on.
    pub pubsub_topic: String,
    /// The message.
    pub message: WakuMessage,
}

impl Wire for MessageAndTopic {
    type Generated = generated::WakuMessageAndTopic;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            pubsub_topic: required(generated.pubsub_topic, "pubsub_topic")?,
            message: embedded(generated.message, "message")?,
        })
    }
}

impl From<MessageAndTopic> for generated::WakuMessageAndTopic {
    fn from(transfer: MessageAndTopic) -> Self {
        Self { pubsub_topic: Some(transfer.pubsub_topic), message: Some(transfer.message.into()) }
    }
}
