//! Every flag as data: what is parsed, explained, read from a file or from the environment and tested comes from here.

mod network;
mod removed;
mod services;

pub(super) use self::services::WITHOUT_RLN;
use self::{network as net, services as serve};
use super::value::Kind;

/// One flag.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its name without `--`, in lower case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What `--help` writes for a value, in capitals.
    pub placeholder: &'static str,
    /// What holds when it is not given, as it would be written: nothing, one value, or several of a list.
    pub default: &'static [&'static str],
    /// What it does, a line or two.
    pub help: &'static str,
    /// True when it may be given several times and every value counts.
    pub repeated: bool,
    /// True when `--help` is silent about it.
    pub hidden: bool,
    /// True when its value is never shown again: a key, a password, an address with either in it.
    pub secret: bool,
    /// What giving it does in this node.
    pub status: Status,
}

/// What giving a flag does in this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// What its help says.
    Works,
    /// Nothing, for this reason.
    NoEffect(&'static str),
    /// It may be switched off. Switched on it is refused, with this advice.
    NotBuilt(&'static str),
    /// Nothing: nwaku had it once. What to use in its place, if there is anything.
    Removed(&'static str),
}

/// Flags that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// What `--help` calls them.
    pub title: &'static str,
    /// The flags, in the order of `--help`.
    pub flags: &'static [Flag],
}

/// All flags, in the order of `--help`. The last group is of removed ones.
pub const GROUPS: [Group; 14] = [
    Group { title: "General", flags: net::GENERAL },
    Group { title: "Network and shards", flags: net::SHARDS },
    Group { title: "Addresses", flags: net::ADDRESSES },
    Group { title: "WebSocket and QUIC", flags: net::TRANSPORTS },
    Group { title: "Peers", flags: net::PEERS },
    Group { title: "Discovery", flags: net::DISCOVERY },
    Group { title: "Relay", flags: serve::RELAY },
    Group { title: "Store", flags: serve::STORE },
    Group { title: "Filter and lightpush", flags: serve::LIGHT },
    Group { title: "REST", flags: serve::REST },
    Group { title: "Metrics", flags: serve::METRICS },
    Group { title: "Rate limiting nullifiers (RLN), not built into this node", flags: serve::RLN },
    Group { title: "Not built into this node", flags: serve::NOT_BUILT },
    Group { title: "Removed", flags: removed::REMOVED },
];

/// All flags.
pub fn flags() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// The flag of this name; ASCII case does not matter.
pub fn find(name: &str) -> Option<&'static Flag> {
    flags().find(|flag| flag.name.eq_ignore_ascii_case(name))
}

/// A flag that works, takes one value and is shown.
const fn flag(name: &'static str, kind: Kind, default: &'static [&'static str], help: &'static str) -> Flag {
    let (placeholder, status) = (kind.placeholder(), Status::Works);
    Flag { name, kind, placeholder, default, help, repeated: false, hidden: false, secret: false, status }
}

/// A switch that is off when not given.
const fn switch(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Bool, &["false"], help)
}

impl Flag {
    /// What `--help` writes for a value, where the kind says too little.
    const fn takes(mut self, placeholder: &'static str) -> Self {
        self.placeholder = placeholder;
        self
    }

    const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }

    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn no_effect(mut self, why: &'static str) -> Self {
        self.status = Status::NoEffect(why);
        self
    }

    const fn not_built(mut self, advice: &'static str) -> Self {
        self.status = Status::NotBuilt(advice);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_lower_case_and_hyphenated() {
        let mut seen = BTreeSet::new();
        for flag in flags() {
            assert!(seen.insert(flag.name), "{} stands twice", flag.name);
            assert!(flag.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }

    #[test]
    fn defaults_are_values_that_the_flag_takes() {
        for flag in flags() {
            assert!(flag.repeated || flag.default.len() <= 1, "{}", flag.name);
            for text in flag.default {
                assert!(flag.kind.read(text).is_ok(), "{}: {text}", flag.name);
            }
        }
    }

    #[test]
    fn every_flag_is_explained() {
        for flag in flags().filter(|flag| !matches!(flag.status, Status::Removed(_))) {
            assert!(flag.help.len() > 10 && !flag.help.ends_with('.'), "{}", flag.name);
        }
    }
}
