//! What happens, as it is told over the control socket and printed as JSON.

use serde::{Deserialize, Serialize};
use waku_pairing::party::{Event, Failure, Introduction, PeerView, Step};
use waku_pairing::reason::Reason;
use waku_pairing::record::PairingId;

use super::protocol::StaticNodeStatus;
use crate::failure;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Notice {
    /// The way into the network changed.
    Network {
        connected: usize,
        static_nodes: Vec<StaticNodeStatus>,
    },
    /// The code is good, and a host is waited for.
    Code {
        code: String,
        expires_in_s: u64,
    },
    HelloAppSent {
        nth: u32,
    },
    HelloAppReceived,
    HelloNodeManagerSent,
    HelloNodeManagerReceived,
    Keyed,
    ShowDigits {
        peer: Who,
        digits: String,
        compare: bool,
    },
    AskDigits {
        peer: Who,
    },
    Confirmed {
        peer: Who,
        compared: bool,
    },
    Acknowledged {
        pairing: String,
    },
    PairingFailed {
        /// Which, if it came so far as to have a name.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pairing: Option<String>,
        failure: failure::Failure,
    },
    ClockSkew {
        apart_s: u64,
    },
    SessionUp {
        pairing: String,
        session: String,
    },
    SessionDown {
        pairing: String,
    },
    Pong {
        pairing: String,
        round_trip_ms: f64,
    },
    Unpaired {
        peer: Who,
        by_peer: bool,
        /// What the operator has to know, when it was nobody's wish.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        alarm: Option<String>,
    },
    StoreFailed,
    /// Events came faster than they were read.
    Missed {
        count: u64,
    },
}

/// A peer, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) pairing: String,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    /// Whether this identity was paired before.
    #[serde(default)]
    pub(crate) again: bool,
    /// Another identity that goes by the same name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) namesake: Option<String>,
}

impl From<Introduction> for Who {
    fn from(peer: Introduction) -> Self {
        Self {
            pairing: pairing_text(peer.pairing),
            name: display_name(peer.label.as_str()),
            fingerprint: peer.fingerprint.to_string(),
            again: peer.again,
            namesake: peer.namesake.map(|fingerprint| fingerprint.to_string()),
        }
    }
}

impl From<&PeerView> for Who {
    fn from(peer: &PeerView) -> Self {
        Self {
            pairing: pairing_text(peer.pairing),
            name: display_name(peer.name().as_str()),
            fingerprint: peer.fingerprint.to_string(),
            again: false,
            namesake: None,
        }
    }
}

/// A pairing's name in full.
pub(super) fn pairing_text(pairing: PairingId) -> String {
    data_encoding::HEXLOWER.encode(pairing.as_bytes())
}

/// A name to show where a peer gave itself none.
pub(super) fn display_name(label: &str) -> String {
    if label.trim().is_empty() { "(no name)".to_owned() } else { label.to_owned() }
}

impl From<Event> for Notice {
    fn from(event: Event) -> Self {
        match event {
            Event::Step(step) => Self::from(step),
            Event::ShowDigits { peer, digits, compare } => {
                Self::ShowDigits { peer: peer.into(), digits: digits.to_string(), compare }
            }
            Event::AskDigits(peer) => Self::AskDigits { peer: peer.into() },
            Event::Confirmed { peer, compared } => Self::Confirmed { peer: (&peer).into(), compared },
            Event::Acknowledged { pairing } => Self::Acknowledged { pairing: pairing_text(pairing) },
            Event::PairingFailed { pairing, failure } => {
                Self::PairingFailed { pairing: pairing.map(pairing_text), failure: describe(failure) }
            }
            Event::ClockSkew { apart } => Self::ClockSkew { apart_s: apart.as_secs() },
            Event::SessionUp { pairing, session } => {
                Self::SessionUp { pairing: pairing_text(pairing), session: format!("{session:?}") }
            }
            Event::SessionDown { pairing } => Self::SessionDown { pairing: pairing_text(pairing) },
            Event::Pong { pairing, round_trip, .. } => {
                Self::Pong { pairing: pairing_text(pairing), round_trip_ms: round_trip.as_secs_f64() * 1e3 }
            }
            Event::Unpaired { peer, reason, by_peer } => {
                let another_app =
                    "another app answered to the same code: the one that was paired may not be yours";
                let alarm = (reason == Reason::TwoMachines).then(|| another_app.to_owned());
                Self::Unpaired { peer: (&peer).into(), by_peer, alarm }
            }
            Event::StoreFailed => Self::StoreFailed,
        }
    }
}

impl From<Step> for Notice {
    fn from(step: Step) -> Self {
        match step {
            Step::HelloAppSent { nth } => Self::HelloAppSent { nth },
            Step::HelloAppReceived => Self::HelloAppReceived,
            Step::HelloNodeManagerSent => Self::HelloNodeManagerSent,
            Step::HelloNodeManagerReceived => Self::HelloNodeManagerReceived,
            Step::Keyed => Self::Keyed,
        }
    }
}

/// Why no pairing came about, and what to do.
fn describe(failure: Failure) -> failure::Failure {
    use failure::{Failure as Described, Kind};
    let again = "make a fresh code in the app and start over";
    match failure {
        Failure::Expired => Described::new(Kind::Timeout, "nobody answered while the code was good")
            .hint("check the code, that both sides reach the same network, and make a fresh code"),
        Failure::ClockSkew { apart } => {
            let minutes = apart.as_secs().div_ceil(60);
            Described::new(
                Kind::Rejected,
                format!("the clocks of the two machines are {minutes} minutes apart"),
            )
            .hint("set the clock that is wrong, or pass --allow-clock-skew on both sides")
        }
        Failure::Rejected { reason, by_peer } => {
            let who = if by_peer { "the other side" } else { "this side" };
            let message = match reason {
                Reason::TwoMachines => "two machines used this code; neither was paired".to_owned(),
                Reason::Cancelled => format!("{who} cancelled the pairing"),
                Reason::CodeSpent => "this code was used before, or too often".to_owned(),
                Reason::ClockSkew => "the clocks of the two machines are too far apart".to_owned(),
                Reason::WrongDigits => "the six digits differ; nothing was paired".to_owned(),
                Reason::NotCompared => {
                    "the six digits were not compared, and this side insists on it".to_owned()
                }
                Reason::WrongOpening => {
                    "the host broke its word in the handshake; nothing was paired".to_owned()
                }
                Reason::Unpaired => {
                    "the pairing was given up, because nobody confirmed it within a day".to_owned()
                }
                Reason::Other => format!("{who} rejected the pairing"),
            };
            let hint = match reason {
                Reason::WrongDigits => {
                    "if they were typed as shown, somebody sits between the two machines; otherwise make a fresh code"
                }
                Reason::TwoMachines => "keep the code to yourself, make a fresh one and start over",
                _ => again,
            };
            Described::new(Kind::Rejected, message).hint(hint)
        }
    }
}
