//! What waits to be pushed, a bounded lane for each connected peer.
//!
//! The service puts frames in, the peer's connections take them out. A frame is shared by the lanes it is
//! in, so that a message for a thousand peers is in memory once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use thiserror::Error;
use tokio::time::Instant;

use crate::metrics::PushMetrics;

/// Frames that wait for one peer.
const MAX_FRAMES: usize = 256;
/// Bytes that wait for one peer. One frame may always wait, however large.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Pushes that fail in a row before nothing more is pushed to a peer.
const MAX_FAILURES: u32 = 3;
/// How long a push may take once its turn has come, as in nwaku and go-waku.
const PUSH_WITHIN: Duration = Duration::from_secs(20);

/// A frame that was not put into a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NotPushed {
    #[error("the peer is not connected")]
    NotConnected,
    #[error("too much waits for the peer")]
    Full,
    #[error("the peer did not take what was pushed to it last")]
    Failing,
}

/// The lanes of all connected peers. A clone is the same lanes.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    of_peers: Arc<Mutex<HashMap<PeerId, Arc<Lane>>>>,
    /// For how long pushes may fail before nothing more is pushed to a peer.
    give_up_after: Duration,
    metrics: PushMetrics,
}

impl Lanes {
    pub(super) fn new(give_up_after: Duration, metrics: PushMetrics) -> Self {
        Self { of_peers: Arc::default(), give_up_after, metrics }
    }

    /// Puts a frame into a peer's lane.
    pub(crate) fn push(&self, peer: &PeerId, frame: &Bytes) -> Result<(), NotPushed> {
        // Not within the lane's lock: a seat that is given up takes both in this order too.
        let lane = self.lanes().get(peer).map(Arc::clone);
        let outcome = lane.map_or(Err(NotPushed::NotConnected), |lane| lane.push(frame));
        if outcome == Err(NotPushed::Full) {
            self.metrics.dropped.increment();
        }
        outcome
    }

    /// Pushes to a peer again whose pushes failed.
    pub(crate) fn forgive(&self, peer: &PeerId) {
        if let Some(lane) = self.lanes().get(peer) {
            lane.state().failing = None;
        }
    }

