//! Who else gets every message the relay accepts, besides the subscriptions: the archive, the filter service.

use core::fmt::Debug;

use crate::Envelope;

/// Takes messages off the relay's path.
pub(crate) trait Tap: Debug + Send {
    /// Takes one message, without ever waiting; what there is no room for is the tap's to count.
    fn push(&self, envelope: &Envelope);
}
