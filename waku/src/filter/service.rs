//! The task of a filter service node: answers requests, and pushes what the relay accepts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use waku_proto::filter::{MessagePush, Status, SubscribeType};
use waku_proto::framing;

use super::server::{Limits, Server};
use super::{FilterConfig, FilterSubscriber, SubscribeProtocol};
use crate::Envelope;
use crate::metrics::{Counter, Metrics};
use crate::net::exchange::Inbound;
use crate::net::push::lane::{Lanes, NotPushed};
use crate::relay::tap::Tap;

/// Messages that wait to be pushed.
const MAX_MESSAGES: usize = 1024;
/// Bytes of messages that wait to be pushed.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Time between two looks for subscribers that have expired, as in nwaku.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Questions for the subscribers that wait; whoever asks more waits.
const QUESTIONS_LEN: usize = 16;

/// A message on its way from the relay, with the room it takes.
#[derive(Debug)]
pub(crate) struct Taken {
    envelope: Envelope,
    _room: OwnedSemaphorePermit,
}

/// Takes every message the relay accepts.
#[derive(Debug)]
pub(crate) struct FilterTap {
    messages: mpsc::Sender<Taken>,
    room: Arc<Semaphore>,
    overflowed: Counter,
}

/// A tap, and where its messages come out.
pub(crate) fn tap(metrics: &Metrics) -> (FilterTap, mpsc::Receiver<Taken>) {
    let (messages, receiver) = mpsc::channel(MAX_MESSAGES);
    let room = Arc::new(Semaphore::new(MAX_BYTES));
    (FilterTap { messages, room, overflowed: metrics.filter_messages_overflowed.clone() }, receiver)
}

impl Tap for FilterTap {
    fn push(&self, envelope: &Envelope, _: Option<crate::PeerId>) {
        let len = u32::try_from(envelope.bytes().len()).unwrap_or(u32::MAX);
        let is_taken = Arc::clone(&self.room).try_acquire_many_owned(len).is_ok_and(|room| {
            self.messages.try_send(Taken { envelope: envelope.clone(), _room: room }).is_ok()
        });
        if !is_taken {
            self.overflowed.increment();
        }
    }
}

/// Asks a service for its subscribers. Cheap to clone.
pub(crate) type Questions = mpsc::Sender<oneshot::Sender<Vec<FilterSubscriber>>>;

/// The service's state.
#[derive(Debug)]
pub(crate) struct FilterService {
    server: Server,
    requests: mpsc::Receiver<Inbound<SubscribeProtocol>>,
    messages: mpsc::Receiver<Taken>,
    questions: mpsc::Receiver<oneshot::Sender<Vec<FilterSubscriber>>>,
    lanes: Lanes,
    metrics: Arc<Metrics>,
}

impl FilterService {
    /// A service that does not run yet, and the way to ask it.
    pub(crate) fn new(
        config: &FilterConfig,
        requests: mpsc::Receiver<Inbound<SubscribeProtocol>>,
        messages: mpsc::Receiver<Taken>,
        lanes: Lanes,
        metrics: Arc<Metrics>,
    ) -> (Self, Questions) {
        let limits = Limits {
            subscribers: config.max_subscribers,
            criteria: config.max_criteria,
            timeout: config.subscription_timeout,
        };
        let server = Server::new(limits, Arc::clone(&metrics));
        let (sender, questions) = mpsc::channel(QUESTIONS_LEN);
        (Self { server, requests, messages, questions, lanes, metrics }, sender)
    }

    /// Serves until the node stops.
    pub(crate) async fn run(mut self) {
        let mut sweep = interval(SWEEP_INTERVAL.min(self.server.timeout()));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.answer(request),
                    None => return,
                },
                Some(taken) = self.messages.recv() => self.push(&taken.envelope),
                _ = sweep.tick() => self.server.sweep(Instant::now()),
                Some(question) = self.questions.recv() => {
                    // Fails when the one who asked gave up.
                    _ = question.send(self.subscribers());
                }
            }
        }
    }

    fn answer(&mut self, request: Inbound<SubscribeProtocol>) {
        let Inbound { peer, request, reply } = request;
        let response = self.server.answer(peer, &request, |peer| self.lanes.has(peer), Instant::now());
        let is_subscribe = request.is_ok_and(|request| request.kind == SubscribeType::Subscribe);
        if is_subscribe && response.status == Status::Ok {
            self.lanes.forgive(&peer);
        }
        reply.send(response, None);
    }

    fn push(&mut self, envelope: &Envelope) {
        let receivers = self.server.receivers(envelope, Instant::now());
        if receivers.is_empty() {
            return;
        }
        let push = MessagePush::encode_as_relayed(envelope.encoded(), envelope.pubsub_topic());
        let frame = framing::encode(&push);
        for peer in receivers {
            match self.lanes.push(&peer, &frame) {
                // What is full is counted with the lane.
                Ok(()) | Err(NotPushed::Full) => {}
                // It may be back before its subscription expires.
                Err(NotPushed::NotConnected) => self.metrics.filter_pushes_unreachable.increment(),
                Err(NotPushed::Failing) => {
                    tracing::debug!(%peer, "subscriber given up: it takes no pushes");
                    self.server.give_up(&peer);
                }
            }
        }
    }

    fn subscribers(&self) -> Vec<FilterSubscriber> {
        let subscriber = |(peer_id, criteria)| FilterSubscriber { peer_id, criteria };
        self.server.subscribers().map(subscriber).collect()
    }
}

#[cfg(test)]
mod tests {
    use waku_proto::{EncodedMessage, WakuMessage};

    use super::*;

    fn envelope(len: usize) -> Envelope {
        let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), vec![1; len], 1);
        Envelope::new("/waku/2/rs/0/0".parse().unwrap(), EncodedMessage::encode(message))
    }

    #[test]
    fn the_tap_is_bounded_in_messages_and_counts_what_it_drops() {
        let metrics = Metrics::default();
        let (tap, mut messages) = tap(&metrics);
        for _ in 0..MAX_MESSAGES + 3 {
            tap.push(&envelope(1), None);
        }
        assert_eq!(metrics.filter_messages_overflowed.get(), 3);
        messages.try_recv().unwrap();
        tap.push(&envelope(1), None);
        assert_eq!(metrics.filter_messages_overflowed.get(), 3);
    }

    #[test]
    fn the_tap_is_bounded_in_bytes_and_gets_them_back() {
        let metrics = Metrics::default();
        let (tap, mut messages) = tap(&metrics);
        for _ in 0..3 {
            tap.push(&envelope(MAX_BYTES / 2 - 1024), None);
        }
        assert_eq!(metrics.filter_messages_overflowed.get(), 1);
        drop(messages.try_recv().unwrap());
        tap.push(&envelope(MAX_BYTES / 2 - 1024), None);
        assert_eq!(metrics.filter_messages_overflowed.get(), 1);
    }
}
