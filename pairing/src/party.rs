//! One side of the protocol: its code, its peers and their sessions. A sans-I/O core.
//!
//! Feed it with `handle_*` and the commands; after each call drain [`Party::poll_output`] and ask
//! [`Party::poll_timeout`] when to call [`Party::handle_timeout`]. Outputs are to be acted on in their order, and what
//! follows an [`Output::Save`] may be said only once the changes are durable: **persist before you speak**. A save that
//! fails is reported with [`Party::handle_save_failed`] before the next poll.

mod app;
mod attempt;
mod data;
mod event;
mod exchange;
mod grave;
mod letters;
mod offer;
mod outbox;
mod peer;
mod recovery;
mod session;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::CryptoRng;
use waku_noise_session::manager::{SendError, live_days};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now};
use waku_proto::ContentTopic;

pub use app::DigitsError;
pub use attempt::PairError;
pub use data::{Data, DataError, Incoming, Sent};
pub use event::{Event, Failure, Introduction, PeerView, SessionView, StageView, Step};
pub use letters::{Letter, PostError, Posted};
pub use offer::OfferError;
pub use outbox::Output;

pub use crate::part::Part;

use crate::frame::Frame;
use crate::hello::Label;
use crate::identity::Identity;
use crate::reason::Reason;
use crate::record::{PairingId, Tombstone};
use crate::store::{Change, Stored};
use app::Refusal;
use attempt::Attempt;
use grave::Grave;
use offer::Code;
use outbox::Outbox;
use peer::Peer;
use topics::{Owner, Topics};

/// What a party is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its side.
    pub part: Part,
    /// What it calls itself.
    pub label: Label,
    /// How long a session may be silent before the other side is pinged.
    pub ping_interval: Duration,
}

impl Config {
    /// A minute, far below what keeps filters and sessions alive, and little against any message budget.
    pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(60);

    /// The defaults of a side.
    pub fn new(part: Part, label: Label) -> Self {
        Self { part, label, ping_interval: Self::DEFAULT_PING_INTERVAL }
    }
}

/// What one pairing is to insist on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// A person has to compare the six digits. Without it a man in the middle who knows the code in time is not noticed.
    pub compare_digits: bool,
    /// Pair although the two clocks are more than a quarter of an hour apart.
    pub allow_clock_skew: bool,
}

impl Default for Terms {
    /// Digits are compared, clocks have to agree.
    fn default() -> Self {
        Self { compare_digits: true, allow_clock_skew: false }
    }
}

/// One side of the protocol.
pub struct Party {
    me: Me,
    /// The app's code.
    code: Option<Code>,
    /// What the app refused last.
    refusal: Option<Refusal>,
    /// The manager's run of `pair`.
    attempt: Option<Attempt>,
    peers: BTreeMap<PairingId, Peer>,
    graves: BTreeMap<PairingId, Grave>,
    topics: Topics,
    outbox: Outbox,
}

/// Who we are.
struct Me {
    config: Config,
    identity: Identity,
    boot_id: [u8; 16],
}

/// The time and chance of one call.
struct Context<'a> {
    now: Now,
    rng: &'a mut dyn CryptoRng,
}

impl Party {
    /// A party with what its store keeps. `boot_id` is random per process. It calls its peers at once.
    pub fn new(config: Config, identity: Identity, stored: Stored, boot_id: [u8; 16], now: Now) -> Self {
        let mut party = Self {
            me: Me { config, identity, boot_id },
            code: None,
            refusal: None,
            attempt: None,
            peers: BTreeMap::new(),
            graves: BTreeMap::new(),
            topics: Topics::default(),
            outbox: Outbox::new(stored),
        };
        for id in party.outbox.durable().pairings() {
            party.take_up(now, id);
            party.show_digits_again(id);
        }
        party.refresh_topics(now);
        party
    }

    /// A message that came on one of the topics subscribed to, or was found in a store on one of those or on
    /// [`Party::letter_topics`]; anything may come.
    pub fn handle_message(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        topic: &ContentTopic,
        payload: &[u8],
    ) {
        let Ok(payload) = PayloadV2::decode(payload) else { return };
        let mut cx = Context { now, rng };
        match self.topics.owner(topic) {
            Some(Owner::Hello) => match self.me.config.part {
                Part::App => self.handle_hello_as_app(&mut cx, &payload),
                Part::NodeManager => self.handle_hello_as_manager(&mut cx, &payload),
            },
            Some(Owner::Peer(id)) => self.with_sessions(&mut cx, id, |sessions, cx| {
                sessions.handle_payload(cx.now, cx.rng, &payload);
            }),
            Some(Owner::Letters(id, day)) => self.handle_letter(now, id, day, &payload),
            Some(Owner::Grave(id)) => self.refuse(&mut cx, id, &payload),
            None => {}
        }
        self.refresh_topics(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let mut cx = Context { now, rng };
        self.expire_code(&mut cx);
        self.drive_attempt(&mut cx);
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.drive_peer(&mut cx, id);
        }
        self.level_graves(now);
        self.refresh_topics(now);
    }

