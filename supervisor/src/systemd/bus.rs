//! systemd's manager, over D-Bus.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::message::{Message, Type};
use zbus::wire::{DynamicType, OwnedObjectPath};
use zbus::{Connection, DBusError as _, MatchRule, MessageStream};

use super::Verb;
use crate::error::Error;
use crate::log::clean;

const DESTINATION: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long a connection may take, and an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
/// Longest text of systemd that is passed on.
const MAX_TEXT: usize = 512;

/// How a systemd is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The system bus.
    System,
    /// The user's bus.
    User,
    /// A socket with somebody at its other end who speaks as systemd does on a bus, for tests and stand-ins. systemd's
    /// own socket below `/run/systemd` is none: there it signs as nobody on a bus may, and zbus refuses that.
    Socket(PathBuf),
}

impl Bus {
    fn name(&self) -> String {
        match self {
            Self::System => "the system bus".to_owned(),
            Self::User => "the user's bus".to_owned(),
            Self::Socket(path) => path.display().to_string(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::System => {
                "Is there a systemd here? In a container, configure a `command` in place of a `unit`"
            }
            Self::User => {
                "Without a login, `loginctl enable-linger` starts the user's systemd; \
                 set XDG_RUNTIME_DIR=/run/user/UID for this process"
            }
            Self::Socket(_) => "Does somebody listen there, and may this process's user connect?",
        }
    }

    fn unreachable(&self, reason: &str) -> Error {
        Error::NoBus { bus: self.name(), reason: short(reason), advice: self.advice() }
    }

    async fn open(&self) -> zbus::Result<Connection> {
        let builder = match self {
            Self::System => Builder::system(),
            Self::User => Builder::session(),
            Self::Socket(path) => Builder::unix_stream(UnixStream::connect(path).await?.into_std()?).p2p(),
        };
        builder.method_timeout(ANSWER).build().await
    }
}

/// A connection to systemd's manager.
pub(crate) struct Manager {
    bus: Bus,
    connection: Connection,
}

impl Manager {
    pub(crate) async fn connect(bus: &Bus) -> Result<Self, Error> {
        match timeout(CONNECT, bus.open()).await {
            Ok(Ok(connection)) => Ok(Self { bus: bus.clone(), connection }),
            Ok(Err(error)) => Err(bus.unreachable(&error.to_string())),
            Err(_) => Err(bus.unreachable("no answer")),
        }
    }

    /// All properties of an object that an interface has.
    pub(super) async fn properties(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
        unit: &str,
    ) -> Result<Message, Error> {
        let answer = self.call(object.as_str(), PROPERTIES, "GetAll", &(interface,)).await;
        answer.map_err(|error| self.explain(&error, "look at", unit))
    }

    /// A unit's object. systemd reads its file where it has not yet.
    pub(super) async fn load(&self, unit: &str) -> Result<OwnedObjectPath, Error> {
        let answer = self.call(PATH, MANAGER, "LoadUnit", &(unit,)).await;
        let answer = answer.map_err(|error| self.explain(&error, "look at", unit))?;
        answer.body().deserialize().map_err(|error| senseless(&error))
    }

    /// Makes a job and waits for its end.
    pub(super) async fn job(&self, verb: Verb, unit: &str) -> Result<(), Error> {
        let explain = |error| self.explain(&error, verb.word(), unit);
        // Before the job is made, or its end could be missed.
        let mut removed = self.removed_jobs().await.map_err(explain)?;
        let answer = self.call(PATH, MANAGER, verb.method(), &(unit, "replace")).await.map_err(explain)?;
        let job: OwnedObjectPath = answer.body().deserialize().map_err(|error| senseless(&error))?;
        while let Some(message) = removed.next().await {
            let message = message.map_err(explain)?;
            let body = message.body();
            let signal: (u32, OwnedObjectPath, String, String) =
                body.deserialize().map_err(|error| senseless(&error))?;
            let (_, of, _, result) = signal;
            if of != job {
                continue;
            }
            return match result.as_str() {
                "done" => Ok(()),
                _ => Err(Error::Job { verb: verb.word(), unit: unit.to_owned(), result: short(&result) }),
            };
        }
        Err(self.bus.unreachable("the connection was closed before the job was done"))
    }

    async fn removed_jobs(&self) -> zbus::Result<MessageStream> {
        let rule = MatchRule::builder().msg_type(Type::Signal).path(PATH).interface(MANAGER);
        let mut rule = rule.member("JobRemoved");
        if self.connection.is_bus() {
            rule = rule.sender(DESTINATION);
        }
        let stream = MessageStream::for_match_rule(rule.build()?, &self.connection, None).await?;
        self.call(PATH, MANAGER, "Subscribe", &()).await?;
        Ok(stream)
    }

    async fn call<B: Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> zbus::Result<Message> {
        let destination = self.connection.is_bus().then_some(DESTINATION);
        self.connection.call_method(destination, path, Some(interface), method, body).await
    }

    /// What an error of the bus means.
    fn explain(&self, error: &zbus::Error, verb: &'static str, unit: &str) -> Error {
        let (name, text) = match error {
            zbus::Error::MethodError(name, text, _) => (name.to_string(), text.clone().unwrap_or_default()),
            zbus::Error::FDO(error) => {
                (error.name().to_string(), error.description().unwrap_or_default().to_owned())
            }
            error => return self.bus.unreachable(&error.to_string()),
        };
        let reason = short(if text.is_empty() { &name } else { &text });
        let unit = unit.to_owned();
        match name.strip_prefix("org.freedesktop.").unwrap_or(&name) {
            "DBus.Error.AccessDenied" | "DBus.Error.InteractiveAuthorizationRequired" => {
                Error::Denied { verb, unit, reason }
            }
            "systemd1.NoSuchUnit" => Error::NoUnit(unit),
            "systemd1.UnitMasked" | "systemd1.BadUnitSetting" | "systemd1.LoadFailed" => {
                Error::Unusable { unit, reason }
            }
            "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" | "DBus.Error.Disconnected" => {
                self.bus.unreachable(&reason)
            }
            "DBus.Error.NoReply" | "DBus.Error.Timeout" => self.bus.unreachable("no answer"),
            _ => Error::Systemd(format!("{verb} {unit}: {reason}")),
        }
    }
}

/// An answer that is not what systemd documents.
pub(super) fn senseless(error: &dyn std::fmt::Display) -> Error {
    Error::Systemd(format!("an answer that makes no sense ({})", short(&error.to_string())))
}

fn short(text: &str) -> String {
    let bytes = text.trim_end().as_bytes();
    clean(bytes.get(..MAX_TEXT).unwrap_or(bytes)).trim_end_matches('.').to_owned()
}
