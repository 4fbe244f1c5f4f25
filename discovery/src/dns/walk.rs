//! Going through a list: what to ask next, and what to make of the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand_core::Rng;
use thiserror::Error;

use super::entry::{Entry, EntryError, Root};
use super::hash::Hash;
use super::url::TreeUrl;
use crate::Record;

/// Problems that are kept word for word; the rest is only counted.
const MAX_PROBLEMS: usize = 16;
/// Lists whose sequence numbers are remembered.
const MAX_SEQS: usize = 64;

/// How much of a list, and of those it links to, is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most names that are asked for, roots included.
    pub entries: usize,
    /// Most entries from a root to a leaf. Thirteen hashes a branch, 8 are enough for any list.
    pub depth: usize,
    /// Most lists, the first one included.
    pub trees: usize,
}

impl Default for Limits {
    /// 1000 entries, 8 deep, of 8 lists.
    fn default() -> Self {
        Self { entries: 1000, depth: 8, trees: 8 }
    }
}

/// A name whose TXT records are to be asked for.
#[derive(Debug)]
pub struct Question {
    name: String,
    tree: TreeUrl,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The root of the list that was asked for, or of one it links to.
    Root {
        is_first: bool,
    },
    Entry {
        hash: Hash,
        depth: usize,
        side: Side,
    },
}

/// Nodes and links are in parts of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Records,
    Links,
}

impl Question {
    /// Full domain name, without a dot at its end.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether nothing can be found without an answer: it is for the root of the list that was asked for.
    pub fn is_first(&self) -> bool {
        matches!(self.what, What::Root { is_first: true })
    }
}

/// The sequence numbers of lists that were seen before: an older edition is not taken any more. Of 64 lists.
#[derive(Debug, Clone, Default)]
pub struct Seqs(BTreeMap<TreeUrl, u64>);

impl Seqs {
    /// The greatest number seen of a list.
    pub fn get(&self, url: &TreeUrl) -> Option<u64> {
        self.0.get(url).copied()
    }

    /// Notes a number, for example one kept from an earlier run. A smaller one than is known changes nothing.
    pub fn note(&mut self, url: &TreeUrl, seq: u64) {
        if self.0.len() == MAX_SEQS && !self.0.contains_key(url) {
            self.0.pop_first();
        }
        let known = self.0.entry(url.clone()).or_default();
        *known = seq.max(*known);
    }

    /// Every list with its number.
    pub fn iter(&self) -> impl Iterator<Item = (&TreeUrl, u64)> {
        self.0.iter().map(|(url, seq)| (url, *seq))
    }
}

/// What a walk found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The nodes, each once, in the order they were found: a random one.
    pub records: Vec<Record>,
    /// Names asked for.
    pub asked: usize,
    /// The first answers that were wrong, each with its name.
    pub problems: Vec<(String, Problem)>,
    /// How many answers were wrong.
    pub wrong: usize,
    /// Whether a limit left something out.
    pub is_cut_off: bool,
    /// What is to be remembered for the next walk.
    pub seqs: Seqs,
}

/// A walk through a list and those it links to, in random order, so that any part of it is worth having. It does no I/O:
/// ask what [`Walk::next`] says, several names at a time if you like, and hand the answers to [`Walk::answer`].
#[derive(Debug)]
pub struct Walk {
    limits: Limits,
    to_ask: Vec<Question>,
    /// Every name that was or will be asked for, by list: a list may link back to another.
    known: BTreeSet<(TreeUrl, Option<Hash>)>,
    trees: usize,
    /// Where each node is among the records.
    places: HashMap<[u8; 32], usize>,
    findings: Findings,
}

impl Walk {
    /// A walk through the list at `url`. `seqs` is what was seen of it and of others before.
    pub fn new(url: TreeUrl, limits: Limits, seqs: Seqs) -> Self {
        let mut walk = Self {
            limits,
            to_ask: Vec::new(),
            known: BTreeSet::new(),
            trees: 0,
            places: HashMap::new(),
            findings: Findings { seqs, ..Findings::default() },
        };
        walk.link(url, true);
        walk
    }

    /// What to ask next. `None`: nothing until an open question is answered; when none is open, the walk is at its end.
    pub fn next(&mut self, rng: &mut impl Rng) -> Option<Question> {
        // A handful of names: the bias is none that matters.
        let at = usize::try_from(rng.next_u64() % u64::try_from(self.to_ask.len()).ok()?.max(1)).ok()?;
        let question = (at < self.to_ask.len()).then(|| self.to_ask.swap_remove(at))?;
        self.findings.asked += 1;
        Some(question)
    }

