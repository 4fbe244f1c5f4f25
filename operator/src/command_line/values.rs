//! What the flags are set to, and by whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::secret::NodeKey;
use super::table::{Flag, Status, find, flags};
use super::value::{ProtectedShard, Value};

/// Where a value comes from, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// The known network that `--preset` names.
    Preset,
    /// The file that `--config-file` names.
    File,
    /// A variable of the environment.
    Environment,
    /// The command line.
    CommandLine,
}

/// What one source gives.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: BTreeMap<&'static str, Vec<Value>>,
    removed: Vec<&'static Flag>,
}

impl Given {
    /// Takes a value: one more of a list, or in place of the one before.
    pub(super) fn push(&mut self, flag: &'static Flag, value: Value) {
        let values = self.list(flag);
        if !flag.repeated {
            values.clear();
        }
        values.push(value);
    }

    /// The flag's values so far. With this the flag counts as given.
    pub(super) fn list(&mut self, flag: &'static Flag) -> &mut Vec<Value> {
        self.values.entry(flag.name).or_default()
    }

    /// Notes that a removed flag was given.
    pub(super) fn push_removed(&mut self, flag: &'static Flag) {
        if !self.removed.iter().any(|known| known.name == flag.name) {
            self.removed.push(flag);
        }
    }

    /// The file that the source names, the last if several.
    pub(super) fn config_file(&self) -> Option<&str> {
        match self.values.get("config-file")?.last()? {
            Value::Text(path) => Some(path.0.as_str()),
            _ => None,
        }
    }
}

/// What each flag is set to.
#[derive(Debug)]
pub(super) struct Values {
    values: BTreeMap<&'static str, Vec<Value>>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Values {
    /// Defaults, and over them the sources, the weakest first. Adds a warning for each flag that was given and
    /// does nothing.
    pub(super) fn merge(sources: [(Origin, Given); 3], warnings: &mut Vec<String>) -> Self {
        let mut merged = Self { values: BTreeMap::new(), origins: BTreeMap::new() };
        let mut removed = Given::default();
        for flag in flags() {
            merged.values.insert(flag.name, defaults(flag));
        }
        for (origin, given) in sources {
            for (name, values) in given.values {
                merged.values.insert(name, values);
                merged.origins.insert(name, origin);
            }
            given.removed.into_iter().for_each(|flag| removed.push_removed(flag));
        }
        warnings.extend(removed.removed.iter().map(|flag| removed_warning(flag)));
        for flag in flags() {
            if let Status::NoEffect(why) = flag.status
                && merged.values.get(flag.name).is_some_and(|values| *values != defaults(flag))
            {
                warnings.push(format!("--{} has no effect: {why}", flag.name));
            }
        }
        merged
    }

