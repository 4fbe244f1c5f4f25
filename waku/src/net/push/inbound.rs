//! One connection's inbound streams: frame after frame, until each ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::AsyncRead;
use libp2p::PeerId;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;
use waku_proto::filter::MessagePush;
use waku_proto::framing::{Decoder, FrameError};
use waku_proto::{Bytes, Wire as _, WireError};

use super::{Awaited, Pushed};
use crate::metrics::PushMetrics;

/// Open streams of one connection. nwaku has one, go-waku one for each message on its way.
const MAX_STREAMS: usize = 32;
/// Most bytes read from a stream at a time.
const PIECE_LEN: usize = 8 * 1024;
/// Frames handled in a row before the connection's other protocols get their turn.
const BUDGET: u32 = 64;

/// One connection's streams, and the way to the client's inbox.
#[derive(Debug)]
pub(super) struct Inbound<S> {
    peer: PeerId,
    limit: usize,
    streams: Vec<Reading<S>>,
    /// The stream whose turn it is.
    next: usize,
    /// Counts up with everything that is read: the measure of how long a stream has been idle.
    clock: u64,
    /// What the inbox has no room for. Nothing is read meanwhile.
    waiting: Option<Pushed>,
    inbox: PollSender<Pushed>,
    awaited: Awaited,
    metrics: PushMetrics,
}

#[derive(Debug)]
struct Reading<S> {
    stream: S,
    decoder: Decoder,
    last_read: u64,
}

/// Why a stream is not read any further.
#[derive(Debug, Error)]
enum Flaw {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Message(#[from] WireError),
    #[error("it ended within a frame")]
    Truncated,
    #[error("nothing was asked of the peer")]
    Unwanted,
}

impl<S: AsyncRead + Unpin> Inbound<S> {
    pub(super) fn new(
        peer: PeerId,
        limit: usize,
        inbox: mpsc::Sender<Pushed>,
        awaited: Awaited,
        metrics: PushMetrics,
    ) -> Self {
        Self {
            peer,
            limit,
            streams: Vec::new(),
            next: 0,
            clock: 0,
            waiting: None,
            inbox: PollSender::new(inbox),
            awaited,
            metrics,
        }
    }

    /// Reads a stream from now on. Where there are too many, the one that is idle longest goes.
    pub(super) fn on_stream(&mut self, stream: S) {
        if self.streams.len() >= MAX_STREAMS {
            self.metrics.crowded.increment();
            let idle = self.streams.iter().enumerate().filter(|(_, reading)| reading.decoder.is_empty());
            let Some((oldest, _)) = idle.min_by_key(|(_, reading)| reading.last_read) else {
                return;
            };
            self.streams.remove(oldest);
        }
        self.clock += 1;
        self.streams.push(Reading { stream, decoder: Decoder::new(self.limit), last_read: self.clock });
    }

    /// Works on what has come.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BUDGET {
            if let Some(pushed) = self.waiting.take() {
                if self.inbox.poll_reserve(context).is_pending() {
                    self.waiting = Some(pushed);
                    return Poll::Pending;
                }
                // Fails when the node stops.
                _ = self.inbox.send_item(pushed);
            }
            let frame = ready!(self.poll_frame(context));
            self.on_frame(frame);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// A whole frame of any stream, in turn; the stream stays the one whose turn it is.
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        if self.streams.is_empty() {
            return Poll::Pending;
        }
        let is_awaited = self.awaited.contains(&self.peer);
        let (mut tried, mut piece) = (0, [0; PIECE_LEN]);
        while tried < self.streams.len() {
            let turn = self.next % self.streams.len();
            self.next = turn + 1;
            let Some(reading) = self.streams.get_mut(turn) else {
                break;
            };
            self.clock += 1;
            match reading.poll_frame(context, &mut piece, is_awaited, self.clock) {
                Poll::Pending => tried += 1,
                Poll::Ready(Ok(Some(frame))) => return Poll::Ready(frame),
                Poll::Ready(Ok(None)) => self.close(turn),
                Poll::Ready(Err(flaw)) => {
                    self.note(&flaw);
                    self.close(turn);
                }
            }
        }
        Poll::Pending
    }

    fn close(&mut self, turn: usize) {
        self.streams.remove(turn);
        self.next = turn;
    }

