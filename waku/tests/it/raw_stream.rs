//! A peer that is not ours: plain libp2p, with bytes as a test wants them on the streams of any protocol.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::request_response::{self, Event, Message, OutboundFailure, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};
use tokio::sync::{mpsc, oneshot};
use waku::Node;
use waku::proto::{Bytes, Wire, framing, protocol_id};

use super::scene::{TCP, address, peers_until, within};

/// What a host does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// Answers with these bytes and closes the stream.
    Answer(Vec<u8>),
    /// Keeps the stream open.
    Silence,
    /// Closes the connection.
    Disconnect,
}

impl Reaction {
    /// Answers with a message.
    pub(crate) fn message(message: impl Wire) -> Self {
        Self::Answer(frame(message))
    }
}

/// A message as it goes over a stream.
pub(crate) fn frame(message: impl Wire) -> Vec<u8> {
    framing::encode(&message.encode()).to_vec()
}

/// The message in what came over a stream, which must be one frame and nothing else.
pub(crate) fn unframe<M: Wire>(bytes: &[u8]) -> M {
    let mut decoder = framing::Decoder::new(bytes.len());
    decoder.feed(bytes);
    let message: Bytes = decoder.next_message().unwrap().expect("the frame is not whole");
    assert!(decoder.is_empty(), "more than a frame came");
    M::decode(message).unwrap()
}

