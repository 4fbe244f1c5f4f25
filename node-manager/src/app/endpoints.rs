//! An endpoint for each paired host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::{broadcast, watch};
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::party::{Event, PeerView, StageView};
use waku_pairing::record::PairingId;

use super::server::{Answers, Body, Server};
use super::{AppConfig, Forward, Guard, forward};
use crate::host::pairing_text;

/// Ports from which a host gets its own: those that neither services nor systems hand out.
const PORTS: std::ops::Range<u16> = 17_000..19_000;
/// How many ports after its own are tried when that is taken.
const TRIES: u16 = 16;

/// An endpoint, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    /// Whose services answer there.
    pub pairing: PairingId,
    /// What the host is called.
    pub name: String,
    /// Where; `None` when no port could be listened on.
    pub address: Option<SocketAddr>,
}

pub(super) struct Endpoints {
    config: AppConfig,
    party: Party,
    forward: Forward,
    open: BTreeMap<PairingId, (String, Option<Server>)>,
    views: watch::Sender<Vec<EndpointView>>,
}

struct Endpoint {
    pairing: PairingId,
    guard: Guard,
    forward: Forward,
}

impl Answers for Endpoint {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        match self.guard.check(request.uri(), request.headers()) {
            Ok(()) => self.forward.request(self.pairing, request).await,
            Err(denied) => forward::denied(denied),
        }
    }
}

impl Endpoints {
    pub(super) fn new(
        config: AppConfig,
        party: Party,
        forward: Forward,
        views: watch::Sender<Vec<EndpointView>>,
    ) -> Self {
        Self { config, party, forward, open: BTreeMap::new(), views }
    }

    pub(super) async fn run(mut self) {
        let mut events = self.party.events();
        loop {
            let Ok(peers) = self.party.peers().await else { return };
            self.take_over(&peers).await;
            loop {
                match events.recv().await {
                    Ok(Event::Confirmed { .. } | Event::Unpaired { .. } | Event::SessionUp { .. })
                    | Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        }
    }

    async fn take_over(&mut self, peers: &[PeerView]) {
        let stands = |peer: &&PeerView| matches!(peer.stage, StageView::Confirmed { .. });
        let peers: BTreeMap<_, _> = peers.iter().filter(stands).map(|peer| (peer.pairing, peer)).collect();
        self.open.retain(|pairing, _| peers.contains_key(pairing));
        for (pairing, peer) in peers {
            let name = peer.name().to_string();
            if let Some((known, Some(_))) = self.open.get_mut(&pairing) {
                *known = name;
                continue;
            }
            let server = self.listen(pairing, &name).await;
            self.open.insert(pairing, (name, server));
        }
        let views = self.open.iter().map(|(pairing, (name, server))| EndpointView {
            pairing: *pairing,
            name: name.clone(),
            address: server.as_ref().map(Server::address),
        });
        self.views.send_replace(views.collect());
    }

    async fn listen(&self, pairing: PairingId, name: &str) -> Option<Server> {
        for port in ports(&self.config.ports, pairing, name) {
            let service = |address| Endpoint {
                pairing,
                guard: Guard::new(address, self.config.token.clone()),
                forward: self.forward.clone(),
            };
            match Server::start(port, service).await {
                Ok(server) => {
                    tracing::info!(name, endpoint = %format_args!("http://{}", server.address()), "endpoint open");
                    return Some(server);
                }
                Err(error) => tracing::debug!(port, %error, "a port cannot be listened on"),
            }
        }
        tracing::error!(name, "no port is free for this host's endpoint: give it one with --endpoint");
        None
    }
}

/// The ports to try, best first: the one that is wanted alone, or those that a pairing has from run to run.
fn ports(wanted: &[(String, u16)], pairing: PairingId, name: &str) -> Vec<u16> {
    let id = pairing_text(pairing);
    if let Some((_, port)) = wanted.iter().find(|(of, _)| of == name || *of == id) {
        return vec![*port];
    }
    let [high, low, ..] = *pairing.as_bytes();
    let count = PORTS.end - PORTS.start;
    let own = u16::from_be_bytes([high, low]) % count;
    (0..TRIES).map(|more| PORTS.start + (own + more) % count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_port_and_may_be_given_another() {
        let pairing = PairingId::from_bytes([0xff; 16]);
        let own = ports(&[], pairing, "beacon");
        assert_eq!((own.len(), own[0]), (16, 17_000 + 65_535 % 2000));
        assert!(own.iter().all(|port| PORTS.contains(port)));
        for name in ["beacon".to_owned(), "ff".repeat(16)] {
            assert_eq!(ports(&[(name, 5052)], pairing, "beacon"), [5052]);
        }
        assert_eq!(ports(&[("other".to_owned(), 5052)], pairing, "beacon"), own);
    }
}
