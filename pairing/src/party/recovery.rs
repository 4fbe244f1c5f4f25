//! When something could not be written to the store: what rests on it was not said, and is taken back.

use rand_core::CryptoRng;
use waku_noise_session::time::Now;

use super::Party;
use super::event::Event;
use super::grave::Grave;
use super::peer::Peer;
use crate::record::{PairingId, PeerRecord};

impl Party {
    /// The last polled [`super::Output::Save`] was not made durable. Nothing that rests on it has been said. Where a
    /// pairing did not come any further by it, it lives on as before; otherwise to this pairing it is like a crash of
    /// the process. Returns the pairings that are again as they are on disk.
    pub fn handle_save_failed(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Vec<PairingId> {
        let failed = self.outbox.roll_back();
        for id in &failed {
            let kept = self.outbox.durable().peers.get(id).cloned();
            match (self.peers.get_mut(id), kept) {
                (Some(peer), Some(kept)) if peer.record.stage.is_as_far_as(&kept.stage) => {
                    peer.roll_back(self.me.config.part, now, kept);
                }
                (_, kept) => self.take_up_again(now, rng, *id, kept),
            }
        }
        self.unspend_code();
        self.outbox.event(Event::StoreFailed);
        self.refresh_topics(now);
        failed
    }

    fn take_up_again(&mut self, now: Now, rng: &mut dyn CryptoRng, id: PairingId, kept: Option<PeerRecord>) {
        let mut boot_id = [0; 16];
        rng.fill_bytes(&mut boot_id);
        let peer = kept.and_then(|record| Peer::again(&self.me, now, record, boot_id));
        match &peer {
            Some(peer) if peer.record.is_confirmed() => self.outbox.event(Event::SessionDown { pairing: id }),
            Some(_) => {}
            None => self.reopen_attempt(now, id),
        }
        self.put_up(id, peer);
    }

    /// Puts a pairing into the state that is on disk.
    pub(super) fn take_up(&mut self, now: Now, id: PairingId) {
        let kept = self.outbox.durable().peers.get(&id).cloned();
        // A record whose peer key is of low order cannot have been written; it would never get a session.
        self.put_up(id, kept.and_then(|record| Peer::new(&self.me, now, record)));
    }

    fn put_up(&mut self, id: PairingId, peer: Option<Peer>) {
        self.peers.remove(&id);
        self.peers.extend(peer.map(|peer| (id, peer)));
        self.graves.remove(&id);
        if let Some(tombstone) = self.outbox.durable().tombstones.get(&id) {
            self.graves.extend(Grave::new(&self.me, tombstone).map(|grave| (id, grave)));
        }
        self.topics.dirty();
    }
}
