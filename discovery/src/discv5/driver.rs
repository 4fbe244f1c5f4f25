//! The task that looks around and tells what was found.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use ::discv5::{Discv5, Enr, Event, QueryError, RequestError};
use ::enr::NodeId;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::DropGuard;
use tracing::{debug, trace};

use super::MAX_REQUESTS;
use super::search::{Pace, Sighting, Told};
use super::shared::{Shared, lock};
use super::tasks::AllEnded;
use crate::Record;

/// A lookup ends when so many nodes of use have answered.
const ENOUGH: usize = 16;

type Lookup = BoxFuture<'static, Result<Vec<Enr>, QueryError>>;
type Ping = BoxFuture<'static, Result<::discv5::service::Pong, RequestError>>;

pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) requests: mpsc::Receiver<oneshot::Sender<usize>>,
    pub(super) found: mpsc::Sender<Record>,
    pub(super) told: Told,
    pub(super) pace: Pace,
}

impl Driver {
    /// Runs until it is stopped, then waits until the library has ended. `_ended` is dropped last.
    pub(super) async fn run(mut self, all_ended: AllEnded, _ended: DropGuard) {
        self.drive().await;
        drop(lock(&self.shared.discv5).take());
        // Nothing of the library may be held while its end is waited for.
        let Self { shared, .. } = self;
        drop(shared);
        all_ended.wait().await;
    }

    async fn drive(&mut self) {
        let stop = self.shared.stop.clone();
        let mut lookup: Option<Lookup> = None;
        let mut pings = FuturesUnordered::new();
        let mut next_lookup = Instant::now();
        // Who wants to know of the lookup under way, and of the one after it.
        let (mut waiting, mut queued) = (Vec::new(), Vec::new());
        let mut news = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(event) = self.events.recv() => news += self.take_event(event),
                () = self.shared.changed.notified() => pings = self.pings(),
                Some(_) = pings.next(), if !pings.is_empty() => {}
                Some(request) = self.requests.recv(), if queued.len() < MAX_REQUESTS => {
                    queued.push(request);
                    next_lookup = Instant::now();
                }
                result = under_way(&mut lookup) => {
                    lookup = None;
                    news += self.take_result(result);
                    for reply in waiting.drain(..) {
                        // Whoever asked may have gone.
                        let _: Result<(), usize> = oneshot::Sender::send(reply, news);
                    }
                    let pause = if queued.is_empty() { self.pause(news) } else { Duration::ZERO };
                    next_lookup = Instant::now() + pause;
                }
                () = sleep_until(next_lookup), if lookup.is_none() => {
                    // Should the event have been lost.
                    self.shared.record_changed();
                    waiting.append(&mut queued);
                    news = 0;
                    lookup = self.look_around();
                    if lookup.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Asks for the nodes around a random place. `None` when the library has ended.
    fn look_around(&self) -> Option<Lookup> {
        let discv5 = lock(&self.shared.discv5);
        let discv5 = discv5.as_ref()?;
        let knows_nobody = || discv5.with_kbuckets(|table| table.read().iter_ref().next().is_none());
        if knows_nobody() {
            for enr in lock(&self.shared.bootstrap).iter() {
                let _ = discv5.add_enr(enr.clone());
            }
        }
        if knows_nobody() {
            // The library would warn of it each time.
            return Some(Box::pin(ready(Ok(Vec::new()))));
        }
        let interest = self.shared.interest();
        let is_of_use = Box::new(move |enr: &Enr| interest.is_in(&Sighting::of(enr)));
        Some(Box::pin(discv5.find_node_predicate(NodeId::random(), is_of_use, ENOUGH)))
    }

    /// How many records were handed over.
    fn take_result(&mut self, result: Result<Vec<Enr>, QueryError>) -> usize {
        match result {
            Ok(enrs) => {
                lock(&self.shared.counters).lookups += 1;
                trace!(nodes = enrs.len(), "a lookup ended");
                enrs.iter().map(|enr| usize::from(self.tell(enr))).sum()
            }
            Err(error) => {
                lock(&self.shared.counters).lookups_failed += 1;
                debug!(%error, "a lookup failed");
                0
            }
        }
    }

    /// How many records were handed over.
    fn take_event(&mut self, event: Event) -> usize {
        let told = match event {
            Event::Discovered(enr) => self.tell(&enr),
            Event::SessionEstablished(enr, _) => {
                lock(&self.shared.counters).sessions_established += 1;
                self.tell(&enr)
            }
            Event::SocketUpdated(address) => {
                lock(&self.shared.counters).address_updates += 1;
                debug!(%address, "others see this node at another address");
                self.shared.record_changed();
                false
            }
            Event::UnverifiableEnr { .. } => {
                lock(&self.shared.counters).unverifiable += 1;
                false
            }
            _ => false,
        };
        usize::from(told)
    }

    /// Hands over a record if it is of use and news.
    fn tell(&mut self, enr: &Enr) -> bool {
        let seen = Sighting::of(enr);
        let is_of_use = self.shared.interest().is_in(&seen);
        let is_news = is_of_use && self.told.is_news(&seen, Instant::now().into_std());
        let mut counters = lock(&self.shared.counters);
        if !is_news {
            *if is_of_use { &mut counters.repeated } else { &mut counters.unwanted } += 1;
            return false;
        }
        let Ok(record) = Record::decode(&alloy_rlp::encode(enr)) else {
            // Of another kind of key than Waku's.
            counters.unreadable += 1;
            return false;
        };
        debug!(?record, "a node was found");
        match self.found.try_send(record) {
            Ok(()) => counters.count_found(&seen),
            Err(TrySendError::Full(_)) => counters.dropped += 1,
            // Nobody wants to know any more.
            Err(TrySendError::Closed(_)) => {}
        }
        true
    }

    /// Pings that say to every node that knows us that our record is a newer one. It asks for it then.
    fn pings(&self) -> FuturesUnordered<Ping> {
        let discv5 = lock(&self.shared.discv5);
        let table = discv5.as_ref().map(Discv5::table_entries).unwrap_or_default();
        let connected = table.into_iter().filter(|(_, _, status)| status.is_connected());
        let pings =
            connected.filter_map(|(_, enr, _)| Some(Box::pin(discv5.as_ref()?.send_ping(enr)) as Ping));
        pings.collect()
    }

    fn pause(&mut self, news: usize) -> Duration {
        let discv5 = lock(&self.shared.discv5);
        let table = discv5.as_ref().map_or(0, |discv5| discv5.table_entries_id().len());
        self.pace.after(news, table)
    }
}

/// The result of the lookup, if there is one.
async fn under_way(lookup: &mut Option<Lookup>) -> Result<Vec<Enr>, QueryError> {
    match lookup {
        Some(lookup) => lookup.await,
        None => pending().await,
    }
}
