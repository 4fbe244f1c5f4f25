//! Carrying a request out.

use std::time::{Duration, SystemTime};

use node_manager::Service;
use node_manager::host::Files;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use waku::peers::StaticPeerState;
use waku::{Node, PeerList};
use waku_gateway::policy::{Grant, Grants};
use waku_pairing::code::Code;
use waku_pairing::endpoint::CommandError;
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Event, Part, PeerView, PingError, StageView, Terms};
use waku_pairing::record::PairingId;

use super::notice::{display_name, pairing_text};
use super::protocol::{
    NetworkStatus, PeerStatus, Request, Response, Secret, SessionStatus, StaticNodeStatus, Status,
};
use super::room::Room;
use crate::failure::{Failure, Kind};

/// Carries out a request on a service. [`Request::Watch`] is not one to carry out.
pub(crate) async fn serve(room: &Room, request: Request) -> Result<Response, Failure> {
    let service = &room.service;
    match request {
        Request::Pair { code, compare_digits, allow_clock_skew } => {
            let keys = stretch(code).await?;
            let terms = Terms { compare_digits, allow_clock_skew };
            service.party().pair(keys, terms).await.map_err(|error| match error {
                CommandError::Refused(_) => describe(error).hint(
                    "Ctrl-C in the `pair` that waits ends it; without one it ends by itself after 10 minutes, or when \
                    the service is restarted",
                ),
                error => describe(error),
            })?;
            Ok(Response::Done)
        }
        Request::Offer { code, compare_digits, allow_clock_skew } => {
            let keys = stretch(code).await?;
            service
                .party()
                .offer(keys, Terms { compare_digits, allow_clock_skew })
                .await
                .map_err(describe)?;
            Ok(Response::Done)
        }
        Request::Digits { peer, digits } => {
            let digits = digits.parse().map_err(Failure::usage)?;
            let pairing = match peer {
                Some(peer) => find(service, Some(&peer)).await?.pairing,
                None => the_only_one_waiting(service).await?.pairing,
            };
            service.party().digits(pairing, digits).await.map_err(|error| match error {
                CommandError::Refused(_) => Failure::new(Kind::Rejected, error),
                error => describe(error),
            })?;
            Ok(Response::Done)
        }
        Request::Cancel => {
            service.party().cancel().await.map_err(describe)?;
            Ok(Response::Done)
        }
        Request::Status => Ok(Response::Status(Box::new(status(room).await?))),
        Request::Show { peer } => {
            Ok(Response::Peer(Box::new(peer_status(room, &find(service, Some(&peer)).await?))))
        }
        Request::Rename { peer, name } => {
            // A blank name could not be told from none.
            let name = name.filter(|name| !name.trim().is_empty());
            let name = name.map(|name| name.parse()).transpose().map_err(Failure::usage)?;
            let peer = find(service, Some(&peer)).await?;
            service.party().rename(peer.pairing, name).await.map_err(describe)?;
            Ok(Response::Peer(Box::new(peer_status(room, &find_pairing(service, peer.pairing).await?))))
        }
        Request::Grant { peer, grants } => change_grants(room, &peer, &grants, Grants::with).await,
        Request::Withdraw { peer, grants } => change_grants(room, &peer, &grants, Grants::without).await,
        Request::Revoke { peer } => {
            let peer = find(service, Some(&peer)).await?;
            service.party().unpair(peer.pairing).await.map_err(describe)?;
            Ok(Response::Peer(Box::new(peer_status(room, &peer))))
        }
        Request::Ping { peer, timeout_ms } => {
            let peer = find(service, peer.as_deref()).await?;
            ping(service, &peer, Duration::from_millis(timeout_ms)).await
        }
        Request::Doctor { config, services } => {
            let report = room.doctor()?.examine(Files { config, services }).await;
            Ok(Response::Doctor(Box::new(report)))
        }
        Request::Watch => Err(Failure::other("watching is done by the connection")),
    }
}

