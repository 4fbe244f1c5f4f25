//! What a party tells, and how it shows its peers.

use std::time::Duration;

use waku_noise_session::session::SessionId;

use crate::hello::Label;
use crate::identity::Fingerprint;
use crate::reason::Reason;
use crate::record::PairingId;
use crate::sas::Sas;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The exchange of HELLO messages goes on.
    Step(Step),
    /// On the manager's side: show the six digits, and who is asking.
    ShowDigits {
        /// Who.
        peer: Introduction,
        /// The digits.
        digits: Sas,
        /// Whether they have to be compared; otherwise they are shown for the record.
        compare: bool,
    },
    /// On the app's side: ask for the six digits that the host shows, and give them to [`super::Party::digits`].
    AskDigits(Introduction),
    /// A pairing stands, and is on disk.
    Confirmed {
        /// Which.
        peer: PeerView,
        /// Whether a person compared the six digits. On the manager's side that is the app's word: a man in the middle
        /// who knew the code says so too, and only the person knows whether the app asked.
        compared: bool,
    },
    /// On the app's side: the host is known to have the confirmation on disk too.
    Acknowledged {
        /// Which pairing.
        pairing: PairingId,
    },
    /// No pairing came about, and nothing is left of it.
    PairingFailed {
        /// Which, if it came so far as to have a name.
        pairing: Option<PairingId>,
        /// Why.
        failure: Failure,
    },
    /// The two clocks are further apart than they should be; pairing went on because the party was told to.
    ClockSkew {
        /// How far.
        apart: Duration,
    },
    /// There is a session with a peer whose pairing stands.
    SessionUp {
        /// Which peer.
        pairing: PairingId,
        /// The session.
        session: SessionId,
    },
    /// There is none any more; the peer is being called.
    SessionDown {
        /// Which peer.
        pairing: PairingId,
    },
    /// A peer answered a ping.
    Pong {
        /// Which peer.
        pairing: PairingId,
        /// The ping's id.
        id: u64,
        /// How long it took.
        round_trip: Duration,
    },
    /// A pairing that stood was ended.
    Unpaired {
        /// Who it was.
        peer: PeerView,
        /// Why: [`Reason::TwoMachines`] when another app answered to the same code afterwards, and nobody can tell which
        /// was meant.
        reason: Reason,
        /// By the other side.
        by_peer: bool,
    },
    /// Something could not be written to the store. Nothing that rests on it was said; it is tried again.
    StoreFailed,
}

/// A step of the exchange of HELLO messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The manager said HELLO_APP for the nth time.
    HelloAppSent {
        /// Counted from one.
        nth: u32,
    },
    /// The app heard it.
    HelloAppReceived,
    /// The app has the manager on disk as pending and said HELLO_NODE_MANAGER.
    HelloNodeManagerSent,
    /// The manager heard it and has the app on disk as pending.
    HelloNodeManagerReceived,
    /// The other side has shown that it holds its key and heard the same two messages; on disk as keyed.
    Keyed,
}

/// Who wants to pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The pairing's name.
    pub pairing: PairingId,
    /// What the peer calls itself. Anyone can call itself anything.
    pub label: Label,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Whether this identity is paired already; then the new pairing takes the old one's place.
    pub again: bool,
    /// Another identity that is paired under the same name.
    pub namesake: Option<Fingerprint>,
}

/// Why no pairing came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody answered while the code was good.
    #[error("nobody answered")]
    Expired,
    /// One side ended it.
    #[error("rejected: {reason:?}")]
    Rejected {
        /// Why.
        reason: Reason,
        /// By the other side.
        by_peer: bool,
    },
    /// The two clocks are too far apart.
    #[error("the clocks of the two machines are {} minutes apart", .apart.as_secs().div_ceil(60))]
    ClockSkew {
        /// How far.
        apart: Duration,
    },
}

/// A peer, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// The pairing's name.
    pub pairing: PairingId,
    /// What the peer calls itself.
    pub label: Label,
    /// What it is called on this side.
    pub alias: Option<Label>,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// How far the pairing has come.
    pub stage: StageView,
    /// The six digits, for comparing them later.
    pub digits: Option<Sas>,
    /// Unix seconds of the exchange of HELLO messages.
    pub created: u64,
    /// Unix seconds at which the peer was last heard of, as far as it was written down.
    pub last_heard: Option<u64>,
    /// The session with it.
    pub session: Option<SessionView>,
}

impl PeerView {
    /// What to call the peer: its name on this side, or else its own.
    pub fn name(&self) -> &Label {
        self.alias.as_ref().unwrap_or(&self.label)
    }
}

/// How far a pairing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageView {
    /// HELLO messages were swapped.
    Pending,
    /// The peer holds its key; it awaits confirmation.
    Keyed,
    /// The pairing stands.
    Confirmed {
        /// Whether a person compared the six digits.
        compared: bool,
    },
}

/// A session, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// How long nothing authentic has come on it.
    pub silent_for: Duration,
    /// The latest measured round trip.
    pub round_trip: Option<Duration>,
}
