//! The driver: moves bytes between core, channel and store.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rand_core::CryptoRng;
use tokio::sync::{broadcast, mpsc};
use waku_noise_session::manager::SendError;
use waku_proto::WakuMessage;

use super::handle::{Command, CommandError, PartyCommand, Reply};
use crate::channel::{Channel, ChannelEvent};
use crate::party::{Event, Incoming, Letter, Output, Party, PeerView, PingError};
use crate::record::PairingId;
use crate::store::PeerStore;

/// 35/WAKU2-NOISE payloads have this version.
const NOISE_VERSION: u32 = 2;
/// Pings that wait for their answer; more are refused.
const MAX_PINGS: usize = 64;

/// The future that lets a party live. Run it until it ends.
pub struct Driver<C, S> {
    party: Party,
    channel: C,
    store: S,
    rng: Box<dyn CryptoRng + Send>,
    commands: mpsc::Receiver<Command>,
    events: broadcast::Sender<Event>,
    pings: Vec<WaitingPing>,
    /// Where what peers' applications say goes, if anybody wants it, and where their letters go.
    data: Readers<Incoming>,
    letters: Readers<Letter>,
    /// Whether the network comes before the clock at the next wake: each in turn, so that neither starves the other.
    network_first: bool,
}

/// A bounded way to whoever reads, if anybody does.
struct Readers<T> {
    sender: Option<mpsc::Sender<T>>,
    dropped: Arc<AtomicU64>,
}

impl<T> Default for Readers<T> {
    fn default() -> Self {
        Self { sender: None, dropped: Arc::default() }
    }
}

impl<T> Readers<T> {
    /// Opens a new way in the place of the old one.
    fn open(&mut self, capacity: usize) -> (mpsc::Receiver<T>, Arc<AtomicU64>) {
        let (sender, receiver) = mpsc::channel(capacity);
        self.sender = Some(sender);
        (receiver, Arc::clone(&self.dropped))
    }

    /// Whether it went through.
    fn hand_on(&self, item: T) -> bool {
        let Some(sender) = &self.sender else { return false };
        let went = sender.try_send(item).is_ok();
        if !went {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        went
    }
}

struct WaitingPing {
    pairing: PairingId,
    id: u64,
    reply: Reply<Duration, PingError>,
}

enum Wake {
    Command(Command),
    Channel(ChannelEvent),
    Deadline,
    /// Nobody holds a handle any more.
    Abandoned,
}

impl<C: Channel, S: PeerStore> Driver<C, S> {
    pub(super) fn new(
        party: Party,
        channel: C,
        store: S,
        rng: Box<dyn CryptoRng + Send>,
        commands: mpsc::Receiver<Command>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        Self {
            party,
            channel,
            store,
            rng,
            commands,
            events,
            pings: Vec::new(),
            data: Readers::default(),
            letters: Readers::default(),
            network_first: false,
        }
    }

    /// What the applications of peers say in sessions from now on, and how much of it was dropped because `capacity`
    /// messages were waiting for the reader.
    pub fn data(&mut self, capacity: usize) -> (mpsc::Receiver<Incoming>, Arc<AtomicU64>) {
        self.data.open(capacity)
    }

    /// The letters of peers from now on, and how many were dropped because `capacity` were waiting for the reader.
    /// Those that were dropped, and those that come while there is no reader, are handed on when they come again; those
    /// that are not [acknowledged](super::Handle::acknowledge) too, in another process.
    pub fn letters(&mut self, capacity: usize) -> (mpsc::Receiver<Letter>, Arc<AtomicU64>) {
        self.letters.open(capacity)
    }

    /// Runs until the party is closed or all its handles are dropped.
    ///
    /// # Errors
    /// [`ChannelClosed`] when the network went away for good.
    pub async fn run(mut self) -> Result<(), ChannelClosed> {
        self.drain();
        loop {
            match poll_fn(|cx| self.poll_wake(cx)).await {
                Wake::Command(Command::Close(reply)) => {
                    self.leave();
                    _ = reply.send(Ok(()));
                    return Ok(());
                }
                Wake::Command(Command::Party(command)) => self.handle_command(command),
                Wake::Channel(ChannelEvent::Message(message)) => self.handle_message(&message),
                Wake::Channel(ChannelEvent::Up) => self.party.handle_network_up(self.channel.now()),
                Wake::Channel(ChannelEvent::Closed) => return Err(ChannelClosed),
                Wake::Deadline => self.party.handle_timeout(self.channel.now(), &mut *self.rng),
                Wake::Abandoned => {
                    self.leave();
                    return Ok(());
                }
            }
            self.drain();
        }
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        if let Poll::Ready(command) = self.commands.poll_recv(cx) {
            return Poll::Ready(command.map_or(Wake::Abandoned, Wake::Command));
        }
        self.network_first = !self.network_first;
        if self.network_first
            && let Poll::Ready(event) = self.channel.poll_event(cx)
        {
            return Poll::Ready(Wake::Channel(event));
        }
        if self.channel.poll_deadline(self.party.poll_timeout(), cx).is_ready() {
            return Poll::Ready(Wake::Deadline);
        }
        self.channel.poll_event(cx).map(Wake::Channel)
    }

    fn handle_message(&mut self, message: &WakuMessage) {
        if message.version != Some(NOISE_VERSION) {
            return;
        }
        if let Ok(topic) = message.content_topic.parse() {
            let now = self.channel.now();
            self.party.handle_message(now, &mut *self.rng, &topic, &message.payload);
        }
    }