async fn stretch(code: Secret) -> Result<CodeKeys, Failure> {
    let code: Code = code.0.parse().map_err(Failure::usage)?;
    spawn_blocking(move || CodeKeys::derive(&code)).await.map_err(Failure::other)
}

fn describe<E: std::error::Error + 'static>(error: CommandError<E>) -> Failure {
    match error {
        CommandError::NotSaved => Failure::new(Kind::Vault, error)
            .hint("check that the disk has room and that the data directory may be written to"),
        error => Failure::other(error),
    }
}

/// The peer of this name; without a name the only one there is.
async fn find(service: &Service, wanted: Option<&str>) -> Result<PeerView, Failure> {
    let peers = service.party().peers().await.map_err(describe)?;
    let hint = "`node-manager peers` lists them (`node-manager app peers` on the app's side)";
    let Some(wanted) = wanted else {
        return match <[PeerView; 1]>::try_from(peers) {
            Ok([peer]) => Ok(peer),
            Err(peers) if peers.is_empty() => Err(Failure::other("nobody is paired with this side yet")),
            Err(_) => Err(Failure::usage("there are several peers; say which one").hint(hint)),
        };
    };
    let mut matching = peers.into_iter().filter(|peer| is_called(peer, wanted));
    match (matching.next(), matching.next()) {
        (Some(peer), None) => Ok(peer),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("several peers are called {wanted:?}")).hint("use its fingerprint"))
        }
        (None, _) => Err(Failure::usage(format!("no peer is called {wanted:?}")).hint(hint)),
    }
}

/// The only host that waits for its digits to be typed in.
async fn the_only_one_waiting(service: &Service) -> Result<PeerView, Failure> {
    let mut peers = service.party().peers().await.map_err(describe)?;
    peers.retain(|peer| peer.stage == StageView::Keyed);
    match <[PeerView; 1]>::try_from(peers) {
        Ok([peer]) => Ok(peer),
        Err(peers) if peers.is_empty() => Err(Failure::usage("no host waits for digits to be typed in")),
        Err(_) => Err(Failure::usage("several hosts wait for their digits; say which one")),
    }
}

fn is_called(peer: &PeerView, wanted: &str) -> bool {
    let lower = wanted.to_ascii_lowercase();
    let by_fingerprint = lower.len() >= 4 && peer.fingerprint.to_string().starts_with(&lower);
    display_name(peer.name().as_str()) == wanted || by_fingerprint || pairing_text(peer.pairing) == lower
}

async fn find_pairing(service: &Service, pairing: PairingId) -> Result<PeerView, Failure> {
    let peers = service.party().peers().await.map_err(describe)?;
    let peer = peers.into_iter().find(|peer| peer.pairing == pairing);
    peer.ok_or_else(|| Failure::other("the peer has just been unpaired"))
}

