//! An app's tunnel, a manager's, the Noise sessions between them, a network, a store and a disk. All but the tunnels,
//! the sessions and the messages is virtual.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use waku_noise_session::handshake::Handshake;
use waku_noise_session::handshake_state::Setup;
use waku_noise_session::key::KeyPair;
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::session::{Content, OpenError, Session};
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_proto::{ContentTopic, EncodedMessage, WakuMessage};
use waku_tunnel::budget::{Budget, Class};
use waku_tunnel::connection::{Config, Connection, Event, PacketId, Transmit};
use waku_tunnel::request::Side;

/// The sides by their place in [`World::nodes`].
pub(crate) const APP: usize = 0;
pub(crate) const MANAGER: usize = 1;
/// What a network with rate limit proofs allows a member.
pub(crate) const RLN: (u32, Duration) = (100, Duration::from_secs(600));
/// Where the wall clocks start: at the beginning of an epoch of rate limit proofs.
const START: u64 = 1_760_000_400;
/// The session's number for the tunnels.
const SESSION: u64 = 1;
/// What a Noise payload says it is.
const NOISE_VERSION: u32 = 2;
/// The quickest way through the network, and how much longer the slowest is.
const LATENCY: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(650));
/// Percent of messages that come twice.
const DOUBLED: u32 = 1;
/// A commit to disk.
const COMMIT: Duration = Duration::from_millis(3);
/// How soon a store answers, and how soon the other side finds there what it has not got.
const STORE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How many messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// As many as wanted.
    Unlimited,
    /// [`RLN`]'s, with all of them there at first.
    Full,
    /// The same, with none there at first.
    Spent,
}

impl Allowance {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unlimited => "none",
            Self::Full => "RLN",
            Self::Spent => "RLN, spent",
        }
    }

    fn budget(self) -> Budget {
        let mut budget = match self {
            Self::Unlimited => Budget::new(1_000_000, Duration::from_secs(1)),
            Self::Full | Self::Spent => Budget::new(RLN.0, RLN.1),
        };
        while self == Self::Spent && budget.take(Instant::default(), Class::Ack) {}
        budget
    }
}

/// What the network does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Percent of messages that are lost.
    pub(crate) loss: u32,
    pub(crate) allowance: Allowance,
}

/// How messages are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carriage {
    /// Sealed by the sessions, in Waku messages, at the network's pace.
    Waku,
    /// The same, at once and without loss.
    AtOnce,
    /// The plaintexts themselves, at once and without loss: the tunnels alone.
    Bare,
}

/// Something to be done later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// The scene's own, with a number of its choosing.
    Scene(u64),
    Saved {
        side: usize,
        ticket: u64,
    },
    StoreSays {
        side: usize,
        packet: PacketId,
        found: bool,
    },
}

/// What the layer above learns.
pub(crate) enum Happening {
    /// From the tunnel of this side.
    Event(usize, Event),
    /// A task of the scene is due.
    Due(u64),
}

/// A message as it was sealed.
#[derive(Clone)]
struct Sealed {
    index: u64,
    payload: Bytes,
    ephemeral: bool,
}

enum Due {
    Arrival { to: usize, index: u64, message: Bytes },
    Task(Task),
}

pub(crate) struct Node {
    pub(crate) tunnel: Connection,
    budget: Budget,
    session: Session,
    /// Counts plaintexts where nothing is sealed.
    sealed: u64,
    ciphertexts: HashMap<PacketId, Sealed>,
    /// Indices that were opened: what else comes under them is a repetition.
    opened: HashSet<u64>,
    /// When each message was published, repetitions included.
    pub(crate) published: Vec<Duration>,
    /// Of those: repetitions.
    pub(crate) repeated: u64,
    /// Bytes of all messages published.
    pub(crate) wire: u64,
}

