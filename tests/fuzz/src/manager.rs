//! Two session managers on a network that an attacker rules.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_noise_session::key::KeyPair;
use waku_noise_session::manager::{Event, Link, Manager, Output, PairRoot, Profile, SendError, Stamps};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::session::SessionId;
use waku_noise_session::time::{Instant, Now, UnixTime};
use zeroize::Zeroizing;

use super::script::Script;

static PROFILE: Profile = Profile {
    prologue: b"fuzz/1",
    prologue_label: b"prologue",
    initiation_label: b"initiation",
    initiation_tag_label: b"initiation tag",
    refusal_label: b"refusal",
    refusal_tag_label: b"refusal tag",
    letter_label: b"letter",
    letter_tag_label: b"letter tag",
};

/// 2026-01-01, shortly before midnight.
const START: Duration = Duration::from_secs(1_767_225_540);
/// Messages under way; more are lost.
const MAX_FLIGHT: usize = 32;
/// The most that one call may have done.
const MAX_OUTPUTS: usize = 16;

/// Nothing is received that was not sent, nothing twice, and when the attacker is gone the two find each other.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    while let Some(step) = script.byte() {
        if world.step(step, &mut script).is_none() {
            break;
        }
    }
    world.assert_recovers();
}

struct Side {
    manager: Manager,
    /// What was sent by this side, and what came from the other.
    sent: BTreeSet<Vec<u8>>,
    received: BTreeSet<Vec<u8>>,
    places: BTreeSet<(SessionId, u64)>,
}

struct World {
    sides: [Side; 2],
    /// To whom, and what.
    flight: VecDeque<(usize, Vec<u8>)>,
    now: Duration,
    rng: ChaCha8Rng,
    messages: u32,
}

impl World {
    fn new() -> Self {
        let keys = [[0x11; 32], [0x22; 32]].map(|secret| KeyPair::from_secret(&secret));
        let sides = [0, 1].map(|side| {
            let (local, remote) = (keys[side].clone(), keys[1 - side].public());
            let root = PairRoot::new(&local, &remote, &[7; 32]).expect("honest keys are not of low order");
            let [local_part, remote_part] = [[1, 2], [2, 1]][side];
            let link = Link { profile: &PROFILE, root, local, remote, local_part, remote_part };
            let mut manager = Manager::new(link, Stamps::default(), [local_part; 16]);
            manager.set_data(Zeroizing::new(vec![local_part]));
            Side { manager, sent: BTreeSet::new(), received: BTreeSet::new(), places: BTreeSet::new() }
        });
        let rng = ChaCha8Rng::seed_from_u64(1);
        Self { sides, flight: VecDeque::new(), now: Duration::ZERO, rng, messages: 0 }
    }

    fn now(&self) -> Now {
        Now { instant: Instant::from_origin(self.now), unix: UnixTime::from_epoch(START + self.now) }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) -> Option<()> {
        let side = usize::from(step >> 7);
        match step % 10 {
            0 => self.with(side, Manager::connect),
            1 => self.with(side, Manager::renew),
            2 => self.with(side, |manager, _| manager.close()),
            3 => _ = self.send(side),
            4 => self.pass(Duration::from_millis(250 * u64::from(script.byte()?))),
            5 => self.deliver(),
            6 => _ = self.flight.pop_front(),
            7 => {
                let message = self.flight.get(usize::from(script.byte()?)).cloned();
                self.flight.extend(message);
            }
            8 => {
                let (which, place, change) = (script.byte()?, script.byte()?, script.byte()?);
                let (to, mut bent) = self.flight.get(usize::from(which)).cloned()?;
                let place = usize::from(place) * bent.len() / 256;
                bent[place] ^= change.max(1);
                self.hear(to, &bent);
            }
            _ => self.invent(side, script)?,
        }
        Some(())
    }

    /// Bytes of the attacker's own, under a nametag that is waited for or not.
    fn invent(&mut self, side: usize, script: &mut Script<'_>) -> Option<()> {
        let seen = script.byte()?;
        let invented = script.bytes()?;
        if let Some((_, honest)) = self.flight.get(usize::from(seen)) {
            let tagged = [&honest[..17.min(honest.len())], invented].concat();
            self.hear(side, &tagged);
        } else {
            self.hear(side, invented);
        }
        Some(())
    }

    fn with(&mut self, side: usize, act: impl FnOnce(&mut Manager, Now)) {
        let now = self.now();
        act(&mut self.sides[side].manager, now);
        self.drain(side);
    }

    fn hear(&mut self, to: usize, bytes: &[u8]) {
        let Ok(payload) = PayloadV2::decode(bytes) else { return };
        let now = self.now();
        self.sides[to].manager.handle_payload(now, &mut self.rng, &payload);
        self.drain(to);
    }

    fn deliver(&mut self) {
        if let Some((to, payload)) = self.flight.pop_front() {
            self.hear(to, &payload);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in [0, 1] {
            let now = self.now();
            self.sides[side].manager.handle_timeout(now, &mut self.rng);
            self.drain(side);
            let next = self.sides[side].manager.poll_timeout();
            assert!(
                next.is_none_or(|next| next > now.instant),
                "what is due is done, or it would be done for ever"
            );
        }
    }

    /// Says something new that wants an answer.
    fn send(&mut self, side: usize) -> Result<(), SendError> {
        self.messages += 1;
        let text =
            [&[u8::try_from(side).expect("there are two sides")], &self.messages.to_be_bytes()[..]].concat();
        let now = self.now();
        let sent = self.sides[side].manager.send(now, &text, true);
        if sent.is_ok() {
            self.sides[side].sent.insert(text);
        }
        self.drain(side);
        sent.map(|_| ())
    }

    fn drain(&mut self, side: usize) {
        let mut outputs = 0;
        while let Some(output) = self.sides[side].manager.poll_output() {
            outputs += 1;
            assert!(outputs <= MAX_OUTPUTS, "one call did more than {MAX_OUTPUTS} things");
            match output {
                Output::Transmit { payload, .. } => {
                    assert!(PayloadV2::decode(&payload).is_ok());
                    self.flight.push_back((1 - side, payload));
                    if self.flight.len() > MAX_FLIGHT {
                        self.flight.pop_front();
                    }
                }
                Output::Event(Event::Received { session, index, plaintext }) => {
                    self.sides[side].places.insert((session, index));
                    assert!(self.sides[1 - side].sent.contains(&*plaintext), "received what was not sent");
                    assert!(self.sides[side].received.insert(plaintext.to_vec()), "received twice");
                }
                Output::Event(Event::Repeated { session, index }) => {
                    let received = self.sides[side].places.contains(&(session, index));
                    assert!(received, "repeated what was not received");
                }
                _ => {}
            }
        }
    }

    /// On a good network the two have the same session in time, and hear each other on it.
    fn assert_recovers(&mut self) {
        self.with(0, Manager::connect);
        self.with(1, Manager::connect);
        for _ in 0..400 {
            while !self.flight.is_empty() {
                self.deliver();
            }
            let heard = [0, 1].map(|side| self.sides[side].received.len());
            let said = [0, 1].map(|side| self.send(side).is_ok());
            while !self.flight.is_empty() {
                self.deliver();
            }
            let sessions = [0, 1].map(|side| self.sides[side].manager.session());
            let hear = [0, 1].iter().all(|side| self.sides[*side].received.len() > heard[*side]);
            if said == [true; 2] && hear && sessions[0] == sessions[1] {
                return;
            }
            self.pass(Duration::from_secs(10));
        }
        panic!("the two did not find each other again");
    }
}
