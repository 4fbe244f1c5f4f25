//! A unit's properties, and what they mean.

use std::collections::HashMap;

use zbus::wire::{OwnedObjectPath, OwnedVariant};

use super::bus::{Manager, senseless};
use crate::error::Error;
use crate::log::clean;
use crate::status::{Exit, KindOf, State, Status};

const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// `CLD_EXITED`, `CLD_KILLED` and `CLD_DUMPED` of `waitid`, which is what `ExecMainCode` holds.
const EXITED: i32 = 1;
const KILLED: i32 = 2;
const DUMPED: i32 = 3;

/// A unit as systemd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    name: String,
    description: String,
    load_state: String,
    active_state: String,
    changed_us: u64,
    pid: u32,
    restarts: u32,
    result: String,
    exit_code: i32,
    exit_status: i32,
}

impl Unit {
    pub(crate) async fn load(manager: &Manager, unit: &str) -> Result<Self, Error> {
        let object = manager.load(unit).await?;
        let general = properties(manager, &object, UNIT, unit).await?;
        let load_state: String = get(&general, "LoadState")?;
        if load_state == "not-found" {
            return Err(Error::NoUnit(unit.to_owned()));
        }
        let service = properties(manager, &object, SERVICE, unit).await?;
        Ok(Self {
            name: unit.to_owned(),
            description: get(&general, "Description")?,
            load_state,
            active_state: get(&general, "ActiveState")?,
            changed_us: get(&general, "StateChangeTimestamp")?,
            pid: get(&service, "MainPID")?,
            // Since systemd 235.
            restarts: get(&service, "NRestarts").unwrap_or_default(),
            result: get(&service, "Result")?,
            exit_code: get(&service, "ExecMainCode")?,
            exit_status: get(&service, "ExecMainStatus")?,
        })
    }

    /// Whether a start has nothing to do.
    pub(crate) fn is_active(&self) -> bool {
        self.active_state == "active"
    }

    /// Whether a stop has nothing to do.
    pub(crate) fn is_inactive(&self) -> bool {
        matches!(self.active_state.as_str(), "inactive" | "failed")
    }

    /// Whether systemd could read it.
    pub(crate) fn usable(&self) -> Result<(), Error> {
        if matches!(self.load_state.as_str(), "error" | "bad-setting" | "masked") {
            return Err(Error::Unusable { unit: self.name.clone(), reason: self.load_state.clone() });
        }
        Ok(())
    }

    pub(crate) fn status(&self, name: &str, description: Option<&str>) -> Status {
        let state = match self.active_state.as_str() {
            "active" | "reloading" | "refreshing" => State::Running,
            "activating" => State::Starting,
            "deactivating" => State::Stopping,
            "inactive" => State::Stopped,
            "failed" => State::Failed,
            _ => State::Unknown,
        };
        let strange = || format!("systemd says `{}`", clean(self.active_state.as_bytes()));
        Status {
            name: name.to_owned(),
            kind: KindOf::Unit,
            state,
            since: (self.changed_us > 0).then_some(self.changed_us / 1000),
            pid: (self.pid > 0).then_some(self.pid),
            restarts: self.restarts,
            exit: self.exit(),
            description: description.map_or_else(|| clean(self.description.as_bytes()), str::to_owned),
            problem: (state == State::Unknown).then(strange),
        }
    }

    /// How its main process ended, and where that does not tell it, why systemd ended it.
    fn exit(&self) -> Option<String> {
        let exit = match self.exit_code {
            EXITED => Some(Exit::Code(self.exit_status).to_string()),
            KILLED | DUMPED => Some(Exit::Signal(self.exit_status).to_string()),
            _ => None,
        };
        match (self.result.as_str(), exit) {
            ("success" | "exit-code" | "signal" | "core-dump", Some(exit)) => Some(exit),
            ("success", None) => None,
            (result, Some(exit)) => Some(format!("{} ({exit})", clean(result.as_bytes()))),
            (result, None) => Some(clean(result.as_bytes())),
        }
    }
}

/// The status of a unit that cannot be looked at.
pub(super) fn unknown(name: &str, description: &str, problem: &Error) -> Status {
    Status {
        name: name.to_owned(),
        kind: KindOf::Unit,
        state: State::Unknown,
        since: None,
        pid: None,
        restarts: 0,
        exit: None,
        description: description.to_owned(),
        problem: Some(problem.to_string()),
    }
}

async fn properties(
    manager: &Manager,
    object: &OwnedObjectPath,
    interface: &str,
    unit: &str,
) -> Result<HashMap<String, OwnedVariant>, Error> {
    let answer = manager.properties(object, interface, unit).await?;
    answer.body().deserialize().map_err(|error| senseless(&error))
}

fn get<T>(properties: &HashMap<String, OwnedVariant>, name: &str) -> Result<T, Error>
where
    T: TryFrom<OwnedVariant>,
{
    let value = properties.get(name).and_then(|value| value.try_clone().ok());
    value.and_then(|value| value.try_into().ok()).ok_or_else(|| senseless(&format!("no {name}")))
}
