//! A systemd that is played: a socket, a manager, and units that do as they are told or as the test wants.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use waku_supervisor::{Bus, Systemd};
use zbus::connection::Builder;
use zbus::{Connection, DBusError, Guid, OwnedObjectPath, interface};

const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// It ends so.
    Result(&'static str),
    /// It ends so, when the test lets it.
    Held(&'static str),
    /// It is refused with this error of D-Bus.
    Refused(Refusal),
    /// The connection is closed.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Denied,
    Interactive,
    Masked,
    Other,
}

/// A unit.
#[derive(Debug, Clone)]
pub(crate) struct Played {
    pub(crate) load_state: &'static str,
    pub(crate) active_state: &'static str,
    pub(crate) result: &'static str,
    pub(crate) exit: (i32, i32),
    pub(crate) restarts: u32,
    pub(crate) description: &'static str,
    pub(crate) changed_us: u64,
    pub(crate) job: Job,
}

impl Default for Played {
    fn default() -> Self {
        Self {
            load_state: "loaded",
            active_state: "inactive",
            result: "success",
            exit: (0, 0),
            restarts: 0,
            description: "A unit\u{202e}",
            changed_us: 1_700_000_000_123_456,
            job: Job::Result("done"),
        }
    }
}

/// systemd. It serves every connection to its socket until it is dropped.
pub(crate) struct FakeSystemd {
    world: World,
    folder: TempDir,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct World {
    units: Arc<Mutex<BTreeMap<String, Played>>>,
    /// What was asked for: method, unit, mode.
    asked: Arc<Mutex<Vec<String>>>,
    /// Held jobs end when there is a permit.
    permits: Arc<Semaphore>,
    jobs: Arc<Mutex<u32>>,
    connections: Arc<Mutex<Vec<Connection>>>,
}

impl FakeSystemd {
    pub(crate) fn new(units: impl IntoIterator<Item = (&'static str, Played)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World {
            units: Arc::new(Mutex::new(
                units.into_iter().map(|(name, unit)| (name.to_owned(), unit)).collect(),
            )),
            asked: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
            jobs: Arc::default(),
            connections: Arc::default(),
        };
        let listener = UnixListener::bind(folder.path().join("private")).unwrap();
        let server = tokio::spawn(serve(listener, world.clone()));
        Self { world, folder, server }
    }

    /// How a supervisor finds it. Its journal is a script for the shell.
    pub(crate) fn place(&self, journal: &str) -> Systemd {
        let bus = Bus::Socket(self.socket());
        let journalctl = ["/bin/sh", "-c", journal, "journalctl"].map(Into::into).to_vec();
        Systemd { system: bus.clone(), user: bus, journalctl }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("private")
    }

    /// What was asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.world.asked.lock().unwrap())
    }

    /// How many connections were made, and how many of them are open.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let connections = self.world.connections.lock().unwrap();
        (connections.len(), connections.iter().filter(|connection| !connection.is_closed()).count())
    }

    pub(crate) fn change(&self, unit: &str, change: impl FnOnce(&mut Played)) {
        change(self.world.units.lock().unwrap().get_mut(unit).unwrap());
    }

    /// Lets one held job end.
    pub(crate) fn let_go(&self) {
        self.world.permits.add_permits(1);
    }
}

impl Drop for FakeSystemd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: UnixListener, world: World) {
    loop {
        let stream = listener.accept().await.unwrap().0.into_std().unwrap();
        let mut builder = Builder::unix_stream(stream).server(Guid::generate()).p2p();
        builder = builder.serve_at(PATH, Manager(world.clone(), false));
        let names: Vec<_> = world.units.lock().unwrap().keys().cloned().collect();
        for name in names {
            let of = (world.clone(), name.clone());
            builder = builder.serve_at(object(&name), Unit(of.0.clone(), of.1.clone()));
            builder = builder.serve_at(object(&name), Service(of.0, of.1));
        }
        // A client that goes before it is connected is no concern of systemd's.
        if let Ok(connection) = builder.build().await {
            world.connections.lock().unwrap().push(connection);
        }
    }
}

fn object(unit: &str) -> String {
    let escape =
        |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:02x}", u32::from(c)) };
    format!("{PATH}/unit/{}", unit.chars().map(escape).collect::<String>())
}

#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop")]
enum Answer {
    #[zbus(error)]
    Bus(zbus::Error),
    #[zbus(name = "DBus.Error.AccessDenied")]
    Denied(String),
    #[zbus(name = "DBus.Error.InteractiveAuthorizationRequired")]
    Interactive(String),
    #[zbus(name = "systemd1.UnitMasked")]
    Masked(String),
    #[zbus(name = "systemd1.TransactionIsDestructive")]
    Other(String),
}

