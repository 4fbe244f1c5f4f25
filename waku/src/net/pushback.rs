//! When to take in nothing more, because peers are slow to take what was taken in before.

use std::time::{Duration, Instant};

use libp2p::PeerId;

use super::flow::Flows;
use crate::relay::patience::Patience;

/// What waits for peers, and for whom the node waits.
#[derive(Debug)]
pub(crate) struct Pushback {
    flows: Flows,
    patience: Patience,
    /// Peers for whom too much waits.
    behind: Vec<PeerId>,
    /// Up to when the present wait was charged.
    waiting: Option<Instant>,
}

impl Pushback {
    pub(crate) fn new(flows: Flows) -> Self {
        Self { flows, patience: Patience::default(), behind: Vec::new(), waiting: None }
    }

    /// A message of so many bytes was queued for these peers.
    pub(crate) fn queued<'a>(&mut self, peers: impl Iterator<Item = &'a PeerId>, bytes: usize, now: Instant) {
        for peer in self.flows.queued(peers, bytes, now) {
            if !self.behind.contains(&peer) {
                self.behind.push(peer);
            }
        }
    }

    /// True when the node should wait now; with the time waited since it was asked last.
    pub(crate) fn waits(&mut self, now: Instant) -> (bool, Duration) {
        let waited = self.waiting.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if self.behind.is_empty() {
            return (false, waited);
        }
        let Self { flows, patience, behind, waiting } = self;
        for peer in behind.iter() {
            patience.spend(*peer, waited, now);
        }
        behind.retain(|peer| flows.is_behind(peer, now));
        let is_worth_it = behind.iter().any(|peer| patience.is_left(peer, now));
        *waiting = is_worth_it.then_some(now);
        (is_worth_it, waited)
    }
}
