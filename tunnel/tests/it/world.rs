//! Two tunnels, the sessions between them, a network and disks: all of it virtual.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_tunnel::budget::Budget;
use waku_tunnel::connection::{Config, Connection, Event, PacketId, Transmit};
use waku_tunnel::once::{Change, Record};
use waku_tunnel::request::{Key, Side};

/// Where the wall clocks start.
const START: u64 = 1_760_000_000;
/// The app's side, and the manager's.
pub(crate) const APP: usize = 0;
pub(crate) const MANAGER: usize = 1;

/// What the network does to a message.
#[derive(Clone)]
pub(crate) struct Weather {
    /// Percent.
    pub(crate) loss: u32,
    pub(crate) doubled: u32,
    /// The least and the most time under way.
    pub(crate) latency: (Duration, Duration),
    /// Percent that take minutes.
    pub(crate) late: u32,
    /// Percent of saves that fail.
    pub(crate) disk_fails: u32,
    /// Percent of lost messages that a store has.
    pub(crate) stored: u32,
}

impl Weather {
    pub(crate) fn fine() -> Self {
        let latency = (Duration::from_millis(500), Duration::from_millis(500));
        Self { loss: 0, doubled: 0, latency, late: 0, disk_fails: 0, stored: 0 }
    }
}

pub(crate) struct Node {
    pub(crate) tunnel: Connection,
    pub(crate) budget: Budget,
    /// When messages went in the latest window, to hold the budget to.
    recent: VecDeque<Duration>,
    rate: (u32, Duration),
    pub(crate) session: Option<u64>,
    sealed: u64,
    /// What was sealed, as a driver keeps it.
    ciphertexts: HashMap<PacketId, Sealed>,
    /// Indices received, by session.
    received: HashSet<(u64, u64)>,
    pub(crate) disk: BTreeMap<Key, Record>,
    /// How far the wall clock is off, in seconds.
    pub(crate) clock: i64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Messages that the other side has received, by session and index.
    arrived: HashSet<(u64, u64)>,
}

#[derive(Clone)]
struct Sealed {
    session: u64,
    index: u64,
    plaintext: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now: Duration,
    pub(crate) nodes: [Node; 2],
    pub(crate) weather: Weather,
    flight: BTreeMap<(Duration, u64), (usize, Sealed)>,
    count: u64,
    sessions: u64,
    epochs: u64,
}

