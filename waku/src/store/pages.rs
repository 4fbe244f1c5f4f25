//! The stream of pages that a query is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::{sleep, timeout};
use waku_proto::{Shard, protocol_id};

use super::StoreError;
use super::archive::Page;
use super::client::{Fault, Paging};
use crate::node::Shared;
use crate::request_id::request_id;
use crate::{AskError, PeerId, Peers, Stopped};

/// Pages as they come, each after it was asked for. Ends after an error.
pub type Pages = BoxStream<'static, Result<Page, StoreError>>;

/// Stores tried for one query, as in nwaku.
const MAX_PEERS: usize = 5;
/// How long one answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pauses when a store asks for one; after them it is given up.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Whom to ask.
#[derive(Debug)]
pub(super) enum Whom {
    Peer(PeerId),
    /// Peers that serve store and are not known to be off the shard, one after the other until one has answered,
    /// and that one to the end.
    Any(Option<Shard>),
}

pub(super) fn pages(node: Arc<Shared>, whom: Whom, paging: Paging) -> Pages {
    let asking = Asking {
        peers: Peers { node },
        whom: Some(whom),
        left: VecDeque::new(),
        answering: None,
        paging,
        has_failed: false,
    };
    stream::unfold(asking, async |mut asking| Some((asking.next().await?, asking))).boxed()
}

/// A stream with nothing but an error.
pub(super) fn failed(error: StoreError) -> Pages {
    stream::once(std::future::ready(Err(error))).boxed()
}

struct Asking {
    peers: Peers,
    /// `None` once it is found out who that is.
    whom: Option<Whom>,
    /// Not asked yet.
    left: VecDeque<PeerId>,
    answering: Option<PeerId>,
    paging: Paging,
    has_failed: bool,
}

impl Asking {
    async fn next(&mut self) -> Option<Result<Page, StoreError>> {
        if self.has_failed {
            return None;
        }
        if let Err(stopped) = self.find().await {
            self.has_failed = true;
            return Some(Err(stopped.into()));
        }
        let mut outcome = Some(Err(StoreError::NoServicePeer));
        while let Some(peer) = self.answering.or_else(|| self.left.pop_front()) {
            outcome = self.ask(peer).await;
            let may_ask_another =
                self.answering.is_none() && !matches!(outcome, Some(Err(StoreError::Stopped(_))));
            if matches!(outcome, Some(Ok(_))) {
                self.answering = Some(peer);
            } else if may_ask_another && outcome.is_some() {
                continue;
            }
            break;
        }
        self.has_failed = matches!(outcome, Some(Err(_)));
        outcome
    }

    async fn find(&mut self) -> Result<(), Stopped> {
        self.left = match self.whom.take() {
            Some(Whom::Peer(peer)) => [peer].into(),
            Some(Whom::Any(shard)) => {
                let found = self.peers.find_serving(protocol_id::STORE_QUERY, shard).await?;
                found.into_iter().take(MAX_PEERS).collect()
            }
            None => return Ok(()),
        };
        Ok(())
    }

    /// The next page of this peer; `None` at the end.
    async fn ask(&mut self, peer: PeerId) -> Option<Result<Page, StoreError>> {
        let outcome = self.try_to_ask(peer).await?;
        match &outcome {
            Ok(_) => self.peers.report_success(peer, protocol_id::STORE_QUERY),
            Err(error) if error.is_the_peers() => self.peers.report_failure(peer, protocol_id::STORE_QUERY),
            Err(_) => {}
        }
        Some(outcome)
    }

    async fn try_to_ask(&mut self, peer: PeerId) -> Option<Result<Page, StoreError>> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let request = self.paging.request(request_id())?;
            let asking = self.peers.node.askers.store.ask(peer, Vec::new(), request);
            let response = match timeout(ANSWER_WITHIN, asking).await.unwrap_or(Err(AskError::Timeout)) {
                Ok(response) => response,
                Err(error) => return Some(Err(StoreError::unanswered(peer, error))),
            };
            let taken = self.paging.take(response);
            self.peers.node.metrics().store_messages_refused.add(self.paging.take_refused());
            let fault = match taken {
                Ok(page) => return Some(Ok(page)),
                Err(fault) => fault,
            };
            match pauses.next().filter(|_| fault.is_passing()) {
                Some(pause) => sleep(pause).await,
                None => return Some(Err(StoreError::faulty(peer, fault))),
            }
        }
    }
}

impl StoreError {
    /// True when the store is to blame, not the query or this node.
    fn is_the_peers(&self) -> bool {
        match self {
            Self::Unanswered { .. } | Self::NoProgress { .. } => true,
            Self::Refused { status, .. } => status.code() >= 429,
            Self::TooManyTopics { .. } | Self::NoServicePeer | Self::Stopped(_) => false,
        }
    }

    fn unanswered(peer: PeerId, error: AskError) -> Self {
        match error {
            AskError::Stopped => Self::Stopped(Stopped),
            error => Self::Unanswered { peer, error },
        }
    }

    fn faulty(peer: PeerId, fault: Fault) -> Self {
        match fault {
            Fault::Refused { status, reason } => Self::Refused { peer, status, reason },
            Fault::NoProgress => Self::NoProgress { peer },
        }
    }
}
