//! What a list's TXT records say.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use k256::ecdsa::signature::hazmat::PrehashVerifier as _;
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use thiserror::Error;

use super::hash::{Hash, keccak256};
use super::url::{self, TreeUrl, UrlError};
use crate::{Record, RecordError};

/// Bytes of the longest entry that is read. EIP-1459 wants them to fit 512 bytes with all else in a DNS packet.
pub const MAX_ENTRY_LEN: usize = 4096;

const ROOT: &str = "enrtree-root:v1";
const BRANCH: &str = "enrtree-branch:";
const RECORD: &str = "enr:";

const SIGNATURE_LEN: usize = 65;

/// The entry at the list's domain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Where the records begin.
    pub records: Hash,
    /// Where the links to other lists begin.
    pub links: Hash,
    /// Grows whenever the list changes.
    pub seq: u64,
    signature: [u8; SIGNATURE_LEN],
}

impl Root {
    /// Signs a root.
    pub fn sign(records: Hash, links: Hash, seq: u64, key: &SigningKey) -> Self {
        let mut root = Self { records, links, seq, signature: [0; SIGNATURE_LEN] };
        let digest = keccak256(&root.signed_text());
        let (signature, recovery_id) = key.sign_prehash_recoverable(&digest);
        let bytes = signature.to_bytes().into_iter().chain([recovery_id.to_byte()]);
        root.signature.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        root
    }

    /// Whether the list's key signed it.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        // The last byte only helps to find the key, which is known.
        let Some((signature, _)) = self.signature.split_last_chunk::<1>() else { return false };
        let digest = keccak256(&self.signed_text());
        Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_prehash(&digest, &signature).is_ok())
    }

    fn signed_text(&self) -> String {
        format!("{ROOT} e={} l={} seq={}", self.records, self.links, self.seq)
    }

    /// Reads a root. The signature is for [`Root::is_signed_by`] to check.
    ///
    /// # Errors
    /// When it is too long, not a root, or not of version 1.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        check_len(text)?;
        let fields =
            text.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix(" e=")).ok_or(EntryError::NotRoot)?;
        let (records, fields) = fields.split_once(" l=").ok_or(EntryError::NotRoot)?;
        let (links, fields) = fields.split_once(" seq=").ok_or(EntryError::NotRoot)?;
        let (seq, signature) = fields.split_once(" sig=").ok_or(EntryError::NotRoot)?;
        let is_plain = seq.bytes().all(|byte| byte.is_ascii_digit()) && (seq == "0" || !seq.starts_with('0'));
        let seq = seq.parse().ok().filter(|_| is_plain).ok_or(EntryError::NotRoot)?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| EntryError::NotRoot)?;
        let signature = signature.try_into().map_err(|_| EntryError::NotRoot)?;
        Ok(Self { records: Hash::parse(records)?, links: Hash::parse(links)?, seq, signature })
    }

    /// Whether a text claims to be a root: other TXT records may be at the same name.
    pub(super) fn is_meant(text: &str) -> bool {
        text.starts_with("enrtree-root:")
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sig={}", self.signed_text(), BASE64URL_NOPAD.encode(&self.signature))
    }
}

/// An entry below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// More entries.
    Branch(Vec<Hash>),
    /// A node.
    Record(Record),
    /// Another list.
    Link(TreeUrl),
}

impl Entry {
    /// Reads an entry. That it is the one asked for, its hash says.
    ///
    /// # Errors
    /// When it is too long, of no kind that is known, or wrong inside.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        check_len(text)?;
        if let Some(hashes) = text.strip_prefix(BRANCH) {
            let hashes = hashes.split(',').filter(|_| !hashes.is_empty());
            hashes.map(Hash::parse).collect::<Result<_, _>>().map(Self::Branch)
        } else if text.starts_with(RECORD) {
            Ok(Self::Record(text.parse()?))
        } else if text.starts_with(url::SCHEME) {
            Ok(Self::Link(text.parse()?))
        } else {
            Err(EntryError::Unknown)
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(hashes) => {
                f.write_str(BRANCH)?;
                hashes
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, hash)| write!(f, "{}{hash}", if at == 0 { "" } else { "," }))
            }
            Self::Record(record) => record.fmt(f),
            Self::Link(url) => url.fmt(f),
        }
    }
}

fn check_len(text: &str) -> Result<(), EntryError> {
    if text.len() > MAX_ENTRY_LEN { Err(EntryError::TooLong { len: text.len() }) } else { Ok(()) }
}

