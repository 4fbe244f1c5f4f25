//! A peer that is not ours: plain libp2p, which says what a test wants it to say.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode, Version};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use tokio::sync::{mpsc, oneshot};
use waku::proto::protocol_id;

use super::scene::{pubsub_topic, within};

/// What the peer says on metadata streams. All bytes are written as they are.
#[derive(Debug, Clone)]
pub(crate) enum Metadata {
    /// Answers questions with these bytes.
    Answer(Vec<u8>),
    /// Does not speak the protocol at all.
    None,
}

impl Metadata {
    /// Cluster 0 and no shards, as js-waku would say it.
    pub(crate) fn good() -> Self {
        Self::Answer(vec![0x02, 0x08, 0x00])
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Muxer {
    Yamux,
    Mplex,
}

/// What the peer saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Subscribed(PeerId),
    Message(Vec<u8>),
    Disconnected,
    /// What came on a metadata stream until its end.
    MetadataAnswer(io::Result<Vec<u8>>),
}

enum Order {
    Publish(Vec<u8>),
    Dial(Multiaddr),
    /// Does nothing at all, not even reading, until the other end is dropped.
    Freeze(oneshot::Receiver<()>),
    /// Opens a metadata stream and writes these bytes; `None` keeps it open and silent.
    AskMetadata(PeerId, Option<Vec<u8>>),
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossipsub: gossipsub::Behaviour,
    metadata: request_response::Behaviour<RawCodec>,
}

pub(crate) struct RawPeer {
    pub(crate) peer_id: PeerId,
    orders: mpsc::Sender<Order>,
    seen: mpsc::Receiver<Seen>,
}

impl RawPeer {
    pub(crate) fn spawn(muxer: Muxer, metadata: Metadata) -> Self {
        let mut swarm = swarm(muxer, &metadata);
        swarm.behaviour_mut().gossipsub.subscribe(&topic()).unwrap();
        let (orders, order_queue) = mpsc::channel(64);
        let (seen_queue, seen) = mpsc::channel(1024);
        let peer_id = *swarm.local_peer_id();
        tokio::spawn(run(swarm, metadata, order_queue, seen_queue));
        Self { peer_id, orders, seen }
    }

    pub(crate) async fn dial(&self, address: Multiaddr) {
        self.order(Order::Dial(address)).await;
    }

    /// Reads nothing until the sender is dropped.
    pub(crate) async fn freeze(&self) -> oneshot::Sender<()> {
        let (frozen, thaw) = oneshot::channel();
        self.order(Order::Freeze(thaw)).await;
        frozen
    }

    pub(crate) async fn publish(&self, data: impl Into<Vec<u8>>) {
        self.order(Order::Publish(data.into())).await;
    }

    pub(crate) async fn ask_metadata(&self, peer: PeerId, bytes: Option<&[u8]>) {
        self.order(Order::AskMetadata(peer, bytes.map(<[u8]>::to_vec))).await;
    }

