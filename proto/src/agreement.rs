//! Whether all implementations read the same bytes as a message (11/WAKU2-RELAY).
//!
//! Relaying nodes score a peer down for a message they cannot read. Their decoders differ, so a stranger can
//! make a message that some forward in good faith and others punish.

use bytes::Buf;

/// Most bytes a protobuf varint takes.
const MAX_VARINT_LEN: usize = 10;
/// Most bytes nwaku reads for a number of 32 bits.
const MAX_VARINT32_LEN: usize = 5;
/// Field number of `version`, an `uint32`.
const VERSION: u64 = 3;
/// Field number of `ephemeral`, a `bool`.
const EPHEMERAL: u64 = 31;

/// What the deployed decoders make of the structure of a `WakuMessage`, its fields' meaning aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// nwaku reads it; others do if it is a message of theirs.
    Readable,
    /// nwaku may refuse it, others read it: it has a group, a `version` of more than 32 bits or five bytes, or
    /// an `ephemeral` that is neither 0 nor 1.
    Disputed,
    /// Nobody reads it: it ends within a field, or has a wire type that protobuf does not define.
    Unreadable,
}

impl Agreement {
    /// Looks at the bytes of a message.
    pub fn about(mut bytes: &[u8]) -> Self {
        let mut agreement = Self::Readable;
        while !bytes.is_empty() {
            match field(&mut bytes) {
                Some(Field::Plain) => {}
                Some(Field::Odd) => agreement = Self::Disputed,
                // Where its end is depends on the reader.
                Some(Field::Group) => return Self::Disputed,
                None => return Self::Unreadable,
            }
        }
        agreement
    }
}

enum Field {
    Plain,
    Odd,
    Group,
}

/// Passes over one field; `None` when there is no whole one.
fn field(bytes: &mut &[u8]) -> Option<Field> {
    let (key, _) = varint(bytes)?;
    match (key >> 3, key & 7) {
        (VERSION, 0) => {
            let (value, len) = varint(bytes)?;
            let fits = len <= MAX_VARINT32_LEN && u32::try_from(value).is_ok();
            Some(if fits { Field::Plain } else { Field::Odd })
        }
        (EPHEMERAL, 0) => Some(if varint(bytes)?.0 > 1 { Field::Odd } else { Field::Plain }),
        (_, 0) => varint(bytes).map(|_| Field::Plain),
        (_, 1) => skip(bytes, 8),
        (_, 2) => {
            let (len, _) = varint(bytes)?;
            skip(bytes, usize::try_from(len).ok()?)
        }
        (_, 3 | 4) => Some(Field::Group),
        (_, 5) => skip(bytes, 4),
        _ => None,
    }
}

/// A varint and the bytes it took. What is beyond 64 bits is lost, as in the most lenient decoder.
fn varint(bytes: &mut &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for position in 0..MAX_VARINT_LEN {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, position + 1));
        }
    }
    None
}

fn skip(bytes: &mut &[u8], len: usize) -> Option<Field> {
    *bytes = bytes.get(len..)?;
    Some(Field::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Payload `x` and content topic `a`.
    const MESSAGE: &[u8] = b"\x0a\x01x\x12\x01a";

    fn about(more: &[u8]) -> Agreement {
        Agreement::about(&[MESSAGE, more].concat())
    }

    #[test]
    fn every_plain_field_is_readable() {
        for more in [
            &b""[..],
            b"\x18\x01",
            b"\x18\xff\xff\xff\xff\x0f",
            b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x29\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\x2d\x01\x02\x03\x04",
            b"\xc2\x0c\x00",
            b"\xf8\x01\x01",
        ] {
            assert_eq!(about(more), Agreement::Readable, "{more:?}");
        }
    }

    #[test]
    fn groups_and_numbers_out_of_range_are_disputed() {
        for more in [
            &b"\x23\x24"[..],
            b"\x24",
            b"\x18\xff\xff\xff\xff\x1f",
            b"\x18\xff\xff\xff\xff\xff\x01",
            b"\x18\x81\x80\x80\x80\x80\x00",
            b"\xf8\x01\x02",
        ] {
            assert_eq!(about(more), Agreement::Disputed, "{more:?}");
        }
    }

    #[test]
    fn what_ends_within_a_field_is_unreadable() {
        for more in [
            &b"\x18"[..],
            b"\x80",
            b"\x22\x02x",
            b"\x29\x01",
            b"\x2d\x01",
            b"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x26",
            b"\x27",
            b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x18\xff\xff\xff\xff\xff\x01\x22\x02x",
        ] {
            assert_eq!(about(more), Agreement::Unreadable, "{more:?}");
        }
    }
}
