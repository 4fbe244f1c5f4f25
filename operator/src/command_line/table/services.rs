//! Flags of what the node does for others, and of what is not built.

use super::{Flag, flag, switch};
use crate::command_line::value::Kind;

const NO_RLN: &str = "RLN is not built";
const NO_SYNC: &str = "store sync is not built";
const NO_MIX: &str = "mix is not built";
const NO_KAD: &str = "Kademlia discovery is not built";

/// What to do instead of validating proofs.
pub(in crate::command_line) const WITHOUT_RLN: &str = "--rln-relay=false joins without checking proofs";

pub(super) const RELAY: &[Flag] = &[
    flag("relay", Kind::Bool, &["true"], "Relay messages"),
    flag(
        "max-msg-size",
        Kind::Text,
        &["150KiB"],
        "Longest message: a number with KiB (1024 bytes), KB (1000) or B",
    )
    .takes("SIZE"),
    switch("relay-peer-exchange", "Name other peers to those that leave the mesh")
        .not_built("--peer-exchange tells peers about others"),
    switch("relay-shard-manager", "Connect by shard, an experiment").not_built("leave it out"),
];

pub(super) const STORE: &[Flag] = &[
    switch("store", "Keep messages and answer queries for them"),
    flag("storenode", Kind::Text, &[""], "Multiaddress of the store to ask").takes("MULTIADDR"),
    flag(
        "store-message-retention-policy",
        Kind::Text,
        &["time:172800"],
        "What is kept: time:SECONDS, capacity:NUMBER, size:NUMBER(MB|GB), several with ; between, or none",
    )
    .takes("POLICY"),
    flag(
        "store-message-db-url",
        Kind::Text,
        &[],
        "Where messages are kept: redb://FILE, sqlite://FILE (nwaku's own), or memory://",
    )
    .takes("URL")
    .secret(),
    switch("store-message-db-vacuum", "Give room that is free in an SQLite file back, at start"),
    flag("store-message-db-migration", Kind::Bool, &["true"], "Bring older files to today's layout")
        .no_effect("files that can be brought up to date always are"),
    flag("store-max-num-db-connections", Kind::INT, &["50"], "Most connections to PostgreSQL")
        .no_effect("PostgreSQL is not built"),
    switch("store-resume", "Fetch at start what was missed"),
    switch("store-sync", "Keep stores alike by reconciliation")
        .not_built("--store-resume fetches what was missed"),
    flag("store-sync-interval", Kind::U32, &["300"], "Seconds from one to the next")
        .takes("SECONDS")
        .no_effect(NO_SYNC),
    flag("store-sync-range", Kind::U32, &["3600"], "Seconds back that it looks")
        .takes("SECONDS")
        .no_effect(NO_SYNC),
    flag("store-sync-relay-jitter", Kind::U32, &["20"], "Seconds left to relay")
        .takes("SECONDS")
        .hidden()
        .no_effect(NO_SYNC),
];

pub(super) const LIGHT: &[Flag] = &[
    switch("filter", "Push messages to light clients"),
    flag("filternode", Kind::Text, &[""], "Multiaddress of the filter service to use").takes("MULTIADDR"),
    flag(
        "filter-subscription-timeout",
        Kind::U16,
        &["300"],
        "Seconds a subscription lives without a sign of life",
    )
    .takes("SECONDS"),
    flag("filter-max-peers-to-serve", Kind::U32, &["1000"], "Most subscribers"),
    flag(
        "filter-max-criteria",
        Kind::U32,
        &["1000"],
        "Most pairs of pubsub and content topic of a subscriber",
    ),
    switch("lightpush", "Publish for light clients; needs --relay"),
    flag("lightpushnode", Kind::Text, &[""], "Multiaddress of the lightpush service to use")
        .takes("MULTIADDR"),
];

