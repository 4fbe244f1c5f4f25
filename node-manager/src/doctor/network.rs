//! The way into the Waku network, and how much is sent there.

use std::time::Duration;

use tokio::time::timeout;
use waku::peers::StaticPeerState;
use waku::proto::protocol_id::{FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, RELAY, STORE_QUERY};
use waku::{Config, Keypair, Node, PeerList};

use super::report::Finding;
use crate::Network;
use crate::channel::Mode;

/// How long nodes are waited for when the service does not run.
const REACH: Duration = Duration::from_secs(10);
/// The cluster of The Waku Network, whose members may send so many messages in so much time.
const WAKU_NETWORK: (u16, u32, Duration) = (1, 100, Duration::from_secs(600));
/// Before that, what was sent says nothing about how much is sent.
const LEAST_TIME: Duration = Duration::from_secs(600);

/// What is served, in the order in which it is said.
const SERVED: [(&str, &[&str]); 4] = [
    ("relay", &[RELAY]),
    ("filter", &[FILTER_SUBSCRIBE]),
    ("lightpush", &[LIGHTPUSH, LIGHTPUSH_V2]),
    ("store", &[STORE_QUERY]),
];

/// How it stands with the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    /// Whether this side relays.
    mode: Mode,
    /// Connected nodes.
    connected: usize,
    /// Of those that were named and are not connected: where, and why.
    missing: Vec<(String, String)>,
    /// What the connected ones serve.
    served: Vec<&'static str>,
}

impl Reached {
    pub(super) fn new(peers: &PeerList, mode: Mode) -> Self {
        let missing = peers.static_peers.iter().filter(|peer| peer.state != StaticPeerState::Connected);
        let missing = missing.map(|peer| {
            let gone = peer.peer_id.and_then(|peer_id| peers.last_disconnection(peer_id));
            let why = peer.last_error.clone().or_else(|| gone.map(|gone| gone.reason.to_string()));
            (peer.address.to_string(), why.unwrap_or_else(|| "no answer yet".to_owned()))
        });
        let speaks = |protocols: &[&str]| {
            let mut spoken = peers.connected.iter().flat_map(|peer| &peer.protocols);
            spoken.any(|spoken| protocols.contains(&spoken.as_str()))
        };
        let served = SERVED.into_iter().filter(|(_, protocols)| speaks(protocols)).map(|(name, _)| name);
        Self { mode, connected: peers.connected.len(), missing: missing.collect(), served: served.collect() }
    }
}

/// Connects to the nodes of a network with a name of its own, to see whether they can be reached, and leaves again.
///
/// # Errors
/// When no node can be started.
pub(super) async fn reach(network: Network) -> Result<Reached, String> {
    let mut config = Config::new(Keypair::generate(), network.sharding);
    config.relay = network.mode == Mode::Relay;
    config.static_peers = network.static_nodes;
    let node = Node::spawn(config).await.map_err(|error| error.to_string())?;
    let mut peers = node.peers().watch();
    let is_there = |peers: &PeerList| {
        let is_connected = |peer: &waku::peers::StaticPeerInfo| peer.state == StaticPeerState::Connected;
        peers.static_peers.iter().all(is_connected) && peers.connected.iter().all(|peer| peer.agent.is_some())
    };
    // Those that did not come in time are told of as they are.
    _ = timeout(REACH, peers.wait_for(is_there)).await;
    let reached = Reached::new(&peers.borrow(), network.mode);
    node.shutdown().await;
    Ok(reached)
}

/// Judges; `None` when nothing is known, for the service does not run and no node was named.
pub(super) fn check(reached: Option<&Result<Reached, String>>) -> Vec<Finding> {
    let check = "Waku network";
    let reached = match reached {
        None => {
            let fix = "start node-manager run, or give --staticnode";
            return vec![Finding::not_checked(check, "the service does not run, and no node was named", fix)];
        }
        Some(Err(error)) => {
            return vec![Finding::failed(check, error, "mend --staticnode, --cluster-id or --shard")];
        }
        Some(Ok(reached)) => reached,
    };
    let list = if reached.served.is_empty() { "nothing yet".to_owned() } else { reached.served.join(", ") };
    let seen = format!("connected to {}, served: {list}", nodes(reached.connected));
    let serves = |name: &str| reached.served.contains(&name);
    let mut findings = Vec::new();
    if reached.connected == 0 {
        let fix = "see that this host may dial out, and that the nodes given as --staticnode run";
        findings.push(Finding::failed(check, "connected to no Waku node", fix));
    } else {
        let (is_carried, fix) = match reached.mode {
            Mode::Relay => (serves("relay"), "name a node of the same cluster that relays as --staticnode"),
            Mode::Light => (
                serves("filter") && serves("lightpush"),
                "name a node of the same cluster that serves filter and lightpush as --staticnode",
            ),
        };
        let finding = if is_carried { Finding::ok(check, seen) } else { Finding::failed(check, seen, fix) };
        findings.push(finding);
        if !serves("store") {
            findings.push(Finding::warning(
                "Waku store",
                "no connected node keeps messages: alerts do not reach apps that are away",
                "name a node that serves store (waku-node --store) as --staticnode, too",
            ));
        }
    }
    let missing = reached.missing.iter().map(|(address, why)| {
        let fix = "see that it runs there and its port is open, or take it off --staticnode";
        let finding = if reached.connected == 0 { Finding::failed } else { Finding::warning };
        finding(format_args!("Waku node {address}"), why, fix)
    });
    findings.extend(missing);
    findings
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

/// How much may be sent, and was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spending {
    pub(super) cluster: u16,
    /// So many messages in so much time, if it was limited.
    pub(super) budget: Option<(u32, Duration)>,
    /// Messages that carried requests, and acknowledgements, since the service started.
    pub(super) sent: u64,
    pub(super) running_for: Duration,
}

