//! PKCS#7 padding to a multiple of 248 bytes, for every payload (35/WAKU2-NOISE "Padding" as deployed).

use zeroize::Zeroizing;

/// The block that every payload is padded to a multiple of.
pub const BLOCK_LEN: usize = 248;

/// The length of `len` bytes once padded: a whole block more where it is a multiple already.
pub const fn padded_len(len: usize) -> usize {
    (len / BLOCK_LEN + 1) * BLOCK_LEN
}

/// Appends the padding to `buffer`, whose first `unpadded` bytes belong to something else.
pub(crate) fn pad_from(buffer: &mut Vec<u8>, unpadded: usize) {
    let len = buffer.len() - unpadded;
    let fill = padded_len(len) - len;
    let value = u8::try_from(fill).expect("padding is 1 to 248 bytes");
    buffer.resize(buffer.len() + fill, value);
}

/// `plaintext` with its padding.
pub fn pad(plaintext: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut padded = Vec::with_capacity(padded_len(plaintext.len()));
    padded.extend_from_slice(plaintext);
    pad_from(&mut padded, 0);
    Zeroizing::new(padded)
}

/// The plaintext inside `padded`.
///
/// # Errors
/// [`PaddingError`] unless `padded` is a whole number of blocks that ends in 1 to 248 bytes of their own count.
pub fn unpad(padded: &[u8]) -> Result<&[u8], PaddingError> {
    let fill = *padded.last().ok_or(PaddingError)?;
    let count = usize::from(fill);
    if !padded.len().is_multiple_of(BLOCK_LEN) || !(1..=BLOCK_LEN).contains(&count) {
        return Err(PaddingError);
    }
    let (plaintext, padding) = padded.split_at_checked(padded.len() - count).ok_or(PaddingError)?;
    if padding.iter().all(|byte| *byte == fill) { Ok(plaintext) } else { Err(PaddingError) }
}

/// The payload is not padded as 35/WAKU2-NOISE says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is not padded to 248 bytes")]
pub struct PaddingError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_payload_becomes_a_block_of_padding() {
        assert_eq!(pad(&[]).as_slice(), [0xf8; BLOCK_LEN]);
    }

    #[test]
    fn a_whole_block_gets_another() {
        assert_eq!(pad(&[1; BLOCK_LEN]).len(), 2 * BLOCK_LEN);
        assert_eq!(pad(&[1; BLOCK_LEN - 1]).len(), BLOCK_LEN);
    }

    #[test]
    fn unpads_every_length() {
        for len in 0..=3 * BLOCK_LEN {
            let plaintext = vec![0xf8; len];
            assert_eq!(unpad(&pad(&plaintext)), Ok(plaintext.as_slice()));
        }
    }

    #[test]
    fn refuses_padding_that_is_not_padding() {
        let mut damaged = pad(b"x");
        damaged[100] ^= 1;
        for bad in [
            &[][..],
            &[1; BLOCK_LEN - 1],
            &[0; BLOCK_LEN],
            &[249; BLOCK_LEN],
            &damaged,
            &[2, 1].repeat(BLOCK_LEN / 2)[..BLOCK_LEN - 1],
        ] {
            assert_eq!(unpad(bad), Err(PaddingError));
        }
    }
}