    /// Takes the TXT records at a name. Those that are of something else are passed over.
    ///
    /// # Errors
    /// [`Problem`] when none of them is what it should be. It is noted in the [`Findings`]; the walk goes on.
    pub fn answer<'a>(
        &mut self,
        question: Question,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Problem> {
        let Question { name, tree, what } = question;
        let taken = match what {
            What::Root { .. } => self.root(&tree, texts),
            What::Entry { hash, depth, side } => self.entry(&tree, &hash, depth, side, texts),
        };
        if let Err(problem) = &taken {
            self.findings.wrong += 1;
            if self.findings.problems.len() < MAX_PROBLEMS {
                self.findings.problems.push((name, problem.clone()));
            }
        }
        taken
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// What was found.
    pub fn into_findings(self) -> Findings {
        self.findings
    }

    fn root<'a>(&mut self, tree: &TreeUrl, texts: impl IntoIterator<Item = &'a str>) -> Result<(), Problem> {
        let text = texts.into_iter().find(|text| Root::is_meant(text)).ok_or(Problem::NoRoot)?;
        let root = Root::parse(text)?;
        if !root.is_signed_by(tree.key()) {
            return Err(Problem::NotSigned);
        }
        match self.findings.seqs.get(tree) {
            Some(known) if root.seq < known => return Err(Problem::Outdated { known, found: root.seq }),
            _ => self.findings.seqs.note(tree, root.seq),
        }
        self.descend(tree, root.records, 1, Side::Records);
        self.descend(tree, root.links, 1, Side::Links);
        Ok(())
    }

    fn entry<'a>(
        &mut self,
        tree: &TreeUrl,
        hash: &Hash,
        depth: usize,
        side: Side,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Problem> {
        let text = texts.into_iter().find(|text| hash.is_of(text)).ok_or(Problem::WrongHash)?;
        match (Entry::parse(text)?, side) {
            (Entry::Branch(hashes), _) => {
                for hash in hashes {
                    self.descend(tree, hash, depth + 1, side);
                }
            }
            (Entry::Record(record), Side::Records) => self.keep(record),
            (Entry::Link(url), Side::Links) => self.link(url, false),
            (Entry::Record(_), Side::Links) | (Entry::Link(_), Side::Records) => {
                return Err(Problem::Misplaced);
            }
        }
        Ok(())
    }

    fn descend(&mut self, tree: &TreeUrl, hash: Hash, depth: usize, side: Side) {
        if depth > self.limits.depth {
            self.findings.is_cut_off = true;
            return;
        }
        let name = format!("{hash}.{}", tree.domain());
        self.ask(name, tree.clone(), What::Entry { hash, depth, side });
    }

    fn link(&mut self, url: TreeUrl, is_first: bool) {
        if self.known.contains(&(url.clone(), None)) {
            return;
        }
        if self.trees == self.limits.trees {
            self.findings.is_cut_off = true;
            return;
        }
        self.trees += 1;
        self.ask(url.domain().to_owned(), url, What::Root { is_first });
    }

    fn ask(&mut self, name: String, tree: TreeUrl, what: What) {
        let hash = match &what {
            What::Root { .. } => None,
            What::Entry { hash, .. } => Some(hash.clone()),
        };
        let key = (tree.clone(), hash);
        if self.known.contains(&key) {
            return;
        }
        if self.known.len() == self.limits.entries {
            self.findings.is_cut_off = true;
            return;
        }
        self.known.insert(key);
        self.to_ask.push(Question { name, tree, what });
    }

    /// Of several records of a node the newest is kept.
    fn keep(&mut self, record: Record) {
        let records = &mut self.findings.records;
        let place = *self.places.entry(record.node_id()).or_insert(records.len());
        match records.get_mut(place) {
            Some(kept) if kept.seq() < record.seq() => *kept = record,
            Some(_) => {}
            None => records.push(record),
        }
    }
}

/// What was wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// No TXT record at the domain is a root.
    #[error("no list of nodes is there")]
    NoRoot,
    /// The root is not signed by the key in the URL.
    #[error("the root is not signed by the key of the URL")]
    NotSigned,
    /// The root is older than one that was seen.
    #[error("edition {found} of the list is older than edition {known}, which was seen before")]
    Outdated {
        /// The sequence number seen before.
        known: u64,
        /// The one found now.
        found: u64,
    },
    /// No TXT record has the hash that was asked for.
    #[error("what is there is not what the list says")]
    WrongHash,
    /// A link among the nodes, or a node among the links.
    #[error("the entry is in the wrong part of the list")]
    Misplaced,
    /// Not an entry of a list.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

#[cfg(test)]
mod tests;
