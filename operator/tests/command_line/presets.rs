//! Known networks, and who wins over whom.

use waku_operator::command_line::{Origin, Preset};

use crate::{options_of, refuse, run};

#[test]
fn the_waku_network_needs_its_proofs_declined() {
    for words in
        [&["--preset=twn"][..], &["--preset=TWN", "--relay=false"], &["--preset=twn", "--rln-relay=true"]]
    {
        let report = refuse(words);
        assert!(report.contains("is not built into this node"), "{report}");
        assert!(report.contains("--rln-relay=false joins without checking proofs"), "{report}");
    }
    let (options, warnings) = run(&["--preset=twn", "--rln-relay=false"]);
    assert_eq!(options.sharding.preset, Some(Preset::Twn));
    assert_eq!((options.sharding.cluster_id, options.sharding.shard_count), (1, 8));
    assert_eq!(options.relay.max_message_len, 150 * 1024);
    assert!(options.discovery.discv5.is_some());
    assert_eq!(options.discovery.bootstrap_records.len(), 3);
    assert_eq!(options.origin("num-shards-in-network"), Origin::Preset);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn proofs_may_be_declined_in_the_file() {
    let (options, _) =
        options_of(&["--preset=twn", "--config-file=b.toml"], &[], "rln-relay = false").unwrap();
    assert_eq!(options.sharding.preset, Some(Preset::Twn));
}

#[test]
fn cluster_1_alone_is_the_waku_network_with_a_warning() {
    let (options, warnings) = run(&["--cluster-id=1"]);
    assert_eq!((options.sharding.cluster_id, options.sharding.shard_count), (1, 8));
    assert!(options.discovery.discv5.is_some());
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("without checking RLN proofs"), "{warnings:?}");
    assert!(refuse(&["--cluster-id=1", "--rln-relay"]).contains("--rln-relay is not built into this node"));
}

#[test]
fn other_clusters_are_nobody_s() {
    for cluster in ["0", "2", "3", "16"] {
        let (options, warnings) = run(&[&format!("--cluster-id={cluster}")]);
        assert_eq!((options.sharding.preset, options.sharding.shard_count), (None, 0));
        assert!(options.discovery.discv5.is_none() && options.peers.static_nodes.is_empty());
        assert_eq!(warnings, Vec::<String>::new());
    }
}

#[test]
fn every_preset_has_its_cluster_shards_and_way_in() {
    let cases = [
        ("logos.dev", Preset::LogosDev, (3, 8), 150 << 10, 6, 0),
        ("LogosDev", Preset::LogosDev, (3, 8), 150 << 10, 6, 0),
        ("logos.test", Preset::LogosTest, (2, 8), 150 << 10, 6, 0),
        ("status.prod", Preset::StatusProd, (16, 1), 1 << 20, 3, 1),
        ("status.staging", Preset::StatusStaging, (16, 1), 1 << 20, 0, 1),
    ];
    for (name, preset, sharding, max_message_len, nodes, lists) in cases {
        let (options, _) = run(&[&format!("--preset={name}")]);
        assert_eq!(options.sharding.preset, Some(preset));
        assert_eq!((options.sharding.cluster_id, options.sharding.shard_count), sharding, "{name}");
        assert_eq!(options.relay.max_message_len, max_message_len, "{name}");
        assert_eq!(
            (options.peers.static_nodes.len(), options.discovery.dns_lists.len()),
            (nodes, lists),
            "{name}"
        );
        assert!(options.discovery.discv5.is_some(), "{name}");
    }
}

#[test]
fn what_a_preset_wants_and_is_not_built_is_a_warning() {
    let (_, warnings) = run(&["--preset=logos.test"]);
    assert_eq!(
        warnings,
        ["nodes of the logos.test network run mix and Kademlia discovery: this one does not"]
    );
}

#[test]
fn a_flag_that_is_given_wins_over_the_preset_with_a_warning() {
    let words =
        ["--preset=status.prod", "--cluster-id=77", "--discv5-discovery=false", "--num-shards-in-network=1"];
    let (options, warnings) = run(&words);
    assert_eq!(options.sharding.cluster_id, 77);
    assert!(options.discovery.discv5.is_none());
    let expected = [
        "--cluster-id stands against the status.prod network's 16",
        "--discv5-discovery stands against the status.prod network's true",
    ];
    assert_eq!(warnings, expected, "one that agrees is no news");
    let (options, warnings) =
        options_of(&["--preset=status.prod"], &[("WAKUNODE2_CLUSTER_ID", "5")], "").unwrap();
    assert_eq!((options.sharding.cluster_id, warnings.len()), (5, 1));
}

#[test]
fn static_sharding_can_be_had_on_a_preset_s_network() {
    let words = ["--preset=status.prod", "--num-shards-in-network=0", "--shard=32", "--shard=64"];
    let (options, _) = run(&words);
    assert_eq!((options.sharding.shard_count, options.sharding.shards), (0, vec![32, 64]));
}

#[test]
fn entry_nodes_of_a_preset_are_added_to_those_given() {
    let (options, _) =
        run(&["--preset=status.prod", "--entry-node=/ip4/10.0.0.1/tcp/1", "--entry-node=ENR:-x"]);
    assert_eq!(options.peers.static_nodes.len(), 4);
    assert_eq!(options.peers.static_nodes[0], "/ip4/10.0.0.1/tcp/1");
    assert_eq!(options.peers.entry_records, ["ENR:-x"]);
    assert_eq!(options.discovery.bootstrap_records, ["ENR:-x"]);
    assert!(options.discovery.dns_lists[0].starts_with("enrtree://"));
}
