//! The handle: commands in, answers and events out.

use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use waku_noise_session::time::UnixTime;
use waku_proto::{ContentTopic, WakuMessage};
use zeroize::Zeroizing;

use crate::hello::Label;
use crate::kdf::CodeKeys;
use crate::letter::LetterId;
use crate::party::{
    DataError, DigitsError, Event, OfferError, PairError, PeerView, PingError, PostError, Posted, Sent,
    Terms, UnknownPeer,
};
use crate::record::PairingId;
use crate::sas::Sas;

/// A way to a living party. Cheap to clone; when the last handle is dropped the party takes its leave and its driver
/// ends.
///
/// Every function can be cancelled by dropping its future. A command that was taken is carried out all the same.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
}

pub(super) type Reply<T, E> = oneshot::Sender<Result<T, CommandError<E>>>;

#[derive(Debug)]
pub(super) enum Command {
    Party(PartyCommand),
    Close(Reply<(), Never>),
}

/// What the core is asked to do.
#[derive(Debug)]
pub(super) enum PartyCommand {
    Offer(CodeKeys, Terms, Reply<(), OfferError>),
    Pair(CodeKeys, Terms, Reply<(), PairError>),
    Cancel(Reply<(), Never>),
    Digits(PairingId, Sas, Reply<(), DigitsError>),
    Rename(PairingId, Option<Label>, Reply<(), UnknownPeer>),
    Unpair(PairingId, Reply<(), UnknownPeer>),
    Ping(PairingId, Reply<Duration, PingError>),
    Send(PairingId, Zeroizing<Vec<u8>>, bool, Reply<Sent, DataError>),
    Resend(PairingId, Sent, Reply<(), DataError>),
    Post(PairingId, Zeroizing<Vec<u8>>, Reply<Posted, PostError>),
    Repost(PairingId, Posted, Reply<(), PostError>),
    Acknowledge(PairingId, LetterId, Reply<(), UnknownPeer>),
    LetterTopics(UnixTime, Reply<Vec<(PairingId, ContentTopic)>, Never>),
    HandIn(WakuMessage, Reply<(), Never>),
    Peers(Reply<Vec<PeerView>, Never>),
}

/// The error of a command that has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Never {}

impl Handle {
    pub(super) fn new(commands: mpsc::Sender<Command>, events: broadcast::Sender<Event>) -> Self {
        Self { commands, events }
    }

    /// What happens from now on. A reader that falls behind is told how many events it missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// As the app: waits for a host on a fresh code; see [`crate::party::Party::offer`]. Show the code when this has
    /// returned.
    ///
    /// # Errors
    /// [`OfferError`], or the driver has ended.
    pub async fn offer(&self, keys: CodeKeys, terms: Terms) -> Result<(), CommandError<OfferError>> {
        self.ask(|reply| PartyCommand::Offer(keys, terms, reply)).await
    }

    /// As the manager: looks for the app that shows a code; see [`crate::party::Party::pair`]. How it goes is told by
    /// events.
    ///
    /// # Errors
    /// [`PairError`], or the driver has ended.
    pub async fn pair(&self, keys: CodeKeys, terms: Terms) -> Result<(), CommandError<PairError>> {
        self.ask(|reply| PartyCommand::Pair(keys, terms, reply)).await
    }

    /// Ends the pairing under way, if there is one.
    ///
    /// # Errors
    /// When it could not be written to the store, or the driver has ended.
    pub async fn cancel(&self) -> Result<(), CommandError<Never>> {
        self.ask(PartyCommand::Cancel).await
    }

    /// As the app: the six digits that a person typed. When this returns without an error the pairing is on disk.
    ///
    /// # Errors
    /// [`DigitsError`], or it could not be written to the store, or the driver has ended.
    pub async fn digits(&self, pairing: PairingId, typed: Sas) -> Result<(), CommandError<DigitsError>> {
        self.ask(|reply| PartyCommand::Digits(pairing, typed, reply)).await
    }

    /// Gives a peer a name on this side, or takes it away.
    ///
    /// # Errors
    /// [`UnknownPeer`], or it could not be written to the store, or the driver has ended.
    pub async fn rename(
        &self,
        pairing: PairingId,
        alias: Option<Label>,
    ) -> Result<(), CommandError<UnknownPeer>> {
        self.ask(|reply| PartyCommand::Rename(pairing, alias, reply)).await
    }

    /// Ends a pairing.
    ///
    /// # Errors
    /// [`UnknownPeer`], or it could not be written to the store, or the driver has ended.
    pub async fn unpair(&self, pairing: PairingId) -> Result<(), CommandError<UnknownPeer>> {
        self.ask(|reply| PartyCommand::Unpair(pairing, reply)).await
    }

