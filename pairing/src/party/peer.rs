//! One peer in memory: its record, its sessions and their signs of life.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rand_core::CryptoRng;
use waku_noise_session::manager::{self, Link, Manager, Place, SendError, live_days};
use waku_noise_session::session::SessionId;
use waku_noise_session::time::{Instant, Now};
use waku_proto::ContentTopic;
use zeroize::Zeroizing;

use super::event::{PeerView, SessionView, StageView};
use super::letters::{Offered, readable_days};
use super::{Me, Part};
use crate::frame::Frame;
use crate::profile::link;
use crate::record::{Exchange, PeerRecord, Stage};
use crate::store::Change;
use crate::topic;

/// How long a pairing may stay unconfirmed.
const EXCHANGE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The least that is left of it to one whose end could not be written down.
const GRACE: Duration = Duration::from_secs(60);
/// The longest wait between two calls while a pairing is not confirmed: a person waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The wait before the first call of one that was taken up again.
const RETAKEN_WAIT: Duration = Duration::from_secs(1);
/// How often the app repeats its CONFIRM until the manager has it on disk.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(5);
/// Pings that wait for their pong; the oldest is forgotten when there are more.
const MAX_PINGS: usize = 16;

pub(super) struct Peer {
    pub(super) record: PeerRecord,
    pub(super) sessions: Manager,
    link: Link,
    listening: BTreeSet<SessionId>,
    pub(super) offered: Offered,
    /// When the pairing is given up, if it is not confirmed by then.
    gives_up: Option<Instant>,
    /// When CONFIRM is said again.
    confirms: Option<Instant>,
    /// When HELLO_NODE_MANAGER was last said.
    answered: Option<Instant>,
    pings: Pings,
}

struct Pings {
    interval: Duration,
    next: Option<Instant>,
    next_id: u64,
    waiting: VecDeque<(u64, Instant)>,
    round_trip: Option<Duration>,
}

impl Peer {
    /// A peer as it is on disk. `None` when its key is of low order, which no accepted HELLO has.
    pub(super) fn new(me: &Me, now: Now, record: PeerRecord) -> Option<Self> {
        Self::begin(me, now, record, me.boot_id, Duration::ZERO)
    }

    /// A peer that is taken up again from disk while the process lives. To the peer it is another process: its sessions
    /// are gone. Nothing of it is due at once, so that a store that keeps failing is not asked in a loop.
    pub(super) fn again(me: &Me, now: Now, record: PeerRecord, boot_id: [u8; 16]) -> Option<Self> {
        let mut peer = Self::begin(me, now, record, boot_id, RETAKEN_WAIT)?;
        peer.gives_up = peer.gives_up.map(|at| at.max(now.instant + GRACE));
        Some(peer)
    }

    fn begin(me: &Me, now: Now, record: PeerRecord, boot_id: [u8; 16], wait: Duration) -> Option<Self> {
        let link: Link = link(me.config.part, &me.identity, &record.noise, &record.transcript)?;
        let mut sessions = Manager::new(link.clone(), record.stamps, boot_id);
        if let Some(Exchange::Manager(exchange)) = record.exchange() {
            sessions.set_data(Zeroizing::new(exchange.n_nm.to_vec()));
        }
        if record.exchange().is_some() {
            sessions.set_longest_wait(LONGEST_WAIT);
        }
        // The app waits for the manager's call until the manager has shown who it is.
        if !(me.config.part == Part::App && matches!(record.stage, Stage::Pending(_))) {
            sessions.connect_after(now, wait);
        }
        let age = Duration::from_secs(now.unix.as_secs().saturating_sub(record.created));
        let gives_up = record.exchange().map(|_| now.instant + EXCHANGE_LIFETIME.saturating_sub(age));
        let confirms = confirms(me.config.part, &record).then_some(now.instant);
        let pings = Pings {
            interval: me.config.ping_interval,
            next: None,
            // Late pongs of an earlier process are not taken for answers.
            next_id: now.unix.as_nanos(),
            waiting: VecDeque::new(),
            round_trip: None,
        };
        Some(Self {
            record,
            sessions,
            link,
            listening: BTreeSet::new(),
            offered: Offered::default(),
            gives_up,
            confirms,
            answered: None,
            pings,
        })
    }

    pub(super) fn put(&self) -> Change {
        Change::PutPeer(Box::new(self.record.clone()))
    }

    pub(super) fn topic_of(&self, now: Now, place: Place) -> ContentTopic {
        match place {
            Place::Rendezvous => topic::rendezvous(&self.link.root, now.unix.day()),
            Place::Session(session) => topic::session(session),
        }
    }

    /// Where this peer may speak.
    pub(super) fn topics(&self, now: Now) -> impl Iterator<Item = ContentTopic> {
        let rendezvous = live_days(now.unix.day()).map(|day| topic::rendezvous(&self.link.root, day));
        rendezvous.into_iter().chain(self.listening.iter().copied().map(topic::session))
    }

    /// Where letters of this peer may lie that can still be read, with their day. None while the pairing does not stand.
    pub(super) fn letter_topics(&self, now: Now) -> impl Iterator<Item = (u64, ContentTopic)> {
        let topic = |link: &Link, day| (day, topic::letters(&link.root, link.remote_part, day));
        let link = self.link_if_confirmed().into_iter();
        link.flat_map(move |link| readable_days(now.unix.day()).map(move |day| topic(link, day)))
    }

    /// What letters rest on, once the pairing stands.
    pub(super) fn link_if_confirmed(&self) -> Option<&Link> {
        self.record.is_confirmed().then_some(&self.link)
    }