    fn handle_command(&mut self, command: PartyCommand) {
        let now = self.channel.now();
        let has_too_many_pings = self.has_too_many_pings();
        let (party, rng) = (&mut self.party, &mut *self.rng);
        match command {
            PartyCommand::Offer(keys, terms, reply) => {
                let result = party.offer(now, keys, terms);
                self.answer(reply, &[], result);
            }
            PartyCommand::Pair(keys, terms, reply) => {
                let result = party.pair(now, rng, keys, terms);
                self.answer(reply, &[], result);
            }
            PartyCommand::Cancel(reply) => {
                let ended = party.cancel(now, rng);
                self.answer(reply, &ended, Ok(()));
            }
            PartyCommand::Digits(pairing, typed, reply) => {
                let result = party.digits(now, rng, pairing, typed);
                self.answer(reply, &[pairing], result);
            }
            PartyCommand::Rename(pairing, alias, reply) => {
                let result = party.rename(pairing, alias);
                self.answer(reply, &[pairing], result);
            }
            PartyCommand::Unpair(pairing, reply) => {
                let result = party.unpair(now, rng, pairing);
                self.answer(reply, &[pairing], result);
            }
            PartyCommand::Ping(_, reply) if has_too_many_pings => {
                _ = reply.send(Err(CommandError::TooMany));
            }
            PartyCommand::Ping(pairing, reply) => match party.ping(now, rng, pairing) {
                Ok(id) => self.pings.push(WaitingPing { pairing, id, reply }),
                Err(error) => self.answer(reply, &[], Err(error)),
            },
            PartyCommand::Send(pairing, plaintext, is_kept, reply) => {
                let result = party.send(now, rng, pairing, &plaintext, is_kept);
                self.answer(reply, &[], result);
            }
            PartyCommand::Resend(pairing, sent, reply) => {
                let result = party.resend(now, pairing, &sent);
                self.answer(reply, &[], result);
            }
            PartyCommand::Post(pairing, body, reply) => {
                let result = party.post(now, rng, pairing, &body);
                self.answer(reply, &[], result);
            }
            PartyCommand::Repost(pairing, posted, reply) => {
                let result = party.repost(pairing, &posted);
                self.answer(reply, &[], result);
            }
            PartyCommand::Acknowledge(pairing, id, reply) => {
                let result = party.acknowledge(now, pairing, id);
                self.answer(reply, &[pairing], result);
            }
            PartyCommand::LetterTopics(since, reply) => {
                let topics = party.letter_topics(now, since);
                self.answer(reply, &[], Ok(topics));
            }
            PartyCommand::HandIn(message, reply) => {
                self.handle_message(&message);
                self.answer(reply, &[], Ok(()));
            }
            PartyCommand::Peers(reply) => {
                let peers = party.peers(now).collect();
                self.answer(reply, &[], Ok(peers));
            }
        }
    }

    /// Answers a command once what it changed, if anything, is in the store. Whoever asked may have gone.
    fn answer<T, E: std::error::Error + 'static>(
        &mut self,
        reply: Reply<T, E>,
        changed: &[PairingId],
        result: Result<T, E>,
    ) {
        let failed = self.drain();
        let answer = if changed.iter().any(|id| failed.contains(id)) {
            Err(CommandError::NotSaved)
        } else {
            result.map_err(CommandError::from)
        };
        _ = reply.send(answer);
    }

    fn has_too_many_pings(&mut self) -> bool {
        self.pings.retain(|ping| !ping.reply.is_closed());
        self.pings.len() == MAX_PINGS
    }

    fn leave(&mut self) {
        let now = self.channel.now();
        self.party.close(now, &mut *self.rng);
        self.drain();
    }

    /// Acts on everything the core wants. Returns the pairings whose changes could not be written to the store.
    fn drain(&mut self) -> Vec<PairingId> {
        let mut failed = Vec::new();
        while let Some(output) = self.party.poll_output() {
            match output {
                Output::Subscribe(topic) => self.channel.subscribe(topic),
                Output::Unsubscribe(topic) => self.channel.unsubscribe(topic),
                Output::Save(changes) => {
                    if let Err(error) = self.store.apply(&changes) {
                        tracing::error!(%error, "cannot write to the store; nothing that rests on it is said");
                        let now = self.channel.now();
                        failed.extend(self.party.handle_save_failed(now, &mut *self.rng));
                    }
                }
                Output::Publish { topic, payload, is_kept } => {
                    let timestamp = i64::try_from(self.channel.now().unix.as_nanos()).unwrap_or(i64::MAX);
                    let message = WakuMessage::new(&topic, payload, timestamp).with_version(NOISE_VERSION);
                    self.channel.publish(if is_kept { message } else { message.with_ephemeral() });
                }
                // What has no reader, or one that is behind, is lost like a message on its way.
                Output::Incoming(incoming) => _ = self.data.hand_on(incoming),
                Output::Letter(letter) => {
                    let (pairing, id) = (letter.pairing, letter.id);
                    if !self.letters.hand_on(letter) {
                        self.party.handle_letter_dropped(pairing, id);
                    }
                }
                Output::Event(event) => self.tell(event),
            }
        }
        failed
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Pong { pairing, id, round_trip } => {
                let is_answered = |ping: &mut WaitingPing| ping.pairing == pairing && ping.id == id;
                for ping in self.pings.extract_if(.., is_answered) {
                    _ = ping.reply.send(Ok(round_trip));
                }
            }
            Event::SessionDown { pairing } | Event::Unpaired { peer: PeerView { pairing, .. }, .. } => {
                for ping in self.pings.extract_if(.., |ping| ping.pairing == pairing) {
                    _ = ping.reply.send(Err(PingError::from(SendError::NoSession).into()));
                }
            }
            _ => {}
        }
        // Without a reader an event is nobody's loss.
        _ = self.events.send(event);
    }
}

/// The channel closed while the party lived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network is gone")]
pub struct ChannelClosed;
