//! What paired parties say inside a session: frames in an envelope of protobuf, one envelope per message.

use prost::Message;

use crate::generated::{self as wire, control, frame};
use crate::reason::Reason;

/// Frames of one envelope that are acted on. Each may want an answer, and a message has room for tens of thousands.
const MAX_FRAMES: usize = 64;

/// One thing said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Asks for a pong of the same id.
    Ping(u64),
    Pong(u64),
    /// The app's word that the pairing stands; `compared` when a person compared the six digits.
    Confirm {
        compared: bool,
    },
    /// The manager has it on disk.
    Confirmed,
    Reject(Reason),
    Unpair,
}

impl Frame {
    /// An envelope with this one frame.
    pub(crate) fn encode(self) -> Vec<u8> {
        let control = |kind| frame::Kind::Control(wire::Control { kind: Some(kind) });
        let kind = match self {
            Self::Ping(id) => frame::Kind::Ping(wire::Ping { id }),
            Self::Pong(id) => frame::Kind::Pong(wire::Pong { id }),
            Self::Confirm { compared } => control(control::Kind::Confirm(wire::Confirm { compared })),
            Self::Confirmed => control(control::Kind::Confirmed(wire::Confirmed {})),
            Self::Reject(reason) => {
                control(control::Kind::Reject(wire::Reject { reason: u8::from(reason).into() }))
            }
            Self::Unpair => control(control::Kind::Unpair(wire::Unpair {})),
        };
        wire::Envelope { frames: vec![wire::Frame { kind: Some(kind) }], pad: Vec::new() }.encode_to_vec()
    }

    /// Whether the other side answers it.
    pub(crate) fn wants_answer(self) -> bool {
        matches!(self, Self::Ping(_) | Self::Confirm { .. })
    }

    /// The frames of an envelope. Those of a kind this version does not know are passed over, and so are those beyond
    /// [`MAX_FRAMES`]; an envelope that makes no sense has none.
    pub(crate) fn decode_all(plaintext: &[u8]) -> Vec<Self> {
        let Ok(envelope) = wire::Envelope::decode(plaintext) else { return Vec::new() };
        envelope.frames.into_iter().take(MAX_FRAMES).filter_map(Self::from_wire).collect()
    }

    fn from_wire(frame: wire::Frame) -> Option<Self> {
        Some(match frame.kind? {
            frame::Kind::Ping(ping) => Self::Ping(ping.id),
            frame::Kind::Pong(pong) => Self::Pong(pong.id),
            frame::Kind::Control(control) => match control.kind? {
                control::Kind::Confirm(confirm) => Self::Confirm { compared: confirm.compared },
                control::Kind::Confirmed(_) => Self::Confirmed,
                control::Kind::Reject(reject) => {
                    Self::Reject(u8::try_from(reject.reason).map_or(Reason::Other, Reason::from))
                }
                control::Kind::Unpair(_) => Self::Unpair,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for frame in [
            Frame::Ping(7),
            Frame::Pong(u64::MAX),
            Frame::Confirm { compared: true },
            Frame::Confirm { compared: false },
            Frame::Confirmed,
            Frame::Reject(Reason::WrongDigits),
            Frame::Unpair,
        ] {
            assert_eq!(Frame::decode_all(&frame.encode()), [frame]);
        }
    }

    #[test]
    fn one_envelope_wants_at_most_64_answers() {
        let ping = wire::Frame { kind: Some(frame::Kind::Ping(wire::Ping { id: 1 })) };
        let envelope = wire::Envelope { frames: vec![ping; 1000], pad: Vec::new() };
        assert_eq!(Frame::decode_all(&envelope.encode_to_vec()), [Frame::Ping(1); 64]);
    }

    #[test]
    fn passes_over_frames_of_later_versions() {
        let later = wire::Frame { kind: None };
        let ping = wire::Frame { kind: Some(frame::Kind::Ping(wire::Ping { id: 1 })) };
        let envelope = wire::Envelope { frames: vec![later, ping], pad: vec![0; 9] };
        assert_eq!(Frame::decode_all(&envelope.encode_to_vec()), [Frame::Ping(1)]);
        assert_eq!(Frame::decode_all(&[0xff; 5]), []);
    }
}