    /// On the app's side, where the manager may repeat its HELLO while the pairing is not confirmed.
    pub(super) fn hello_topic(&self) -> Option<ContentTopic> {
        match self.record.exchange()? {
            Exchange::App(exchange) => Some(topic::pairing(&exchange.keys.topic)),
            Exchange::Manager(_) => None,
        }
    }

    pub(super) fn listen(&mut self, session: SessionId) {
        self.listening.insert(session);
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.listening.remove(&session);
    }

    /// Says a frame in the session.
    pub(super) fn say(&mut self, now: Now, frame: Frame) -> Result<(), SendError> {
        self.sessions.send(now, &frame.encode(), frame.wants_answer()).map(|_| ())
    }

    /// The last words in a session, if there is one. They end it by themselves: a termination could overtake them.
    pub(super) fn farewell(&mut self, now: Now, frame: Frame) -> Vec<(ContentTopic, Vec<u8>)> {
        while self.sessions.poll_output().is_some() {}
        // Without a session the other side learns it at its next call.
        _ = self.say(now, frame);
        let mut words = Vec::new();
        while let Some(output) = self.sessions.poll_output() {
            if let manager::Output::Transmit { place, payload } = output {
                words.push((self.topic_of(now, place), payload));
            }
        }
        words
    }

    /// Whether HELLO_NODE_MANAGER may be said again: at most once a second.
    pub(super) fn may_answer(&mut self, now: Now) -> bool {
        let may = self.answered.is_none_or(|at| now.instant.saturating_since(at) >= Duration::from_secs(1));
        if may {
            self.answered = Some(now.instant);
        }
        may
    }

    /// The pairing stands: what it needed until now is erased, and the peer is called whenever there is no session.
    pub(super) fn handle_confirmed(&mut self, part: Part, now: Now) {
        self.gives_up = None;
        self.confirms = confirms(part, &self.record).then_some(now.instant);
        self.sessions.set_data(Zeroizing::default());
        self.sessions.set_longest_wait(Manager::LONGEST_WAIT);
        self.sessions.connect(now);
    }

    pub(super) fn handle_established(&mut self, part: Part, now: Now, rng: &mut dyn CryptoRng) {
        self.confirms = confirms(part, &self.record).then_some(now.instant);
        self.schedule_ping(now, rng);
    }

    /// Anything was heard: the next ping is an interval away, give or take a tenth so that not both sides ask.
    pub(super) fn schedule_ping(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let share = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        self.pings.next = Some(now.instant + self.pings.interval.mul_f64(0.9 + 0.2 * share));
    }

    pub(super) fn handle_closed(&mut self) {
        self.pings.next = None;
        self.pings.waiting.clear();
    }

    pub(super) fn ping(&mut self, now: Now) -> Result<u64, SendError> {
        let id = self.pings.next_id;
        self.say(now, Frame::Ping(id))?;
        self.pings.next_id = id.wrapping_add(1);
        if self.pings.waiting.len() == MAX_PINGS {
            self.pings.waiting.pop_front();
        }
        self.pings.waiting.push_back((id, now.instant));
        Ok(id)
    }

    /// How long the pong of this id took.
    pub(super) fn handle_pong(&mut self, now: Now, id: u64) -> Option<Duration> {
        let at = self.pings.waiting.iter().position(|(waiting, _)| *waiting == id)?;
        let (_, sent) = self.pings.waiting.remove(at)?;
        self.pings.round_trip = Some(now.instant.saturating_since(sent));
        self.pings.round_trip
    }

    pub(super) fn is_given_up(&self, now: Now) -> bool {
        self.gives_up.is_some_and(|at| at <= now.instant)
    }

    /// Whether to say CONFIRM now.
    pub(super) fn confirm_is_due(&mut self, now: Now) -> bool {
        let due = self.confirms.is_some_and(|at| at <= now.instant);
        if due {
            self.confirms = self.sessions.session().map(|_| now.instant + CONFIRM_INTERVAL);
        }
        due
    }

    /// The record as it is on disk, with the session that there is: what could not be kept changed neither.
    pub(super) fn roll_back(&mut self, part: Part, now: Now, record: PeerRecord) {
        self.record = record;
        self.confirms = confirms(part, &self.record).then_some(now.instant + CONFIRM_INTERVAL);
    }

    /// The manager has the confirmation on disk.
    pub(super) fn handle_acknowledged(&mut self) {
        self.confirms = None;
    }

    /// Whether to ping now.
    pub(super) fn ping_is_due(&mut self, now: Now) -> bool {
        self.pings.next.take_if(|at| *at <= now.instant).is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.sessions.poll_timeout(), self.gives_up, self.confirms, self.pings.next]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn view(&self, now: Now) -> PeerView {
        let record = &self.record;
        let session = self.sessions.session().zip(self.sessions.last_heard());
        PeerView {
            pairing: record.id(),
            label: record.label.clone(),
            alias: record.alias.clone(),
            fingerprint: record.fingerprint(),
            stage: match &record.stage {
                Stage::Pending(_) => StageView::Pending,
                Stage::Keyed(_) => StageView::Keyed,
                Stage::Confirmed(confirmation) => StageView::Confirmed { compared: confirmation.compared },
            },
            digits: record.sas,
            created: record.created,
            last_heard: record.last_heard,
            session: session.map(|(id, last_heard)| SessionView {
                id,
                silent_for: now.instant.saturating_since(last_heard),
                round_trip: self.pings.round_trip,
            }),
        }
    }
}

/// Whether the app has to say CONFIRM.
fn confirms(part: Part, record: &PeerRecord) -> bool {
    part == Part::App && matches!(&record.stage, Stage::Confirmed(confirmation) if !confirmation.acknowledged)
}