    fn on_frame(&mut self, frame: Bytes) {
        if !self.awaited.contains(&self.peer) {
            self.note(&Flaw::Unwanted);
            return;
        }
        match MessagePush::decode(frame) {
            Ok(push) => self.waiting = Some(Pushed { peer: self.peer, push }),
            Err(error) => {
                self.note(&error.into());
                // The stream that was read last.
                if let Some(turn) = self.next.checked_sub(1) {
                    self.close(turn);
                }
            }
        }
    }

    fn note(&self, flaw: &Flaw) {
        tracing::debug!(peer = %self.peer, %flaw, "push not taken");
        match flaw {
            Flaw::Unwanted => self.metrics.unwanted.increment(),
            Flaw::Frame(_) | Flaw::Message(_) | Flaw::Truncated => self.metrics.invalid.increment(),
        }
    }
}

impl<S: AsyncRead + Unpin> Reading<S> {
    /// The next whole frame; `None` at the stream's end. Of a peer that is not awaited nothing is kept
    /// beyond one piece.
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
        piece: &mut [u8],
        is_awaited: bool,
        clock: u64,
    ) -> Poll<Result<Option<Bytes>, Flaw>> {
        loop {
            if let Some(frame) = self.decoder.next_message()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if !is_awaited && !self.decoder.is_empty() {
                return Poll::Ready(Err(Flaw::Unwanted));
            }
            let read = match ready!(Pin::new(&mut self.stream).poll_read(context, piece)) {
                Ok(len) if len > 0 => piece.get(..len).unwrap_or_default(),
                Ok(_) if !self.decoder.is_empty() => return Poll::Ready(Err(Flaw::Truncated)),
                // Reset, or the connection is gone.
                Ok(_) | Err(_) => return Poll::Ready(Ok(None)),
            };
            self.last_read = clock;
            self.decoder.feed(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::future::poll_fn;

    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
    use waku_proto::{WakuMessage, framing};

    use super::*;

    struct Scene {
        inbound: Inbound<Compat<DuplexStream>>,
        inbox: mpsc::Receiver<Pushed>,
        metrics: PushMetrics,
    }

    impl Scene {
        /// An inbox for so many pushes.
        fn new(room: usize, is_awaited: bool) -> Self {
            let (metrics, awaited, peer) = (PushMetrics::default(), Awaited::default(), PeerId::random());
            let (sender, inbox) = mpsc::channel(room);
            if is_awaited {
                awaited.set(HashSet::from([peer]));
            }
            Self { inbound: Inbound::new(peer, 1024, sender, awaited, metrics.clone()), inbox, metrics }
        }

        fn open(&mut self) -> DuplexStream {
            let (near, far) = duplex(64 * 1024);
            self.inbound.on_stream(near.compat());
            far
        }

        fn settle(&mut self) {
            for _ in 0..10 {
                assert!(poll_fn(|context| self.inbound.poll(context)).now_or_never().is_none());
            }
        }

        /// The timestamps of what is in the inbox.
        fn received(&mut self) -> Vec<i64> {
            self.settle();
            std::iter::from_fn(|| self.inbox.try_recv().ok())
                .map(|pushed| pushed.push.message.timestamp.unwrap())
                .collect()
        }

        fn counted(&self) -> (u64, u64, u64) {
            (self.metrics.invalid.get(), self.metrics.unwanted.get(), self.metrics.crowded.get())
        }
    }

    fn frame(number: i64) -> Bytes {
        let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), "x", number);
        framing::encode(&MessagePush { message, pubsub_topic: "/waku/2/rs/0/0".to_owned() }.encode())
    }

    fn is_closed(stream: &mut DuplexStream) -> bool {
        stream.read(&mut [0]).now_or_never().is_some()
    }

    #[tokio::test]
    async fn reads_many_frames_of_one_stream_and_one_frame_of_many() {
        let mut scene = Scene::new(100, true);
        let mut long = scene.open();
        long.write_all(&[frame(1), frame(2), frame(3)].concat()).await.unwrap();
        assert_eq!(scene.received(), [1, 2, 3]);
        for number in 4..100 {
            let mut short = scene.open();
            short.write_all(&frame(number)).await.unwrap();
            drop(short);
            assert_eq!(scene.received(), [number]);
        }
        long.write_all(&frame(100)).await.unwrap();
        assert_eq!(scene.received(), [100]);
        assert_eq!(scene.counted(), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_frame_may_come_byte_by_byte() {
        let mut scene = Scene::new(1, true);
        let mut stream = scene.open();
        for byte in &frame(1) {
            assert!(scene.received().is_empty());
            stream.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(scene.received(), [1]);
    }

    #[tokio::test]
    async fn nothing_is_read_while_the_inbox_is_full_and_nothing_is_lost() {
        let mut scene = Scene::new(2, true);
        let (near, mut far) = duplex(2 * frame(1).len());
        scene.inbound.on_stream(near.compat());
        let mut written = 0;
        // The inbox, the one that waits, and what the pipe holds.
        while let Some(Ok(())) = far.write_all(&frame(written)).now_or_never() {
            scene.settle();
            written += 1;
            assert!(written < 100, "everything is read though nobody takes it");
        }
        let mut received = Vec::new();
        while let some @ [_, ..] = &scene.received()[..] {
            received.extend_from_slice(some);
        }
        assert_eq!(received, (0..written).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn bytes_that_are_no_push_close_their_stream_alone() {
        let mut scene = Scene::new(100, true);
        let mut good = scene.open();
        let too_long = [0x81, 0x08];
        let no_varint = [0xff; 9];
        let no_protobuf = *b"\x01\xff";
        let no_message = *b"\x02\x12\x00";
        for bytes in [&too_long[..], &no_varint, &no_protobuf, &no_message] {
            let mut bad = scene.open();
            bad.write_all(bytes).await.unwrap();
            assert!(scene.received().is_empty());
            assert!(is_closed(&mut bad), "{bytes:?}");
        }
        let mut truncated = scene.open();
        truncated.write_all(&frame(1)[..5]).await.unwrap();
        truncated.shutdown().await.unwrap();
        assert!(scene.received().is_empty());
        good.write_all(&frame(2)).await.unwrap();
        assert_eq!(scene.received(), [2]);
        assert_eq!(scene.counted(), (5, 0, 0));
    }

    #[tokio::test]
    async fn pushes_nobody_asked_for_are_counted_and_dropped() {
        let mut scene = Scene::new(100, false);
        let mut stream = scene.open();
        stream.write_all(&[frame(1), frame(2)].concat()).await.unwrap();
        assert!(scene.received().is_empty());
        assert_eq!(scene.counted(), (0, 2, 0));
        // Half a frame is not kept for later.
        stream.write_all(&frame(3)[..5]).await.unwrap();
        assert!(scene.received().is_empty());
        assert!(is_closed(&mut stream));
        assert_eq!(scene.counted(), (0, 3, 0));
    }

    #[tokio::test]
    async fn the_stream_that_is_idle_longest_makes_room_for_a_new_one() {
        let mut scene = Scene::new(100, true);
        let mut streams: Vec<_> = (0..MAX_STREAMS).map(|_| scene.open()).collect();
        scene.settle();
        streams[0].write_all(&frame(1)).await.unwrap();
        assert_eq!(scene.received(), [1]);
        let mut new = scene.open();
        new.write_all(&frame(2)).await.unwrap();
        assert_eq!(scene.received(), [2]);
        assert!(!is_closed(&mut streams[0]));
        assert!(is_closed(&mut streams[1]));
        assert_eq!(scene.counted(), (0, 0, 1));
    }

    #[tokio::test]
    async fn a_stream_too_many_is_refused_while_all_are_within_a_frame() {
        let mut scene = Scene::new(100, true);
        let mut streams: Vec<_> = (0..MAX_STREAMS).map(|_| scene.open()).collect();
        for stream in &mut streams {
            stream.write_all(&frame(1)[..5]).await.unwrap();
        }
        scene.settle();
        let mut new = scene.open();
        assert!(is_closed(&mut new));
        assert_eq!(scene.counted(), (0, 0, 1));
    }

    #[tokio::test]
    async fn streams_take_turns() {
        let mut scene = Scene::new(1, true);
        let (mut first, mut second) = (scene.open(), scene.open());
        for number in 0..3 {
            first.write_all(&frame(number)).await.unwrap();
            second.write_all(&frame(10 + number)).await.unwrap();
        }
        let mut received = Vec::new();
        while let [number] = scene.received()[..] {
            received.push(number);
        }
        assert_eq!(received, [0, 10, 1, 11, 2, 12]);
    }
}