/// Judges what is spent.
pub(super) fn budget(spending: Option<Spending>) -> Finding {
    let check = "message budget";
    let Some(Spending { cluster, budget, sent, running_for }) = spending else {
        let fix = "examine while the service runs";
        return Finding::not_checked(check, "the service does not run", fix);
    };
    let minutes = running_for.as_secs() / 60;
    let used = format!("{sent} sent in the {minutes} minutes since the start");
    let (limited, count, time) = WAKU_NETWORK;
    let Some((most, each)) = budget else {
        if cluster == limited {
            let seen = format!(
                "none is set, and a member of cluster {limited} may send {count} in {} s",
                time.as_secs()
            );
            return Finding::warning(
                check,
                seen,
                format!("run with --message-budget={count}/{}", time.as_secs()),
            );
        }
        return Finding::ok(check, format!("none is set, so ten a second at most; {used}"));
    };
    let seen = format!("{most} in {} s; {used}", each.as_secs());
    // In messages times seconds, so that nothing is divided.
    let (spent, may) =
        (u128::from(sent) * u128::from(each.as_secs()), u128::from(most) * u128::from(running_for.as_secs()));
    if running_for >= LEAST_TIME && spent * 5 > may * 4 {
        let fix =
            "ask less often: `app watch` and open pages cost messages; or use a network that allows more";
        return Finding::warning(check, format!("nearly all is used: {seen}"), fix);
    }
    Finding::ok(check, seen)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn state(mode: Mode, connected: usize, served: &[&'static str]) -> State {
        let reached = Reached { mode, connected, missing: Vec::new(), served: served.to_vec() };
        check(Some(&Ok(reached)))[0].state
    }

    #[test]
    fn nodes_have_to_carry_messages_one_way_or_the_other() {
        let (relay, light) = (Mode::Relay, Mode::Light);
        assert_eq!(state(relay, 1, &["relay"]), State::Ok);
        assert_eq!(state(light, 1, &["relay", "filter", "lightpush"]), State::Ok);
        assert_eq!(state(light, 1, &["relay", "filter", "store"]), State::Failed);
        assert_eq!(state(relay, 1, &["filter", "lightpush"]), State::Failed);
        assert_eq!(state(relay, 1, &[]), State::Failed);
        assert_eq!(state(light, 0, &[]), State::Failed);
        assert_eq!(check(None)[0].state, State::NotChecked);
        assert_eq!(check(Some(&Err("port".to_owned())))[0].state, State::Failed);
    }

    #[test]
    fn a_node_that_is_not_there_is_named() {
        let missing = vec![("/ip4/203.0.113.7/tcp/60000".to_owned(), "connection refused".to_owned())];
        let served = vec!["relay", "store"];
        let reached = Reached { mode: Mode::Relay, connected: 1, missing, served };
        let findings = check(Some(&Ok(reached.clone())));
        assert_eq!((findings[0].state, findings[1].state), (State::Ok, State::Warning));
        assert!(findings[1].check.contains("203.0.113.7"));
        let alone = check(Some(&Ok(Reached { connected: 0, served: Vec::new(), ..reached })));
        assert_eq!(alone[1].state, State::Failed);
    }

    #[test]
    fn without_a_store_alerts_do_not_wait_for_apps() {
        let findings = |served: &[&'static str]| {
            let served = served.to_vec();
            check(Some(&Ok(Reached { mode: Mode::Relay, connected: 1, missing: Vec::new(), served })))
        };
        assert_eq!(findings(&["relay", "store"]).len(), 1);
        assert_eq!(findings(&["relay"])[1].state, State::Warning);
    }

    #[test]
    fn a_budget_that_is_used_up_or_missing_is_said() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let spending =
            Spending { cluster: 0, budget: Some((100, minutes(10))), sent: 0, running_for: minutes(60) };
        let state = |spending| budget(Some(spending)).state;
        assert_eq!(state(spending), State::Ok);
        assert_eq!(state(Spending { sent: 480, ..spending }), State::Ok);
        assert_eq!(state(Spending { sent: 481, ..spending }), State::Warning);
        // It may all be used at once, at first.
        assert_eq!(state(Spending { sent: 100, running_for: minutes(1), ..spending }), State::Ok);
        assert_eq!(
            state(Spending { sent: u64::MAX, running_for: Duration::MAX, ..spending }),
            State::Warning
        );
        assert_eq!(state(Spending { budget: None, ..spending }), State::Ok);
        assert_eq!(state(Spending { budget: None, cluster: 1, ..spending }), State::Warning);
        assert_eq!(budget(None).state, State::NotChecked);
    }
}
