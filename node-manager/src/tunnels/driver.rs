//! The task that drives the tunnels.

mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant as Clock, sleep_until};
use waku_noise_session::session::SessionId;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::party::{self, Data, PeerView, StageView};
use waku_pairing::record::PairingId;
use waku_tunnel::budget::Budget;
use waku_tunnel::connection::{Config, Connection, Event};
use waku_tunnel::request::{Code, Request, Side};
use waku_tunnel::stream::Handle;

use super::journal::{Journal, Saved};
use super::peer::Peer;
use super::{AskError, COMMANDS, Command, Figures, Opened, Requested, Served, Tunnels};

/// Messages that a handshake takes.
const HANDSHAKE: u32 = 3;
/// How long to wait when there is nothing to wait for.
const LONG: Duration = Duration::from_secs(3600);

/// What a driver is made of.
pub(crate) struct Parts {
    /// Which side this is.
    pub(crate) side: Side,
    /// Random for each process, not zero.
    pub(crate) epoch: u64,
    /// The party whose sessions carry the tunnels.
    pub(crate) party: Party,
    /// What peers' applications say.
    pub(crate) data: mpsc::Receiver<Data>,
    /// How many messages there are.
    pub(crate) budget: Budget,
    /// Where requests with keys are written down; without one they are refused.
    pub(crate) journal: Option<Journal>,
    /// Who answers the other sides' requests; without anybody they are refused.
    pub(crate) requested: Option<mpsc::Sender<Requested>>,
}

/// The task.
pub(crate) struct Driver {
    side: Side,
    epoch: u64,
    party: Party,
    events: broadcast::Receiver<party::Event>,
    data: mpsc::Receiver<Data>,
    budget: Budget,
    journal: Option<Journal>,
    saved: mpsc::Receiver<Saved>,
    requested: Option<mpsc::Sender<Requested>>,
    /// For the streams that are handed out.
    commands: mpsc::WeakSender<Command>,
    inbox: mpsc::Receiver<Command>,
    peers: BTreeMap<PairingId, Peer>,
    /// Streams, as soon as their holders have gone.
    gone: FuturesUnordered<BoxFuture<'static, (PairingId, Handle)>>,
    started: Clock,
}