    /// Who set the flag.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).copied().unwrap_or(Origin::Default)
    }

    /// Whether the flag was given, by other than a preset.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.origin(name) > Origin::Preset
    }

    /// Who set what, for the flags that were set.
    pub(super) fn origins(&self) -> &BTreeMap<&'static str, Origin> {
        &self.origins
    }

    /// The flags that are switched on and not built.
    pub(super) fn not_built(&self) -> impl Iterator<Item = (&'static Flag, &'static str)> {
        flags().filter_map(|flag| match flag.status {
            Status::NotBuilt(advice) if self.is(flag.name, &Value::Bool(true)) => Some((flag, advice)),
            _ => None,
        })
    }

    /// Whether the flag has this one value.
    pub(super) fn is(&self, name: &str, value: &Value) -> bool {
        self.values.get(name).is_some_and(|values| values.as_slice() == std::slice::from_ref(value))
    }

    /// A preset's values of a flag. Those that were given stand: a list is added to, one value stays. False if one
    /// stays that differs.
    pub(super) fn preset(&mut self, name: &'static str, texts: &[&str]) -> bool {
        let flag = find(name).expect("presets set flags of the table");
        let read = |text: &&str| flag.kind.read(text).expect("presets hold values that their flags take");
        let mut preset: Vec<_> = texts.iter().map(read).collect();
        if !self.is_given(name) {
            self.values.insert(flag.name, preset);
            self.origins.insert(flag.name, Origin::Preset);
            return true;
        }
        let given = self.values.entry(flag.name).or_default();
        if flag.repeated {
            given.append(&mut preset);
            return true;
        }
        *given == preset
    }

    /// Names of the flags that nobody took.
    #[cfg(test)]
    pub(super) fn left(&self) -> Vec<&'static str> {
        self.values.keys().copied().collect()
    }

    /// Takes the flag's values.
    fn take<T>(&mut self, name: &str, pick: impl Fn(Value) -> Option<T>) -> Vec<T> {
        let values = self.values.remove(name).expect("each flag of the table is taken once");
        values.into_iter().filter_map(pick).collect()
    }

    /// Takes a switch.
    pub(super) fn bool(&mut self, name: &str) -> bool {
        self.take(name, Some).pop() == Some(Value::Bool(true))
    }

    /// Takes a list of numbers.
    pub(super) fn numbers<N: TryFrom<u64>>(&mut self, name: &str) -> Vec<N> {
        self.take(name, |value| if let Value::Number(number) = value { number.try_into().ok() } else { None })
    }

    /// Takes a number that need not be there.
    pub(super) fn optional<N: TryFrom<u64>>(&mut self, name: &str) -> Option<N> {
        self.numbers(name).pop()
    }

    /// Takes a number that has a default.
    pub(super) fn number<N: TryFrom<u64>>(&mut self, name: &str) -> N {
        self.optional(name).expect("the flag has a default and its kind's range")
    }

    /// Takes a list of IP addresses.
    pub(super) fn ips(&mut self, name: &str) -> Vec<IpAddr> {
        self.take(name, |value| if let Value::Ip(ip) = value { Some(ip) } else { None })
    }

    /// Takes an IP address that has a default.
    pub(super) fn ip(&mut self, name: &str) -> IpAddr {
        self.ips(name).pop().expect("the flag has a default")
    }

    /// Takes one of the flag's words.
    pub(super) fn choice(&mut self, name: &str) -> Option<&'static str> {
        self.take(name, |value| if let Value::Choice(word) = value { Some(word) } else { None }).pop()
    }

    /// Takes a list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        self.take(name, |value| if let Value::Text(text) = value { Some(text.0.to_string()) } else { None })
    }

    /// Takes a secret text.
    pub(super) fn secret(&mut self, name: &str) -> Option<Zeroizing<String>> {
        self.take(name, |value| if let Value::Text(text) = value { Some(text.0) } else { None }).pop()
    }

    /// Takes a text; an empty one is one.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.texts(name).pop()
    }

    /// Takes a text; an empty one is none.
    pub(super) fn filled(&mut self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// Takes the node's key.
    pub(super) fn node_key(&mut self, name: &str) -> Option<NodeKey> {
        self.take(name, |value| if let Value::NodeKey(key) = value { Some(key) } else { None }).pop()
    }

    /// Takes a list of protected shards.
    pub(super) fn protected_shards(&mut self, name: &str) -> Vec<ProtectedShard> {
        self.take(name, |value| if let Value::ProtectedShard(shard) = value { Some(shard) } else { None })
    }
}

fn defaults(flag: &Flag) -> Vec<Value> {
    let read = |text: &&str| flag.kind.read(text).expect("the table's defaults are values of their flags");
    flag.default.iter().map(read).collect()
}

fn removed_warning(flag: &Flag) -> String {
    let instead = match flag.status {
        Status::Removed(instead) if !instead.is_empty() => format!(": {instead}"),
        _ => String::new(),
    };
    format!("--{} was removed and has no effect{instead}", flag.name)
}