    /// True for connected peers.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.lanes().contains_key(peer)
    }

    /// A seat at a peer's lane for one of its connections.
    pub(super) fn enter(&self, peer: PeerId) -> Seat {
        let mut lanes = self.lanes();
        let lane = lanes
            .entry(peer)
            .or_insert_with(|| Arc::new(Lane::new(self.give_up_after, self.metrics.clone())));
        let mut state = lane.state();
        state.seats += 1;
        state.next_seat += 1;
        let number = state.next_seat;
        drop(state);
        Seat { peer, number, lane: Arc::clone(lane), lanes: self.clone() }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<PeerId, Arc<Lane>>> {
        // Nothing panics while it holds the lock.
        self.of_peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits for one peer.
#[derive(Debug)]
pub(crate) struct Lane {
    state: Mutex<State>,
    give_up_after: Duration,
    metrics: PushMetrics,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    failing: Option<Failing>,
    seats: usize,
    next_seat: u64,
    /// Seats that wait for a frame.
    waiting: Vec<(u64, Waker)>,
}

/// Pushes that failed in a row.
#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
    failures: u32,
}

impl Lane {
    fn new(give_up_after: Duration, metrics: PushMetrics) -> Self {
        Self { state: Mutex::default(), give_up_after, metrics }
    }

    fn push(&self, frame: &Bytes) -> Result<(), NotPushed> {
        let mut state = self.state();
        // The last seat was given up since the lane was looked up.
        if state.seats == 0 {
            return Err(NotPushed::NotConnected);
        }
        if self.has_failed(&state) {
            return Err(NotPushed::Failing);
        }
        let bytes = state.bytes + frame.len();
        if state.frames.len() >= MAX_FRAMES || (bytes > MAX_BYTES && !state.frames.is_empty()) {
            return Err(NotPushed::Full);
        }
        state.bytes = bytes;
        state.frames.push_back(frame.clone());
        // All: the connection whose turn it would be may be dead.
        for (_, waker) in state.waiting.drain(..) {
            waker.wake();
        }
        Ok(())
    }

    fn on_sent(&self) {
        self.metrics.sent.increment();
        self.state().failing = None;
    }

    fn on_failed(&self) {
        self.metrics.failed.increment();
        let mut state = self.state();
        let now = Instant::now();
        let failing = state.failing.get_or_insert(Failing { since: now, last: now, failures: 0 });
        failing.last = now;
        failing.failures = failing.failures.saturating_add(1);
        if self.has_failed(&state) {
            self.clear(&mut state);
        }
    }

    /// Whether pushes go on failing: one that comes long after a burst of failures has yet to fail.
    fn has_failed(&self, state: &State) -> bool {
        state.failing.is_some_and(|failing| {
            failing.failures >= MAX_FAILURES && failing.last - failing.since >= self.give_up_after
        })
    }

    fn clear(&self, state: &mut State) {
        self.metrics.dropped.add(state.frames.len() as u64);
        state.frames = VecDeque::new();
        state.bytes = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place at its peer's lane.
#[derive(Debug)]
pub(crate) struct Seat {
    peer: PeerId,
    number: u64,
    lane: Arc<Lane>,
    lanes: Lanes,
}

impl Seat {
    /// The frame whose turn it is.
    pub(super) fn poll_take(&self, context: &Context<'_>) -> Poll<Frame> {
        let mut state = self.lane.state();
        state.waiting.retain(|(number, _)| *number != self.number);
        let Some(bytes) = state.frames.pop_front() else {
            state.waiting.push((self.number, context.waker().clone()));
            return Poll::Pending;
        };
        state.bytes -= bytes.len();
        let deadline = Instant::now() + PUSH_WITHIN;
        Poll::Ready(Frame { bytes, deadline, lane: Arc::clone(&self.lane), is_sent: false })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lanes();
        let mut state = self.lane.state();
        state.seats -= 1;
        state.waiting.retain(|(number, _)| *number != self.number);
        if state.seats == 0 {
            self.lane.clear(&mut state);
            lanes.remove(&self.peer);
        }
    }
}

/// A frame on its way. Dropped before it is [sent](Frame::sent), it has failed.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    pub(super) deadline: Instant,
    lane: Arc<Lane>,
    is_sent: bool,
}

impl Frame {
    /// The peer has taken it, as far as can be known.
    pub(super) fn sent(mut self) {
        self.is_sent = true;
        self.lane.on_sent();
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if !self.is_sent {
            self.lane.on_failed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(seat: &Seat) -> Option<Frame> {
        match seat.poll_take(&Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        }
    }

    const FAILING_FOR: Duration = Duration::from_secs(10);

    fn scene() -> (Lanes, PeerId, Seat, PushMetrics) {
        let metrics = PushMetrics::default();
        let (lanes, peer) = (Lanes::new(FAILING_FOR, metrics.clone()), PeerId::random());
        let seat = lanes.enter(peer);
        (lanes, peer, seat, metrics)
    }

    #[test]
    fn a_peer_gets_its_frames_in_order() {
        let (lanes, peer, seat, metrics) = scene();
        for text in ["one", "two"] {
            lanes.push(&peer, &Bytes::from(text)).unwrap();
        }
        for text in ["one", "two"] {
            let frame = take(&seat).unwrap();
            assert_eq!(frame.bytes, text);
            frame.sent();
        }
        assert!(take(&seat).is_none());
        assert_eq!((metrics.sent.get(), metrics.failed.get()), (2, 0));
    }

    #[test]
    fn a_full_lane_takes_no_more_and_leaves_the_others_alone() {
        let (lanes, slow, seat, metrics) = scene();
        let (other, frame) = (PeerId::random(), Bytes::from_static(b"frame"));
        let other_seat = lanes.enter(other);
        for _ in 0..MAX_FRAMES {
            lanes.push(&slow, &frame).unwrap();
        }
        assert_eq!(lanes.push(&slow, &frame), Err(NotPushed::Full));
        assert_eq!(metrics.dropped.get(), 1);
        assert_eq!(lanes.push(&other, &frame), Ok(()));
        assert!(take(&other_seat).is_some());
        assert!(take(&seat).is_some());
        assert_eq!(lanes.push(&slow, &frame), Ok(()));
    }

    #[test]
    fn the_bytes_in_a_lane_are_bounded_but_one_frame_always_fits() {
        let (lanes, peer, _seat, _) = scene();
        let huge = Bytes::from(vec![0; MAX_BYTES + 1]);
        assert_eq!(lanes.push(&peer, &huge), Ok(()));
        assert_eq!(lanes.push(&peer, &Bytes::from_static(b"x")), Err(NotPushed::Full));
    }

    #[tokio::test(start_paused = true)]
    async fn after_three_failures_in_a_row_over_ten_seconds_nothing_is_pushed_until_it_is_forgiven() {
        let (lanes, peer, seat, metrics) = scene();
        let frame = Bytes::from_static(b"frame");
        let fail = |times: u32| {
            for _ in 0..times {
                lanes.push(&peer, &frame).unwrap();
                drop(take(&seat).unwrap());
            }
        };
        fail(MAX_FAILURES - 1);
        lanes.push(&peer, &frame).unwrap();
        take(&seat).unwrap().sent();
        fail(MAX_FAILURES - 1);
        tokio::time::advance(FAILING_FOR).await;
        for _ in 0..3 {
            lanes.push(&peer, &frame).unwrap();
        }
        drop(take(&seat).unwrap());
        assert_eq!(lanes.push(&peer, &frame), Err(NotPushed::Failing));
        assert!(take(&seat).is_none());
        assert_eq!((metrics.failed.get(), metrics.dropped.get()), (5, 2));

        lanes.forgive(&peer);
        assert_eq!(lanes.push(&peer, &frame), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_that_fails_is_forgotten_with_the_next_push_that_does_not() {
        let (lanes, peer, seat, _) = scene();
        let frame = Bytes::from_static(b"frame");
        let push = || {
            lanes.push(&peer, &frame).unwrap();
            take(&seat).unwrap()
        };
        for _ in 0..10 * MAX_FAILURES {
            drop(push());
        }
        tokio::time::advance(2 * FAILING_FOR).await;
        push().sent();
        for _ in 0..10 * MAX_FAILURES {
            drop(push());
        }
        assert_eq!(lanes.push(&peer, &frame), Ok(()));
    }

    #[test]
    fn a_lane_is_there_as_long_as_the_peer_has_a_connection() {
        let (lanes, peer, first, metrics) = scene();
        let second = lanes.enter(peer);
        let frame = Bytes::from_static(b"frame");
        drop(first);
        assert_eq!(lanes.push(&peer, &frame), Ok(()));
        assert_eq!(take(&second).unwrap().bytes, frame);
        lanes.push(&peer, &frame).unwrap();
        drop(second);
        assert!(!lanes.has(&peer));
        assert_eq!(lanes.push(&peer, &frame), Err(NotPushed::NotConnected));
        // The one in the lane; the one taken before counts as failed.
        assert_eq!((metrics.dropped.get(), metrics.failed.get()), (1, 1));
    }

    #[test]
    fn every_connection_that_waits_is_woken() {
        let (lanes, peer, first, _) = scene();
        let second = lanes.enter(peer);
        let (awake, dead) = (futures::task::noop_waker(), counting_waker());
        assert!(first.poll_take(&Context::from_waker(&dead.1)).is_pending());
        assert!(second.poll_take(&Context::from_waker(&awake)).is_pending());
        lanes.push(&peer, &Bytes::from_static(b"frame")).unwrap();
        assert_eq!(dead.0.get(), 1);
        assert!(take(&second).is_some());
    }

    /// A waker, and how often it has woken.
    fn counting_waker() -> (crate::metrics::Counter, Waker) {
        struct Count(crate::metrics::Counter);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.increment();
            }
        }
        let count = crate::metrics::Counter::default();
        (count.clone(), Waker::from(Arc::new(Count(count))))
    }
}