enum Wake {
    Party(Result<party::Event, RecvError>),
    Data(Option<Data>),
    Saved(Saved),
    Command(Option<Command>),
    Gone(PairingId, Handle),
    Timeout,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> (Tunnels, Self) {
        let Parts { side, epoch, party, data, budget, journal, requested } = parts;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (answers, saved) = mpsc::channel(COMMANDS);
        let journal = journal.map(|journal| journal.answering(answers));
        let driver = Self {
            side,
            epoch,
            events: party.events(),
            party,
            data,
            budget,
            journal,
            saved,
            requested,
            commands: commands.downgrade(),
            inbox,
            peers: BTreeMap::new(),
            gone: FuturesUnordered::new(),
            started: Clock::now(),
        };
        (Tunnels { commands }, driver)
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::from_origin(self.started.elapsed()), unix: UnixTime::from_epoch(unix) }
    }

    /// Runs until nobody has a way to the tunnels any more, or the party has ended. The journal is closed then.
    pub(crate) async fn run(mut self) {
        self.drive().await;
        let Self { journal, saved, .. } = self;
        if let Some(journal) = journal {
            journal.close(saved).await;
        }
    }

    async fn drive(&mut self) {
        self.look_around().await;
        loop {
            match self.wake().await {
                Wake::Party(event) => {
                    if !self.hear(event).await {
                        return;
                    }
                }
                Wake::Data(Some(data)) => {
                    // A session is told of before the first message in it.
                    if !self.catch_up().await {
                        return;
                    }
                    self.take(data).await;
                }
                Wake::Saved(Saved { pairing, ticket, durable }) => {
                    let now = self.now().instant;
                    if let Some(peer) = self.peers.get_mut(&pairing) {
                        peer.connection.saved(now, ticket, durable);
                    }
                    self.settle(pairing).await;
                }
                Wake::Command(Some(command)) => self.command(command).await,
                Wake::Gone(pairing, handle) => {
                    if let Some(peer) = self.peers.get_mut(&pairing) {
                        peer.let_go(handle);
                    }
                    self.settle(pairing).await;
                }
                Wake::Timeout => self.time_out().await,
                Wake::Data(None) | Wake::Command(None) => return,
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.deadline();
        tokio::select! {
            event = self.events.recv() => Wake::Party(event),
            data = self.data.recv() => Wake::Data(data),
            Some(saved) = self.saved.recv() => Wake::Saved(saved),
            command = self.inbox.recv() => Wake::Command(command),
            Some((pairing, handle)) = self.gone.next() => Wake::Gone(pairing, handle),
            () = sleep_until(deadline) => Wake::Timeout,
        }
    }

    fn deadline(&self) -> Clock {
        let now = self.now().instant;
        let next =
            self.peers.values().filter_map(|peer| peer.connection.poll_timeout(now, &self.budget)).min();
        match next {
            Some(next) => self.started + next.since_origin(),
            None => Clock::now() + LONG,
        }
    }

    async fn time_out(&mut self) {
        let now = self.now();
        let due: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                let next = peer.connection.poll_timeout(now.instant, &self.budget);
                next.is_some_and(|next| next <= now.instant)
            })
            .map(|(pairing, _)| *pairing)
            .collect();
        for pairing in due {
            if let Some(peer) = self.peers.get_mut(&pairing) {
                peer.connection.handle_timeout(now);
            }
            self.settle(pairing).await;
        }
    }

    /// Takes up what happened; `false` when the party has ended.
    async fn hear(&mut self, event: Result<party::Event, RecvError>) -> bool {
        match event {
            Ok(party::Event::SessionUp { pairing, session }) => self.connect(pairing, session).await,
            Ok(party::Event::SessionDown { pairing }) => {
                if let Some(peer) = self.peers.get_mut(&pairing) {
                    peer.session = None;
                    peer.connection.disconnected();
                }
                self.settle(pairing).await;
            }
            Ok(party::Event::Unpaired { peer: PeerView { pairing, .. }, .. }) => self.forget(pairing).await,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => self.look_around().await,
            Err(RecvError::Closed) => return false,
        }
        true
    }

    /// Takes up everything that was told by now; `false` when the party has ended.
    async fn catch_up(&mut self) -> bool {
        loop {
            let event = match self.events.try_recv() {
                Ok(event) => Ok(event),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Lagged(count)) => Err(RecvError::Lagged(count)),
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
            };
            if !self.hear(event).await {
                return false;
            }
        }
    }

    /// Takes up what the party has, not what it tells.
    async fn look_around(&mut self) {
        let Ok(views) = self.party.peers().await else { return };
        let known: BTreeSet<_> = views.iter().map(|view| view.pairing).collect();
        let unpaired: Vec<_> =
            self.peers.keys().filter(|pairing| !known.contains(pairing)).copied().collect();
        for pairing in unpaired {
            self.forget(pairing).await;
        }
        for view in views {
            match view.session {
                Some(session) if is_confirmed(&view) => self.connect(view.pairing, session.id).await,
                _ => {
                    if let Some(peer) = self.peers.get_mut(&view.pairing) {
                        peer.session = None;
                        peer.connection.disconnected();
                    }
                }
            }
        }
    }

    async fn connect(&mut self, pairing: PairingId, session: SessionId) {
        let now = self.now();
        let peer = self.peer(pairing);
        if peer.session != Some(session) {
            peer.session = Some(session);
            peer.connection.connected(number(session));
            self.budget.spend(now.instant, HANDSHAKE);
        }
        self.settle(pairing).await;
    }

    /// Nobody is paired under this name any more.
    async fn forget(&mut self, pairing: PairingId) {
        if let Some(journal) = &self.journal {
            journal.forget(pairing);
        }
        if let Some(peer) = self.peers.get_mut(&pairing) {
            peer.connection.disconnected();
            peer.connection.close();
        }
        self.settle(pairing).await;
        self.peers.remove(&pairing);
    }

    fn peer(&mut self, pairing: PairingId) -> &mut Peer {
        let now = self.now();
        let (side, epoch) = (self.side, self.epoch);
        let journal = &mut self.journal;
        self.peers.entry(pairing).or_insert_with(|| {
            let stored = journal.as_mut().map(|journal| journal.take(pairing)).unwrap_or_default();
            let config = Config { has_store: false, ..Config::new(side, epoch) };
            Peer::new(Connection::new(config, now, stored))
        })
    }

    async fn take(&mut self, data: Data) {
        let Data { pairing, session, index, plaintext } = data;
        let now = self.now();
        // Of somebody who was unpaired meanwhile nothing is taken.
        let Some(Peer { connection, .. }) = self.peers.get_mut(&pairing) else { return };
        if let Err(error) = connection.handle_plaintext(now, number(session), index, &plaintext) {
            tracing::debug!(%pairing, %error, "a message of a peer cannot be read");
        }
        self.settle(pairing).await;
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Open(pairing, request, reply) => {
                let opened = self.open(pairing, *request).await;
                // Whoever asked may have gone: then what was opened is let go again.
                _ = reply.send(opened);
                self.settle(pairing).await;
            }
            Command::On(pairing, handle, act) => {
                let now = self.now().instant;
                if let Some(peer) = self.peers.get_mut(&pairing) {
                    peer.act(now, handle, act);
                }
                self.settle(pairing).await;
            }
            Command::Figures(pairing, reply) => {
                let figures = self.peers.get(&pairing).map(|peer| Figures {
                    counters: peer.connection.counters(),
                    round_trip: peer.connection.round_trip(),
                    buffered: peer.connection.buffered(),
                });
                _ = reply.send(figures);
            }
            Command::Close(reply) => {
                for pairing in self.peers.keys().copied().collect::<Vec<_>>() {
                    if let Some(peer) = self.peers.get_mut(&pairing) {
                        peer.connection.close();
                    }
                    self.settle(pairing).await;
                }
                _ = reply.send(());
            }
        }
    }

    async fn open(&mut self, pairing: PairingId, request: Request) -> Result<Opened, AskError> {
        if !self.peers.contains_key(&pairing) {
            let peers = self.party.peers().await.map_err(|_| AskError::Stopped)?;
            let stands = peers.iter().any(|peer| peer.pairing == pairing && is_confirmed(peer));
            if !stands {
                return Err(AskError::UnknownPeer);
            }
        }
        let now = self.now();
        let handle = self.peer(pairing).connection.open(now, request)?;
        Ok(self.hold(pairing, handle, true))
    }

    fn hold(&mut self, pairing: PairingId, handle: Handle, ours: bool) -> Opened {
        let over = self.peer(pairing).hold(handle, ours);
        let (held, dropped) = oneshot::channel();
        self.gone.push(Box::pin(async move {
            _ = dropped.await;
            (pairing, handle)
        }));
        Opened { handle, held, over }
    }

    /// Does everything that a peer's tunnel wants by now.
    async fn settle(&mut self, pairing: PairingId) {
        loop {
            while let Some(event) = self.peers.get_mut(&pairing).and_then(|peer| peer.connection.poll_event())
            {
                self.handle(pairing, event);
            }
            let now = self.now().instant;
            let Some(peer) = self.peers.get_mut(&pairing) else { return };
            match peer.connection.poll_transmit(now, &mut self.budget) {
                Some(transmit) => self.transmit(pairing, transmit).await,
                None => return,
            }
        }
    }

    fn handle(&mut self, pairing: PairingId, event: Event) {
        let now = self.now().instant;
        let stream = match event {
            Event::Requested { stream, request } => {
                let opened = self.hold(pairing, stream, false);
                let commands = self.commands.upgrade();
                let taken = commands.zip(self.requested.as_ref()).map(|(commands, requested)| {
                    let stream = Served::new(commands, pairing, opened);
                    requested.try_send(Requested { pairing, request, stream }).is_ok()
                });
                let code = match taken {
                    Some(true) => return,
                    Some(false) => Code::Busy,
                    None => Code::Refused,
                };
                return self.peer(pairing).connection.reject(stream, code);
            }
            Event::Save { ticket, changes } => {
                let is_under_way =
                    self.journal.as_ref().is_some_and(|journal| journal.save(pairing, ticket, changes));
                if !is_under_way {
                    self.peer(pairing).connection.saved(now, ticket, false);
                }
                return;
            }
            Event::Closed => return,
            Event::Answered { stream, status, headers } => {
                self.peer(pairing).begun(stream, (status, headers));
                stream
            }
            Event::Ended { stream, outcome } => {
                self.peer(pairing).ended(stream, outcome);
                stream
            }
            Event::Readable(stream) | Event::Writable(stream) => stream,
        };
        self.peer(pairing).go_on(now, stream);
    }
}

fn is_confirmed(peer: &PeerView) -> bool {
    matches!(peer.stage, StageView::Confirmed { .. })
}

/// Tells a session from others.
fn number(session: SessionId) -> u64 {
    let first = session.as_bytes().first_chunk().expect("an id has 32 bytes");
    u64::from_le_bytes(*first)
}
