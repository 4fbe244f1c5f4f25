//! Who else gets every message the relay accepts, besides the subscriptions: the archive, the filter service.

use core::fmt::Debug;
use std::sync::Arc;

use crate::Envelope;

/// Is shown every message that the relay accepts or publishes, on the relay's own path ([`Config::taps`](crate::Config::taps)).
pub trait Tap: Debug + Send + Sync {
    /// Takes one message. The whole node waits for it: it must return at once, and what there is no room for is the
    /// tap's to count.
    fn push(&self, envelope: &Envelope);
}

impl Tap for Arc<dyn Tap> {
    fn push(&self, envelope: &Envelope) {
        self.as_ref().push(envelope);
    }
}
