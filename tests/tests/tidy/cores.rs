//! The cores decide, the shells move bytes: no clock, no chance, no runtime, no files, no sockets where the protocols are
//! decided, and libp2p only at the door.

use toml::Value;

use crate::assert_none;
use crate::dependencies::dependencies;
use crate::source::{Source, is_below};
use crate::workspace::{manifest, sources};

const CORES: [&str; 5] = ["proto", "noise-session", "pairing", "payload", "tunnel"];

/// What no core names. `tokio::sync` is queues alone and runs anywhere.
const NOT_IN_CORES: [&str; 17] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "std::fs",
    "std::net",
    "std::os",
    "std::env",
    "std::process",
    "std::thread",
    "getrandom",
    "rand",
    "rand_chacha",
    "async_std",
    "smol",
    "tokio",
    "libp2p",
    "tracing_subscriber",
];

/// Packages that bring a clock, a runtime, sockets or randomness.
const NOT_BELOW_CORES: [&str; 9] = [
    "async-std",
    "futures-timer",
    "getrandom",
    "libp2p",
    "rand",
    "rand_chacha",
    "smol",
    "tempfile",
    "tokio-util",
];

/// Where the library of the sockets may be named: the network's shell and the node's behaviours.
fn is_door(path: &str) -> bool {
    path.starts_with("waku/src/net/")
        || path.starts_with("waku/src/peers/")
        || (path.starts_with("waku/src/") && path.ends_with("/behaviour.rs"))
}

/// The two types of libp2p that are ours to show.
const SHOWN: [&str; 2] = ["libp2p::Multiaddr", "libp2p::PeerId"];

#[test]
fn cores_have_no_clock_chance_runtime_files_or_sockets() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| CORES.iter().any(|core| source.is_in(core))) {
        let allows_queues = source.is_in("pairing");
        for (at, path) in Source::paths(source.product()) {
            let is_queue = allows_queues && is_below(&path, "tokio::sync");
            if !is_queue && NOT_IN_CORES.iter().any(|forbidden| is_below(&path, forbidden)) {
                broken.push(format!("{}: {path}", source.at(at)));
            }
        }
    }
    assert_none(
        "take time, chance and bytes as arguments; let the caller own clock, sockets and files",
        &broken,
    );
}

#[test]
fn cores_depend_on_nothing_that_has_a_clock_or_a_socket() {
    let mut broken = Vec::new();
    for core in CORES {
        for (section, names) in dependencies(&manifest(core)) {
            if section == "dev-dependencies" {
                continue;
            }
            let wrong = names.keys().filter(|name| NOT_BELOW_CORES.contains(&name.as_str()));
            broken.extend(wrong.map(|name| format!("{core}/Cargo.toml: {name}")));
            let features = names.get("tokio").map(|tokio| tokio.get("features").and_then(Value::as_array));
            if features.is_some_and(|features| features.is_none_or(|features| *features != ["sync".into()])) {
                broken.push(format!("{core}/Cargo.toml: tokio with more than `sync`"));
            }
        }
    }
    assert_none("cores run in browsers too; keep these in the crates above", &broken);
}

#[test]
fn libp2p_stays_behind_the_door() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !is_door(&source.path)) {
        let shown = if source.path == "waku/src/lib.rs" { SHOWN.as_slice() } else { &[] };
        let paths = Source::paths(source.product()).into_iter();
        let named = paths.filter(|(_, path)| is_below(path, "libp2p") || path.starts_with("libp2p_"));
        let wrong = named.filter(|(_, path)| !shown.contains(&path.as_str()));
        broken.extend(wrong.map(|(at, path)| format!("{}: {path}", source.at(at))));
    }
    assert_none("use the crate's own types, or move this below net/, peers/ or into a behaviour.rs", &broken);
}
