//! Who else gets every message the relay accepts, besides the subscriptions: the archive, the filter service.

use core::fmt::Debug;
use std::sync::Arc;

use crate::{Envelope, PeerId};

/// Is shown every message that the relay accepts or publishes, on the relay's own path ([`Config::taps`](crate::Config::taps)).
pub trait Tap: Debug + Send + Sync {
    /// Takes one message that came from a peer, or is this node's own. The whole node waits for it: it must return at once, and what there is no room for is the
    /// tap's to count.
    fn push(&self, envelope: &Envelope, source: Option<PeerId>);
}

impl Tap for Arc<dyn Tap> {
    fn push(&self, envelope: &Envelope, source: Option<PeerId>) {
        self.as_ref().push(envelope, source);
    }
}
