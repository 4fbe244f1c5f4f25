//! Looks over protobuf without decoding it, to count before anything is allocated.

use super::DecodeError;

/// The fields of a message that hold bytes under `tag`.
pub(super) fn fields(message: &[u8], tag: u64) -> Fields<'_> {
    Fields { rest: message, tag }
}

pub(super) struct Fields<'a> {
    rest: &'a [u8],
    tag: u64,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match field(&mut self.rest) {
                Some((tag, Some(bytes))) if tag == self.tag => return Some(Ok(bytes)),
                Some(_) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(DecodeError::Malformed));
                }
            }
        }
        None
    }
}

/// How many fields `tag` a message has; an error from `limit + 1` on.
pub(super) fn count(
    message: &[u8],
    tag: u64,
    what: &'static str,
    limit: usize,
) -> Result<usize, DecodeError> {
    let mut found = 0;
    for field in fields(message, tag) {
        field?;
        found += 1;
        if found > limit {
            return Err(DecodeError::TooMany { what, limit });
        }
    }
    Ok(found)
}

/// Takes one field off: its tag, and its bytes where it has any.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(rest)?;
    let bytes = match key & 7 {
        0 => {
            varint(rest)?;
            None
        }
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let len = usize::try_from(varint(rest)?).ok()?;
            Some(take(rest, len)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        _ => return None,
    };
    Some((key >> 3, bytes))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