/// Says what becomes of each request to a protocol.
type Service = (&'static str, Box<dyn FnMut(Vec<u8>) -> Reaction + Send>);

/// A service, from its protocol and what it does with a request.
pub(crate) fn service(
    protocol: &'static str,
    react: impl FnMut(Vec<u8>) -> Reaction + Send + 'static,
) -> Service {
    (protocol, Box::new(react))
}

/// A host that speaks metadata for cluster 0 and identify, asks in one protocol, and serves some.
pub(crate) struct RawHost {
    pub(crate) peer_id: PeerId,
    pub(crate) address: Multiaddr,
    orders: mpsc::Sender<Order>,
}

enum Order {
    Dial(PeerId, Multiaddr, oneshot::Sender<()>),
    Ask(PeerId, Outgoing, oneshot::Sender<Result<Vec<u8>, OutboundFailure>>),
}

/// A stream to a service, on which the test writes and reads when it likes.
pub(crate) struct Talk {
    pieces: mpsc::Sender<Vec<u8>>,
    read: oneshot::Sender<()>,
    answer: oneshot::Receiver<Result<Vec<u8>, OutboundFailure>>,
}

impl Talk {
    pub(crate) async fn write(&self, piece: &[u8]) {
        self.pieces.send(piece.to_vec()).await.expect("the stream is gone");
    }

    /// Ends writing, and reads until the service closes the stream.
    pub(crate) async fn read_to_end(self) -> Result<Vec<u8>, OutboundFailure> {
        drop(self.pieces);
        let _ = self.read.send(());
        within("the end of a stream", self.answer).await.expect("the host has stopped")
    }
}

impl RawHost {
    /// A host that only asks in this protocol.
    pub(crate) async fn client(protocol: &'static str) -> Self {
        Self::spawn(protocol, Vec::new()).await
    }

    /// A host that only serves.
    pub(crate) async fn server(services: Vec<Service>) -> Self {
        Self::spawn("/none", services).await
    }

    /// A client that is connected to a node.
    pub(crate) async fn client_of(node: &Node, protocol: &'static str) -> Self {
        let host = Self::client(protocol).await;
        host.dial(node).await;
        host
    }

    async fn spawn(asks: &'static str, mut services: Vec<Service>) -> Self {
        services.push(service(protocol_id::METADATA, |_| Reaction::Answer(vec![0x02, 0x08, 0x00])));
        let mut swarm = swarm(asks, services.iter().map(|(protocol, _)| *protocol));
        swarm.listen_on(TCP.parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let peer_id = *swarm.local_peer_id();
        let (orders, order_queue) = mpsc::channel(64);
        tokio::spawn(run(swarm, services, order_queue));
        Self { peer_id, address: address.with_p2p(peer_id).unwrap(), orders }
    }

    /// Connects to a node, and waits until the node knows it.
    pub(crate) async fn dial(&self, node: &Node) {
        let (done, connected) = oneshot::channel();
        self.order(Order::Dial(node.local_peer_id(), address(node), done)).await;
        within("a connection", connected).await.expect("the host has stopped");
        peers_until(node, "a raw host", |peers| peers.get(self.peer_id).is_some()).await;
    }

    /// Opens a stream and writes nothing yet.
    pub(crate) async fn open(&self, peer: PeerId) -> Talk {
        let (pieces, source) = mpsc::channel(16);
        let (read, may_read) = oneshot::channel();
        let (answered, answer) = oneshot::channel();
        let outgoing = Outgoing { pieces: source, may_read };
        self.order(Order::Ask(peer, outgoing, answered)).await;
        Talk { pieces, read, answer }
    }

    /// Writes all of `bytes` and reads until the service closes the stream.
    pub(crate) async fn ask(&self, peer: PeerId, bytes: &[u8]) -> Result<Vec<u8>, OutboundFailure> {
        let talk = self.open(peer).await;
        talk.write(bytes).await;
        talk.read_to_end().await
    }

    async fn order(&self, order: Order) {
        assert!(self.orders.send(order).await.is_ok(), "the raw host has stopped");
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    served: request_response::Behaviour<RawCodec>,
    asked: request_response::Behaviour<RawCodec>,
}

fn swarm(asks: &'static str, services: impl Iterator<Item = &'static str>) -> Swarm<Behaviour> {
    let long = request_response::Config::default().with_request_timeout(Duration::from_secs(600));
    let inbound = services.map(|id| (StreamProtocol::new(id), ProtocolSupport::Inbound));
    let served = request_response::Behaviour::new(inbound, long.clone());
    let outbound = [(StreamProtocol::new(asks), ProtocolSupport::Outbound)];
    let asked = request_response::Behaviour::new(outbound, long);
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| {
            let identify = identify::Config::new("ipfs/0.1.0".to_owned(), key.public());
            Behaviour { identify: identify::Behaviour::new(identify), served, asked }
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}

async fn run(mut swarm: Swarm<Behaviour>, mut services: Vec<Service>, mut orders: mpsc::Receiver<Order>) {
    let mut answers = std::collections::HashMap::new();
    let mut connecting: Vec<(PeerId, oneshot::Sender<()>)> = Vec::new();
    // Streams that are kept open without an answer.
    let mut silent = Vec::new();
    loop {
        let event = tokio::select! {
            order = orders.recv() => {
                match order {
                    Some(Order::Dial(peer, address, done)) => {
                        swarm.dial(DialOpts::peer_id(peer).addresses(vec![address]).build()).unwrap();
                        connecting.push((peer, done));
                    }
                    Some(Order::Ask(peer, outgoing, answered)) => {
                        let outgoing = Request::Outgoing(Mutex::new(Some(outgoing)));
                        let id = swarm.behaviour_mut().asked.send_request(&peer, Arc::new(outgoing));
                        answers.insert(id, answered);
                    }
                    None => return,
                }
                continue;
            }
            event = swarm.select_next_some() => event,
        };
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                for (_, done) in connecting.extract_if(.., |(peer, _)| *peer == peer_id) {
                    let _ = done.send(());
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Served(Event::Message {
                peer,
                message: Message::Request { request, channel, .. },
                ..
            })) => {
                let Request::Incoming { protocol, bytes } = &*request else { continue };
                let (_, react) = services.iter_mut().find(|(id, _)| id == protocol).unwrap();
                match react(bytes.clone()) {
                    // The asker may be gone by now.
                    Reaction::Answer(bytes) => {
                        let _ = swarm.behaviour_mut().served.send_response(channel, bytes);
                    }
                    Reaction::Silence => silent.push(channel),
                    Reaction::Disconnect => {
                        let _ = swarm.disconnect_peer_id(peer);
                    }
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Asked(event)) => {
                let (id, outcome) = match event {
                    Event::Message { message: Message::Response { request_id, response }, .. } => {
                        (request_id, Ok(response))
                    }
                    Event::OutboundFailure { request_id, error, .. } => (request_id, Err(error)),
                    _ => continue,
                };
                // The test may have let go of the stream.
                let _ = answers.remove(&id).map(|answered| answered.send(outcome));
            }
            _ => {}
        }
    }
}

/// What a test writes, piece by piece, and when it begins to read.
#[derive(Debug)]
struct Outgoing {
    pieces: mpsc::Receiver<Vec<u8>>,
    may_read: oneshot::Receiver<()>,
}

#[derive(Debug)]
enum Request {
    Incoming { protocol: String, bytes: Vec<u8> },
    Outgoing(Mutex<Option<Outgoing>>),
}

/// Bytes as they are, each direction until its end.
#[derive(Default)]
struct RawCodec {
    may_read: Option<oneshot::Receiver<()>>,
}

impl Clone for RawCodec {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl request_response::Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = Arc<Request>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, protocol: &StreamProtocol, stream: &mut T) -> io::Result<Arc<Request>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let bytes = read_to_end(stream).await?;
        Ok(Arc::new(Request::Incoming { protocol: protocol.to_string(), bytes }))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        if let Some(may_read) = self.may_read.take() {
            let _ = may_read.await;
        }
        read_to_end(stream).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        request: Arc<Request>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let Request::Outgoing(outgoing) = &*request else { unreachable!("only outgoing ones are sent") };
        let Outgoing { mut pieces, may_read } = outgoing.lock().unwrap().take().expect("it is sent once");
        self.may_read = Some(may_read);
        while let Some(piece) = pieces.recv().await {
            stream.write_all(&piece).await?;
            stream.flush().await?;
        }
        Ok(())
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        stream.write_all(&bytes).await
    }
}

async fn read_to_end<T: AsyncRead + Unpin>(stream: &mut T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(64 * 1024 * 1024).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