fn side(node: usize) -> Side {
    if node == APP { Side::App } else { Side::Manager }
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather, rate: (u32, Duration)) -> Self {
        let now = Now { unix: UnixTime::from_secs(START), ..Now::default() };
        let node = |which: usize| Node {
            tunnel: Connection::new(Config::new(side(which), 1 + which as u64), now, Vec::new()),
            budget: Budget::new(rate.0, rate.1),
            recent: VecDeque::new(),
            rate,
            session: None,
            sealed: 0,
            ciphertexts: HashMap::new(),
            received: HashSet::new(),
            disk: BTreeMap::new(),
            clock: 0,
            messages: 0,
            bytes: 0,
            arrived: HashSet::new(),
        };
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Duration::ZERO,
            nodes: [node(APP), node(MANAGER)],
            weather,
            flight: BTreeMap::new(),
            count: 0,
            sessions: 0,
            epochs: 2,
        }
    }

    /// With a session, no loss, half a second under way and plenty of messages.
    pub(crate) fn calm() -> Self {
        let mut world = Self::new(1, Weather::fine(), (1000, Duration::from_secs(60)));
        world.renew();
        world
    }

    pub(crate) fn now(&self, node: usize) -> Now {
        let unix = START.saturating_add(self.now.as_secs()).saturating_add_signed(self.nodes[node].clock);
        Now { instant: self.instant(), unix: UnixTime::from_secs(unix) }
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant::from_origin(self.now)
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.rng.next_u32() % limit
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// A new session for both.
    pub(crate) fn renew(&mut self) {
        self.sessions += 1;
        for node in &mut self.nodes {
            node.session = Some(self.sessions);
            node.sealed = 0;
            node.tunnel.connected(self.sessions);
        }
    }

    pub(crate) fn disconnect(&mut self) {
        for node in &mut self.nodes {
            node.session = None;
            node.tunnel.disconnected();
        }
    }

    /// The process ends and begins anew, with what was on disk; its sessions are gone, and so is the other side's.
    pub(crate) fn restart(&mut self, which: usize) {
        self.disconnect();
        self.epochs += 1;
        let stored = self.nodes[which].disk.values().cloned().collect();
        let config = Config::new(side(which), self.epochs);
        let now = self.now(which);
        let node = &mut self.nodes[which];
        node.tunnel = Connection::new(config, now, stored);
        node.ciphertexts.clear();
        node.received.clear();
    }

    /// Lets a node do what it can do now, and returns what happened to it.
    pub(crate) fn pump(&mut self, which: usize) -> Vec<Event> {
        let mut happened = Vec::new();
        loop {
            while let Some(event) = self.nodes[which].tunnel.poll_event() {
                match event {
                    Event::Save { ticket, changes } => self.save(which, ticket, changes),
                    event => happened.push(event),
                }
            }
            let now = self.instant();
            let node = &mut self.nodes[which];
            let Some(transmit) = node.tunnel.poll_transmit(now, &mut node.budget) else { break };
            self.transmit(which, transmit);
        }
        happened
    }

    fn save(&mut self, which: usize, ticket: u64, changes: Vec<Change>) {
        let durable = !self.chance(self.weather.disk_fails);
        let now = self.instant();
        let node = &mut self.nodes[which];
        if durable {
            for change in changes {
                match change {
                    Change::Put(record) => _ = node.disk.insert(record.key, record),
                    Change::Remove(key) => _ = node.disk.remove(&key),
                }
            }
        }
        node.tunnel.saved(now, ticket, durable);
    }

    fn transmit(&mut self, which: usize, transmit: Transmit) {
        let now = self.now(which);
        match transmit {
            Transmit::Send { packet, plaintext, .. } => {
                let node = &mut self.nodes[which];
                let session = node.session.expect("without a session nothing is sent");
                let sealed = Sealed { session, index: node.sealed, plaintext };
                node.sealed += 1;
                if let Some(packet) = packet {
                    node.tunnel.sealed(packet, sealed.index);
                    node.ciphertexts.insert(packet, sealed.clone());
                }
                self.publish(which, &sealed);
            }
            Transmit::Repeat(packet) => {
                let sealed = self.nodes[which].ciphertexts[&packet].clone();
                assert_eq!(Some(sealed.session), self.nodes[which].session, "only on its own session");
                self.publish(which, &sealed);
            }
            Transmit::AskStore(packet) => {
                let sealed = &self.nodes[which].ciphertexts[&packet];
                let arrived = self.nodes[which].arrived.contains(&(sealed.session, sealed.index));
                let found = arrived || self.chance(self.weather.stored);
                if found {
                    // The other side finds it there, too.
                    let sealed = self.nodes[which].ciphertexts[&packet].clone();
                    self.fly(1 - which, Duration::from_secs(60), sealed);
                }
                self.nodes[which].tunnel.store_answered(now, packet, found);
            }
            Transmit::Forget(packet) => _ = self.nodes[which].ciphertexts.remove(&packet),
        }
    }

    fn publish(&mut self, which: usize, sealed: &Sealed) {
        let now = self.now;
        let node = &mut self.nodes[which];
        node.messages += 1;
        node.bytes += sealed.plaintext.len() as u64;
        let (messages, window) = node.rate;
        node.recent.retain(|at| *at + window > now);
        node.recent.push_back(now);
        assert!(node.recent.len() <= messages as usize, "more messages than the budget has");
        let copies = 1 + u32::from(self.chance(self.weather.doubled));
        for _ in 0..copies {
            if !self.chance(self.weather.loss) {
                let (least, most) = self.weather.latency;
                let most = if self.chance(self.weather.late) { Duration::from_secs(240) } else { most };
                let spread = u32::try_from(most.saturating_sub(least).as_millis()).unwrap();
                let latency = least + Duration::from_millis(self.below(spread + 1).into());
                self.fly(1 - which, latency, sealed.clone());
            }
        }
    }

    fn fly(&mut self, to: usize, latency: Duration, sealed: Sealed) {
        self.count += 1;
        self.flight.insert((self.now + latency, self.count), (to, sealed));
    }

    /// When something is next to be done by a tunnel or the network.
    pub(crate) fn next(&self) -> Option<Duration> {
        let now = self.instant();
        let timeouts = self.nodes.iter().filter_map(|node| node.tunnel.poll_timeout(now, &node.budget));
        let arrival = self.flight.first_key_value().map(|((at, _), _)| *at);
        timeouts.map(Instant::since_origin).chain(arrival).min()
    }

    /// Lets time pass until then: what is due is done, what arrives is handed over.
    pub(crate) fn advance(&mut self, to: Duration) {
        self.now = self.now.max(to);
        while let Some(((at, _), _)) = self.flight.first_key_value()
            && *at <= self.now
        {
            let (_, (to, sealed)) = self.flight.pop_first().unwrap();
            self.arrive(to, &sealed);
        }
        for which in [APP, MANAGER] {
            let now = self.now(which);
            self.nodes[which].tunnel.handle_timeout(now);
        }
    }

    fn arrive(&mut self, to: usize, sealed: &Sealed) {
        let now = self.now(to);
        let node = &mut self.nodes[to];
        // Keys are gone with the process, and with a session long after it.
        if node.session.is_none_or(|session| sealed.session + 1 < session || sealed.session > session) {
            return;
        }
        if node.received.insert((sealed.session, sealed.index)) {
            node.tunnel.handle_plaintext(now, sealed.session, sealed.index, &sealed.plaintext).unwrap();
            self.nodes[1 - to].arrived.insert((sealed.session, sealed.index));
        } else {
            node.tunnel.handle_repeated(now.instant, sealed.session, sealed.index);
        }
    }

    /// Runs until something happens, at most for a while of virtual time.
    pub(crate) fn run(&mut self, at_most: Duration) -> Vec<(usize, Event)> {
        let until = self.now + at_most;
        loop {
            let mut happened = Vec::new();
            for which in [APP, MANAGER] {
                happened.extend(self.pump(which).into_iter().map(|event| (which, event)));
            }
            if !happened.is_empty() {
                return happened;
            }
            match self.next() {
                Some(next) if next <= until => {
                    assert!(next > self.now, "a tunnel wants something now and does nothing");
                    self.advance(next);
                }
                _ => {
                    self.advance(until);
                    return Vec::new();
                }
            }
        }
    }
}
