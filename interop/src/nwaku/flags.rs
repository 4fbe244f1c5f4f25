//! nwaku's command line.

use crate::line::Start;
use crate::peer::Failure;

/// Where a node listens on loopback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// For peers.
    pub(super) tcp: u16,
    /// For us.
    pub(super) rest: u16,
    /// For discovery, over UDP.
    pub(super) discv5: u16,
}

/// The flags of a node that is started so, on loopback, and finds nobody by itself.
///
/// # Errors
/// [`Failure::Unsupported`] for what no flag gives.
pub(super) fn flags(start: &Start, ports: Ports) -> Result<Vec<String>, Failure> {
    check(start)?;
    let mut flags = vec![
        format!("--cluster-id={}", start.cluster),
        format!("--num-shards-in-network={}", start.shards_in_cluster),
        format!("--relay={}", start.relay),
        format!("--filter={}", start.filter),
        format!("--lightpush={}", start.lightpush),
        "--store=false".to_owned(),
        "--listen-address=127.0.0.1".to_owned(),
        "--nat=extip:127.0.0.1".to_owned(),
        format!("--tcp-port={}", ports.tcp),
        "--rest=true".to_owned(),
        "--rest-admin=true".to_owned(),
        "--rest-address=127.0.0.1".to_owned(),
        format!("--rest-port={}", ports.rest),
        // A burst of messages has to fit between two looks at it.
        "--rest-relay-cache-capacity=500".to_owned(),
        // Every peer has the same address.
        "--ip-colocation-limit=0".to_owned(),
        format!("--discv5-discovery={}", start.discv5.is_some()),
        format!("--discv5-udp-port={}", ports.discv5),
        "--peer-exchange=false".to_owned(),
        "--rendezvous=false".to_owned(),
        "--log-level=DEBUG".to_owned(),
    ];
    flags.extend(start.shards.iter().map(|shard| format!("--shard={shard}")));
    flags.extend(start.key.iter().map(|key| format!("--nodekey={key}")));
    flags.extend(start.peers.iter().map(|peer| format!("--staticnode={peer}")));
    flags.extend(start.discv5.iter().flatten().map(|record| format!("--discv5-bootstrap-node={record}")));
    if let Some(timeout) = start.filter_timeout_ms {
        flags.push(format!("--filter-subscription-timeout={}", timeout.div_ceil(1_000).max(1)));
    }
    Ok(flags)
}

fn check(start: &Start) -> Result<(), Failure> {
    // In version 0.38.1 a preset comes with the number of the cluster, and flags do not take all of it back.
    let why = match start.cluster {
        _ if !start.peer_exchange.is_empty() => "it gives only records that it has discovered itself",
        1 if start.relay => "in cluster 1 it relays only with RLN",
        2 => "in cluster 2 it connects to a public network",
        _ => return Ok(()),
    };
    Err(Failure::Unsupported(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { tcp: 60_001, rest: 60_002, discv5: 60_003 };

    #[test]
    fn a_node_is_started_as_it_is_asked_for() {
        let start = Start {
            shards: vec![0, 5],
            filter: true,
            filter_timeout_ms: Some(1_500),
            key: Some("11".repeat(32)),
            peers: vec!["/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAm".to_owned()],
            ..Start::relay(99)
        };
        let flags = flags(&start, PORTS).unwrap();
        let key = format!("--nodekey={}", "11".repeat(32));
        let wanted = [
            "--cluster-id=99",
            "--num-shards-in-network=8",
            "--shard=0",
            "--shard=5",
            "--relay=true",
            "--filter=true",
            "--lightpush=false",
            "--filter-subscription-timeout=2",
            "--tcp-port=60001",
            "--rest-port=60002",
            "--staticnode=/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAm",
            &key,
        ];
        for wanted in wanted {
            assert!(flags.iter().any(|flag| flag == wanted), "{flags:?} lack {wanted}");
        }
    }

    #[test]
    fn what_was_not_asked_for_is_no_flag() {
        let flags = flags(&Start::light(99), PORTS).unwrap();
        assert!(flags.contains(&"--relay=false".to_owned()), "{flags:?}");
        for absent in ["--nodekey", "--staticnode", "--filter-subscription-timeout"] {
            assert!(!flags.iter().any(|flag| flag.starts_with(absent)), "{flags:?}");
        }
    }

    #[test]
    fn refuses_what_would_leave_loopback_and_what_no_flag_gives() {
        let exchange = Start { peer_exchange: vec!["enr:-".to_owned()], ..Start::relay(99) };
        for start in [Start::relay(1), Start::relay(2), Start::light(2), exchange] {
            let refused = flags(&start, PORTS);
            assert!(matches!(refused, Err(Failure::Unsupported(_))), "{start:?}: {refused:?}");
        }
        assert!(flags(&Start::light(1), PORTS).is_ok());
    }
}
