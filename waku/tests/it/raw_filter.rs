//! A filter peer that is not ours: plain libp2p, which serves and reads as a test wants it to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::request_response::{self, Event, Message, OutboundFailure, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};
use tokio::sync::mpsc;
use waku::proto::filter::{MessagePush, Status, SubscribeRequest, SubscribeResponse};
use waku::proto::framing::Decoder;
use waku::proto::{Wire as _, framing, protocol_id};

use super::raw_peer::Muxer;
use super::scene::within;

const FRAME_LIMIT: usize = 1024 * 1024;

/// How the peer reads what is pushed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// One frame of each stream, which it closes then: go-waku.
    One,
    /// Frame after frame, without ever closing its own end: js-waku.
    All,
    /// Nothing, though it takes streams.
    Nothing,
    /// It does not take streams.
    Refuses,
}

/// What the peer saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Connected,
    Disconnected,
    /// A frame that was pushed, and on which of the streams.
    Pushed {
        message: MessagePush,
        stream: u64,
    },
    /// A request that came, answered with success.
    Request(SubscribeRequest),
    /// What came back to a request until its end.
    Answer(io::Result<Vec<u8>>),
    /// A push stream of ours was closed or refused by the other side.
    PushEnded,
}

/// Bytes for a stream as they come; it stays open as long as the sender.
pub(crate) type Feed = mpsc::Sender<Vec<u8>>;

enum Order {
    Dial(Multiaddr),
    /// Opens a filter-subscribe stream, writes these bytes and closes; `None` keeps it open and silent.
    Ask(PeerId, Option<Vec<u8>>),
    /// Opens a filter-push stream.
    Push(PeerId, mpsc::Receiver<Vec<u8>>),
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    metadata: request_response::Behaviour<AskCodec>,
    subscribe: request_response::Behaviour<AskCodec>,
    push: request_response::Behaviour<PushCodec>,
}

pub(crate) struct RawFilter {
    pub(crate) peer_id: PeerId,
    orders: mpsc::Sender<Order>,
    seen: mpsc::Receiver<Seen>,
}

impl RawFilter {
    pub(crate) fn spawn(muxer: Muxer, reads: Reads) -> Self {
        let (seen_queue, seen) = mpsc::channel(4096);
        let (orders, order_queue) = mpsc::channel(64);
        let swarm = swarm(muxer, &PushCodec { reads, seen: seen_queue.clone(), streams: Arc::default() });
        let peer_id = *swarm.local_peer_id();
        tokio::spawn(run(swarm, order_queue, seen_queue));
        Self { peer_id, orders, seen }
    }

    /// A peer that has dialled a node.
    pub(crate) async fn connected(muxer: Muxer, reads: Reads, address: Multiaddr) -> Self {
        let mut peer = Self::spawn(muxer, reads);
        peer.order(Order::Dial(address)).await;
        peer.until("a connection", |seen| matches!(seen, Seen::Connected).then_some(())).await;
        peer
    }

    async fn order(&self, order: Order) {
        assert!(self.orders.send(order).await.is_ok(), "the raw peer has stopped");
    }

    /// Asks with raw bytes, and returns the raw answer.
    pub(crate) async fn ask_raw(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.order(Order::Ask(peer, Some(bytes.to_vec()))).await;
        self.until("an answer", |seen| if let Seen::Answer(answer) = seen { Some(answer) } else { None })
            .await
    }

    pub(crate) async fn ask(&mut self, peer: PeerId, request: SubscribeRequest) -> SubscribeResponse {
        let answer = self.ask_raw(peer, &framing::encode(&request.encode())).await.unwrap();
        response(&answer)
    }

    /// Opens a stream for a request and says nothing on it.
    pub(crate) async fn open_silent(&self, peer: PeerId) {
        self.order(Order::Ask(peer, None)).await;
    }

    /// Opens a push stream.
    pub(crate) async fn open_push(&self, peer: PeerId) -> Feed {
        let (feed, bytes) = mpsc::channel(256);
        self.order(Order::Push(peer, bytes)).await;
        feed
    }

    /// The first thing seen that `pick` picks; what comes before it is dropped.
    pub(crate) async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = pick(self.seen.recv().await.expect("the raw peer has stopped")) {
                    return found;
                }
            }
        };
        within(what, search).await
    }

    /// The next frame pushed, and on which stream.
    pub(crate) async fn pushed(&mut self) -> (MessagePush, u64) {
        let pick = |seen| match seen {
            Seen::Pushed { message, stream } => Some((message, stream)),
            _ => None,
        };
        self.until("a push", pick).await
    }

    pub(crate) async fn request(&mut self) -> SubscribeRequest {
        self.until("a request", |seen| if let Seen::Request(request) = seen { Some(request) } else { None })
            .await
    }
}

/// The one answer in what came back.
pub(crate) fn response(bytes: &[u8]) -> SubscribeResponse {
    let mut decoder = Decoder::new(FRAME_LIMIT);
    decoder.feed(bytes);
    let response = decoder.next_message().unwrap().expect("no whole frame came back");
    assert!(decoder.is_empty(), "more than one frame came back");
    SubscribeResponse::decode(response).unwrap()
}

