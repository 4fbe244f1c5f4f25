//! What a party wants done, in order, and what is on disk.

use std::collections::VecDeque;

use waku_proto::ContentTopic;

use super::data::Incoming;
use super::event::Event;
use super::letters::Letter;
use crate::record::PairingId;
use crate::store::{Change, Stored};

/// What the caller has to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Receive on a content topic from now on.
    Subscribe(ContentTopic),
    /// Receive on it no more.
    Unsubscribe(ContentTopic),
    /// Make all the changes durable, or none, before acting on anything after this.
    Save(Vec<Change>),
    /// Publish a payload as a WakuMessage of version 2, with the time as its timestamp.
    Publish {
        /// Where.
        topic: ContentTopic,
        /// An encoded PayloadV2.
        payload: Vec<u8>,
        /// Whether stores are to keep it; ephemeral otherwise.
        is_kept: bool,
    },
    /// What a peer's application says in a session, for this side's.
    Incoming(Incoming),
    /// What it wrote while this side was away. Without a reader for it, say so with
    /// [`Party::handle_letter_dropped`](super::Party::handle_letter_dropped).
    Letter(Letter),
    /// Tell whoever is interested.
    Event(Event),
}

/// Outputs with the pairing they rest on, and the durable state, advanced as saves are acted on.
pub(super) struct Outbox {
    queue: VecDeque<(Option<PairingId>, Output)>,
    durable: Stored,
    /// The save that was handed out last. It counts as done when the next output is asked for.
    handed_out: Option<(PairingId, Vec<Change>)>,
}

impl Outbox {
    pub(super) fn new(durable: Stored) -> Self {
        Self { queue: VecDeque::new(), durable, handed_out: None }
    }

    pub(super) fn save(&mut self, pairing: PairingId, changes: Vec<Change>) {
        self.queue.push_back((Some(pairing), Output::Save(changes)));
    }

    /// Publishes once everything saved for `pairing` before is durable.
    pub(super) fn publish(&mut self, pairing: Option<PairingId>, topic: ContentTopic, payload: Vec<u8>) {
        self.queue.push_back((pairing, Output::Publish { topic, payload, is_kept: false }));
    }

    /// The same for what applications say.
    pub(super) fn publish_data(
        &mut self,
        pairing: PairingId,
        topic: ContentTopic,
        payload: Vec<u8>,
        is_kept: bool,
    ) {
        self.after(pairing, Output::Publish { topic, payload, is_kept });
    }

    /// Something to be done once everything saved for `pairing` before is durable.
    pub(super) fn after(&mut self, pairing: PairingId, output: Output) {
        self.queue.push_back((Some(pairing), output));
    }

    /// A letter, which rests on no save.
    pub(super) fn letter(&mut self, letter: Letter) {
        self.queue.push_back((None, Output::Letter(letter)));
    }

    /// An event that rests on no save.
    pub(super) fn event(&mut self, event: Event) {
        self.queue.push_back((None, Output::Event(event)));
    }

    /// An event that is true once everything saved for `pairing` before is durable.
    pub(super) fn event_after(&mut self, pairing: PairingId, event: Event) {
        self.queue.push_back((Some(pairing), Output::Event(event)));
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.settle();
        let (pairing, output) = self.queue.pop_front()?;
        if let (Some(pairing), Output::Save(changes)) = (pairing, &output) {
            self.handed_out = Some((pairing, changes.clone()));
        }
        Some(output)
    }

    fn settle(&mut self) {
        if let Some((_, changes)) = self.handed_out.take() {
            self.durable.apply(&changes);
        }
    }

    /// Takes back all that rests on the save handed out last; the pairings it was to change.
    pub(super) fn roll_back(&mut self) -> Vec<PairingId> {
        let Some((failed, changes)) = self.handed_out.take() else { return Vec::new() };
        self.queue.retain(|(pairing, _)| *pairing != Some(failed));
        changes.iter().map(Change::pairing).collect()
    }

    /// What is on disk, as far as saves were handed out and not failed.
    pub(super) fn durable(&self) -> &Stored {
        &self.durable
    }
}
