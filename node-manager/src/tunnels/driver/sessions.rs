//! Sessions that come and go.

use std::collections::BTreeSet;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use waku_noise_session::session::SessionId;
use waku_pairing::party::{self, PeerView};
use waku_pairing::record::PairingId;

use super::{Driver, HANDSHAKE, is_confirmed, number};

impl Driver {
    /// Takes up what happened; `false` when the party has ended.
    pub(super) async fn hear(&mut self, event: Result<party::Event, RecvError>) -> bool {
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
    pub(super) async fn catch_up(&mut self) -> bool {
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
    pub(super) async fn look_around(&mut self) {
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
}
