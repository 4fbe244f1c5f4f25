//! One connection's outbound streams.
//!
//! The first stream shows what the peer wants. It is kept open after its frame, and
//! - a peer that closes it (go-waku) gets every frame on a stream of its own, a few at a time;
//! - any other peer gets the following frames on this stream.
//!
//! Until that is known, a few more frames go on streams of their own, which everyone can read.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use tokio::time::{timeout, timeout_at};

use super::lane::{Frame, Seat};

/// Streams with a frame on its way at a time, besides the first. nim-libp2p takes ten of a protocol.
const PARALLEL: usize = 4;
/// How long the first stream is watched for its end: a round trip and what a busy go-waku needs to read.
const WATCH_FOR: Duration = Duration::from_secs(5);
/// Streams beside the first one while it is watched, that the peer has not closed. js-waku does not close its
/// end of any, and takes 32 or 100 of them, by its version.
const MAX_BESIDE: usize = 16;

/// How the peer takes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Nothing has been pushed yet.
    Unknown,
    /// The first stream is being watched.
    Watched,
    /// Each on a stream of its own.
    Single,
    /// All on one stream.
    Kept,
}

/// What a piece of work has come to.
enum Done<S> {
    /// A frame has left on its own stream, or failed to.
    Single(Option<S>),
    /// The peer has closed a stream beside the first one, or does not.
    Lingered { is_closed: bool },
    /// The first stream failed, or the kept one has ended.
    Ended,
    /// The peer has closed the first stream after its frame.
    Closed,
    /// The peer keeps the first stream open.
    Open(S),
}

type Work<S> = Pin<Box<dyn Future<Output = Done<S>> + Send>>;

/// One connection's pushes.
pub(super) struct Outbound<S> {
    seat: Arc<Seat>,
    manner: Manner,
    /// The first stream is open.
    is_watching: bool,
    beside: usize,
    /// Frames that wait for their stream.
    opening: VecDeque<Frame>,
    /// Frames being written to streams of their own.
    singles: usize,
    work: FuturesUnordered<Work<S>>,
}

impl<S> fmt::Debug for Outbound<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Outbound<S> {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat: Arc::new(seat),
            manner: Manner::Unknown,
            is_watching: false,
            beside: 0,
            opening: VecDeque::new(),
            singles: 0,
            work: FuturesUnordered::new(),
        }
    }

    /// Works; ready when a stream is to be opened.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(done)) = self.work.poll_next_unpin(context) {
            self.on_done(done);
        }
        if !self.may_open() {
            return Poll::Pending;
        }
        self.seat.poll_take(context).map(|frame| {
            match self.manner {
                Manner::Unknown => self.manner = Manner::Watched,
                Manner::Watched => self.beside += 1,
                Manner::Single | Manner::Kept => {}
            }
            self.opening.push_back(frame);
        })
    }

    fn may_open(&self) -> bool {
        let has_room = self.opening.len() + self.singles < PARALLEL;
        match self.manner {
            Manner::Unknown | Manner::Single => has_room,
            Manner::Watched => has_room && self.beside < MAX_BESIDE,
            Manner::Kept => false,
        }
    }

    fn on_done(&mut self, done: Done<S>) {
        match done {
            Done::Single(stream) => {
                self.singles -= 1;
                match stream.filter(|_| self.manner == Manner::Watched) {
                    Some(stream) => self.work.push(Box::pin(linger(stream))),
                    // Dropped, it counts no longer with the peer either.
                    None => self.beside = self.beside.saturating_sub(1),
                }
            }
            Done::Lingered { is_closed } => self.beside = self.beside.saturating_sub(is_closed.into()),
            Done::Ended => self.watched(Manner::Unknown),
            Done::Closed => self.watched(Manner::Single),
            Done::Open(stream) => {
                self.watched(Manner::Kept);
                self.work.push(Box::pin(keep(stream, Arc::clone(&self.seat))));
            }
        }
    }

    /// A stream that was asked for is open.
    pub(super) fn on_stream(&mut self, stream: S) {
        let Some(frame) = self.opening.pop_front() else {
            return;
        };
        // Frames are alike: whichever stream is open first is watched.
        if self.manner == Manner::Watched && !self.is_watching {
            self.is_watching = true;
            self.work.push(Box::pin(watch(stream, frame)));
        } else {
            self.singles += 1;
            self.work.push(Box::pin(single(stream, frame)));
        }
    }

    /// A stream that was asked for cannot be opened.
    pub(super) fn on_refused(&mut self) {
        drop(self.opening.pop_front());
        if self.manner == Manner::Watched && !self.is_watching && self.opening.is_empty() {
            self.manner = Manner::Unknown;
        }
    }

    /// The first stream, or the kept one, has shown what the peer wants.
    fn watched(&mut self, manner: Manner) {
        self.manner = manner;
        self.is_watching = false;
    }
}

