//! The task that answers store queries.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use waku_proto::store::QueryResponse;

use super::Inbox;
use super::archive::{Archive, Page, Query};
use super::protocol::StoreProtocol;
use super::server::{self, Plan, Refusal};
use crate::metrics::Metrics;
use crate::net::exchange::Inbound;

/// Queries that the archive answers at a time.
const AT_A_TIME: usize = 4;
/// Pages on their way to clients, in bytes. A client that reads slowly has two connections of sixteen streams at
/// most: alone it does not take all.
const MAX_LEAVING_BYTES: usize = 128 * 1024 * 1024;

/// Most bytes of messages on a page, unless a single one has more.
const MAX_PAGE_BYTES: u32 = 2 * 1024 * 1024;

/// Answers queries until the node has stopped.
pub(super) async fn serve(archive: Arc<dyn Archive>, metrics: Arc<Metrics>, mut inbox: Inbox) {
    let (room, archive, metrics) = (&Arc::new(Semaphore::new(MAX_LEAVING_BYTES)), &archive, &metrics);
    let requests = stream::poll_fn(|context| inbox.poll_recv(context));
    let answer = |Inbound { peer, request, reply }: Inbound<StoreProtocol>| async move {
        // Taken before the page is read, for what it might be at most.
        let Ok(mut place) = Arc::clone(room).acquire_many_owned(MAX_PAGE_BYTES).await else {
            return;
        };
        let (request_id, plan) = server::read(request);
        let (response, bytes) = answer(archive, metrics, request_id, plan).await;
        if !response.status.is_success() {
            metrics.store_refused.increment();
            tracing::debug!(%peer, status = %response.status, reason = response.status_desc, "query not answered");
        }
        metrics.store_messages_sent.add(response.messages.len() as u64);
        give_back_all_but(&mut place, bytes);
        reply.send(response, Some(place));
    };
    requests.for_each_concurrent(AT_A_TIME, answer).await;
}

/// The answer to a query, and its bytes, about.
async fn answer(
    archive: &Arc<dyn Archive>,
    metrics: &Metrics,
    request_id: String,
    plan: Result<Plan, Refusal>,
) -> (QueryResponse, usize) {
    let outcome = match plan {
        Ok(Plan::Ask(query)) => ask(archive, metrics, query).await,
        Ok(Plan::Nothing) => Ok((Page::default(), 0)),
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok((page, bytes)) => (server::answer(request_id, Ok(page)), bytes),
        Err(refusal) => (server::answer(request_id, Err(refusal)), 0),
    }
}

async fn ask(archive: &Arc<dyn Archive>, metrics: &Metrics, query: Query) -> Result<(Page, usize), Refusal> {
    let (archive, direction) = (Arc::clone(archive), query.direction);
    match spawn_blocking(move || archive.query(&query)).await {
        Ok(Ok(page)) => Ok(server::fit(page, direction, MAX_PAGE_BYTES as usize)),
        Ok(Err(error)) => {
            let refusal = Refusal::from(&error);
            if refusal == Refusal::archive_failed() {
                metrics.store_archive_errors.increment();
                tracing::warn!(%error, "the archive has failed at a query");
            }
            Err(refusal)
        }
        Err(error) => {
            metrics.store_archive_errors.increment();
            tracing::error!(%error, "the archive has panicked at a query");
            Err(Refusal::archive_failed())
        }
    }
}

fn give_back_all_but(place: &mut OwnedSemaphorePermit, bytes: usize) {
    drop(place.split(place.num_permits().saturating_sub(bytes)));
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;
    use tokio::sync::mpsc;
    use waku_proto::store::{Direction, QueryRequest};
    use waku_proto::{EncodedMessage, WakuMessage};

    use super::super::archive::MemoryArchive;
    use super::*;
    use crate::net::exchange::{Replied, Reply};
    use crate::{Envelope, PeerId};

    fn archive(messages: i64, payload_len: usize) -> Arc<dyn Archive> {
        let archive = MemoryArchive::new(1_000, 1 << 30);
        let message = |at| WakuMessage::new(&"/a/1/b/c".parse().unwrap(), vec![0; payload_len], at);
        let envelope =
            |at| Envelope::new("/waku/2/rs/0/0".parse().unwrap(), EncodedMessage::encode(message(at)));
        archive.insert(&(0..messages).map(envelope).collect::<Vec<_>>()).unwrap();
        Arc::new(archive)
    }

    /// A running service that is asked for a page so many times.
    async fn asked(archive: Arc<dyn Archive>, times: usize) -> Vec<Replied<QueryResponse>> {
        let (requests, inbox) = mpsc::channel(times);
        tokio::spawn(serve(archive, Arc::default(), inbox));
        let mut replies = Vec::new();
        for _ in 0..times {
            let request = QueryRequest {
                request_id: String::new(),
                include_data: true,
                pubsub_topic: None,
                content_topics: Vec::new(),
                time_start: None,
                time_end: None,
                message_hashes: Vec::new(),
                cursor: None,
                direction: Direction::Forward,
                limit: Some(100),
            };
            let (reply, answer) = Reply::channel();
            let inbound = Inbound { peer: PeerId::random(), request: Ok(request), reply };
            requests.send(inbound).await.unwrap();
            replies.push(answer);
        }
        // The service works on as long as the inbox is open.
        std::mem::forget(requests);
        replies
    }

    #[tokio::test]
    async fn pages_that_have_not_left_are_bounded_in_bytes() {
        // A page of two megabytes less a little, as often as there is room for the largest, and once more.
        let fits = MAX_LEAVING_BYTES / MAX_PAGE_BYTES as usize;
        let mut replies = asked(archive(20, 104_000), fits + 3).await;
        let mut leaving = Vec::new();
        for reply in replies.drain(..fits) {
            leaving.push(reply.await.unwrap());
        }
        let mut next = replies.remove(0);
        // What is left of each place together has no room for another.
        tokio::task::yield_now().await;
        assert!(matches!(poll!(&mut next), Poll::Pending));
        drop(leaving.pop());
        let (response, _place) = next.await.unwrap();
        assert_eq!(response.messages.len(), 20);
    }

    #[tokio::test]
    async fn small_pages_take_no_more_than_their_bytes() {
        let many = 4 * MAX_LEAVING_BYTES / MAX_PAGE_BYTES as usize;
        let mut leaving = Vec::new();
        for reply in asked(archive(20, 1_000), many).await {
            leaving.push(reply.await.unwrap());
        }
        assert_eq!(leaving.len(), many);
    }
}