pub(crate) struct World {
    rng: ChaCha8Rng,
    pub(crate) now: Duration,
    pub(crate) nodes: [Node; 2],
    weather: Weather,
    carriage: Carriage,
    topic: ContentTopic,
    agenda: BTreeMap<(Duration, u64), Due>,
    count: u64,
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather, carriage: Carriage) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Now { unix: UnixTime::from_secs(START), ..Now::default() };
        let mut sessions = shake_hands(&mut rng);
        let [name, _] = *sessions[APP].id().ct_id().as_chunks::<16>().0 else { unreachable!("32 bytes") };
        let name = u128::from_be_bytes(name);
        let mut node = |side: Side, epoch: u64| {
            let mut tunnel = Connection::new(Config::new(side, epoch), now, Vec::new());
            tunnel.connected(SESSION);
            Node {
                tunnel,
                budget: weather.allowance.budget(),
                session: sessions.remove(0),
                sealed: 0,
                ciphertexts: HashMap::new(),
                opened: HashSet::new(),
                published: Vec::new(),
                repeated: 0,
                wire: 0,
            }
        };
        let nodes = [node(Side::App, rng.next_u64() | 1), node(Side::Manager, rng.next_u64() | 1)];
        Self {
            rng,
            now: Duration::ZERO,
            nodes,
            weather,
            carriage,
            topic: format!("/status-node-manager/1/s-{name:032x}/proto").parse().unwrap(),
            agenda: BTreeMap::new(),
            count: 0,
        }
    }

    pub(crate) fn now(&self) -> Now {
        let unix = UnixTime::from_epoch(Duration::from_secs(START) + self.now);
        Now { instant: Instant::from_origin(self.now), unix }
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.rng.next_u32() % limit
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// Between so many milliseconds and so many.
    pub(crate) fn millis(&mut self, least: u32, most: u32) -> Duration {
        Duration::from_millis((least + self.below(most - least + 1)).into())
    }

    /// Makes a scene's task due after a while.
    pub(crate) fn after(&mut self, delay: Duration, number: u64) {
        self.enter(delay, Due::Task(Task::Scene(number)));
    }

    fn enter(&mut self, delay: Duration, due: Due) {
        self.count += 1;
        self.agenda.insert((self.now + delay, self.count), due);
    }

    /// Runs until the layer above has something to do; `None` when there is nothing more before `until`.
    pub(crate) fn run(&mut self, until: Duration) -> Option<Vec<Happening>> {
        loop {
            let (mut happened, mut is_busy) = (Vec::new(), false);
            for side in [APP, MANAGER] {
                self.pump(side, &mut happened);
            }
            while happened.is_empty()
                && let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now)
            {
                is_busy = true;
                match entry.remove() {
                    Due::Arrival { to, index, message } => {
                        self.arrive(to, index, message);
                        self.pump(to, &mut happened);
                    }
                    Due::Task(task) => self.perform(task, &mut happened),
                }
            }
            if !happened.is_empty() {
                return Some(happened);
            }
            // What was done may be followed by something at once.
            if is_busy {
                continue;
            }
            let next = self.next()?;
            if next > until {
                return None;
            }
            assert!(next > self.now, "a tunnel wants something now and does nothing");
            self.now = self.now.max(next);
            let now = self.now();
            self.nodes.iter_mut().for_each(|node| node.tunnel.handle_timeout(now));
        }
    }

    /// When something is next to be done.
    fn next(&self) -> Option<Duration> {
        let instant = self.now().instant;
        let timeouts = self.nodes.iter().filter_map(|node| node.tunnel.poll_timeout(instant, &node.budget));
        let entries = self.agenda.first_key_value().map(|((at, _), _)| *at);
        timeouts.map(Instant::since_origin).chain(entries).min()
    }

    fn perform(&mut self, task: Task, happened: &mut Vec<Happening>) {
        let now = self.now();
        match task {
            Task::Scene(number) => happened.push(Happening::Due(number)),
            Task::Saved { side, ticket } => self.nodes[side].tunnel.saved(now.instant, ticket, true),
            Task::StoreSays { side, packet, found } => {
                self.nodes[side].tunnel.store_answered(now, packet, found);
            }
        }
    }

    /// Lets a side do what it can do now.
    fn pump(&mut self, side: usize, happened: &mut Vec<Happening>) {
        loop {
            while let Some(event) = self.nodes[side].tunnel.poll_event() {
                match event {
                    Event::Save { ticket, .. } => {
                        self.enter(COMMIT, Due::Task(Task::Saved { side, ticket }));
                    }
                    event => happened.push(Happening::Event(side, event)),
                }
            }
            // What happened may be answered at once, and goes along then.
            if !happened.is_empty() {
                return;
            }
            let instant = self.now().instant;
            let node = &mut self.nodes[side];
            let Some(transmit) = node.tunnel.poll_transmit(instant, &mut node.budget) else { return };
            self.transmit(side, transmit);
        }
    }

    fn transmit(&mut self, side: usize, transmit: Transmit) {
        let node = &mut self.nodes[side];
        match transmit {
            Transmit::Send { packet, plaintext, ephemeral } => {
                let sealed = match self.carriage {
                    Carriage::Bare => {
                        node.sealed += 1;
                        Sealed { index: node.sealed - 1, payload: plaintext.into(), ephemeral }
                    }
                    Carriage::Waku | Carriage::AtOnce => {
                        let sealed = node.session.seal(&plaintext).unwrap();
                        Sealed { index: sealed.index, payload: sealed.payload.into(), ephemeral }
                    }
                };
                if let Some(packet) = packet {
                    node.tunnel.sealed(packet, sealed.index);
                    node.ciphertexts.insert(packet, sealed.clone());
                }
                self.publish(side, &sealed);
            }
            Transmit::Repeat(packet) => {
                let sealed = node.ciphertexts[&packet].clone();
                node.repeated += 1;
                self.publish(side, &sealed);
            }
            Transmit::AskStore(packet) => {
                let sealed = node.ciphertexts[&packet].clone();
                let found = !sealed.ephemeral;
                if found {
                    let message = self.wrap(&sealed);
                    self.enter(STORE.1, Due::Arrival { to: 1 - side, index: sealed.index, message });
                }
                self.enter(STORE.0, Due::Task(Task::StoreSays { side, packet, found }));
            }
            Transmit::Forget(packet) => _ = node.ciphertexts.remove(&packet),
        }
    }

    /// The bytes on the wire.
    fn wrap(&self, sealed: &Sealed) -> Bytes {
        if self.carriage == Carriage::Bare {
            return sealed.payload.clone();
        }
        let timestamp = i64::try_from(self.now().unix.as_nanos()).unwrap();
        let message =
            WakuMessage::new(&self.topic, sealed.payload.clone(), timestamp).with_version(NOISE_VERSION);
        let message = if sealed.ephemeral { message.with_ephemeral() } else { message };
        EncodedMessage::encode(message).bytes().clone()
    }

    fn publish(&mut self, side: usize, sealed: &Sealed) {
        let message = self.wrap(sealed);
        let node = &mut self.nodes[side];
        node.published.push(self.now);
        node.wire += message.len() as u64;
        let (to, index) = (1 - side, sealed.index);
        if self.carriage != Carriage::Waku {
            return self.enter(Duration::ZERO, Due::Arrival { to, index, message });
        }
        let copies = 1 + u32::from(self.chance(DOUBLED));
        for _ in 0..copies {
            if !self.chance(self.weather.loss) {
                let latency = self.latency();
                self.enter(latency, Due::Arrival { to, index, message: message.clone() });
            }
        }
    }

    /// Each message's own, so that they overtake one another. Short ways are the more frequent ones.
    fn latency(&mut self) -> Duration {
        let drawn = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        LATENCY.0 + LATENCY.1.mul_f64(drawn * drawn)
    }

    fn arrive(&mut self, to: usize, index: u64, message: Bytes) {
        let now = self.now();
        let node = &mut self.nodes[to];
        if self.carriage == Carriage::Bare {
            return node.tunnel.handle_plaintext(now, SESSION, index, &message).unwrap();
        }
        let message = EncodedMessage::decode(message).unwrap();
        let payload = PayloadV2::decode(&message.message().payload).unwrap();
        match node.session.open(now.instant, &payload) {
            Ok(opened) => {
                let Content::Data(plaintext) = opened.content else { panic!("nobody ends the session") };
                assert!(opened.index == index && node.opened.insert(index), "opened once, in its place");
                node.tunnel.handle_plaintext(now, SESSION, index, &plaintext).unwrap();
            }
            Err(OpenError::Repeated { index: known }) => {
                assert!(known == index && node.opened.contains(&index), "only what came before is repeated");
                node.tunnel.handle_repeated(now.instant, SESSION, index);
            }
            Err(error) => panic!("what was sealed is opened: {error}"),
        }
    }

    /// Messages published by both sides.
    pub(crate) fn messages(&self) -> usize {
        self.nodes.iter().map(|node| node.published.len()).sum()
    }

    /// Bytes published by both sides.
    pub(crate) fn wire(&self) -> u64 {
        self.nodes.iter().map(|node| node.wire).sum()
    }

    pub(crate) fn repeated(&self) -> u64 {
        self.nodes.iter().map(|node| node.repeated).sum()
    }

    /// The most messages that one side published in one epoch of rate limit proofs.
    pub(crate) fn most_in_an_epoch(&self) -> usize {
        let counts = self.nodes.iter().flat_map(|node| {
            let mut epochs = BTreeMap::<u64, usize>::new();
            for at in &node.published {
                *epochs.entry(at.as_secs() / RLN.1.as_secs()).or_default() += 1;
            }
            epochs.into_values()
        });
        counts.max().unwrap_or_default()
    }
}

/// Two sides of a fresh session, the caller first.
fn shake_hands(rng: &mut ChaCha8Rng) -> Vec<Session> {
    let keys = [KeyPair::generate(rng), KeyPair::generate(rng)];
    let mut parties = [(Role::Initiator, 0), (Role::Responder, 1)].map(|(role, us)| {
        let mut setup = Setup::new(&Pattern::K1K1, role, b"");
        setup.local_static = Some(keys[us].clone());
        setup.remote_static = Some(keys[1 - us].public());
        Handshake::new(setup).unwrap()
    });
    for turn in 0..Pattern::K1K1.messages.len() {
        let wire = parties[turn % 2].write(rng, MessageNametag::default(), b"").unwrap();
        parties[1 - turn % 2].read(&PayloadV2::decode(&wire).unwrap()).unwrap();
    }
    parties.map(|party| Session::new(party.finish().unwrap(), true)).into()
}
