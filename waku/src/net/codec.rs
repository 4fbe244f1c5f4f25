//! Frames on the streams of the request and response protocols.
//!
//! One frame per direction: an unsigned-varint length, then one protobuf message. The length is checked
//! against a limit before anything is allocated for the message.

use std::io;
use std::marker::PhantomData;
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response};
use thiserror::Error;
use tokio::time::timeout;
use waku_proto::framing::{self, Decoder, FrameError};
use waku_proto::{Wire, WireError};

use crate::metrics::Counter;

/// A protocol of one request and one response.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// Its libp2p protocol id.
    const ID: &'static str;
    /// What the client asks.
    type Request: Wire + Send;
    /// What the server answers.
    type Response: Wire + Send;
}

/// A request that came whole, or why it makes no sense.
pub(crate) type Incoming<R> = Result<R, BadRequest>;

/// A request that makes no sense; its sender is told so in the words of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BadRequest {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Message(#[from] WireError),
}

/// What a protocol's streams may take.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest request, in bytes.
    pub(crate) max_request: usize,
    /// Largest response, in bytes.
    pub(crate) max_response: usize,
    /// How long an inbound stream may stay silent: js-waku opens streams long before it uses them.
    pub(crate) first_byte: Duration,
    /// How long everything after the first byte may take, and how long an answer is waited for.
    pub(crate) exchange: Duration,
    /// Open streams of the protocol on one connection, both directions.
    pub(crate) streams: usize,
}

/// Reads and writes the frames of protocol `P`.
pub(crate) struct Codec<P> {
    limits: Limits,
    /// Inbound streams that brought no request. The behaviour around the codec does not report them.
    unread: Counter,
    protocol: PhantomData<fn() -> P>,
}

impl<P> Codec<P> {
    pub(crate) fn new(limits: Limits, unread: Counter) -> Self {
        Self { limits, unread, protocol: PhantomData }
    }
}

impl<P> Clone for Codec<P> {
    fn clone(&self) -> Self {
        Self::new(self.limits.clone(), self.unread.clone())
    }
}

impl<P: Protocol> request_response::Codec for Codec<P> {
    type Protocol = StreamProtocol;
    type Request = Incoming<P::Request>;
    type Response = P::Response;

    async fn read_request<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
    ) -> io::Result<Incoming<P::Request>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let awaited = Awaited(&self.unread);
        let mut first = [0];
        within(self.limits.first_byte, stream.read_exact(&mut first)).await?;
        let request = within(self.limits.exchange, read(stream, &first, self.limits.max_request)).await?;
        awaited.came();
        Ok(request)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<P::Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        within(self.limits.exchange, read(stream, &[], self.limits.max_response)).await?.map_err(invalid)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        request: Incoming<P::Request>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        within(self.limits.exchange, write(stream, request.map_err(invalid)?.encode())).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        response: P::Response,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        within(self.limits.exchange, write(stream, response.encode())).await
    }
}

/// A request on its way. Counted if it never comes, also when its stream is dropped with the connection.
struct Awaited<'a>(&'a Counter);

impl Awaited<'_> {
    fn came(self) {
        mem::forget(self);
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.increment();
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("the peer was silent for {limit:?}")))?
}

/// Reads one frame that begins with `start`. What follows it is of no interest.
async fn read<T, M>(stream: &mut T, start: &[u8], limit: usize) -> io::Result<Incoming<M>>
where
    T: AsyncRead + Unpin,
    M: Wire,
{
    let mut decoder = Decoder::new(limit);
    decoder.feed(start);
    let mut piece = [0; 4096];
    loop {
        match decoder.next_message() {
            Ok(Some(message)) => return Ok(M::decode(message).map_err(Into::into)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error.into())),
        }
        let read = match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => piece.get(..len).unwrap_or_default(),
        };
        decoder.feed(read);
    }
}