/// Writes a frame to a stream of its own.
async fn single<S: AsyncWrite + Unpin>(mut stream: S, frame: Frame) -> Done<S> {
    let write = async {
        stream.write_all(&frame.bytes).await?;
        stream.close().await
    };
    if !matches!(timeout_at(frame.deadline, write).await, Ok(Ok(()))) {
        return Done::Single(None);
    }
    frame.sent();
    Done::Single(Some(stream))
}

/// Looks whether the peer closes a stream of one frame.
async fn linger<S: AsyncRead + Unpin>(mut stream: S) -> Done<S> {
    Done::Lingered { is_closed: timeout(WATCH_FOR, ended(&mut stream)).await.is_ok() }
}

/// Writes the first frame, and looks whether the peer closes the stream then.
async fn watch<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, frame: Frame) -> Done<S> {
    if !write(&mut stream, frame).await {
        return Done::Ended;
    }
    match timeout(WATCH_FOR, ended(&mut stream)).await {
        Ok(()) => {
            // The peer has had what it wants.
            _ = timeout(WATCH_FOR, stream.close()).await;
            Done::Closed
        }
        Err(_) => Done::Open(stream),
    }
}

/// Writes frame after frame, until the peer closes the stream or does not take one.
async fn keep<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, seat: Arc<Seat>) -> Done<S> {
    loop {
        let frame = tokio::select! {
            biased;
            () = ended(&mut stream) => break,
            frame = poll_fn(|context| seat.poll_take(context)) => frame,
        };
        if !write(&mut stream, frame).await {
            break;
        }
    }
    Done::Ended
}

/// Writes a frame to a stream that goes on; false when the peer did not take it.
async fn write<S: AsyncWrite + Unpin>(stream: &mut S, frame: Frame) -> bool {
    let write = async {
        stream.write_all(&frame.bytes).await?;
        stream.flush().await
    };
    let is_sent = matches!(timeout_at(frame.deadline, write).await, Ok(Ok(())));
    if is_sent {
        frame.sent();
    }
    is_sent
}

