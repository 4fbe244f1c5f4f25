//! The services of a host that are on a list: start, stop, restart, how they are, and what they said last.
//!
//! A service is a unit of systemd, which is asked over D-Bus, or, where there is no systemd (containers, tests), a child
//! process of this one. The list is a [`Config`]; nothing that is not on it can be named. A [`Supervisor`] does the rest,
//! and answers in types that serialize, for whoever carries them.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use waku_supervisor::{Config, Supervisor};
//!
//! let text = r#"
//!     [[service]]
//!     name = "beacon"
//!     unit = "nimbus_beacon_node.service"
//!
//!     [[service]]
//!     name = "validator"
//!     command = ["/usr/bin/nimbus_validator_client", "--data-dir=/data"]
//!     restart = "always"
//! "#;
//! let supervisor = Supervisor::new(Config::parse("services.toml", text)?, "logs".as_ref())?;
//! let status = supervisor.restart("beacon").await?;
//! println!("{} is {}", status.name, status.state);
//! for line in supervisor.log("validator", 50).await? {
//!     println!("{}", line.text);
//! }
//! supervisor.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Units of systemd
//!
//! Whoever is not root needs a rule of polkit to start and stop a unit of the system: [`Config::polkit_rule`] writes it.
//! To read its log they have to be in the group `systemd-journal`. Looking at a status needs neither.
//!
//! # Child processes
//!
//! Each has a process group of its own, and in it a guard: a shell that waits for the supervisor's end, however that
//! comes, and then ends the group. A child that leaves its group and its session is out of reach; that takes systemd.

mod config;
mod error;
mod log;
mod process;
mod status;
mod supervisor;
mod systemd;

pub use config::{Config, ConfigError};
pub use error::Error;
pub use log::{Line, MAX_LINES, Source};
pub use status::{KindOf, State, Status};
pub use supervisor::Supervisor;
pub use systemd::{Bus, Systemd};
