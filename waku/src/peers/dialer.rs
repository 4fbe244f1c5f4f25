//! Decides when each static peer is dialled. No clock, no sockets: time and chance are arguments.

use std::collections::BTreeMap;
use std::time::Instant;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use rand_core::Rng;

use super::Backoff;

/// A peer to stay connected to.
#[derive(Debug)]
pub(crate) struct StaticPeer {
    /// Known from the address, or learned from the first connection.
    pub(crate) peer_id: Option<PeerId>,
    pub(crate) state: State,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) last_error: Option<String>,
    /// Named by the application to be asked for services.
    pub(crate) is_service: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waiting { until: Instant },
    Dialing,
    Connected { since: Instant },
}

/// All static peers, each under the address it was given by.
#[derive(Debug)]
pub(crate) struct Dialer {
    backoff: Backoff,
    peers: BTreeMap<Multiaddr, StaticPeer>,
}

impl Dialer {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, peers: BTreeMap::new() }
    }

    /// Adds a peer, to be dialled at once. Adding it again changes nothing, but that it may be one for
    /// services from then on.
    pub(crate) fn add(&mut self, address: Multiaddr, is_service: bool, connected: bool, now: Instant) {
        let state = if connected { State::Connected { since: now } } else { State::Waiting { until: now } };
        let peer_id = peer_id_of(&address);
        let new = StaticPeer { peer_id, state, failures: 0, last_error: None, is_service: false };
        self.peers.entry(address).or_insert(new).is_service |= is_service;
    }

    /// Removes a peer; false when it was none. It is not dialled again; a connection stays.
    pub(crate) fn remove(&mut self, address: &Multiaddr) -> Option<StaticPeer> {
        self.peers.remove(address)
    }

    /// Every static peer.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&Multiaddr, &StaticPeer)> {
        self.peers.iter()
    }

    /// The next address to dial now; counts as being dialled from here on.
    pub(crate) fn next_dial(&mut self, now: Instant) -> Option<Multiaddr> {
        let due = |peer: &StaticPeer| matches!(peer.state, State::Waiting { until } if until <= now);
        let (address, peer) = self.peers.iter_mut().find(|(_, peer)| due(peer))?;
        peer.state = State::Dialing;
        Some(address.clone())
    }

    /// When [`Dialer::next_dial`] will next have something.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let waits = self.peers.values().filter_map(|peer| match peer.state {
            State::Waiting { until } => Some(until),
            State::Dialing | State::Connected { .. } => None,
        });
        waits.min()
    }

    /// A dial of this address failed.
    pub(crate) fn dial_failed(
        &mut self,
        address: &Multiaddr,
        error: String,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        let Some(peer) = self.peers.get_mut(address) else {
            return;
        };
        // The peer may have dialled us in the meantime.
        if peer.state == State::Dialing {
            peer.last_error = Some(error);
            peer.failures = peer.failures.saturating_add(1);
            peer.state = State::Waiting { until: now + self.backoff.delay(peer.failures, rng) };
        }
    }

    /// A peer is connected, by a dial of `dialled` or by another way.
    pub(crate) fn connected(&mut self, peer_id: PeerId, dialled: Option<&Multiaddr>, now: Instant) {
        for (address, peer) in &mut self.peers {
            if Some(address) == dialled {
                peer.peer_id = Some(peer_id);
            }
            if peer.peer_id == Some(peer_id) && !matches!(peer.state, State::Connected { .. }) {
                peer.state = State::Connected { since: now };
                peer.last_error = None;
            }
        }
    }

    /// The last connection of a peer is gone.
    pub(crate) fn disconnected(&mut self, peer_id: PeerId, now: Instant, rng: &mut impl Rng) {
        for (address, peer) in &mut self.peers {
            let State::Connected { since } = peer.state else {
                continue;
            };
            if peer.peer_id != Some(peer_id) {
                continue;
            }
            let was_stable = now.saturating_duration_since(since) >= self.backoff.stable_after;
            peer.failures = if was_stable { 1 } else { peer.failures.saturating_add(1) };
            peer.state = State::Waiting { until: now + self.backoff.delay(peer.failures, rng) };
            // Another node may answer at the address next time, if the address does not say who.
            peer.peer_id = peer_id_of(address);
        }
    }
}

