//! What people read.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use crate::control::{Notice, PeerStatus, StaticNodeStatus, Status};

/// The six digits, easy to read out.
pub(crate) fn digits(digits: &str) -> String {
    match digits.split_at_checked(3) {
        Some((first, last)) => format!("{first} {last}"),
        None => digits.to_owned(),
    }
}

/// What a step of a pairing means to the person who waits for it; `None` for what says nothing new.
pub(crate) fn step(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Network { connected: 0, static_nodes } => not_connected(static_nodes),
        Notice::Network { connected, .. } => format!("Connected to {connected} Waku node(s)."),
        Notice::HelloAppSent { nth: 1 } => "Looking for the app that shows this code…".to_owned(),
        Notice::HelloAppReceived => "A host has typed the code in.".to_owned(),
        Notice::HelloNodeManagerReceived => "Found it.".to_owned(),
        Notice::Keyed => "Both sides hold their keys and heard the same.".to_owned(),
        Notice::ClockSkew { apart_s } => {
            format!("Warning: the two clocks are {} minutes apart.", apart_s.div_ceil(60))
        }
        Notice::StoreFailed => {
            "Warning: the vault cannot be written; nothing goes on before it can.".to_owned()
        }
        _ => return None,
    })
}

fn not_connected(static_nodes: &[StaticNodeStatus]) -> String {
    let mut text = "Connecting to the Waku network…".to_owned();
    for node in static_nodes {
        if let Some(problem) = &node.problem {
            // Writing to a string cannot fail.
            _ = write!(text, "\n  {}: {problem}; trying again", node.address);
        }
    }
    text
}

/// How long ago a Unix second was.
fn ago(then: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(then) {
        0..=1 => "now".to_owned(),
        secs @ 2..=119 => format!("{secs} s ago"),
        secs @ 120..=7199 => format!("{} min ago", secs / 60),
        secs @ 7200..=172_799 => format!("{} h ago", secs / 3600),
        secs => format!("{} days ago", secs / 86400),
    }
}

/// A Unix second, in UTC.
pub(crate) fn time(second: u64) -> String {
    // A clock that is far off is shown as the last moment that has a name.
    let latest = 253_402_300_799;
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(second.min(latest));
    humantime::format_rfc3339_seconds(then).to_string()
}

/// A minute since 1970, as hosts write it.
pub(crate) fn minute(minute: u64) -> String {
    time(minute.saturating_mul(60))
}

fn stage(peer: &PeerStatus) -> String {
    match (peer.stage.as_str(), peer.compared, &peer.digits) {
        ("confirmed", true, _) => "paired".to_owned(),
        ("confirmed", false, _) => "paired, digits not compared".to_owned(),
        (_, _, Some(shown)) => format!("the app waits for the digits {}", digits(shown)),
        _ => "waiting for the host's digits".to_owned(),
    }
}

fn last_seen(peer: &PeerStatus) -> String {
    peer.last_seen.map_or("never".to_owned(), ago)
}

fn round_trip(peer: &PeerStatus) -> String {
    let measured = peer.session.as_ref().and_then(|session| session.round_trip_ms);
    measured.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"))
}

/// The peers, one a line.
pub(crate) fn peers(peers: &[PeerStatus]) -> String {
    if peers.is_empty() {
        return "Nobody is paired with this side yet.".to_owned();
    }
    // What is known of them: on the host what they may do, on the app's side where they are reached.
    let further = match peers {
        [PeerStatus { grants: Some(_), .. }, ..] => "MAY",
        _ => "ADDRESS",
    };
    let header =
        ["NAME", "FINGERPRINT", "PAIRING", "SESSION", "LAST SEEN", "ROUND TRIP", further].map(str::to_owned);
    let rows = peers.iter().map(|peer| {
        let session = if peer.session.is_some() { "up" } else { "-" };
        [
            peer.name.clone(),
            peer.fingerprint.clone(),
            stage(peer),
            session.to_owned(),
            last_seen(peer),
            round_trip(peer),
            peer.grants.as_ref().or(peer.endpoint.as_ref()).map_or("-", String::as_str).to_owned(),
        ]
    });
    table(&[header].into_iter().chain(rows).collect::<Vec<_>>()) + &namesakes(peers)
}

/// Different identities under one name are pointed out.
fn namesakes(peers: &[PeerStatus]) -> String {
    let mut text = String::new();
    for (at, peer) in peers.iter().enumerate() {
        let mut earlier = peers.iter().take(at);
        if earlier.any(|known| known.name == peer.name && known.fingerprint != peer.fingerprint) {
            _ = write!(
                text,
                "\nSeveral peers go by the name {:?}: tell them apart by their fingerprints.",
                peer.name
            );
        }
    }
    text
}

/// Everything about one peer.
pub(crate) fn peer(peer: &PeerStatus) -> String {
    let mut rows = vec![["name".to_owned(), peer.name.clone()]];
    if peer.label != peer.name {
        rows.push(["calls itself".to_owned(), peer.label.clone()]);
    }
    rows.push(["fingerprint".to_owned(), peer.fingerprint.clone()]);
    rows.push(["pairing".to_owned(), format!("{} ({})", stage(peer), ago(peer.paired_at))]);
    if let Some(shown) = &peer.digits {
        rows.push(["digits".to_owned(), digits(shown)]);
    }
    if let Some(grants) = &peer.grants {
        rows.push(["may".to_owned(), grants.replace(',', ", ")]);
    }
    if let Some(endpoint) = &peer.endpoint {
        rows.push(["address".to_owned(), endpoint.clone()]);
    }
    rows.push(["last seen".to_owned(), last_seen(peer)]);
    if let Some(session) = &peer.session {
        rows.push(["session".to_owned(), session.id.clone()]);
        rows.push(["round trip".to_owned(), round_trip(peer)]);
    }
    table(&rows)
}

/// Everything about a service.
pub(crate) fn status(status: &Status) -> String {
    let mut text = format!("{} {:?}, fingerprint {}\n", status.part, status.label, status.fingerprint);
    match &status.network {
        Some(network) => {
            _ = writeln!(
                text,
                "running, connected to {} Waku node(s) of cluster {}",
                network.connected, network.cluster
            );
            for node in &network.static_nodes {
                let state = if node.connected {
                    "connected"
                } else {
                    node.problem.as_deref().unwrap_or("connecting")
                };
                _ = writeln!(text, "  {}: {state}", node.address);
            }
        }
        None => text.push_str("not running\n"),
    }
    text.push('\n');
    text.push_str(&peers(&status.peers));
    text
}

/// Columns as wide as what is in them.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