    /// The time a message takes to a peer and back. Waits for as long as the peer is silent and the
    /// session lasts: set a limit of your own.
    ///
    /// # Errors
    /// [`PingError`], or the driver has ended.
    pub async fn ping(&self, pairing: PairingId) -> Result<Duration, CommandError<PingError>> {
        self.ask(|reply| PartyCommand::Ping(pairing, reply)).await
    }

    /// Says something to a peer's application, in the session with it; `is_kept` when stores are to keep it for a peer
    /// that is away. What peers say comes out of [`Driver::data`](super::Driver::data).
    ///
    /// # Errors
    /// [`DataError`], or the driver has ended.
    pub async fn send(
        &self,
        pairing: PairingId,
        plaintext: Zeroizing<Vec<u8>>,
        is_kept: bool,
    ) -> Result<Sent, CommandError<DataError>> {
        self.ask(|reply| PartyCommand::Send(pairing, plaintext, is_kept, reply)).await
    }

    /// Says the very same again, as long as its session lasts.
    ///
    /// # Errors
    /// [`DataError`], or the driver has ended.
    pub async fn resend(&self, pairing: PairingId, sent: Sent) -> Result<(), CommandError<DataError>> {
        self.ask(|reply| PartyCommand::Resend(pairing, sent, reply)).await
    }

    /// Writes a letter to a peer's application, for a store to keep until the peer is there: at most
    /// [`MAX_BODY`](crate::letter::MAX_BODY) bytes. No session is needed. What peers write comes out of
    /// [`Driver::letters`](super::Driver::letters).
    ///
    /// # Errors
    /// [`PostError`], or the driver has ended.
    pub async fn post(
        &self,
        pairing: PairingId,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Posted, CommandError<PostError>> {
        self.ask(|reply| PartyCommand::Post(pairing, body, reply)).await
    }

    /// Publishes a letter once more, for a store that may have missed it. The peer does not take it for another.
    ///
    /// # Errors
    /// [`PostError`], or the driver has ended.
    pub async fn repost(&self, pairing: PairingId, posted: Posted) -> Result<(), CommandError<PostError>> {
        self.ask(|reply| PartyCommand::Repost(pairing, posted, reply)).await
    }

    /// The application has acted on a letter. When this returns without an error that is on disk, and the letter is not
    /// handed on again.
    ///
    /// # Errors
    /// [`UnknownPeer`], or it could not be written to the store, or the driver has ended.
    pub async fn acknowledge(
        &self,
        pairing: PairingId,
        id: LetterId,
    ) -> Result<(), CommandError<UnknownPeer>> {
        self.ask(|reply| PartyCommand::Acknowledge(pairing, id, reply)).await
    }

    /// The topics on which a store may have letters that were written since the party was last there, at most a week
    /// back. What it has goes to [`Handle::hand_in`].
    ///
    /// # Errors
    /// When the driver has ended.
    pub async fn letter_topics(
        &self,
        since: UnixTime,
    ) -> Result<Vec<(PairingId, ContentTopic)>, CommandError<Never>> {
        self.ask(|reply| PartyCommand::LetterTopics(since, reply)).await
    }

    /// Gives the party a message that did not come over its channel: one that a store had kept. Anything may be handed
    /// in, as often as need be.
    ///
    /// # Errors
    /// When the driver has ended.
    pub async fn hand_in(&self, message: WakuMessage) -> Result<(), CommandError<Never>> {
        self.ask(|reply| PartyCommand::HandIn(message, reply)).await
    }

    /// Everybody the party knows.
    ///
    /// # Errors
    /// When the driver has ended.
    pub async fn peers(&self) -> Result<Vec<PeerView>, CommandError<Never>> {
        self.ask(PartyCommand::Peers).await
    }

    /// Takes leave of every peer and ends the driver.
    ///
    /// # Errors
    /// When the driver has ended already.
    pub async fn close(&self) -> Result<(), CommandError<Never>> {
        self.command(Command::Close).await
    }

    async fn ask<T, E>(&self, command: impl FnOnce(Reply<T, E>) -> PartyCommand) -> Result<T, CommandError<E>>
    where
        E: std::error::Error + 'static,
    {
        self.command(|reply| Command::Party(command(reply))).await
    }

    async fn command<T, E>(&self, command: impl FnOnce(Reply<T, E>) -> Command) -> Result<T, CommandError<E>>
    where
        E: std::error::Error + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| CommandError::Ended)?;
        answer.await.map_err(|_| CommandError::Ended)?
    }
}

/// Why a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError<E: std::error::Error + 'static> {
    /// The party refused it.
    #[error(transparent)]
    Refused(#[from] E),
    /// It could not be written to the store, so it did not happen.
    #[error("it could not be written to the store, so nothing was changed")]
    NotSaved,
    /// Too many of its kind wait for their answer.
    #[error("too many of these are under way; wait for them to end")]
    TooMany,
    /// The party's driver has ended.
    #[error("the party has ended")]
    Ended,
}
