//! The stream of pages that a query is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::{sleep, timeout};

use waku_proto::protocol_id;

use super::StoreError;
use super::archive::Page;
use super::client::{Fault, Paging};
use crate::node::Shared;
use crate::request_id::request_id;
use crate::{AskError, PeerId, Peers};

/// Pages as they come, each after it was asked for. Ends after an error.
pub type Pages = BoxStream<'static, Result<Page, StoreError>>;

/// How long one answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pauses when a store asks for one; after them it is given up.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Asks these peers, one after the other until one has answered, and then that one to the end.
pub(super) fn pages(node: Arc<Shared>, peers: VecDeque<PeerId>, paging: Paging) -> Pages {
    let asking = Asking { node, peers, answering: None, paging, has_failed: false };
    stream::unfold(asking, async |mut asking| Some((asking.next().await?, asking))).boxed()
}

/// A stream with nothing but an error.
pub(super) fn failed(error: StoreError) -> Pages {
    stream::once(std::future::ready(Err(error))).boxed()
}

struct Asking {
    node: Arc<Shared>,
    /// Not asked yet.
    peers: VecDeque<PeerId>,
    answering: Option<PeerId>,
    paging: Paging,
    has_failed: bool,
}

impl Asking {
    async fn next(&mut self) -> Option<Result<Page, StoreError>> {
        if self.has_failed {
            return None;
        }
        let mut outcome = Some(Err(StoreError::NoServicePeer));
        while let Some(peer) = self.answering.or_else(|| self.peers.pop_front()) {
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

    /// The next page of this peer; `None` at the end.
    async fn ask(&mut self, peer: PeerId) -> Option<Result<Page, StoreError>> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let request = self.paging.request(request_id())?;
            let asking = self.node.askers.store.ask(peer, Vec::new(), request);
            let answer = timeout(ANSWER_WITHIN, asking).await.unwrap_or(Err(AskError::Timeout));
            let peers = Peers { node: Arc::clone(&self.node) };
            let response = match answer {
                Ok(response) => response,
                Err(error) => {
                    peers.report_failure(peer, protocol_id::STORE_QUERY);
                    return Some(Err(StoreError::unanswered(peer, error)));
                }
            };
            peers.report_success(peer, protocol_id::STORE_QUERY);
            let taken = self.paging.take(response);
            self.node.metrics().store_messages_refused.add(self.paging.take_refused());
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
    fn unanswered(peer: PeerId, error: AskError) -> Self {
        match error {
            AskError::Stopped => Self::Stopped(crate::Stopped),
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
