//! The argument lists of those who run nwaku today.

use std::net::IpAddr;

use waku_operator::command_line::{LogLevel, Nat, Preset};

use crate::{refuse, run};

const KEY: &str = "--nodekey=1122112211221122112211221122112211221122112211221122112211221122";

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn the_interoperability_suite_s_default_arguments_are_read() {
    let text = format!(
        "--listen-address=0.0.0.0 --rest=true --rest-admin=true --websocket-support=true --log-level=TRACE \
         --rest-relay-cache-capacity=100 --websocket-port=32002 --rest-port=32000 --tcp-port=32001 \
         --rest-address=0.0.0.0 --nat=extip:172.18.0.5 --peer-exchange=true --discv5-discovery=true \
         --discv5-udp-port=32003 --cluster-id=3 {KEY} --shard=0 --metrics-server=true \
         --metrics-server-address=0.0.0.0 --metrics-server-port=32004 --metrics-logging=true"
    );
    let (options, warnings) = run(&words(&text));
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(options.addresses.nat, Nat::Known(IpAddr::from([172, 18, 0, 5])));
    assert_eq!(options.log.level, LogLevel::Trace);
    let rest = options.rest.unwrap();
    assert_eq!((rest.port, rest.admin, rest.relay_cache_capacity), (32_000, true, 100));
    assert_eq!((options.sharding.preset, options.sharding.shards), (None, vec![0]));
}

#[test]
fn the_interoperability_suite_s_arguments_of_single_tests_are_read() {
    let with_topics = "--relay=true --store=true --lightpush=true --filter=true --num-shards-in-network=8 \
                       --content-topic=/test/1/waku/proto --content-topic=/test/2/waku/proto --cluster-id=3";
    assert_eq!(run(&words(with_topics)).0.sharding.content_topics.len(), 2);
    let others = "--dns-discovery=false --storenode=/ip4/172.18.0.5/tcp/1/p2p/16Uiu2HAm --relay=false \
                  --filternode=/ip4/172.18.0.5/tcp/1 --lightpushnode=/ip4/172.18.0.5/tcp/1 --peer-exchange-node= \
                  --discv5-bootstrap-node=enr:-abc --discv5-bootstrap-node=enr:-def --store=true \
                  --store-message-db-url=sqlite:///data/store.sqlite3 --store-sync=false --store-sync-range=120";
    let (options, warnings) = run(&words(others));
    assert_eq!(options.discovery.bootstrap_records.len(), 2);
    assert_eq!(options.services.peer_exchange, None);
    assert_eq!(warnings, ["--store-sync-range has no effect: store sync is not built"]);
}

#[test]
fn js_waku_s_test_arguments_are_read() {
    let text = "--listen-address=0.0.0.0 --relay=true --rest=true --rest-admin=true --websocket-support=true \
                --log-level=TRACE --tcp-port=33001 --rest-port=33002 --websocket-port=33003 --discv5-udp-port=33004 \
                --rest-address=0.0.0.0 --nat=extip:172.17.0.2 --lightpush=true --filter=true --store=true \
                --peer-exchange=true --discv5-discovery=true --discv5-bootstrap-node=enr:-abc --cluster-id=2 \
                --shard=0 --shard=1 --num-shards-in-network=8 --content-topic=/a/1/b/proto \
                --staticnode=/ip4/172.17.0.3/tcp/1/p2p/16Uiu2HAm";
    let (options, warnings) = run(&words(text));
    assert_eq!((options.sharding.cluster_id, options.sharding.preset), (2, None));
    assert_eq!(options.sharding.shards, [0, 1]);
    assert!(options.lightpush && options.filter.is_some() && options.store.is_some());
    assert_eq!(warnings, Vec::<String>::new());
}

const JS_WAKU_RUN: &str = "--listen-address=0.0.0.0 --staticnode=/ip4/172.20.0.10/tcp/60002/ws/p2p/16Uiu2HAm \
    --relay=true --filter=true --lightpush=true --store=true --peer-exchange=true --discv5-discovery=true \
    --cluster-id=0 --shard=0 --shard=1 --shard=2 --shard=3 --shard=4 --shard=5 --shard=6 --shard=7 \
    --ext-multiaddr=/ip4/127.0.0.1/tcp/60001 --ext-multiaddr=/ip4/127.0.0.1/tcp/60002/ws --max-connections=150 \
    --log-level=INFO --tcp-port=60001 --websocket-support=true --websocket-port=60002 --rest=true \
    --rest-address=0.0.0.0 --rest-port=8646 --rest-admin=true";

