//! Flags of the node itself: who it is, where it listens, whom it knows.

use super::{Flag, flag, switch};
use crate::command_line::value::Kind;

const LEVELS: &[&str] = &["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "FATAL", "NONE"];

pub(super) const GENERAL: &[Flag] = &[
    flag(
        "config-file",
        Kind::File,
        &[],
        "TOML file with flags as keys; the command line and the environment win",
    ),
    flag("log-level", Kind::Choice(LEVELS), &["INFO"], "Least severe log lines to write").takes("LEVEL"),
    flag("log-format", Kind::Choice(&["TEXT", "JSON"]), &["TEXT"], "How log lines are written")
        .takes("FORMAT"),
    flag(
        "nodekey",
        Kind::NodeKey,
        &[],
        "Secret key of the node, 64 hexadecimal digits; a new one at every start if not given. Other users \
         of the machine can read command lines: prefer the environment",
    )
    .secret(),
    flag("agent-string", Kind::Text, &[], "What the node calls itself to its peers").takes("NAME"),
    flag("local-storage-path", Kind::Text, &["./data"], "Folder for data")
        .takes("FOLDER")
        .no_effect("each file has a flag of its own"),
    flag(
        "entry-layer",
        Kind::Choice(&["kernel", "messaging", "channels"]),
        &["channels"],
        "Topmost layer to run",
    )
    .takes("LAYER")
    .no_effect("this program is the kernel alone"),
    flag("mode", Kind::Choice(&["Edge", "Core"]), &[], "Client only, or a full node")
        .takes("MODE")
        .no_effect("say it with --relay and the flags of the services"),
];

pub(super) const SHARDS: &[Flag] = &[
    flag(
        "preset",
        Kind::Text,
        &[""],
        "A known network: twn, logos.dev, logos.test, status.prod, status.staging. Flags given win",
    )
    .takes("NAME"),
    flag("cluster-id", Kind::U16, &["0"], "Cluster; only nodes of one cluster stay connected"),
    flag(
        "num-shards-in-network",
        Kind::U16,
        &["0"],
        "Shards of an autosharded network; 0 is static sharding, and then --shard says what is relayed",
    ),
    flag("shard", Kind::U16, &[], "Shard to take part in; with autosharding all of them if not given")
        .takes("INDEX")
        .repeated(),
    flag("content-topic", Kind::Text, &[], "Content topic to take part in; needs autosharding")
        .takes("TOPIC")
        .repeated(),
    flag(
        "protected-shard",
        Kind::ProtectedShard,
        &[],
        "SHARD:PUBLICKEY, the key in hexadecimal: only messages signed with it are relayed on that shard",
    )
    .repeated(),
];

pub(super) const ADDRESSES: &[Flag] = &[
    flag(
        "listen-address",
        Kind::Ip,
        &["0.0.0.0"],
        "IP address that TCP, WebSocket, QUIC and discv5 listen on",
    ),
    flag("tcp-port", Kind::Port, &["60000"], "TCP port to listen on"),
    flag(
        "ports-shift",
        Kind::U16,
        &["0"],
        "Added to every port: TCP, WebSocket, QUIC, discv5, REST and metrics",
    ),
    flag(
        "nat",
        Kind::Text,
        &["any"],
        "How the public address is learned: any or none, or extip:IP for one that is known",
    )
    .takes("WAY"),
    flag("ext-multiaddr", Kind::Text, &[], "Multiaddress to announce besides").takes("MULTIADDR").repeated(),
    switch("ext-multiaddr-only", "Announce nothing but --ext-multiaddr"),
    flag("dns4-domain-name", Kind::Text, &[""], "Domain name to announce in place of the IPv4 address")
        .takes("NAME"),
    flag(
        "dns-addrs-name-server",
        Kind::Ip,
        &["1.1.1.1", "1.0.0.1"],
        "DNS server for lists of nodes and, if given, for names of nodes",
    )
    .repeated(),
];

pub(super) const TRANSPORTS: &[Flag] = &[
    switch("websocket-support", "Listen for WebSocket connections too"),
    flag("websocket-port", Kind::Port, &["8000"], "WebSocket port, secure or not"),
    switch("websocket-secure-support", "Listen for secure WebSocket, as browsers need it, in place of plain"),
    flag("websocket-secure-key-path", Kind::Text, &[""], "Private key of its certificate, a PEM file")
        .takes("FILE"),
    flag(
        "websocket-secure-cert-path",
        Kind::Text,
        &[""],
        "Certificate chain, a PEM file, the node's own first",
    )
    .takes("FILE"),
    switch("quic-support", "Listen for QUIC connections too"),
    flag("quic-port", Kind::Port, &["60000"], "UDP port for QUIC"),
];

pub(super) const PEERS: &[Flag] = &[
    flag(
        "entry-node",
        Kind::Text,
        &[],
        "Way into the network: enrtree: is a list in DNS, enr: a record, a multiaddress is dialled",
    )
    .takes("NODE")
    .repeated(),
    flag("staticnode", Kind::Text, &[], "Multiaddress of a peer to stay connected to")
        .takes("MULTIADDR")
        .repeated(),
    flag("max-connections", Kind::INT, &["150"], "Most connections"),
    flag(
        "relay-service-ratio",
        Kind::Text,
        &["50:50"],
        "Percentages of the connections for relay and for services, 100 together",
    )
    .takes("RATIO"),
    flag("ip-colocation-limit", Kind::INT, &["5"], "Most peers with one IP address; 0 is any number"),
    flag("peer-store-capacity", Kind::INT, &[], "Most peers to know; 10000 if not given"),
    switch("peer-persistence", "Keep known peers in a file from run to run"),
    flag("peer-store", Kind::Text, &[""], "That file; naming one is enough to keep them").takes("FILE"),
    switch("relay-client", "Use circuits of others without offering any")
        .no_effect("circuits of others are always used, and none are offered"),
    flag("keep-alive", Kind::Bool, &["true"], "Ping connected peers")
        .no_effect("connections are always kept alive"),
    flag(
        "rate-limit",
        Kind::Text,
        &[],
        "Most requests served: [SERVICE:]VOLUME/PERIOD with store, storev3, lightpush, px or filter, \
         and h, m, s or ms",
    )
    .takes("RATE")
    .repeated(),
];

pub(super) const DISCOVERY: &[Flag] = &[
    switch("discv5-discovery", "Find nodes by Node Discovery v5"),
    flag("discv5-udp-port", Kind::Port, &["9000"], "Its UDP port"),
    flag("discv5-bootstrap-node", Kind::Text, &[], "Record (enr:) of a node to begin with")
        .takes("ENR")
        .repeated(),
    switch("discv5-enr-auto-update", "Announce the address that peers see"),
    flag(
        "discv5-table-ip-limit",
        Kind::U64,
        &["10"],
        "Most nodes of one network in the table; above 10 any number",
    )
    .hidden(),
    flag(
        "discv5-bucket-ip-limit",
        Kind::U64,
        &["2"],
        "Most nodes of one network in a bucket; above 2 any number",
    )
    .hidden(),
    flag("discv5-bits-per-hop", Kind::INT, &["1"], "Bits of distance that a hop saves")
        .hidden()
        .no_effect("a hop always saves one"),
    flag("dns-discovery-url", Kind::Text, &[""], "List of nodes in DNS: enrtree://KEY@NAME").takes("URL"),
    switch("dns-discovery", "Read such lists").no_effect("--dns-discovery-url alone says it"),
    flag("peer-exchange", Kind::Bool, &["true"], "Tell peers about other peers"),
    flag("peer-exchange-node", Kind::Text, &[""], "Multiaddress of a peer to ask for others")
        .takes("MULTIADDR"),
];
