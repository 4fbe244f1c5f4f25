//! The supervisor: finds the service that is named, and passes on what is asked of it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Kind};
use crate::error::Error;
use crate::log::{Line, MAX_LINES};
use crate::process::Process;
use crate::status::Status;
use crate::systemd::{Manager, Service, Systemd, Verb};

/// Orders that one service has at a time.
pub(crate) const MAX_ORDERS: usize = 16;

/// The configured services. Copies are one and the same; when the last is dropped, the child processes are stopped.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

struct Inner {
    /// In the order of the configuration.
    services: Vec<(String, Backend)>,
    systemd: Systemd,
}

enum Backend {
    Unit(Service),
    Process(Process),
}

impl Supervisor {
    /// Takes care of the services from now on, with the systemd of this machine. Has to be called in a runtime, which
    /// has to live until [`Self::shutdown`] is done for the processes to end in peace; with the runtime they are killed.
    ///
    /// `log_dir` is made where it is not there. Services with `autostart` are started.
    ///
    /// # Errors
    /// [`Error::LogFile`].
    pub fn new(config: Config, log_dir: &Path) -> Result<Self, Error> {
        Self::with_systemd(config, log_dir, Systemd::default())
    }

    /// The same, with a systemd that is somewhere else.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_systemd(config: Config, log_dir: &Path, systemd: Systemd) -> Result<Self, Error> {
        if config.services.iter().any(|service| matches!(service.kind, Kind::Process(_))) {
            let unusable = |error| Error::LogFile { path: log_dir.to_owned(), error };
            DirBuilder::new().recursive(true).mode(0o700).create(log_dir).map_err(unusable)?;
        }
        let services = config.services.into_iter().map(|service| {
            let backend = match service.kind {
                Kind::Unit(unit) => Backend::Unit(Service::new(&service.name, service.description, unit)),
                Kind::Process(process) => {
                    let program = || process.program.display().to_string();
                    let description = service.description.unwrap_or_else(program);
                    Backend::Process(Process::new(&service.name, description, process, log_dir)?)
                }
            };
            Ok((service.name, backend))
        });
        Ok(Self(Arc::new(Inner { services: services.collect::<Result<_, Error>>()?, systemd })))
    }

    /// How every service is, in the order of the configuration. One that cannot be asked is
    /// [`Unknown`](crate::State::Unknown), with the reason.
    pub async fn list(&self) -> Vec<Status> {
        let mut list = Vec::with_capacity(self.0.services.len());
        // One connection for all units of a bus, and one failure.
        let (mut system, mut user) = (None, None);
        for (_, backend) in &self.0.services {
            let service = match backend {
                Backend::Process(process) => {
                    list.push(process.status());
                    continue;
                }
                Backend::Unit(service) => service,
            };
            let known = if service.spec.user { &mut user } else { &mut system };
            let manager = match known {
                Some(manager) => manager,
                None => known.insert(Manager::connect(self.0.systemd.bus(service.spec.user)).await),
            };
            list.push(match manager {
                Ok(manager) => service.status(manager).await.unwrap_or_else(|error| service.unknown(&error)),
                Err(error) => service.unknown(error),
            });
        }
        list
    }

    /// How a service is.
    ///
    /// # Errors
    /// When there is no such service, or systemd cannot be asked.
    pub async fn status(&self, name: &str) -> Result<Status, Error> {
        match self.find(name)? {
            Backend::Unit(service) => {
                let manager = Manager::connect(self.0.systemd.bus(service.spec.user)).await?;
                service.status(&manager).await
            }
            Backend::Process(process) => Ok(process.status()),
        }
    }

    /// Starts a service, and comes back when it runs; what runs goes on as it is.
    ///
    /// Orders for one service are carried out one after the other, and 16 may wait. What was begun goes on when this
    /// future is dropped; an order for a unit that still waits for its turn is given up then.
    ///
    /// # Errors
    /// When there is no such service, it is not allowed, it does not start, or takes too long.
    pub async fn start(&self, name: &str) -> Result<Status, Error> {
        match self.find(name)? {
            Backend::Unit(service) => service.order(&self.0.systemd, Verb::Start).await,
            Backend::Process(process) => process.start().await,
        }
    }

    /// Stops a service, and comes back when it has ended; what does not run stays as it is. A wait for a restart is over.
    ///
    /// # Errors
    /// When there is no such service, it is not allowed, or takes too long.
    pub async fn stop(&self, name: &str) -> Result<Status, Error> {
        match self.find(name)? {
            Backend::Unit(service) => service.order(&self.0.systemd, Verb::Stop).await,
            Backend::Process(process) => process.stop().await,
        }
    }

    /// Stops a service where it runs, and starts it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&self, name: &str) -> Result<Status, Error> {
        match self.find(name)? {
            Backend::Unit(service) => service.order(&self.0.systemd, Verb::Restart).await,
            Backend::Process(process) => process.restart().await,
        }
    }

    /// The last lines of a service's log, oldest first: [`MAX_LINES`] at most, and 1 MiB of text.
    ///
    /// # Errors
    /// When there is no such service, or the journal cannot be read.
    pub async fn log(&self, name: &str, lines: usize) -> Result<Vec<Line>, Error> {
        let lines = lines.min(MAX_LINES);
        match self.find(name)? {
            Backend::Unit(service) => service.log(&self.0.systemd, lines).await,
            Backend::Process(process) => Ok(process.log(lines)),
        }
    }

    /// Stops all child processes at the same time, each in its own limit, and comes back when they have ended. From then
    /// on orders for them fail. Units of systemd are left as they are.
    pub async fn shutdown(&self) {
        let processes = self.0.services.iter().filter_map(|(_, backend)| match backend {
            Backend::Process(process) => Some(process.shut_down()),
            Backend::Unit(_) => None,
        });
        futures::future::join_all(processes).await;
    }

    fn find(&self, name: &str) -> Result<&Backend, Error> {
        let found = self.0.services.iter().find(|(known, _)| known == name);
        found.map(|(_, backend)| backend).ok_or_else(|| {
            let known: Vec<_> = self.0.services.iter().map(|(name, _)| name.as_str()).collect();
            let name = name.chars().take(64).flat_map(char::escape_debug).collect();
            Error::UnknownService { name, known: known.join(", ") }
        })
    }
}