#[test]
fn js_waku_s_compose_arguments_are_read_and_its_database_is_refused_by_name() {
    let base = format!("{JS_WAKU_RUN} {KEY}");
    let (options, _) = run(&words(&base));
    assert_eq!((options.sharding.shards.len(), options.addresses.external.len()), (8, 2));
    let report = refuse(&words(&format!("{base} --store-message-db-url=postgresql://u:p@h:5432/nwaku")));
    assert!(report.starts_with("PostgreSQL, which --store-message-db-url names, is not built"), "{report}");
}

const NWAKU_COMPOSE: &str = "--relay=true --filter=true --peer-exchange=true --lightpush=true --keep-alive=true \
    --max-connections=150 --cluster-id=1 --discv5-discovery=true --discv5-udp-port=9005 \
    --discv5-enr-auto-update=True --log-level=DEBUG --tcp-port=30304 --metrics-server=True \
    --metrics-server-port=8003 --metrics-server-address=0.0.0.0 --rest=true --rest-admin=true \
    --rest-address=0.0.0.0 --rest-port=8645 --rest-allow-origin=waku-org.github.io --rest-allow-origin=localhost:* \
    --nat=extip:10.0.0.1 --store=true --rln-relay-eth-client-address=https://rpc.example \
    --rln-relay-cred-path=/keystore/keystore.json --rln-relay-cred-password=word --websocket-support=true \
    --websocket-secure-support=true --websocket-secure-key-path=/etc/key.pem \
    --websocket-secure-cert-path=/etc/chain.pem --dns4-domain-name=node.example \
    --store-message-retention-policy=size:1GB";

#[test]
fn nwaku_compose_s_arguments_are_read_and_its_database_is_refused_by_name() {
    let base = format!("{NWAKU_COMPOSE} {KEY}");
    let (options, warnings) = run(&words(&base));
    assert_eq!(options.sharding.preset, Some(Preset::Twn));
    assert_eq!(options.rest.unwrap().allow_origin, ["waku-org.github.io", "localhost:*"]);
    assert_eq!(options.store.unwrap().retention_policy, "size:1GB");
    assert!(options.websocket.unwrap().certificate.is_some());
    assert!(options.discovery.discv5.unwrap().auto_update);
    assert!(warnings.iter().any(|warning| warning.contains("without checking RLN proofs")), "{warnings:?}");
    let report =
        refuse(&words(&format!("{base} --store-message-db-url=postgres://u:p@postgres:5432/postgres")));
    assert!(report.starts_with("PostgreSQL, which --store-message-db-url names, is not built"), "{report}");
}

#[test]
fn nwaku_compose_s_keystore_command_is_refused_by_name() {
    let text = "generateRlnKeystore --rln-relay-eth-client-address= --rln-relay-chain-id=59141 --execute";
    assert!(refuse(&words(text)).starts_with("generateRlnKeystore is not built into this node"));
}

#[test]
fn the_simulator_s_arguments_are_refused_for_rln_alone() {
    let without = "--cluster-id=66 --shard=0 --rln-relay-chain-id=1234 --max-connections=150";
    assert_eq!(run(&words(without)).0.sharding.cluster_id, 66);
    let report = refuse(&words(&format!("{without} --rln-relay=true --rln-relay-dynamic=true")));
    assert!(report.starts_with("--rln-relay is not built into this node"), "{report}");
}

#[test]
fn go_waku_s_ci_arguments_are_read() {
    let text = format!("--relay --store {KEY} --cluster-id=99 --shard=1");
    let (options, warnings) = run(&words(&text));
    assert!(options.relay.enabled && options.store.is_some() && options.identity.node_key.is_some());
    assert_eq!((options.sharding.cluster_id, warnings.len()), (99, 0));
}

#[test]
fn the_newest_compose_s_arguments_are_read_but_for_mix() {
    let (options, warnings) = run(&["--preset=logos.dev", "--entry-layer=kernel"]);
    assert_eq!(options.sharding.cluster_id, 3);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        refuse(&["--preset=logos.dev", "--entry-layer=kernel", "--mix=true"])
            .starts_with("--mix is not built")
    );
}
