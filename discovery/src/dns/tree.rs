//! Making a list.

use std::collections::BTreeMap;

use k256::ecdsa::SigningKey;
use thiserror::Error;

use super::entry::{Entry, MAX_ENTRY_LEN, Root};
use super::hash::Hash;
use super::url::{TreeUrl, UrlError};
use crate::Record;

/// So many hashes in a branch fit a DNS packet of 512 bytes (as in go-ethereum).
pub const DEFAULT_MAX_CHILDREN: usize = 13;

/// What a list says.
#[derive(Debug, Clone)]
pub struct Content {
    /// Greater than in every edition before.
    pub seq: u64,
    /// The nodes.
    pub records: Vec<Record>,
    /// Other lists.
    pub links: Vec<TreeUrl>,
    /// Most entries of a branch, at least 2.
    pub max_children: usize,
}

impl Default for Content {
    fn default() -> Self {
        Self { seq: 0, records: Vec::new(), links: Vec::new(), max_children: DEFAULT_MAX_CHILDREN }
    }
}

/// A signed list, ready to be published.
#[derive(Debug, Clone)]
pub struct Tree {
    url: TreeUrl,
    entries: BTreeMap<String, String>,
}

impl Tree {
    /// Signs a list for `domain`.
    ///
    /// # Errors
    /// When `domain` is no domain name, or branches have too few or too many children.
    pub fn sign(key: &SigningKey, domain: &str, content: &Content) -> Result<Self, TreeError> {
        let url = TreeUrl::new(*key.verifying_key(), domain)?;
        let len = |children: usize| Entry::Branch(vec![Hash::of(""); children]).to_string().len();
        let max = content.max_children;
        // A quick look first: the length of a branch of very many would be long to find out.
        if !(2..=MAX_ENTRY_LEN).contains(&max) || len(max) > MAX_ENTRY_LEN {
            return Err(TreeError::MaxChildren { found: max });
        }
        let mut tree = Self { url, entries: BTreeMap::new() };
        let records = content.records.iter().map(|record| tree.add(&Entry::Record(record.clone()))).collect();
        let records = tree.branch(records, max);
        let links = content.links.iter().map(|link| tree.add(&Entry::Link(link.clone()))).collect();
        let links = tree.branch(links, max);
        let root = Root::sign(records, links, content.seq, key).to_string();
        let domain = tree.url.domain().to_owned();
        tree.entries.insert(domain, root);
        Ok(tree)
    }

    /// Puts branches over `children` until one is over all, and returns its hash.
    fn branch(&mut self, mut children: Vec<Hash>, max: usize) -> Hash {
        while children.len() > max {
            let branches = children.chunks(max).map(|chunk| Entry::Branch(chunk.to_vec()));
            children = branches.map(|branch| self.add(&branch)).collect();
        }
        match children.as_slice() {
            [child] => child.clone(),
            _ => self.add(&Entry::Branch(children)),
        }
    }

    fn add(&mut self, entry: &Entry) -> Hash {
        let text = entry.to_string();
        let hash = Hash::of(&text);
        self.entries.insert(format!("{hash}.{}", self.url.domain()), text);
        hash
    }

    /// Where the list is to be.
    pub fn url(&self) -> &TreeUrl {
        &self.url
    }

    /// Every TXT record: full domain name without a dot at its end, and text. A TXT record holds a text in pieces of at
    /// most 255 bytes. The root's should live for a minute, the others, which never change, for a day.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text at a name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(String::as_str)
    }
}

/// Why a list cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TreeError {
    /// The domain is no domain name.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Branches must have at least 2 children and fit [`MAX_ENTRY_LEN`].
    #[error("branches cannot have up to {found} entries: say 2 to 151, best {DEFAULT_MAX_CHILDREN}")]
    MaxChildren {
        /// The number given.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_have_a_least_and_a_greatest_number_of_children() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let sign = |max_children| {
            Tree::sign(&key, "example.org", &Content { max_children, ..Content::default() }).map(|_| ())
        };
        for found in [0, 1, 152, usize::MAX] {
            assert_eq!(sign(found), Err(TreeError::MaxChildren { found }));
        }
        assert_eq!((sign(2), sign(151)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_list_of_nothing_has_a_root_and_an_empty_branch() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let tree = Tree::sign(&key, "example.org", &Content::default()).unwrap();
        let entries: Vec<_> = tree.entries().collect();
        // The hash is go-ethereum's for an empty subtree.
        assert_eq!(entries[0], ("FDXN3SN67NA5DKA4J2GOK7BVQI.example.org", "enrtree-branch:"));
        assert!(Root::parse(entries[1].1).unwrap().is_signed_by(key.verifying_key()));
        assert_eq!(entries.len(), 2);
    }
}
