//! What a subscription brings.

use waku_proto::Envelope;

/// A message, or the news that some are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(Envelope),
    /// So many messages came at this point while the reader was too far behind to get them.
    Missed(u64),
}