pub(super) const REST: &[Flag] = &[
    switch("rest", "Serve the REST API"),
    flag("rest-address", Kind::Ip, &["127.0.0.1"], "IP address that it listens on"),
    flag("rest-port", Kind::U16, &["8645"], "Its TCP port; 0 takes a free one"),
    flag("rest-relay-cache-capacity", Kind::U32, &["50"], "Messages of a topic kept for REST readers"),
    switch("rest-admin", "Serve the part that commands the node (/admin/v1)"),
    flag(
        "rest-allow-origin",
        Kind::Text,
        &[],
        "Web site that browsers may call it from; * and ? are wildcards",
    )
    .takes("ORIGIN")
    .repeated(),
];

pub(super) const METRICS: &[Flag] = &[
    switch("metrics-server", "Serve metrics for Prometheus"),
    flag("metrics-server-address", Kind::Ip, &["127.0.0.1"], "IP address that it listens on"),
    flag("metrics-server-port", Kind::U16, &["8008"], "Its TCP port; 0 takes a free one"),
    flag("metrics-logging", Kind::Bool, &["true"], "Log the most telling metrics every ten minutes"),
];

pub(super) const RLN: &[Flag] = &[
    switch("rln-relay", "Check proofs of relayed messages").not_built(WITHOUT_RLN),
    switch("rln-relay-dynamic", "Follow the members on chain").not_built(WITHOUT_RLN),
    flag("rln-relay-cred-path", Kind::Text, &[""], "File of the membership").takes("FILE").no_effect(NO_RLN),
    flag("rln-relay-cred-password", Kind::Text, &[""], "Password of that file")
        .takes("PASSWORD")
        .secret()
        .no_effect(NO_RLN),
    flag("rln-relay-eth-client-address", Kind::HttpUrl, &["http://localhost:8540/"], "Ethereum node to ask")
        .repeated()
        .secret()
        .no_effect(NO_RLN),
    flag("rln-relay-eth-contract-address", Kind::Text, &[""], "Contract of the members")
        .takes("HEX")
        .no_effect(NO_RLN),
    flag("rln-relay-eth-private-key", Kind::Text, &[""], "Key that pays for a membership")
        .takes("HEX")
        .secret()
        .no_effect(NO_RLN),
    flag("rln-relay-chain-id", Kind::U64, &["0"], "Chain of the contract").no_effect(NO_RLN),
    flag("rln-relay-user-message-limit", Kind::U64, &["1"], "Messages an epoch of this member")
        .no_effect(NO_RLN),
    flag("rln-relay-epoch-sec", Kind::U64, &["1"], "Seconds of an epoch").takes("SECONDS").no_effect(NO_RLN),
    flag("rln-relay-membership-index", Kind::U64, &[], "Which membership of the file").no_effect(NO_RLN),
    switch("execute", "Register in earnest (generateRlnKeystore)").not_built("register with nwaku"),
];

pub(super) const NOT_BUILT: &[Flag] = &[
    switch("rendezvous", "Find peers at rendezvous points")
        .not_built("use --discv5-discovery or --peer-exchange"),
    switch("mix", "Send through mix nodes").not_built("leave it out"),
    flag("mixkey", Kind::Text, &[], "Key of the mix node, 64 hexadecimal digits")
        .takes("HEX")
        .secret()
        .no_effect(NO_MIX),
    flag("mixnode", Kind::Text, &[], "MULTIADDR:PUBLICKEY of a mix node").repeated().no_effect(NO_MIX),
    switch("enable-kad-discovery", "Find nodes by Kademlia").not_built("use --discv5-discovery"),
    flag("kad-bootstrap-node", Kind::Text, &[], "Multiaddress of a node to begin with")
        .takes("MULTIADDR")
        .repeated()
        .no_effect(NO_KAD),
    flag("kad-random-lookup-interval", Kind::U32, &["60"], "Seconds between random lookups")
        .takes("SECONDS")
        .no_effect(NO_KAD),
    flag("kad-service-lookup-interval", Kind::U32, &["60"], "Seconds between lookups of a service")
        .takes("SECONDS")
        .no_effect(NO_KAD),
];
