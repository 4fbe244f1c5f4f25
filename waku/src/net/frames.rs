//! Counts the messages in what is written to a relay stream.

use waku_proto::protocol_id;

/// Bytes at the beginning of a stream among which its protocol is named.
const NAMED_WITHIN: usize = 128;
/// Key of the field `publish` at the beginning of a gossipsub RPC: gossipsub sends each message of its queue in
/// an RPC of its own, with nothing before it.
const PUBLISH: u8 = 0x12;

/// What a stream has carried, read as it is written.
#[derive(Debug)]
pub(crate) struct Frames(State);

#[derive(Debug)]
enum State {
    /// The protocol is not named yet.
    Unnamed(Vec<u8>),
    /// In the length of a frame.
    Length { value: usize, shift: u32 },
    /// Before the first byte of a frame of so many bytes.
    First { len: usize },
    /// Within a frame.
    Rest { left: usize },
    /// Not the relay's stream.
    Other,
}

impl Default for Frames {
    fn default() -> Self {
        Self(State::Unnamed(Vec::new()))
    }
}

/// What was published by some bytes. A message counts with its first byte.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) messages: usize,
    /// Bytes of their RPCs.
    pub(crate) bytes: usize,
}

impl Frames {
    pub(crate) fn are_of_another_protocol(&self) -> bool {
        matches!(self.0, State::Other)
    }

    /// Reads bytes that were written.
    pub(crate) fn wrote(&mut self, mut bytes: &[u8]) -> Published {
        let mut published = Published::default();
        while let Some((&first, after)) = bytes.split_first() {
            match &mut self.0 {
                State::Unnamed(start) => {
                    start.push(first);
                    bytes = after;
                    // In a negotiation each name ends its line.
                    if start.ends_with(b"\n") && contains(start, protocol_id::RELAY.as_bytes()) {
                        self.0 = LENGTH;
                    } else if start.len() > NAMED_WITHIN {
                        self.0 = State::Other;
                    }
                }
                State::Length { value, shift } => {
                    *value |= usize::from(first & 0x7f).checked_shl(*shift).unwrap_or_default();
                    *shift += 7;
                    bytes = after;
                    if first & 0x80 == 0 {
                        let len = *value;
                        self.0 = if len == 0 { LENGTH } else { State::First { len } };
                    }
                }
                State::First { len } => {
                    let len = *len;
                    if first == PUBLISH {
                        published.messages += 1;
                        published.bytes += len;
                    }
                    self.0 = State::Rest { left: len };
                }
                State::Rest { left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = bytes.get(taken..).unwrap_or_default();
                    if *left == 0 {
                        self.0 = LENGTH;
                    }
                }
                State::Other => return published,
            }
        }
        published
    }
}

const LENGTH: State = State::Length { value: 0, shift: 0 };

fn contains(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEGOTIATION: &[u8] = b"\x13/multistream/1.0.0\n\x16/vac/waku/relay/2.0.0\n";

    /// One message of 300 bytes, a subscription, a message of one byte.
    fn frames() -> Vec<u8> {
        let large = [&[0xac, 0x02, PUBLISH][..], &[0; 299]].concat();
        [&large[..], &[3, 0x0a, PUBLISH, PUBLISH], &[1, PUBLISH], &[0]].concat()
    }

    #[test]
    fn counts_messages_however_they_are_cut() {
        let all = [NEGOTIATION, &frames()].concat();
        for size in [1, 2, 7, 100, all.len()] {
            let (mut reader, mut counted) = (Frames::default(), Published::default());
            for piece in all.chunks(size) {
                let published = reader.wrote(piece);
                counted.messages += published.messages;
                counted.bytes += published.bytes;
            }
            assert_eq!(counted, Published { messages: 2, bytes: 301 }, "pieces of {size}");
        }
    }

    #[test]
    fn leaves_streams_of_other_protocols_alone() {
        let mut reader = Frames::default();
        reader.wrote(b"\x13/multistream/1.0.0\n\x20/vac/waku/metadata/1.0.0\n");
        assert_eq!(reader.wrote(&[1, PUBLISH].repeat(NAMED_WITHIN)), Published::default());
        assert!(reader.are_of_another_protocol());
    }

    #[test]
    fn a_length_without_an_end_breaks_nothing() {
        let mut reader = Frames::default();
        reader.wrote(NEGOTIATION);
        assert_eq!(reader.wrote(&[0xff; 1000]), Published::default());
    }
}