    /// When to call [`Self::handle_timeout`] next, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let code = self.code.as_ref().map(Code::deadline);
        let attempt = self.attempt.as_ref().map(Attempt::deadline);
        let peers = self.peers.values().filter_map(Peer::deadline);
        peers.chain(code).chain(attempt).chain(self.topics.next_day()).min()
    }

    /// The network is there, after it was not: whoever waits to be called is called now.
    pub fn handle_network_up(&mut self, now: Now) {
        if let Some(attempt) = &mut self.attempt {
            attempt.send_soon(now);
        }
        for peer in self.peers.values_mut() {
            peer.sessions.handle_network_up(now);
        }
    }

    /// The next thing for the caller to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.topics.poll_change().or_else(|| self.outbox.poll())
    }

    /// Everybody this party knows, in the order of their pairing's name.
    pub fn peers(&self, now: Now) -> impl Iterator<Item = PeerView> {
        self.peers.values().map(move |peer| peer.view(now))
    }

    /// Gives a peer a name on this side, or takes it away.
    ///
    /// # Errors
    /// [`UnknownPeer`].
    pub fn rename(&mut self, pairing: PairingId, alias: Option<Label>) -> Result<(), UnknownPeer> {
        let peer = self.peers.get_mut(&pairing).ok_or(UnknownPeer)?;
        peer.record.alias = alias;
        self.outbox.save(pairing, vec![peer.put()]);
        Ok(())
    }

    /// Ends a pairing: for good on this side, and told to the other side in the session, or at its next call.
    ///
    /// # Errors
    /// [`UnknownPeer`].
    pub fn unpair(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        pairing: PairingId,
    ) -> Result<(), UnknownPeer> {
        if !self.peers.contains_key(&pairing) {
            return Err(UnknownPeer);
        }
        self.bury(&mut Context { now, rng }, pairing, Ending::ours(Reason::Unpaired));
        self.refresh_topics(now);
        Ok(())
    }

    /// Asks a peer for a sign of life. [`Event::Pong`] with the same id tells how long it took.
    ///
    /// # Errors
    /// [`PingError`] when there is no such peer or no session with it.
    pub fn ping(&mut self, now: Now, rng: &mut dyn CryptoRng, pairing: PairingId) -> Result<u64, PingError> {
        let peer = self.peers.get_mut(&pairing).ok_or(UnknownPeer)?;
        let id = peer.ping(now)?;
        self.drain_sessions(&mut Context { now, rng }, pairing);
        Ok(id)
    }

    /// Takes leave of everybody, without ending a pairing: the process is about to stop.
    pub fn close(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let mut cx = Context { now, rng };
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.with_sessions(&mut cx, id, |sessions, _| sessions.close());
        }
    }

    /// Removes a pairing: on disk first, then in memory, and only then in what is said.
    fn bury(&mut self, cx: &mut Context<'_>, id: PairingId, ending: Ending) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        let tombstone = Tombstone::of(&peer.record, cx.now.unix.as_secs(), ending.reason);
        self.graves.extend(Grave::new(&self.me, &tombstone).map(|grave| (id, grave)));
        let changes = vec![Change::RemovePeer(id), Change::PutTombstone(Box::new(tombstone))];
        self.outbox.save(id, changes);
        if !ending.by_peer {
            let confirmed = peer.record.is_confirmed();
            let farewell = if confirmed { Frame::Unpair } else { Frame::Reject(ending.reason) };
            for (topic, payload) in peer.farewell(cx.now, farewell) {
                self.outbox.publish(Some(id), topic, payload);
            }
            self.reject_exchange(cx, &peer, ending.reason);
        }
        if let Some(exchange) = peer.record.exchange() {
            self.spend_code_of(exchange, false);
        }
        self.attempt.take_if(|attempt| attempt.answered() == Some(id));
        let Ending { reason, by_peer } = ending;
        let event = if peer.record.is_confirmed() {
            Event::Unpaired { peer: peer.view(cx.now), reason, by_peer }
        } else {
            Event::PairingFailed { pairing: Some(id), failure: Failure::Rejected { reason, by_peer } }
        };
        self.outbox.event_after(id, event);
        self.topics.dirty();
    }

    fn refresh_topics(&mut self, now: Now) {
        if !self.topics.is_stale(now) {
            return;
        }
        let mut wanted = BTreeMap::new();
        let mut found = BTreeMap::new();
        let live = live_days(now.unix.day());
        let hello = self.code.iter().map(Code::topic).chain(self.attempt.as_ref().map(Attempt::topic));
        wanted.extend(hello.map(|topic| (topic, Owner::Hello)));
        for (id, peer) in &self.peers {
            wanted.extend(peer.hello_topic().map(|topic| (topic, Owner::Hello)));
            wanted.extend(peer.topics(now).map(|topic| (topic, Owner::Peer(*id))));
            for (day, topic) in peer.letter_topics(now) {
                let topics = if live.contains(&day) { &mut wanted } else { &mut found };
                topics.insert(topic, Owner::Letters(*id, day));
            }
        }
        for (id, grave) in &self.graves {
            wanted.extend(grave.topics(now).map(|topic| (topic, Owner::Grave(*id))));
        }
        self.topics.replace(now, wanted, found);
    }
}

/// How a pairing ends.
#[derive(Debug, Clone, Copy)]
struct Ending {
    reason: Reason,
    by_peer: bool,
}

impl Ending {
    fn ours(reason: Reason) -> Self {
        Self { reason, by_peer: false }
    }

    fn theirs(reason: Reason) -> Self {
        Self { reason, by_peer: true }
    }
}

/// There is no such peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such peer")]
pub struct UnknownPeer;

/// Why a peer was not pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// There is no such peer.
    #[error(transparent)]
    UnknownPeer(#[from] UnknownPeer),
    /// There is no session with it.
    #[error(transparent)]
    Send(#[from] SendError),
}