/// Why a TXT record is not an entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Longer than [`MAX_ENTRY_LEN`].
    #[error("an entry of {len} bytes is longer than {MAX_ENTRY_LEN}")]
    TooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// Not a root of version 1.
    #[error("the entry is not `enrtree-root:v1 e=… l=… seq=… sig=…`")]
    NotRoot,
    /// Neither branch nor record nor link.
    #[error("the entry is of no kind that is known")]
    Unknown,
    /// Not Base32 of 12 to 32 bytes.
    #[error("a hash is not Base32 of 12 to 32 bytes")]
    Hash,
    /// A node record that is none.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A link that is no URL of a list.
    #[error(transparent)]
    Link(#[from] UrlError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// EIP-1459's example zone: a name and a text a line, the root first.
    const ZONE: &str = include_str!("../../tests/vectors/eip1459.txt");
    // Of the key that EIP-1459 writes out.
    const URL: &str = "enrtree://AKPYQIUQIL7PSIACI32J7FGZW56E5FKHEFCCOFHILBIMW3M6LWXS2@nodes.example.org";

    fn root_text() -> &'static str {
        ZONE.lines().next().unwrap().strip_prefix("@ ").unwrap()
    }

    fn entries() -> Vec<(&'static str, &'static str)> {
        ZONE.lines().skip(1).map(|line| line.split_once(' ').unwrap()).collect()
    }

    #[test]
    fn the_root_of_eip_1459s_example_is_signed_by_its_key() {
        let root = Root::parse(root_text()).unwrap();
        let url: TreeUrl = URL.parse().unwrap();
        assert!(root.is_signed_by(url.key()));
        assert_eq!(root.to_string(), root_text());
        assert_eq!(
            (root.records.to_string().as_str(), root.links.to_string().as_str()),
            (entries()[1].0, entries()[0].0)
        );
    }

    #[test]
    fn the_entries_of_eip_1459s_example_are_found_under_their_hashes() {
        assert_eq!(entries().len(), 5);
        for (label, text) in entries() {
            assert_eq!(Hash::of(text).to_string(), label);
            assert!(Hash::parse(label).unwrap().is_of(text));
            assert_eq!(Entry::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_root_that_says_anything_else_than_was_signed_is_not_signed() {
        let url: TreeUrl = URL.parse().unwrap();
        let changed = [
            ("seq=1", "seq=2"),
            ("e=JWXYDBPXYWG6FX3GMDIBFA6CJ4", "e=C7HRFPF3BLGF3YR4DY5KX3SMBE"),
            ("l=C7HRFPF3BLGF3YR4DY5KX3SMBE", "l=JWXYDBPXYWG6FX3GMDIBFA6CJ4"),
            ("sig=o908", "sig=o909"),
        ];
        for (from, to) in changed {
            assert!(!Root::parse(&root_text().replace(from, to)).unwrap().is_signed_by(url.key()), "{to}");
        }
        let other = SigningKey::from_slice(&[9; 32]).unwrap();
        assert!(!Root::parse(root_text()).unwrap().is_signed_by(other.verifying_key()));
    }

    #[test]
    fn what_is_no_root_of_version_1_is_refused() {
        let changed = [
            ("v1", "v2"),
            ("seq=1", "seq=01"),
            ("seq=1", "seq=+1"),
            ("seq=1", "seq=18446744073709551616"),
            ("seq=1", "seq="),
            (" l=", "  l="),
            ("463gA", "463"),
            ("463gA", "463gA=="),
            ("enrtree", " enrtree"),
        ];
        for (from, to) in changed {
            assert!(Root::parse(&root_text().replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn an_empty_branch_is_one_and_a_branch_of_an_empty_hash_is_not() {
        assert_eq!(Entry::parse("enrtree-branch:"), Ok(Entry::Branch(vec![])));
        assert_eq!(Entry::parse("enrtree-branch:,"), Err(EntryError::Hash));
        let trailing = format!("{},", entries()[1].1);
        assert_eq!(Entry::parse(&trailing), Err(EntryError::Hash));
    }

    #[test]
    fn an_entry_longer_than_the_limit_is_refused_unread() {
        let text = format!("enrtree-branch:{}", "A".repeat(MAX_ENTRY_LEN));
        let error = EntryError::TooLong { len: text.len() };
        assert_eq!((Entry::parse(&text), Root::parse(&text)), (Err(error.clone()), Err(error)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(enr:|enrtree://|enrtree-branch:|enrtree-root:v1 e=)?.{0,120}") {
            if let Ok(entry) = Entry::parse(&text) {
                prop_assert_eq!(Entry::parse(&entry.to_string()), Ok(entry));
            }
            if let Ok(root) = Root::parse(&text) {
                prop_assert_eq!(Root::parse(&root.to_string()), Ok(root));
            }
        }

        #[test]
        fn any_change_of_a_valid_entry_is_read_without_a_panic(
            which in 0..5usize,
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = entries()[which].1.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(entry) = Entry::parse(&String::from_utf8_lossy(&bytes)) {
                prop_assert_eq!(Entry::parse(&entry.to_string()), Ok(entry));
            }
        }
    }
}
