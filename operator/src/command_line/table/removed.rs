//! Flags that nwaku had once. Old scripts pass them: a warning says that they do nothing.

use super::{Flag, Status, flag};
use crate::command_line::value::Kind;

const fn gone(name: &'static str, kind: Kind, instead: &'static str) -> Flag {
    let mut flag = flag(name, kind, &[], "").hidden();
    flag.status = Status::Removed(instead);
    flag
}

pub(super) const REMOVED: &[Flag] = &[
    gone("reliability", Kind::Bool, ""),
    gone("legacy-store", Kind::Bool, "--store serves version 3"),
    gone("max-relay-peers", Kind::INT, "use --relay-service-ratio"),
    gone("rln-relay-tree-path", Kind::Text, ""),
    gone("pubsub-topic", Kind::Text, "use --cluster-id and --shard").repeated(),
    gone("discv5-only", Kind::Bool, ""),
    gone("dns-addrs", Kind::Bool, ""),
    gone("dns-discovery-name-server", Kind::Ip, "use --dns-addrs-name-server").repeated(),
    gone("rln-relay-id-key", Kind::Text, "").secret(),
    gone("rln-relay-id-commitment-key", Kind::Text, "").secret(),
    gone("rln-relay-bandwidth-threshold", Kind::INT, ""),
    gone("store-sync-max-payload-size", Kind::INT, ""),
    gone("protected-topic", Kind::Text, "use --protected-shard").repeated(),
    gone("rest-private", Kind::Bool, ""),
    gone("request-rate-limit", Kind::INT, "use --rate-limit"),
    gone("request-rate-period", Kind::INT, "use --rate-limit"),
    gone("filter-timeout", Kind::INT, "use --filter-subscription-timeout"),
];
