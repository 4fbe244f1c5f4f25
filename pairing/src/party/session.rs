//! What comes of a peer's sessions: stages, frames, confirmation.

use std::collections::BTreeMap;

use waku_noise_session::manager::{self, Manager};
use waku_noise_session::pattern::Role;

use super::event::{Event, Step};
use super::peer::Peer;
use super::{Context, Ending, Part, Party};
use crate::frame::Frame;
use crate::reason::Reason;
use crate::record::{Confirmation, Exchange, PairingId, PeerRecord, Stage};
use crate::sas::{self, NONCE_LEN, Sas};
use crate::store::Change;

impl Party {
    /// Lets a peer's sessions do something and acts on what comes of it.
    pub(super) fn with_sessions(
        &mut self,
        cx: &mut Context<'_>,
        id: PairingId,
        act: impl FnOnce(&mut Manager, &mut Context<'_>),
    ) {
        if let Some(peer) = self.peers.get_mut(&id) {
            act(&mut peer.sessions, cx);
            self.drain_sessions(cx, id);
        }
    }

    /// Does what is due with a peer.
    pub(super) fn drive_peer(&mut self, cx: &mut Context<'_>, id: PairingId) {
        self.with_sessions(cx, id, |sessions, cx| sessions.handle_timeout(cx.now, cx.rng));
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.is_given_up(cx.now) {
            return self.bury(cx, id, Ending::ours(Reason::Unpaired));
        }
        if let Stage::Confirmed(Confirmation { compared, .. }) = peer.record.stage
            && peer.confirm_is_due(cx.now)
        {
            // Without a session it is said when there is one.
            _ = peer.say(cx.now, Frame::Confirm { compared });
        }
        if peer.ping_is_due(cx.now) && peer.ping(cx.now).is_ok() {
            peer.schedule_ping(cx.now, cx.rng);
        }
        self.drain_sessions(cx, id);
    }

    pub(super) fn drain_sessions(&mut self, cx: &mut Context<'_>, id: PairingId) {
        // Acting on an output may end the pairing; then what is left of its outputs is not to be acted on.
        while let Some(peer) = self.peers.get_mut(&id)
            && let Some(output) = peer.sessions.poll_output()
        {
            match output {
                manager::Output::Save(stamps) => {
                    peer.record.stamps = stamps;
                    self.outbox.save(id, vec![peer.put()]);
                }
                manager::Output::Transmit { place, payload } => {
                    self.outbox.publish(Some(id), peer.topic_of(cx.now, place), payload);
                }
                manager::Output::Listen(session) => {
                    peer.listen(session);
                    self.topics.dirty();
                }
                manager::Output::Forget(session) => {
                    peer.forget(session);
                    self.topics.dirty();
                }
                manager::Output::Event(event) => self.handle_session_event(cx, id, event),
            }
        }
    }

    fn handle_session_event(&mut self, cx: &mut Context<'_>, id: PairingId, event: manager::Event) {
        match event {
            manager::Event::Replied => self.handle_replied(id),
            manager::Event::Established { role, data, .. } => self.handle_established(cx, id, role, &data),
            manager::Event::Received { session, index, plaintext } => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.schedule_ping(cx.now, cx.rng);
                }
                self.handle_data(id, session, index, &plaintext);
                for frame in Frame::decode_all(&plaintext) {
                    self.handle_frame(cx, id, frame);
                }
            }
            manager::Event::Repeated { session, index } => self.handle_repeated(id, session, index),
            manager::Event::Closed(_) => {
                let Some(peer) = self.peers.get_mut(&id) else { return };
                peer.handle_closed();
                if peer.record.is_confirmed() {
                    self.outbox.event_after(id, Event::SessionDown { pairing: id });
                }
            }
            manager::Event::Refused { reason } => self.bury(cx, id, Ending::theirs(Reason::from(reason))),
        }
    }

    /// The app's reply to our call is authentic: it holds its key and heard the same HELLO messages. That goes to disk
    /// before the third message opens our nonce.
    fn handle_replied(&mut self, id: PairingId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Stage::Pending(exchange @ Exchange::Manager(_)) = &peer.record.stage {
            peer.record.stage = Stage::Keyed(exchange.clone());
            self.outbox.save(id, vec![peer.put()]);
            self.outbox.event_after(id, Event::Step(Step::Keyed));
        }
    }

    fn handle_established(&mut self, cx: &mut Context<'_>, id: PairingId, role: Role, data: &[u8]) {
        let part = self.me.config.part;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.record.last_heard = Some(cx.now.unix.as_secs());
        peer.handle_established(part, cx.now, cx.rng);
        match peer.record.stage.clone() {
            Stage::Pending(Exchange::App(exchange)) => {
                let opening = <&[u8; NONCE_LEN]>::try_from(data)
                    .ok()
                    .filter(|n_nm| role == Role::Responder && sas::opens(&exchange.commitment, n_nm));
                let Some(n_nm) = opening else {
                    return self.bury(cx, id, Ending::ours(Reason::WrongOpening));
                };
                peer.record.sas = Some(Sas::compute(&peer.record.transcript, n_nm, &exchange.n_app));
                peer.record.stage = Stage::Keyed(Exchange::App(exchange));
                self.outbox.save(id, vec![peer.put()]);
                self.outbox.event_after(id, Event::Step(Step::Keyed));
                self.ask_digits(cx, id);
            }
            Stage::Keyed(Exchange::App(_)) => self.ask_digits(cx, id),
            Stage::Confirmed(_) => {
                self.outbox.save(id, vec![peer.put()]);
                self.session_up(id);
                self.drive_peer(cx, id);
            }
            Stage::Pending(_) | Stage::Keyed(_) => {}
        }
    }

    /// Everything but a person's word is there. Where none is needed the pairing stands.
    fn ask_digits(&mut self, cx: &mut Context<'_>, id: PairingId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let Some(Exchange::App(exchange)) = peer.record.exchange() else { return };
        if exchange.compare {
            let introduction = self.introduce(&peer.record);
            self.outbox.event_after(id, Event::AskDigits(introduction));
        } else {
            self.confirm(cx, id, false);
        }
    }

    /// The pairing stands. The manager puts it in the place of any earlier one with the same identity; the app does once
    /// it knows that the manager has it on disk: until then the earlier one may be the one that works.
    pub(super) fn confirm(&mut self, cx: &mut Context<'_>, id: PairingId, compared: bool) {
        let part = self.me.config.part;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let acknowledged = part == Part::NodeManager;
        let confirmation = Confirmation { compared, at: cx.now.unix.as_secs(), acknowledged };
        let before = std::mem::replace(&mut peer.record.stage, Stage::Confirmed(confirmation));
        peer.handle_confirmed(part, cx.now);
        if let Stage::Pending(exchange) | Stage::Keyed(exchange) = before {
            self.spend_code_of(&exchange, true);
        }
        let removals = if acknowledged { self.replace_earlier(id) } else { Vec::new() };
        let Some(peer) = self.peers.get(&id) else { return };
        self.outbox.save(id, [peer.put()].into_iter().chain(removals).collect());
        self.outbox.event_after(id, Event::Confirmed { peer: peer.view(cx.now), compared });
        self.session_up(id);
        self.topics.dirty();
        self.drive_peer(cx, id);
    }

    /// Takes the place of earlier pairings with the same identity, and the name that a person gave them.
    fn replace_earlier(&mut self, id: PairingId) -> Vec<Change> {
        let Some(PeerRecord { identity, created, .. }) = self.peers.get(&id).map(|peer| &peer.record) else {
            return Vec::new();
        };
        let (identity, created) = (*identity, *created);
        // One that both sides know to stand was there before, whatever the clock said then.
        let is_earlier = |known: PairingId, record: &PeerRecord| {
            known != id
                && record.identity == identity
                && (record.is_acknowledged() || record.created <= created)
        };
        let (earlier, others) = std::mem::take(&mut self.peers)
            .into_iter()
            .partition(|(known, peer)| is_earlier(*known, &peer.record));
        self.peers = others;
        let earlier: BTreeMap<PairingId, Peer> = earlier;
        for replaced in earlier.values() {
            if let Some(exchange) = replaced.record.exchange() {
                self.spend_code_of(exchange, false);
            }
        }
        let alias = earlier.values().find_map(|replaced| replaced.record.alias.clone());
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.record.alias = peer.record.alias.take().or(alias);
        }
        self.topics.dirty();
        earlier.into_keys().map(Change::RemovePeer).collect()
    }

    fn session_up(&mut self, id: PairingId) {
        if let Some(session) = self.peers.get(&id).and_then(|peer| peer.sessions.session()) {
            self.outbox.event_after(id, Event::SessionUp { pairing: id, session });
        }
    }

    fn handle_frame(&mut self, cx: &mut Context<'_>, id: PairingId, frame: Frame) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match frame {
            // A pong that cannot be sent is a pong that is lost.
            Frame::Ping(ping) => _ = peer.say(cx.now, Frame::Pong(ping)),
            Frame::Pong(pong) => {
                if let Some(round_trip) = peer.handle_pong(cx.now, pong) {
                    self.outbox.event_after(id, Event::Pong { pairing: id, id: pong, round_trip });
                }
            }
            Frame::Confirm { compared } => self.handle_confirm(cx, id, compared),
            Frame::Confirmed => {
                if let Stage::Confirmed(confirmation) = &mut peer.record.stage
                    && !confirmation.acknowledged
                {
                    confirmation.acknowledged = true;
                    peer.handle_acknowledged();
                    let removals = self.replace_earlier(id);
                    let Some(peer) = self.peers.get(&id) else { return };
                    self.outbox.save(id, [peer.put()].into_iter().chain(removals).collect());
                    self.outbox.event_after(id, Event::Acknowledged { pairing: id });
                }
            }
            Frame::Reject(reason) => {
                let stands = peer.record.is_acknowledged();
                if !stands {
                    self.bury(cx, id, Ending::theirs(reason));
                }
            }
            Frame::Unpair => self.bury(cx, id, Ending::theirs(Reason::Unpaired)),
        }
    }

    /// The app's word that the pairing stands.
    fn handle_confirm(&mut self, cx: &mut Context<'_>, id: PairingId, compared: bool) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match &peer.record.stage {
            Stage::Keyed(Exchange::Manager(exchange)) if exchange.compare && !compared => {
                return self.bury(cx, id, Ending::ours(Reason::NotCompared));
            }
            Stage::Keyed(Exchange::Manager(_)) => self.confirm(cx, id, compared),
            Stage::Confirmed(_) if self.me.config.part == Part::NodeManager => {}
            _ => return,
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            // Lost, it is said again when the app repeats itself.
            _ = peer.say(cx.now, Frame::Confirmed);
            self.drain_sessions(cx, id);
        }
    }
}
