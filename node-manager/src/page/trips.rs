//! How long round trips take. Sides ping each other when nothing else is heard, and whoever hears the page's figures
//! come in would never measure.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use waku_pairing::party::Event;

use crate::control::Room;

/// Measures a round trip in each session there is, once.
pub(super) async fn measure(room: Arc<Room>) {
    let party = room.service.party();
    let mut events = party.events();
    let peers = party.peers().await.unwrap_or_default();
    let mut up: Vec<_> =
        peers.iter().filter(|peer| peer.session.is_some()).map(|peer| peer.pairing).collect();
    let mut pings = JoinSet::new();
    loop {
        for pairing in up.drain(..) {
            let party = party.clone();
            // A session that ends takes its ping along.
            pings.spawn(async move { party.ping(pairing).await });
        }
        while pings.try_join_next().is_some() {}
        match events.recv().await {
            Ok(Event::SessionUp { pairing, .. }) => up.push(pairing),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