async fn ping(service: &Service, peer: &PeerView, patience: Duration) -> Result<Response, Failure> {
    let name = display_name(peer.name().as_str());
    let no_answer = || {
        Failure::new(Kind::Timeout, format!("{name:?} does not answer"))
            .hint("is it running, and does it reach the same network?")
    };
    let answered = async {
        let mut events = service.party().events();
        loop {
            match service.party().ping(peer.pairing).await {
                Err(CommandError::Refused(PingError::Send(_))) => {}
                answer => return answer.map_err(describe),
            }
            // No session yet: as soon as there is one, or there may be one that was not heard of.
            loop {
                match events.recv().await {
                    Ok(Event::SessionUp { pairing, .. }) if pairing == peer.pairing => break,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
    };
    let round_trip = timeout(patience, answered).await.map_err(|_| no_answer())??;
    Ok(Response::Pong { name, round_trip_ms: round_trip.as_secs_f64() * 1e3 })
}

/// Gives a pairing other grants than it has.
async fn change_grants(
    room: &Room,
    peer: &str,
    grants: &[String],
    change: fn(Grants, Grant) -> Grants,
) -> Result<Response, Failure> {
    let book = room.grants()?;
    let peer = find(&room.service, Some(peer)).await?;
    let grants = grants.iter().map(|grant| grant.parse::<Grant>()).collect::<Result<Vec<_>, _>>();
    let wanted = grants.map_err(Failure::usage)?.into_iter().fold(book.of(peer.pairing), change);
    book.set(peer.pairing, wanted).map_err(|error| {
        Failure::new(Kind::Vault, error)
            .hint("check that the disk has room and that the data directory may be written to")
    })?;
    Ok(Response::Peer(Box::new(peer_status(room, &peer))))
}

/// What a side is called in a status.
pub(super) fn part_name(part: Part) -> &'static str {
    match part {
        Part::NodeManager => "host",
        Part::App => "app",
    }
}

async fn status(room: &Room) -> Result<Status, Failure> {
    let service = &room.service;
    let peers = service.party().peers().await.map_err(describe)?;
    Ok(Status {
        part: part_name(service.part()).to_owned(),
        label: service.label().to_string(),
        fingerprint: service.fingerprint().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: service.node().is_some(),
        network: service.node().map(network_status),
        peers: peers.iter().map(|peer| peer_status(room, peer)).collect(),
    })
}

fn network_status(node: &Node) -> NetworkStatus {
    let peers = node.peers().list();
    NetworkStatus {
        peer_id: node.local_peer_id().to_string(),
        cluster: node.sharding().cluster(),
        listening: node.listen_addresses().iter().map(ToString::to_string).collect(),
        connected: peers.connected.len(),
        static_nodes: static_nodes(&peers),
    }
}

/// The static nodes, with what keeps this side from being connected to them.
pub(super) fn static_nodes(peers: &PeerList) -> Vec<StaticNodeStatus> {
    let problem = |peer: &waku::peers::StaticPeerInfo| {
        let gone = peer.peer_id.and_then(|peer_id| peers.last_disconnection(peer_id));
        peer.last_error.clone().or_else(|| gone.map(|gone| gone.reason.to_string()))
    };
    let status = |peer: &waku::peers::StaticPeerInfo| {
        let connected = peer.state == StaticPeerState::Connected;
        let problem = if connected { None } else { problem(peer) };
        StaticNodeStatus { address: peer.address.to_string(), connected, problem }
    };
    peers.static_peers.iter().map(status).collect()
}

fn peer_status(room: &Room, peer: &PeerView) -> PeerStatus {
    let part = room.service.part();
    let (stage, compared) = match peer.stage {
        StageView::Pending => ("pending", false),
        StageView::Keyed => ("keyed", false),
        StageView::Confirmed { compared } => ("confirmed", compared),
    };
    let unix_now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let heard_in_session = peer.session.map(|session| unix_now.saturating_sub(session.silent_for).as_secs());
    // What is typed into the app has to come from the host's screen, not from the app itself.
    let digits = peer.digits.filter(|_| part == Part::NodeManager || stage == "confirmed");
    PeerStatus {
        pairing: pairing_text(peer.pairing),
        name: display_name(peer.name().as_str()),
        label: peer.label.to_string(),
        fingerprint: peer.fingerprint.to_string(),
        stage: stage.to_owned(),
        compared,
        digits: digits.map(|digits| digits.to_string()),
        paired_at: peer.created,
        last_seen: heard_in_session.or(peer.last_heard),
        session: peer.session.map(|session| SessionStatus {
            id: format!("{:?}", session.id),
            silent_for_ms: u64::try_from(session.silent_for.as_millis()).unwrap_or(u64::MAX),
            round_trip_ms: session.round_trip.map(|round_trip| round_trip.as_secs_f64() * 1e3),
        }),
        grants: room.grants_of(peer.pairing),
        endpoint: room.endpoint_of(peer.pairing),
    }
}
