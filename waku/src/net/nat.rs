//! Reaching a node that has no public address: circuit relay v2, AutoNAT v1 and hole punching (`DCUtR`).

use std::time::{Duration, Instant};

use getrandom::SysRng;
use libp2p::autonat::v1 as autonat;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{Multiaddr, PeerId, dcutr, relay};
use rand_core::{Rng, UnwrapErr};

use super::driver::Driver;
use crate::peers::Backoff;

/// How long after its start a node asks first whether it can be reached: peers to ask must be connected.
const ASK_AFTER: Duration = Duration::from_secs(3);

/// How a node behind a NAT is reached, and helps others to find out whether they are.
///
/// Circuits through relays are always dialled and, where a place is reserved, accepted: that costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nat {
    /// Relays at which to reserve a place, so that peers reach this node through them: addresses that end
    /// in `/p2p/…`. A place that is lost is reserved again. None by default.
    pub circuit_relays: Vec<Multiaddr>,
    /// Asks peers whether this node can be reached from outside, and answers the same question
    /// (AutoNAT v1, as nwaku). Off by default.
    pub autonat: bool,
    /// Turns a circuit into a direct connection where the NATs allow it. Off by default.
    pub hole_punching: bool,
    /// AutoNAT also for peers at private and loopback addresses: for networks without public ones. Off by
    /// default.
    pub private_addresses: bool,
}

/// Whether a node can be reached from outside, as far as AutoNAT has found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody was asked, or the answers do not agree.
    #[default]
    Unknown,
    /// At this address.
    Public(Multiaddr),
    /// Not without a relay.
    Private,
}

impl From<autonat::NatStatus> for Reachability {
    fn from(status: autonat::NatStatus) -> Self {
        match status {
            autonat::NatStatus::Public(address) => Self::Public(address),
            autonat::NatStatus::Private => Self::Private,
            autonat::NatStatus::Unknown => Self::Unknown,
        }
    }
}

/// The three protocols on the swarm.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    circuit: relay::client::Behaviour,
    autonat: Toggle<autonat::Behaviour>,
    hole_punching: Toggle<dcutr::Behaviour>,
}

impl Behaviour {
    pub(crate) fn new(local: PeerId, nat: &Nat, circuit: relay::client::Behaviour) -> Self {
        let config = autonat::Config {
            only_global_ips: !nat.private_addresses,
            boot_delay: ASK_AFTER,
            ..autonat::Config::default()
        };
        Self {
            circuit,
            autonat: nat.autonat.then(|| autonat::Behaviour::new(local, config)).into(),
            hole_punching: nat.hole_punching.then(|| dcutr::Behaviour::new(local)).into(),
        }
    }
}

impl Driver {
    pub(super) fn on_nat_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Circuit(relay::client::Event::ReservationReqAccepted {
                relay_peer_id, ..
            }) => {
                tracing::info!(relay = %relay_peer_id, "place at a relay reserved");
                self.circuits.reserved(relay_peer_id);
            }
            BehaviourEvent::Circuit(event) => tracing::debug!(?event, "circuit"),
            BehaviourEvent::Autonat(autonat::Event::StatusChanged { new, .. }) => {
                tracing::info!(status = ?new, "reachability changed");
                self.views.reachability.send_replace(new.into());
            }
            BehaviourEvent::Autonat(_) => {}
            BehaviourEvent::HolePunching(dcutr::Event { remote_peer_id, result }) => match result {
                Ok(_) => tracing::info!(peer = %remote_peer_id, "direct connection instead of a circuit"),
                Err(error) => tracing::debug!(peer = %remote_peer_id, %error, "no way around the circuit"),
            },
        }
    }

    /// Asks relays for the places that are due.
    pub(super) fn reserve_places(&mut self) {
        let now = Instant::now();
        while let Some(address) = self.circuits.next_due(now) {
            let listener = self.swarm.listen_on(address.clone());
            if let Err(error) = &listener {
                tracing::warn!(%address, %error, "no place reserved");
            }
            self.circuits.listening(&address, listener.ok(), now, &mut UnwrapErr(SysRng));
        }
    }
}

