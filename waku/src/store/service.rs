//! The task that answers store queries.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use waku_proto::store::QueryResponse;

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
pub(crate) async fn serve(
    archive: Arc<dyn Archive>,
    metrics: Arc<Metrics>,
    mut inbox: mpsc::Receiver<Inbound<StoreProtocol>>,
) {
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
