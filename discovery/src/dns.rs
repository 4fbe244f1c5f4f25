//! Lists of nodes in DNS: [EIP-1459](https://eips.ethereum.org/EIPS/eip-1459).
//!
//! A list is a tree of TXT records below a domain. Its root is signed; every other entry is found under the hash of its
//! text. So whoever knows the [`TreeUrl`] need not trust the name servers between: they can keep a list back, not change it.
//!
//! [`Walk`] is the core: it says what to ask next and judges the answers. `Client` (feature `dns`) asks name servers.
//! [`Tree::sign`] makes a list.
//!
//! # Differences from the specification
//! An entry may have up to [`MAX_ENTRY_LEN`] bytes: fleets publish branches that need TCP. Names are asked in lower case
//! below the domain, and the hash labels as they are written.
//!
//! ```
//! use waku_discovery::dns::{Content, Limits, Seqs, Tree, TreeUrl, Walk};
//! use waku_discovery::k256::ecdsa::SigningKey;
//! # use rand_chacha::rand_core::SeedableRng as _;
//! # let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! # let zone = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/eip1459.txt"));
//! # let record = zone.split_whitespace().find(|word| word.starts_with("enr:")).expect("the example has nodes");
//!
//! let key = SigningKey::from_slice(&[7; 32])?;
//! let content = Content { seq: 1, records: vec![record.parse()?], ..Content::default() };
//! let tree = Tree::sign(&key, "nodes.example.org", &content)?;
//!
//! // What a client does, with the tree in place of name servers.
//! let url: TreeUrl = tree.url().to_string().parse()?;
//! let mut walk = Walk::new(url, Limits::default(), Seqs::default());
//! while let Some(question) = walk.next(&mut rng) {
//!     let texts = tree.text(question.name()).into_iter();
//!     walk.answer(question, texts)?;
//! }
//! assert_eq!(walk.into_findings().records, content.records);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "dns")]
mod client;
mod entry;
mod hash;
mod tree;
mod url;
mod walk;

#[cfg(feature = "dns")]
pub use self::client::{Client, Config, DEFAULT_NAME_SERVERS, DnsError, Found};
pub use self::entry::{Entry, EntryError, MAX_ENTRY_LEN, Root};
pub use self::hash::Hash;
pub use self::tree::{Content, DEFAULT_MAX_CHILDREN, Tree, TreeError};
pub use self::url::{TreeUrl, UrlError};
pub use self::walk::{Findings, Limits, Problem, Question, Seqs, Walk};