fn swarm(muxer: Muxer, push: &PushCodec) -> Swarm<Behaviour> {
    let builder = SwarmBuilder::with_new_identity().with_tokio();
    let config = || {
        request_response::Config::default()
            .with_request_timeout(Duration::from_secs(60))
            .with_max_concurrent_streams(1000)
    };
    let protocol = |id| [(StreamProtocol::new(id), ProtocolSupport::Full)];
    let takes = if push.reads == Reads::Refuses { ProtocolSupport::Outbound } else { ProtocolSupport::Full };
    let push_protocol = [(StreamProtocol::new(protocol_id::FILTER_PUSH), takes)];
    let behaviour = |key: &libp2p::identity::Keypair| Behaviour {
        identify: identify::Behaviour::new(identify::Config::new("raw/1".to_owned(), key.public())),
        metadata: request_response::Behaviour::new(protocol(protocol_id::METADATA), config()),
        subscribe: request_response::Behaviour::new(protocol(protocol_id::FILTER_SUBSCRIBE), config()),
        push: request_response::Behaviour::with_codec(push.clone(), push_protocol.clone(), config()),
    };
    match muxer {
        Muxer::Yamux => builder
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build(),
        Muxer::Mplex => builder
            .with_tcp(tcp::Config::default(), noise::Config::new, libp2p_mplex::Config::new)
            .unwrap()
            .with_behaviour(behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build(),
    }
}

async fn run(mut swarm: Swarm<Behaviour>, mut orders: mpsc::Receiver<Order>, seen: mpsc::Sender<Seen>) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Dial(address)) => swarm.dial(address).unwrap(),
                Some(Order::Ask(peer, bytes)) => {
                    swarm.behaviour_mut().subscribe.send_request(&peer, bytes);
                }
                Some(Order::Push(peer, bytes)) => {
                    swarm.behaviour_mut().push.send_request(&peer, Some(bytes));
                }
                None => return,
            },
            event = swarm.select_next_some() => {
                if let Some(what) = look_at(&mut swarm, event) && seen.send(what).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn look_at(swarm: &mut Swarm<Behaviour>, event: SwarmEvent<BehaviourEvent>) -> Option<Seen> {
    match event {
        SwarmEvent::ConnectionEstablished { .. } => Some(Seen::Connected),
        SwarmEvent::ConnectionClosed { .. } => Some(Seen::Disconnected),
        SwarmEvent::Behaviour(BehaviourEvent::Metadata(Event::Message {
            message: Message::Request { channel, .. },
            ..
        })) => {
            // Cluster 0 and no shards, as js-waku.
            _ = swarm.behaviour_mut().metadata.send_response(channel, vec![0x02, 0x08, 0x00]);
            None
        }
        SwarmEvent::Behaviour(BehaviourEvent::Subscribe(Event::Message { message, .. })) => match message {
            Message::Request { request, channel, .. } => {
                let mut decoder = Decoder::new(FRAME_LIMIT);
                decoder.feed(&request.unwrap_or_default());
                let request = SubscribeRequest::decode(decoder.next_message().ok()??).ok()?;
                let request_id = request.request_id.clone();
                let answer = SubscribeResponse { request_id, status: Status::Ok, status_desc: None };
                let answer = framing::encode(&answer.encode()).to_vec();
                _ = swarm.behaviour_mut().subscribe.send_response(channel, answer);
                Some(Seen::Request(request))
            }
            Message::Response { response, .. } => Some(Seen::Answer(Ok(response))),
        },
        SwarmEvent::Behaviour(BehaviourEvent::Subscribe(Event::OutboundFailure {
            error: OutboundFailure::Io(error),
            ..
        })) => Some(Seen::Answer(Err(error))),
        SwarmEvent::Behaviour(BehaviourEvent::Push(
            Event::OutboundFailure { .. } | Event::Message { message: Message::Response { .. }, .. },
        )) => Some(Seen::PushEnded),
        _ => None,
    }
}

/// Bytes as they are, each direction until its end.
#[derive(Debug, Clone, Default)]
struct AskCodec;

impl request_response::Codec for AskCodec {
    type Protocol = StreamProtocol;
    type Request = Option<Vec<u8>>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Option<Vec<u8>>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_to_end(stream).await.map(Some)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_to_end(stream).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        request: Option<Vec<u8>>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            Some(bytes) => stream.write_all(&bytes).await,
            None => std::future::pending().await,
        }
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        stream.write_all(&response).await
    }
}

async fn read_to_end<T: AsyncRead + Unpin>(stream: &mut T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(FRAME_LIMIT as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Pushes: outbound what is fed, inbound as the peer reads.
#[derive(Debug, Clone)]
struct PushCodec {
    reads: Reads,
    seen: mpsc::Sender<Seen>,
    /// Inbound streams so far.
    streams: Arc<AtomicU64>,
}

impl request_response::Codec for PushCodec {
    type Protocol = StreamProtocol;
    type Request = Option<mpsc::Receiver<Vec<u8>>>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let mut decoder = Decoder::new(FRAME_LIMIT);
        let mut piece = [0; 4096];
        if self.reads == Reads::Nothing {
            return std::future::pending().await;
        }
        loop {
            while let Some(frame) = decoder.next_message().map_err(io::Error::other)? {
                let message = MessagePush::decode(frame).map_err(io::Error::other)?;
                _ = self.seen.send(Seen::Pushed { message, stream: number }).await;
                if self.reads == Reads::One {
                    return Ok(None);
                }
            }
            match stream.read(&mut piece).await? {
                // Its own end stays open.
                0 => return std::future::pending().await,
                len => decoder.feed(&piece[..len]),
            }
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_to_end(stream).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        feed: Self::Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let mut feed = feed.ok_or(io::ErrorKind::InvalidInput)?;
        while let Some(bytes) = feed.recv().await {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
        }
        Ok(())
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}
