//! What a manager wants done, and what it tells.

use zeroize::Zeroizing;

use super::Stamps;
use crate::pattern::Role;
use crate::session::SessionId;

/// What the caller has to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make the stamps durable before acting on anything after this.
    Save(Stamps),
    /// Publish a payload.
    Transmit {
        /// Where.
        place: Place,
        /// An encoded [`PayloadV2`](crate::payload::PayloadV2).
        payload: Vec<u8>,
    },
    /// Start receiving at a session's topic.
    Listen(SessionId),
    /// Stop receiving at a session's topic.
    Forget(SessionId),
    /// Tell the layer above.
    Event(Event),
}

/// Where a payload is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the two parties find each other: today's topic.
    Rendezvous,
    /// The topic of a session.
    Session(SessionId),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// As initiator: the other party's reply is authentic, so it holds its key and knows the pairing's transcript. The
    /// third message, with our data, follows this event.
    Replied,
    /// A session to send on. Its predecessor, if any, is still received on for a while.
    Established {
        /// Its id.
        session: SessionId,
        /// Our side of its handshake.
        role: Role,
        /// As responder: what the initiator's application said in the third message. Empty as initiator.
        data: Zeroizing<Vec<u8>>,
    },
    /// A message of theirs. Indices may come in any order, each once.
    Received {
        /// On which session.
        session: SessionId,
        /// Its place in the order they sent in.
        index: u64,
        /// What it says.
        plaintext: Zeroizing<Vec<u8>>,
    },
    /// A message that was received before came again byte for byte, on the current session or its predecessor. Whoever
    /// sent it may not know that it came, so acknowledge it again. A stranger who recorded it can repeat it too: that
    /// does no harm, as long as what follows is bounded. Of each session 16 are told at once and ten a second in the
    /// long run.
    Repeated {
        /// On which session.
        session: SessionId,
        /// Its place in the order they sent in.
        index: u64,
    },
    /// There is no session to send on any more.
    Closed(CloseReason),
    /// The other party no longer knows this pairing.
    Refused {
        /// The application's own code for why.
        reason: u8,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The other party sent 37's termination.
    #[error("the other side closed the session")]
    ByPeer,
    /// Nothing authentic came for 24 hours.
    #[error("nothing was heard for 24 hours")]
    Expired,
}