    async fn order(&self, order: Order) {
        assert!(self.orders.send(order).await.is_ok(), "the raw peer has stopped");
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

    pub(crate) async fn sees_subscription(&mut self, of: PeerId) {
        self.until("a subscription", |seen| {
            matches!(seen, Seen::Subscribed(peer) if peer == of).then_some(())
        })
        .await;
    }

    pub(crate) async fn next_message(&mut self) -> Vec<u8> {
        let pick = |seen| if let Seen::Message(data) = seen { Some(data) } else { None };
        self.until("a message", pick).await
    }

    pub(crate) async fn metadata_answer(&mut self) -> io::Result<Vec<u8>> {
        let pick = |seen| if let Seen::MetadataAnswer(answer) = seen { Some(answer) } else { None };
        self.until("a metadata answer", pick).await
    }
}

/// Metadata as raw bytes, for swarms of other tests.
pub(crate) type Answering = request_response::Behaviour<RawCodec>;
pub(crate) type AnsweringEvent = request_response::Event<Option<Vec<u8>>, Vec<u8>>;

pub(crate) fn answering() -> Answering {
    let protocols = [(StreamProtocol::new(protocol_id::METADATA), ProtocolSupport::Full)];
    request_response::Behaviour::new(protocols, request_response::Config::default())
}

/// Says that it is on cluster 0.
pub(crate) fn answer(metadata: &mut Answering, event: AnsweringEvent) {
    use request_response::{Event, Message};
    let Metadata::Answer(answer) = Metadata::good() else { unreachable!("a good answer is one") };
    if let Event::Message { message: Message::Request { channel, .. }, .. } = event {
        // The asker may be gone by now.
        let _ = metadata.send_response(channel, answer);
    }
}

fn topic() -> IdentTopic {
    IdentTopic::new(pubsub_topic().as_str())
}

fn swarm(muxer: Muxer, metadata: &Metadata) -> Swarm<Behaviour> {
    let builder = SwarmBuilder::with_new_identity().with_tokio();
    let support = match metadata {
        Metadata::Answer(_) => ProtocolSupport::Full,
        Metadata::None => ProtocolSupport::Outbound,
    };
    let protocols = [(StreamProtocol::new(protocol_id::METADATA), support)];
    let gossip = gossipsub::ConfigBuilder::default()
        .protocol_id(protocol_id::RELAY, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message: &gossipsub::Message| {
            MessageId::from(waku::proto::GossipId::of(&message.data).as_bytes().as_slice())
        })
        .max_transmit_size(1024 * 1024)
        .build()
        .unwrap();
    let behaviour = Behaviour {
        gossipsub: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, gossip).unwrap(),
        metadata: request_response::Behaviour::new(protocols, request_response::Config::default()),
    };
    match muxer {
        Muxer::Yamux => builder
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .build(),
        Muxer::Mplex => builder
            .with_tcp(tcp::Config::default(), noise::Config::new, libp2p_mplex::Config::new)
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .build(),
    }
}

async fn run(
    mut swarm: Swarm<Behaviour>,
    metadata: Metadata,
    mut orders: mpsc::Receiver<Order>,
    seen: mpsc::Sender<Seen>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Freeze(thaw)) => drop(thaw.await),
                Some(order) => carry_out(&mut swarm, order),
                None => return,
            },
            event = swarm.select_next_some() => {
                if let Some(what) = look_at(&mut swarm, &metadata, event) && seen.send(what).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn carry_out(swarm: &mut Swarm<Behaviour>, order: Order) {
    match order {
        Order::Publish(data) => {
            swarm.behaviour_mut().gossipsub.publish(topic(), data).unwrap();
        }
        Order::Dial(address) => swarm.dial(address).unwrap(),
        Order::Freeze(_) => unreachable!("carried out where it is heard"),
        Order::AskMetadata(peer, bytes) => {
            swarm.behaviour_mut().metadata.send_request(&peer, bytes);
        }
    }
}

fn look_at(
    swarm: &mut Swarm<Behaviour>,
    metadata: &Metadata,
    event: SwarmEvent<BehaviourEvent>,
) -> Option<Seen> {
    use request_response::{Event, Message, OutboundFailure};
    match event {
        SwarmEvent::ConnectionClosed { .. } => Some(Seen::Disconnected),
        SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Subscribed {
            peer_id, ..
        })) => Some(Seen::Subscribed(peer_id)),
        SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Message { message, .. })) => {
            Some(Seen::Message(message.data))
        }
        SwarmEvent::Behaviour(BehaviourEvent::Metadata(Event::Message { message, .. })) => match message {
            Message::Request { channel, .. } => {
                let Metadata::Answer(answer) = metadata else { unreachable!("not offered") };
                // The asker may be gone by now.
                let _ = swarm.behaviour_mut().metadata.send_response(channel, answer.clone());
                None
            }
            Message::Response { response, .. } => Some(Seen::MetadataAnswer(Ok(response))),
        },
        SwarmEvent::Behaviour(BehaviourEvent::Metadata(Event::OutboundFailure {
            error: OutboundFailure::Io(error),
            ..
        })) => Some(Seen::MetadataAnswer(Err(error))),
        _ => None,
    }
}

/// Bytes as they are, each direction until its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawCodec;

impl request_response::Codec for RawCodec {
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
    stream.take(1024 * 1024).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