/// The places to keep reserved at relays. No clock: time and chance are arguments.
#[derive(Debug)]
pub(crate) struct Circuits {
    backoff: Backoff,
    circuits: Vec<Circuit>,
}

#[derive(Debug)]
struct Circuit {
    /// The relay's address with `/p2p-circuit` behind it.
    address: Multiaddr,
    state: State,
    failures: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Instant },
    Listening(ListenerId),
}

impl Circuits {
    pub(crate) fn new(relays: &[Multiaddr], backoff: Backoff, now: Instant) -> Self {
        let circuit = |relay: &Multiaddr| Circuit {
            address: relay.clone().with(Protocol::P2pCircuit),
            state: State::Waiting { until: now },
            failures: 0,
        };
        Self { backoff, circuits: relays.iter().map(circuit).collect() }
    }

    /// The next address to listen on now. Whoever takes it tells what became of it.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Multiaddr> {
        let is_due = |circuit: &&Circuit| matches!(circuit.state, State::Waiting { until } if until <= now);
        self.circuits.iter().find(is_due).map(|circuit| circuit.address.clone())
    }

    /// When [`Circuits::next_due`] will next have something.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let waits = self.circuits.iter().filter_map(|circuit| match circuit.state {
            State::Waiting { until } => Some(until),
            State::Listening(_) => None,
        });
        waits.min()
    }

    /// A place is being reserved; `None` when that failed at once.
    pub(crate) fn listening(
        &mut self,
        address: &Multiaddr,
        listener: Option<ListenerId>,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        let Some(circuit) = self.circuits.iter_mut().find(|circuit| circuit.address == *address) else {
            return;
        };
        match listener {
            Some(listener) => circuit.state = State::Listening(listener),
            None => circuit.wait(&self.backoff, now, rng),
        }
    }

    /// A relay gave a place.
    pub(crate) fn reserved(&mut self, relay: PeerId) {
        let is_at = |circuit: &&mut Circuit| circuit.address.iter().any(|part| part == Protocol::P2p(relay));
        for circuit in self.circuits.iter_mut().filter(is_at) {
            circuit.failures = 0;
        }
    }

    /// A listener is gone; true when it was one of a circuit.
    pub(crate) fn lost(&mut self, listener: ListenerId, now: Instant, rng: &mut impl Rng) -> bool {
        let is_it = |circuit: &&mut Circuit| circuit.state == State::Listening(listener);
        let Some(circuit) = self.circuits.iter_mut().find(is_it) else {
            return false;
        };
        circuit.wait(&self.backoff, now, rng);
        true
    }
}

impl Circuit {
    fn wait(&mut self, backoff: &Backoff, now: Instant, rng: &mut impl Rng) {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { until: now + backoff.delay(self.failures, rng) };
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn a_place_is_reserved_at_once_and_again_after_a_wait() {
        let (now, mut rng, relay) = (Instant::now(), ChaCha8Rng::seed_from_u64(1), PeerId::random());
        let address: Multiaddr = format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}").parse().unwrap();
        let mut circuits = Circuits::new(&[address], Backoff::default(), now);
        let due = circuits.next_due(now).unwrap();
        assert_eq!(due.to_string(), format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}/p2p-circuit"));

        let listener = ListenerId::next();
        circuits.listening(&due, Some(listener), now, &mut rng);
        circuits.reserved(relay);
        assert_eq!((circuits.next_due(now), circuits.next_wake()), (None, None));

        assert!(!circuits.lost(ListenerId::next(), now, &mut rng));
        assert!(circuits.lost(listener, now, &mut rng));
        assert_eq!(circuits.next_due(now), None);
        let wake = circuits.next_wake().unwrap();
        assert!(wake > now && wake <= now + Duration::from_secs(1));
        assert_eq!(circuits.next_due(wake), Some(due.clone()));

        circuits.listening(&due, None, wake, &mut rng);
        let longer = circuits.next_wake().unwrap() - wake;
        assert!(longer >= Duration::from_secs(1) && longer <= Duration::from_secs(2), "{longer:?}");
    }
}
