//! Past messages: 13/WAKU2-STORE, version 3.
//!
//! A node keeps what it relays in an [`archive`] and answers its peers' queries ([`StoreConfig`]), and asks other
//! stores ([`Store`]).
//!
//! # What a store answers
//! | Status | When |
//! |---|---|
//! | 200 | a page, empty where nothing was found |
//! | 300 | the archive failed, or does not know the cursor |
//! | 400 | the request cannot be read, mixes hashes with topics or times, or has more than 100 content topics |
//! | 429, 503 | asked too often; too much to do |
//!
//! # Differences from the specification
//! - The end of a span of time is inclusive, as in nwaku.
//! - A pubsub topic without content topics selects messages, and content topics without a pubsub topic do.
//!
//! # Differences from nwaku
//! - A page has at most 2 MiB of messages, and may so have fewer than were asked for; its cursor goes on.
//! - More than ten content topics are answered on every page, not on the first alone.
//! - An error repeats the request's id, if it could be read.
//! - As a client: messages whose hash is not their own, or that were not asked for, are left out and counted.

pub mod archive;
mod client;
mod pages;
mod protocol;
mod server;
mod service;

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt as _;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use waku_proto::MessageHash;
use waku_proto::store::Status;

use self::archive::{Archive, ArchiveWriter, Criteria, Query, Selection, WriterConfig};
use self::client::Paging;
use self::pages::Whom;
use crate::clock::unix_nanos;
use crate::metrics::Metrics;
use crate::net::exchange::Inbound;
use crate::node::Shared;
use crate::rate_limit::RateLimit;
use crate::relay::tap::Tap;
use crate::{AskError, Envelope, PeerId, Stopped};

pub use self::pages::Pages;
pub(crate) use self::protocol::{StoreProtocol, limits};

/// Most messages that stores give at a time.
pub const MAX_PAGE_LEN: usize = 100;
/// Most content topics in a query that deployed stores answer to the end.
pub const MAX_CONTENT_TOPICS: usize = 10;

/// What a store service node gives, and where it keeps what it relays.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where messages are kept and found.
    pub archive: Arc<dyn Archive>,
    /// How many messages wait to be kept, and when they are deleted.
    pub writer: WriterConfig,
    /// How often it is asked; default without a limit, as nwaku.
    pub rate_limit: RateLimit,
}

impl StoreConfig {
    /// The defaults for an archive.
    pub fn new(archive: Arc<dyn Archive>) -> Self {
        Self { archive, writer: WriterConfig::default(), rate_limit: RateLimit::default() }
    }

    /// Starts what keeps messages, and what answers the queries of this inbox.
    pub(crate) fn start(&self, inbox: Inbox, metrics: &Arc<Metrics>) -> Running {
        let archive = Arc::clone(&self.archive);
        let service = service::serve(Arc::clone(&archive), Arc::clone(metrics), inbox);
        let writer = ArchiveWriter::spawn_counting(archive, &self.writer, unix_nanos, Arc::clone(metrics));
        Running { writer, service: tokio::spawn(service) }
    }
}

/// Where queries come from.
pub(crate) type Inbox = mpsc::Receiver<Inbound<StoreProtocol>>;

/// A store at work.
#[derive(Debug)]
pub(crate) struct Running {
    writer: ArchiveWriter,
    service: JoinHandle<()>,
}

impl Running {
    /// Hands messages to the archive.
    pub(crate) fn tap(&self) -> impl Tap + 'static {
        self.writer.clone()
    }

    /// Ends when everything taken is in the archive and, its inbox being closed, the last query is answered: the
    /// archive is then no longer in use.
    pub(crate) async fn finish(self) {
        self.writer.shutdown().await;
        // Fails only if the service has panicked, which the runtime has told.
        let _ = self.service.await;
    }
}

impl Tap for ArchiveWriter {
    fn push(&self, envelope: &Envelope, _: Option<PeerId>) {
        // What is not kept is counted there.
        let _ = self.try_push(envelope.clone());
    }
}