/// Waits until the peer has closed a stream, or says something on it, which is not its part.
async fn ended<S: AsyncRead + Unpin>(stream: &mut S) {
    _ = stream.read(&mut [0]).await;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt as _;
    use libp2p::PeerId;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
    use tokio::task::yield_now;
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

    use super::super::lane::Lanes;
    use super::*;
    use crate::metrics::PushMetrics;

    type End = Compat<DuplexStream>;

    struct Scene {
        lanes: Lanes,
        peer: PeerId,
        metrics: PushMetrics,
        outbound: Outbound<End>,
        /// The peer's ends, in the order of the streams.
        streams: Vec<DuplexStream>,
    }

    impl Scene {
        fn new() -> Self {
            let metrics = PushMetrics::default();
            let (lanes, peer) = (Lanes::new(Duration::from_secs(10), metrics.clone()), PeerId::random());
            let outbound = Outbound::new(lanes.enter(peer));
            Self { lanes, peer, metrics, outbound, streams: Vec::new() }
        }

        fn push(&self, count: usize) {
            for _ in 0..count {
                self.lanes.push(&self.peer, &Bytes::from_static(b"frame")).unwrap();
            }
        }

        /// Lets everything happen that can happen now, and opens streams of so many bytes.
        async fn settle(&mut self, room: usize) {
            for _ in 0..20 {
                while poll_fn(|context| self.outbound.poll(context)).now_or_never().is_some() {
                    let (near, far) = duplex(room);
                    self.outbound.on_stream(near.compat());
                    self.streams.push(far);
                }
                yield_now().await;
            }
        }

        /// What came on each stream so far.
        fn received(&mut self) -> Vec<String> {
            let mut received = Vec::new();
            for stream in &mut self.streams {
                let mut text = Vec::new();
                while let Some(Ok(len @ 1..)) = stream.read_buf(&mut text).now_or_never() {
                    assert!(len > 0);
                }
                received.push(String::from_utf8(text).unwrap());
            }
            received
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_keeps_the_first_stream_gets_all_frames_on_it() {
        let mut scene = Scene::new();
        scene.push(1);
        scene.settle(1024).await;
        tokio::time::advance(WATCH_FOR).await;
        scene.settle(1024).await;
        scene.push(3);
        scene.settle(1024).await;
        assert_eq!(scene.received(), ["frameframeframeframe"]);
        assert_eq!(scene.metrics.sent.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_closes_the_first_stream_gets_a_stream_for_each_frame() {
        let mut scene = Scene::new();
        scene.push(1);
        scene.settle(1024).await;
        assert_eq!(scene.received(), ["frame"]);
        drop(scene.streams.remove(0));
        scene.settle(1024).await;
        scene.push(3 * MAX_BESIDE);
        scene.settle(1024).await;
        assert_eq!(scene.received(), vec!["frame"; 3 * MAX_BESIDE]);
        assert_eq!(scene.metrics.sent.get(), 3 * MAX_BESIDE as u64 + 1);
        // Each is closed, so that a peer that reads to the end has it.
        assert_eq!(scene.streams[0].read(&mut [0]).now_or_never().unwrap().unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_first_stream_is_watched_only_a_few_are_opened_beside_it() {
        let mut scene = Scene::new();
        scene.push(3 * MAX_BESIDE);
        scene.settle(1024).await;
        assert_eq!(scene.received(), vec!["frame"; 1 + MAX_BESIDE]);
        tokio::time::advance(WATCH_FOR).await;
        scene.settle(1024).await;
        // The rest on the first one.
        let received = scene.received();
        assert_eq!(received[0].len(), 5 * (2 * MAX_BESIDE - 1));
        assert_eq!(scene.streams.len(), 1 + MAX_BESIDE);
        assert_eq!(scene.metrics.sent.get(), 3 * MAX_BESIDE as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_beside_the_first_one_that_the_peer_has_closed_make_room_for_more() {
        let mut scene = Scene::new();
        scene.push(1);
        scene.settle(1024).await;
        for _ in 0..4 {
            scene.push(MAX_BESIDE);
            scene.settle(1024).await;
            // The first one stays.
            scene.streams.truncate(1);
        }
        scene.settle(1024).await;
        assert_eq!(scene.metrics.sent.get(), 1 + 4 * MAX_BESIDE as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_closes_a_kept_stream_gets_another_one() {
        let mut scene = Scene::new();
        scene.push(1);
        scene.settle(1024).await;
        tokio::time::advance(WATCH_FOR).await;
        scene.settle(1024).await;
        drop(scene.streams.remove(0));
        scene.settle(1024).await;
        scene.push(1);
        scene.settle(1024).await;
        assert_eq!(scene.received(), ["frame"]);
        assert_eq!(scene.metrics.sent.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_blocks_a_few_streams_until_their_time_is_up() {
        let mut scene = Scene::new();
        scene.push(10);
        // Two bytes of a frame fit.
        scene.settle(2).await;
        assert_eq!(scene.streams.len(), 1 + PARALLEL);
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(20)).await;
            scene.settle(2).await;
        }
        assert_eq!(scene.metrics.sent.get(), 0);
        // Twenty seconds after the first failures there are more: the lane is given up.
        assert_eq!(scene.metrics.failed.get() + scene.metrics.dropped.get(), 10);
        assert!(scene.lanes.push(&scene.peer, &Bytes::from_static(b"frame")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_cannot_be_opened_is_a_failed_push() {
        let mut scene = Scene::new();
        for failures in 1..=3 {
            tokio::time::advance(Duration::from_secs(5)).await;
            scene.push(1);
            assert!(poll_fn(|context| scene.outbound.poll(context)).now_or_never().is_some());
            scene.outbound.on_refused();
            assert_eq!(scene.metrics.failed.get(), failures);
        }
        assert!(scene.lanes.push(&scene.peer, &Bytes::from_static(b"frame")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_on_its_way_when_the_connection_ends_has_failed() {
        let mut scene = Scene::new();
        scene.push(PARALLEL);
        scene.settle(2).await;
        drop(scene.outbound);
        assert_eq!(scene.metrics.failed.get(), PARALLEL as u64);
    }
}
