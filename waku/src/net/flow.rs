//! How much waits for each peer in gossipsub's send queues.
//!
//! Gossipsub drops what does not fit into a peer's queue, and does not tell how full it is. So both ends are
//! counted: what the router puts in, and the frames that leave on the stream this node opens for the relay,
//! which is watched where it enters the muxer. The router cannot know all of what gossipsub leaves out, for
//! example because the peer has sent the same message meanwhile: the count is never too low by that, and is
//! set right whenever the stream has rested with nothing to write.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncWrite};
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};

use super::frames::Frames;
use crate::metrics::Metrics;
use crate::relay::behaviour::SEND_QUEUE_LEN;

/// A queue with so many messages is on its way to be full: a quarter of its length.
const MANY_MESSAGES: usize = SEND_QUEUE_LEN / 4;
/// A queue with so many bytes takes too much memory.
const MANY_BYTES: usize = 16 * 1024 * 1024;
/// A stream that could take bytes and got none for so long has an empty queue. The scheduler makes shorter
/// pauses.
const RESTED: Duration = Duration::from_millis(50);

/// The relay streams of a node, by peer: the connections of one share a queue.
#[derive(Debug, Clone)]
pub(crate) struct Flows {
    peers: Arc<Mutex<HashMap<PeerId, Arc<Mutex<Flow>>>>>,
    metrics: Arc<Metrics>,
}

/// What waits for one peer.
#[derive(Debug)]
struct Flow {
    messages: usize,
    bytes: usize,
    /// The stream takes nothing now.
    is_blocked: bool,
    /// When something was put in or left.
    moved: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock, and the counts are sound between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flows {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { peers: Arc::default(), metrics }
    }

    /// Watches a connection's streams from here on.
    pub(crate) fn watch(&self, peer: PeerId, muxer: StreamMuxerBox) -> StreamMuxerBox {
        let mut flows = lock(&self.peers);
        // Those that no connection has any more.
        flows.retain(|_, flow| Arc::strong_count(flow) > 1);
        let flow = flows.entry(peer).or_insert_with(|| Arc::new(Mutex::new(Flow::new(Instant::now()))));
        StreamMuxerBox::new(Watched { muxer, flow: Arc::clone(flow), metrics: Arc::clone(&self.metrics) })
    }

    /// A message of so many bytes was queued for these peers. Returns those for whom too much waits.
    pub(crate) fn queued<'a>(
        &self,
        peers: impl Iterator<Item = &'a PeerId>,
        bytes: usize,
        now: Instant,
    ) -> Vec<PeerId> {
        let flows = lock(&self.peers);
        let mut behind = Vec::new();
        for peer in peers {
            if let Some(flow) = flows.get(peer) {
                let mut flow = lock(flow);
                flow.queued(bytes, now);
                if flow.is_behind(now) {
                    behind.push(*peer);
                }
            }
        }
        behind
    }

    /// True while too much waits for a peer.
    pub(crate) fn is_behind(&self, peer: &PeerId, now: Instant) -> bool {
        lock(&self.peers).get(peer).is_some_and(|flow| lock(flow).is_behind(now))
    }
}

impl Flow {
    fn new(now: Instant) -> Self {
        Self { messages: 0, bytes: 0, is_blocked: false, moved: now }
    }

    fn queued(&mut self, bytes: usize, now: Instant) {
        // Before the first message leaves, the stream has to be opened.
        if self.messages == 0 {
            self.moved = now;
        }
        self.messages += 1;
        self.bytes += bytes;
    }

    fn left(&mut self, messages: usize, bytes: usize, now: Instant) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.moved = now;
    }

    fn is_behind(&mut self, now: Instant) -> bool {
        if !self.is_blocked && now.saturating_duration_since(self.moved) >= RESTED {
            (self.messages, self.bytes) = (0, 0);
        }
        self.messages >= MANY_MESSAGES || self.bytes >= MANY_BYTES
    }
}

/// A connection whose outbound relay stream is watched.
struct Watched {
    muxer: StreamMuxerBox,
    flow: Arc<Mutex<Flow>>,
    metrics: Arc<Metrics>,
}

impl StreamMuxer for Watched {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let metrics = Arc::clone(&self.metrics);
        let stream = Pin::new(&mut self.muxer).poll_inbound(context);
        stream.map_ok(|stream| Stream { inner: stream, relay: None, metrics })
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let relay = Some((Frames::default(), Arc::clone(&self.flow)));
        let metrics = Arc::clone(&self.metrics);
        let stream = Pin::new(&mut self.muxer).poll_outbound(context);
        stream.map_ok(|stream| Stream { inner: stream, relay, metrics })
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.muxer).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.muxer).poll(context)
    }
}

/// A stream, watched as long as it may be the relay's.
struct Stream {
    inner: SubstreamBox,
    relay: Option<(Frames, Arc<Mutex<Flow>>)>,
    metrics: Arc<Metrics>,
}

impl Stream {
    fn wrote(&mut self, bytes: &[u8], outcome: &Poll<io::Result<usize>>) {
        let Some((frames, flow)) = &mut self.relay else {
            return;
        };
        if let Poll::Ready(Ok(len)) = outcome {
            let published = frames.wrote(bytes.get(..*len).unwrap_or_default());
            if frames.are_of_another_protocol() {
                self.relay = None;
                return;
            }
            if published.messages > 0 {
                lock(flow).left(published.messages, published.bytes, Instant::now());
            }
        }
        let mut flow = lock(flow);
        if flow.is_blocked != outcome.is_pending() {
            flow.is_blocked = outcome.is_pending();
            flow.moved = Instant::now();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some((_, flow)) = &self.relay {
            lock(flow).is_blocked = false;
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_read(context, bytes);
        if let Poll::Ready(Ok(len)) = outcome {
            self.metrics.stream_bytes_received.add(len as u64);
        }
        outcome
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(len)) = outcome {
            self.metrics.stream_bytes_sent.add(len as u64);
        }
        self.wrote(bytes, &outcome);
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(now: Instant) -> Flow {
        let mut flow = Flow::new(now);
        for _ in 0..MANY_MESSAGES {
            assert!(!flow.is_behind(now));
            flow.queued(1, now);
        }
        flow
    }

    #[test]
    fn a_peer_is_behind_from_so_many_messages_on() {
        let now = Instant::now();
        let mut flow = filled(now);
        assert!(flow.is_behind(now));
        flow.left(1, 1, now);
        assert!(!flow.is_behind(now));
    }

    #[test]
    fn a_peer_is_behind_from_so_many_bytes_on() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        flow.queued(MANY_BYTES, now);
        assert!(flow.is_behind(now));
        flow.left(1, MANY_BYTES, now);
        assert!(!flow.is_behind(now));
    }

    #[test]
    fn a_stream_that_rests_has_an_empty_queue_and_a_blocked_one_has_not() {
        let now = Instant::now();
        let mut flow = filled(now);
        assert!(flow.is_behind(now + RESTED / 2));
        flow.is_blocked = true;
        assert!(flow.is_behind(now + 2 * RESTED));
        flow.is_blocked = false;
        assert!(!flow.is_behind(now + 2 * RESTED));
        assert_eq!((flow.messages, flow.bytes), (0, 0));
    }

    #[test]
    fn more_may_leave_than_was_seen_to_be_queued() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        flow.queued(1, now);
        flow.left(3, 100, now);
        assert_eq!((flow.messages, flow.bytes), (0, 0));
    }
}