async fn write<T: AsyncWrite + Unpin>(stream: &mut T, message: Bytes) -> io::Result<()> {
    stream.write_all(&framing::encode(&message)).await?;
    stream.flush().await
}

fn invalid(error: impl core::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::io::Cursor;
    use libp2p::request_response::Codec as _;
    use waku_proto::metadata::Metadata;

    use super::*;

    struct Echo;

    impl Protocol for Echo {
        const ID: &'static str = "/test/1";
        type Request = Metadata;
        type Response = Metadata;
    }

    const ID: StreamProtocol = StreamProtocol::new(Echo::ID);

    fn codec(max_request: usize) -> Codec<Echo> {
        let long = Duration::from_secs(30);
        let limits = Limits { max_request, max_response: 16, first_byte: long, exchange: long, streams: 1 };
        Codec::new(limits, Counter::default())
    }

    async fn read_request(bytes: &[u8], limit: usize) -> io::Result<Incoming<Metadata>> {
        codec(limit).read_request(&ID, &mut Cursor::new(bytes)).await
    }

    #[tokio::test]
    async fn writes_one_frame_that_it_reads_again() {
        let metadata = Metadata { cluster: Some(1), shards: vec![0, 1] };
        let mut stream = Cursor::new(Vec::new());
        codec(16).write_request(&ID, &mut stream, Ok(metadata.clone())).await.unwrap();
        let bytes = stream.into_inner();
        assert_eq!(bytes, b"\x0a\x08\x01\x10\x00\x10\x01\x1a\x02\x00\x01");
        assert_eq!(read_request(&bytes, 16).await.unwrap(), Ok(metadata));
    }

    #[tokio::test]
    async fn ignores_what_follows_the_frame() {
        let read = read_request(b"\x02\x08\x01garbage", 16).await.unwrap();
        assert_eq!(read, Ok(Metadata { cluster: Some(1), shards: vec![] }));
    }

    #[tokio::test]
    async fn refuses_a_length_over_the_limit_before_the_message_comes() {
        // 2^34 bytes announced, none sent.
        let error = read_request(b"\x80\x80\x80\x80\x40", 1024).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "a frame of 17179869184 bytes was announced, at most 1024 are allowed");
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_an_error() {
        for bytes in [&b""[..], b"\x80", b"\x02\x08"] {
            assert_eq!(read_request(bytes, 16).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn counts_streams_that_bring_no_request() {
        let mut codec = codec(16);
        let unread = codec.unread.clone();
        for (bytes, counted) in [(&b""[..], 1), (b"\x02\x08", 2), (b"\x02\x08\x01", 2), (b"\x01\xff", 2)] {
            let _ = codec.read_request(&ID, &mut Cursor::new(bytes)).await;
            assert_eq!(unread.get(), counted);
        }
        let (mut silent, _kept_open) = pipe();
        codec.read_request(&ID, &mut silent).await.unwrap_err();
        assert_eq!(unread.get(), 3, "silent for too long");
        assert!(codec.read_request(&ID, &mut silent).now_or_never().is_none());
        assert_eq!(unread.get(), 4, "dropped with its connection");
    }

    #[tokio::test]
    async fn a_frame_that_is_no_message_is_told_as_such() {
        let error = read_request(b"\x01\xff", 16).await.unwrap().unwrap_err();
        assert!(matches!(error, BadRequest::Message(WireError::Malformed(_))), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_times_out() {
        let (mut stream, _kept_open) = pipe();
        let error = codec(16).read_request(&ID, &mut stream).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_silent_after_its_first_byte_times_out() {
        let (mut stream, mut peer) = pipe();
        peer.write_all(b"\x05").await.unwrap();
        let error = codec(16).read_request(&ID, &mut stream).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    /// Two ends of a stream in memory.
    fn pipe() -> (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin) {
        use tokio_util::compat::{TokioAsyncReadCompatExt as _, TokioAsyncWriteCompatExt as _};
        let (near, far) = tokio::io::duplex(64);
        (near.compat(), far.compat_write())
    }
}