/// The peer id at the end of an address.
pub(crate) fn peer_id_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer_id)) => Some(peer_id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    const STABLE: Duration = Duration::from_secs(60);

    struct Scene {
        dialer: Dialer,
        now: Instant,
        rng: ChaCha8Rng,
        address: Multiaddr,
        peer: PeerId,
    }

    impl Scene {
        fn new(with_peer_id: bool) -> Self {
            let peer = PeerId::random();
            let mut address: Multiaddr = "/dns4/node.example/tcp/60000".parse().unwrap();
            if with_peer_id {
                address.push(Protocol::P2p(peer));
            }
            let (now, rng) = (Instant::now(), ChaCha8Rng::seed_from_u64(7));
            let mut dialer = Dialer::new(Backoff::default());
            dialer.add(address.clone(), false, false, now);
            Self { dialer, now, rng, address, peer }
        }

        fn fail(&mut self) {
            let error = "connection refused".to_owned();
            self.dialer.dial_failed(&self.address, error, self.now, &mut self.rng);
        }

        fn connect(&mut self) {
            self.dialer.connected(self.peer, Some(&self.address), self.now);
        }

        fn disconnect(&mut self) {
            self.dialer.disconnected(self.peer, self.now, &mut self.rng);
        }

        /// Time until the next dial.
        fn wait(&self) -> Option<Duration> {
            self.dialer.next_wake().map(|until| until.saturating_duration_since(self.now))
        }

        fn failures(&self) -> u32 {
            self.dialer.peers().map(|(_, peer)| peer.failures).sum()
        }
    }

    #[test]
    fn dials_a_new_peer_at_once_and_only_once() {
        let mut scene = Scene::new(true);
        assert_eq!(scene.wait(), Some(Duration::ZERO));
        assert_eq!(scene.dialer.next_dial(scene.now), Some(scene.address.clone()));
        assert_eq!(scene.dialer.next_dial(scene.now), None);
        assert_eq!(scene.wait(), None);
    }

    #[test]
    fn waits_longer_after_every_failure_and_dials_when_the_wait_is_over() {
        let mut scene = Scene::new(true);
        for longest in [1, 2, 4, 8] {
            assert!(scene.dialer.next_dial(scene.now).is_some());
            scene.fail();
            let wait = scene.wait().unwrap();
            assert!(wait >= Duration::from_millis(longest * 500) && wait <= Duration::from_secs(longest));
            assert_eq!(
                scene.dialer.next_dial(scene.now + wait.saturating_sub(Duration::from_nanos(1))),
                None
            );
            scene.now += wait;
        }
        assert!(scene.dialer.next_dial(scene.now).is_some());
    }

    #[test]
    fn keeps_the_last_error_until_connected() {
        let mut scene = Scene::new(true);
        scene.dialer.next_dial(scene.now);
        scene.fail();
        let errors = |scene: &Scene| {
            scene.dialer.peers().filter_map(|(_, peer)| peer.last_error.clone()).collect::<Vec<_>>()
        };
        assert_eq!(errors(&scene), ["connection refused"]);
        scene.connect();
        assert_eq!(errors(&scene), [""; 0]);
    }

    #[test]
    fn dials_nobody_who_is_connected() {
        let mut scene = Scene::new(true);
        // The peer came to us before we dialled.
        scene.dialer.connected(scene.peer, None, scene.now);
        assert_eq!(scene.dialer.next_dial(scene.now + STABLE), None);
    }

    #[test]
    fn a_failed_dial_does_not_count_when_the_peer_has_come_to_us() {
        let mut scene = Scene::new(true);
        scene.dialer.next_dial(scene.now);
        scene.dialer.connected(scene.peer, None, scene.now);
        scene.fail();
        assert_eq!((scene.wait(), scene.failures()), (None, 0));
        assert!(scene.dialer.peers().all(|(_, peer)| peer.last_error.is_none()));
    }

    #[test]
    fn a_wait_beyond_the_end_of_time_is_no_fault() {
        let mut scene = Scene::new(true);
        scene.dialer.backoff.first = Duration::MAX;
        scene.dialer.backoff.max = Duration::MAX;
        scene.dialer.next_dial(scene.now);
        scene.fail();
        assert!(scene.wait().unwrap() > STABLE);
    }

    #[test]
    fn redials_after_a_stable_connection_as_after_a_first_failure() {
        let mut scene = Scene::new(true);
        for _ in 0..3 {
            scene.now += STABLE;
            scene.dialer.next_dial(scene.now);
            scene.fail();
        }
        scene.connect();
        scene.now += STABLE;
        scene.disconnect();
        assert_eq!(scene.failures(), 1);
        assert!(scene.wait().unwrap() <= Duration::from_secs(1));
    }

    #[test]
    fn a_connection_that_breaks_at_once_counts_as_another_failure() {
        let mut scene = Scene::new(true);
        for failures in 1..5 {
            scene.now += STABLE;
            scene.dialer.next_dial(scene.now);
            scene.connect();
            scene.disconnect();
            assert_eq!(scene.failures(), failures);
        }
    }

    #[test]
    fn learns_the_peer_id_of_an_address_without_one() {
        let mut scene = Scene::new(false);
        scene.dialer.next_dial(scene.now);
        scene.connect();
        assert!(scene.dialer.peers().all(|(_, peer)| peer.peer_id == Some(scene.peer)));
        scene.disconnect();
        assert!(scene.wait().is_some());
        assert!(scene.dialer.peers().all(|(_, peer)| peer.peer_id.is_none()));
    }

    #[test]
    fn a_removed_peer_is_not_dialled_again() {
        let mut scene = Scene::new(true);
        scene.dialer.next_dial(scene.now);
        assert!(scene.dialer.remove(&scene.address).is_some());
        scene.fail();
        assert_eq!((scene.wait(), scene.dialer.next_dial(scene.now + STABLE)), (None, None));
        assert!(scene.dialer.remove(&scene.address).is_none());
    }

    #[test]
    fn adding_a_peer_again_changes_nothing() {
        let mut scene = Scene::new(true);
        scene.dialer.next_dial(scene.now);
        scene.fail();
        let wait = scene.wait();
        scene.dialer.add(scene.address.clone(), false, false, scene.now);
        assert_eq!(scene.wait(), wait);
    }

    #[test]
    fn a_peer_added_while_connected_is_not_dialled() {
        let mut scene = Scene::new(true);
        scene.dialer.remove(&scene.address);
        scene.dialer.add(scene.address.clone(), false, true, scene.now);
        assert_eq!(scene.dialer.next_dial(scene.now + STABLE), None);
        scene.disconnect();
        assert!(scene.wait().is_some());
    }
}
