//! How entries of a list refer to each other.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha3::{Digest as _, Keccak256};

use super::entry::EntryError;

/// Bytes of the hashes that are written.
const LEN: usize = 16;
/// Fewer bytes could be found by trying (as in go-ethereum).
const MIN_LEN: usize = 12;
const MAX_LEN: usize = 32;

/// The first bytes of Keccak-256 of an entry's text: 16 of them where we write, 12 to 32 where we read. As text, the
/// label below the list's domain: Base32 without padding, in upper case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(Vec<u8>);

impl Hash {
    /// The hash of an entry.
    pub fn of(text: &str) -> Self {
        Self(keccak256(text).into_iter().take(LEN).collect())
    }

    /// Reads a label.
    ///
    /// # Errors
    /// When it is not Base32 of 12 to 32 bytes.
    pub fn parse(label: &str) -> Result<Self, EntryError> {
        let lengths = BASE32_NOPAD.encode_len(MIN_LEN)..=BASE32_NOPAD.encode_len(MAX_LEN);
        let decoded = lengths.contains(&label.len()).then(|| BASE32_NOPAD.decode(label.as_bytes()).ok());
        decoded.flatten().map(Self).ok_or(EntryError::Hash)
    }

    /// Whether this is the hash of `text`.
    pub fn is_of(&self, text: &str) -> bool {
        keccak256(text).starts_with(&self.0)
    }
}

/// Keccak-256, 32 bytes.
pub(super) fn keccak256(text: &str) -> [u8; 32] {
    Keccak256::digest(text).into()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_too_short_to_be_safe_and_one_too_long_are_refused() {
        for len in [0, 11, 33, 100] {
            assert_eq!(Hash::parse(&BASE32_NOPAD.encode(&vec![7; len])), Err(EntryError::Hash), "{len}");
        }
        for len in [12, 16, 32] {
            assert!(Hash::parse(&BASE32_NOPAD.encode(&vec![7; len])).is_ok(), "{len}");
        }
    }

    #[test]
    fn what_is_not_base32_is_refused() {
        for label in
            ["jwxydbpxywg6fx3gmdibfa6cj4", "JWXYDBPXYWG6FX3GMDIBFA6CJ!", "JWXYDBPXYWG6FX3GMDIBFA6CJÄ"]
        {
            assert_eq!(Hash::parse(label), Err(EntryError::Hash), "{label}");
        }
    }

    #[test]
    fn a_hash_of_any_length_is_told_from_that_of_another_text() {
        for len in [12, 16, 32] {
            let hash = Hash(keccak256("enrtree-branch:").into_iter().take(len).collect());
            assert!(hash.is_of("enrtree-branch:"));
            assert!(!hash.is_of("enrtree-branch: "));
        }
    }
}