/// The manager as one connection sees it, and whether that one asked for signals.
struct Manager(World, bool);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&mut self) {
        self.1 = true;
    }

    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        let mut units = self.0.units.lock().unwrap();
        if !units.contains_key(name) {
            units.insert(name.to_owned(), Played { load_state: "not-found", ..Played::default() });
        }
        OwnedObjectPath::try_from(object(name)).unwrap()
    }

    async fn start_unit(
        &self,
        name: String,
        mode: &str,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedObjectPath, Answer> {
        self.job("start", name, mode, "active", connection).await
    }

    async fn stop_unit(
        &self,
        name: String,
        mode: &str,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedObjectPath, Answer> {
        self.job("stop", name, mode, "inactive", connection).await
    }

    async fn restart_unit(
        &self,
        name: String,
        mode: &str,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedObjectPath, Answer> {
        self.job("restart", name, mode, "active", connection).await
    }
}

impl Manager {
    async fn job(
        &self,
        verb: &str,
        name: String,
        mode: &str,
        then: &'static str,
        connection: &Connection,
    ) -> Result<OwnedObjectPath, Answer> {
        self.0.asked.lock().unwrap().push(format!("{verb} {name} {mode}"));
        let (id, other) = {
            let mut jobs = self.0.jobs.lock().unwrap();
            *jobs += 2;
            (*jobs, *jobs - 1)
        };
        let path = |id| OwnedObjectPath::try_from(format!("{PATH}/job/{id}")).unwrap();
        let job = self.0.units.lock().unwrap()[&name].job;
        let (result, is_held) = match job {
            Job::Result(result) => (result, false),
            Job::Held(result) => (result, true),
            Job::Lost => {
                let connection = connection.clone();
                tokio::spawn(async move { connection.close().await });
                return Ok(path(id));
            }
            Job::Refused(refusal) => {
                return Err(match refusal {
                    Refusal::Denied => Answer::Denied("Access denied".to_owned()),
                    Refusal::Interactive => {
                        Answer::Interactive("Interactive authentication required.".to_owned())
                    }
                    Refusal::Masked => Answer::Masked(format!("Unit {name} is masked.")),
                    Refusal::Other => Answer::Other("Transaction is\u{1b}[31m destructive.".to_owned()),
                });
            }
        };
        if !self.1 {
            return Ok(path(id));
        }
        // Somebody else's job ends first, and before this one is answered.
        removed(connection, other, path(other), "other.service", "failed").await?;
        let (world, connection, path) = (self.0.clone(), connection.clone(), path(id));
        let job = path.clone();
        tokio::spawn(async move {
            if is_held {
                world.permits.acquire().await.unwrap().forget();
            }
            if result == "done" {
                world.units.lock().unwrap().get_mut(&name).unwrap().active_state = then;
            }
            // Who was waiting may have gone.
            _ = removed(&connection, id, job, &name, result).await;
        });
        Ok(path)
    }
}

async fn removed(
    connection: &Connection,
    id: u32,
    job: OwnedObjectPath,
    unit: &str,
    result: &str,
) -> zbus::Result<()> {
    let body = (id, job, unit, result);
    connection.emit_signal(None::<&str>, PATH, MANAGER, "JobRemoved", &body).await
}

struct Unit(World, String);

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn load_state(&self) -> String {
        self.get().load_state.to_owned()
    }

    #[zbus(property)]
    fn active_state(&self) -> String {
        self.get().active_state.to_owned()
    }

    #[zbus(property)]
    fn description(&self) -> String {
        self.get().description.to_owned()
    }

    #[zbus(property)]
    fn state_change_timestamp(&self) -> u64 {
        self.get().changed_us
    }

    /// One of a form that nobody asks for.
    #[zbus(property)]
    fn conditions(&self) -> Vec<(String, bool, i32)> {
        vec![(self.1.clone(), true, -1)]
    }
}

impl Unit {
    fn get(&self) -> Played {
        self.0.units.lock().unwrap()[&self.1].clone()
    }
}

struct Service(World, String);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        if self.get().active_state == "active" { 4242 } else { 0 }
    }

    #[zbus(property, name = "NRestarts")]
    fn restarts(&self) -> u32 {
        self.get().restarts
    }

    #[zbus(property)]
    fn result(&self) -> String {
        self.get().result.to_owned()
    }

    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        self.get().exit.0
    }

    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        self.get().exit.1
    }
}

impl Service {
    fn get(&self) -> Played {
        self.0.units.lock().unwrap()[&self.1].clone()
    }
}
