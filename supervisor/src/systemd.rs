//! A service as a unit of systemd.

mod bus;
mod journal;
mod unit;

use std::ffi::OsString;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use crate::config::UnitSpec;
use crate::error::Error;
use crate::log::Line;
use crate::status::Status;
use crate::supervisor::MAX_ORDERS;
pub use bus::Bus;
pub(crate) use bus::Manager;
pub(crate) use unit::Unit;

/// Where systemd is, and its journal.
#[derive(Debug, Clone)]
pub struct Systemd {
    /// The systemd of the system.
    pub system: Bus,
    /// The systemd of this process's user, for units with `user = true`.
    pub user: Bus,
    /// The program that reads the journal, with arguments that come first. Default: `journalctl`.
    pub journalctl: Vec<OsString>,
}

impl Default for Systemd {
    fn default() -> Self {
        Self { system: Bus::System, user: Bus::User, journalctl: vec!["journalctl".into()] }
    }
}

impl Systemd {
    /// The bus on which a unit's systemd is.
    pub(crate) fn bus(&self, is_user: bool) -> &Bus {
        if is_user { &self.user } else { &self.system }
    }
}

/// A unit that is told what to do, one order at a time.
pub(crate) struct Service {
    name: String,
    description: Option<String>,
    pub(crate) spec: UnitSpec,
    waiting: Semaphore,
    turn: Mutex<()>,
}

/// What a unit can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
        }
    }
}

impl Service {
    pub(crate) fn new(name: &str, description: Option<String>, spec: UnitSpec) -> Self {
        Self {
            name: name.to_owned(),
            description,
            spec,
            waiting: Semaphore::new(MAX_ORDERS),
            turn: Mutex::new(()),
        }
    }

    pub(crate) async fn status(&self, manager: &Manager) -> Result<Status, Error> {
        Ok(Unit::load(manager, &self.spec.unit).await?.status(&self.name, self.description.as_deref()))
    }

    /// Carries an order out, after those before it.
    pub(crate) async fn order(&self, systemd: &Systemd, verb: Verb) -> Result<Status, Error> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::Busy(self.name.clone()))?;
        let limit: Duration = self.spec.limit;
        let slow = |_| Error::Slow { name: self.name.clone(), limit };
        timeout(limit, self.carry_out(systemd, verb)).await.map_err(slow)?
    }

    async fn carry_out(&self, systemd: &Systemd, verb: Verb) -> Result<Status, Error> {
        let _turn = self.turn.lock().await;
        let manager = Manager::connect(systemd.bus(self.spec.user)).await?;
        let unit = Unit::load(&manager, &self.spec.unit).await?;
        // Who has nothing to do needs no right to do it.
        let is_done = match verb {
            Verb::Start => unit.is_active(),
            Verb::Stop => unit.is_inactive(),
            Verb::Restart => false,
        };
        if !is_done {
            unit.usable()?;
            manager.job(verb, &self.spec.unit).await?;
        }
        self.status(&manager).await
    }

    /// What it is while systemd cannot say.
    pub(crate) fn unknown(&self, problem: &Error) -> Status {
        unit::unknown(&self.name, self.description.as_deref().unwrap_or(&self.spec.unit), problem)
    }

    pub(crate) async fn log(&self, systemd: &Systemd, lines: usize) -> Result<Vec<Line>, Error> {
        journal::last(&systemd.journalctl, &self.spec, lines).await
    }
}
