//! What a paired app may do.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// Look at the node's state. Every pairing has it.
    Monitor,
    /// Change how services run. Includes monitor.
    Operate,
    /// Use the keymanager. Neither includes operate nor is included in it.
    Keys,
}

impl Grant {
    /// The name in configuration files, audit logs and refusals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Operate => "operate",
            Self::Keys => "keys",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no grant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no grant: there are monitor, operate and keys")]
pub struct UnknownGrant(pub String);

impl FromStr for Grant {
    type Err = UnknownGrant;

    fn from_str(text: &str) -> Result<Self, UnknownGrant> {
        [Self::Monitor, Self::Operate, Self::Keys]
            .into_iter()
            .find(|grant| grant.name() == text)
            .ok_or_else(|| UnknownGrant(text.chars().take(64).collect()))
    }
}

/// The grants of one pairing; the default is monitor alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grants {
    operate: bool,
    keys: bool,
}

impl Grants {
    /// These and one more.
    pub fn with(self, grant: Grant) -> Self {
        match grant {
            Grant::Monitor => self,
            Grant::Operate => Self { operate: true, ..self },
            Grant::Keys => Self { keys: true, ..self },
        }
    }

    /// These but one; nothing takes monitor away.
    pub fn without(self, grant: Grant) -> Self {
        match grant {
            Grant::Monitor => self,
            Grant::Operate => Self { operate: false, ..self },
            Grant::Keys => Self { keys: false, ..self },
        }
    }

    /// Whether a rule that asks for `grant` is open.
    pub fn include(self, grant: Grant) -> bool {
        match grant {
            Grant::Monitor => true,
            Grant::Operate => self.operate,
            Grant::Keys => self.keys,
        }
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        grants.into_iter().fold(Self::default(), Self::with)
    }
}

/// Grants with commas between them, as `monitor,keys`.
impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.operate { "monitor,operate" } else { "monitor" })?;
        f.write_str(if self.keys { ",keys" } else { "" })
    }
}

impl FromStr for Grants {
    type Err = UnknownGrant;

    fn from_str(text: &str) -> Result<Self, UnknownGrant> {
        text.split(',').map(|word| word.trim().parse::<Grant>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operate_includes_monitor_and_keys_stand_apart() {
        let monitor = Grants::default();
        assert!(monitor.include(Grant::Monitor) && !monitor.include(Grant::Operate));
        let operate = monitor.with(Grant::Operate);
        assert!(operate.include(Grant::Monitor) && operate.include(Grant::Operate));
        assert!(!operate.include(Grant::Keys));
        let keys = monitor.with(Grant::Keys);
        assert_eq!(keys.with(Grant::Operate).without(Grant::Operate).without(Grant::Monitor), keys);
        assert!(keys.include(Grant::Keys) && !keys.include(Grant::Operate));
    }

    #[test]
    fn grants_are_read_as_they_are_written() {
        for text in ["monitor", "monitor,operate", "monitor,keys", "monitor,operate,keys"] {
            assert_eq!(text.parse::<Grants>().unwrap().to_string(), text);
        }
        assert_eq!("operate".parse::<Grants>().unwrap().to_string(), "monitor,operate");
        assert_eq!("root".parse::<Grants>(), Err(UnknownGrant("root".to_owned())));
    }
}