/// Asks stores for past messages. Cheap to clone; keeps the node running.
///
/// ```
/// use std::sync::Arc;
///
/// use futures::TryStreamExt as _;
/// use waku::store::archive::{Archive, Criteria, MemoryArchive, Query, RetentionPolicy, Selection};
/// use waku::{Config, Envelope, Keypair, Node, PeerList, Sharding, StoreConfig, WakuMessage, proto::EncodedMessage};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let sharding = Sharding::auto(1, 8)?;
/// let topic: waku::ContentTopic = "/toychat/2/huilong/proto".parse()?;
/// let pubsub_topic = sharding.pubsub_topic(&topic)?;
/// let message = |at: i64| EncodedMessage::encode(WakuMessage::new(&topic, "hello", at));
/// let past: Vec<_> = (1..=50).map(|at| Envelope::new(pubsub_topic.clone(), message(at))).collect();
/// let archive = Arc::new(MemoryArchive::new(25_000, 100 << 20));
/// archive.insert(&past)?;
///
/// // A store, and a light client.
/// let mut config = Config::new(Keypair::generate(), sharding.clone());
/// config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
/// let mut store = StoreConfig::new(archive);
/// // Nothing is too old to be kept.
/// store.writer.retention = RetentionPolicy::default();
/// config.store = Some(store);
/// let store = Node::spawn(config).await?;
/// let mut config = Config::new(Keypair::generate(), sharding);
/// config.relay = false;
/// config.static_peers = store.listen_addresses();
/// let phone = Node::spawn(config).await?;
/// let is_served = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.protocols.is_empty());
/// phone.peers().watch().wait_for(is_served).await?;
///
/// // The first forty messages, in pages of twenty.
/// let chat = Criteria { content_topics: [topic.to_string()].into(), ..Criteria::default() };
/// let mut pages = phone.store().query_any(Query::new(Selection::Content(chat)), 40);
/// let mut found = Vec::new();
/// while let Some(page) = pages.try_next().await? {
///     found.extend(page.entries.into_iter().filter_map(|entry| entry.envelope));
/// }
/// assert_eq!(found, past[..40]);
///
/// // Whether the store has messages.
/// let (kept, unknown) = (past[3].hash(), [7; 32].into());
/// let present = phone.store().present(store.local_peer_id(), [kept, unknown]).await?;
/// assert_eq!(present, [kept].into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) node: Arc<Shared>,
}

impl Store {
    /// Asks a peer, from [`Query::cursor`] on, for at most so many messages in all.
    ///
    /// The pages are asked for as the stream is read; [`Query::limit`] is their size. No message comes twice. After
    /// the last page, [`Page::cursor`](archive::Page::cursor) tells whether more would follow. When the peer fails,
    /// the stream ends with the error; the cursor of the page before is where to go on, here or with another peer
    /// that has the message.
    ///
    /// Without data ([`Query::include_data`]) nobody can check what is found, but for hashes that were asked for.
    pub fn query(&self, peer: PeerId, query: Query, at_most: usize) -> Pages {
        self.pages(Whom::Peer(peer), query, at_most)
    }

    /// Asks peers that serve store, one after the other until one has answered, and that one to the end; five at
    /// most. Known ones are dialled when none is connected. As [`Store::query`] otherwise.
    pub fn query_any(&self, query: Query, at_most: usize) -> Pages {
        let shard = match &query.selection {
            Selection::Content(Criteria { pubsub_topic: Some(topic), .. }) => topic.shard(),
            _ => None,
        };
        self.pages(Whom::Any(shard), query, at_most)
    }

    /// Those of these messages that a peer has.
    ///
    /// # Errors
    /// When the peer does not answer as it should.
    pub async fn present(
        &self,
        peer: PeerId,
        hashes: impl IntoIterator<Item = MessageHash>,
    ) -> Result<HashSet<MessageHash>, StoreError> {
        let hashes: HashSet<MessageHash> = hashes.into_iter().collect();
        let hashes: Vec<MessageHash> = hashes.into_iter().collect();
        let mut present = HashSet::new();
        for some in hashes.chunks(MAX_PAGE_LEN) {
            let selection = Selection::Hashes(some.to_vec());
            let query = Query { include_data: false, limit: some.len(), ..Query::new(selection) };
            let mut pages = self.query(peer, query, some.len());
            while let Some(page) = pages.try_next().await? {
                present.extend(page.entries.into_iter().map(|entry| entry.hash));
            }
        }
        Ok(present)
    }

    /// This node's own archive, if it has one.
    pub fn archive(&self) -> Option<&Arc<dyn Archive>> {
        self.node.archive.as_ref()
    }

    fn pages(&self, whom: Whom, query: Query, at_most: usize) -> Pages {
        match Paging::new(query, at_most) {
            Ok(paging) => pages::pages(Arc::clone(&self.node), whom, paging),
            Err(client::TooManyTopics { count }) => pages::failed(StoreError::TooManyTopics { count }),
        }
    }
}

/// A query that was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The query has more content topics than deployed stores answer.
    #[error("the query has {count} content topics, stores take {MAX_CONTENT_TOPICS}")]
    TooManyTopics {
        /// Content topics in the query.
        count: usize,
    },
    /// No peer that can be reached serves store.
    #[error("no peer that can be reached serves store")]
    NoServicePeer,
    /// The store does not answer the query.
    #[error("{peer} did not answer the query: {status} {reason}")]
    Refused {
        /// The store.
        peer: PeerId,
        /// Its status.
        status: Status,
        /// Its reason, in its own words.
        reason: String,
    },
    /// The store gave no answer.
    #[error("no answer from {peer}: {error}")]
    Unanswered {
        /// The store.
        peer: PeerId,
        /// Why.
        error: AskError,
    },
    /// The store's pages follow each other without end.
    #[error("the pages of {peer} bring nothing new")]
    NoProgress {
        /// The store.
        peer: PeerId,
    },
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
