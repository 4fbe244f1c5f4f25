//! The host's side of HTTP over Waku, without the Waku: what stands between a paired app's requests and the services of
//! a validator host, which listen on this machine alone.
//!
//! A [`Gateway`] takes a request (method, path and query as the app wrote them, headers, a body) together with a
//! [`Caller`] (whose pairing, which grants), and gives an answer that streams. What may be asked is the [`policy`]'s to
//! decide, from a [`Config`]; the service's token is added last and leaves this machine in no message; the [`audit`] log
//! keeps who did what. [`watch`] looks at the host and the node every minute, keeps a day, and raises alerts.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use waku_gateway::{Caller, Config, Gateway, Head, Request, audit};
//!
//! let config = Config::load("gateway.toml".as_ref())?;
//! let log = audit::Log::open("audit.log".as_ref(), config.audit)?;
//! let gateway = Gateway::new(config, Some(audit::Recorder::start(log)?));
//! let caller = Caller { pairing: "a1b2".into(), name: "Alice's phone".into(), grants: "monitor".parse()? };
//! let head = Head { method: "GET".into(), target: "/eth/v1/node/syncing".into(), headers: Vec::new() };
//! let mut response = gateway.handle(&caller, Request { head, body: Default::default() }).await;
//! println!("{}", response.status);
//! while let Some(piece) = response.next().await {
//!     println!("{} bytes", piece?.len());
//! }
//! # Ok(())
//! # }
//! ```

pub mod audit;
mod config;
mod events;
mod gateway;
pub mod metrics;
pub mod policy;
#[cfg(feature = "stand-in")]
pub mod stand_in;
mod upstream;
pub mod watch;

pub use config::{Config, ConfigError, Limits, Problem, RuleProblem};
pub use events::{Notice, Subscription};
pub use gateway::{Caller, Checked, Gateway, Origin, Request, Response};
pub use policy::Head;
pub use upstream::{AppGone, BodyError, RequestBody, TokenError, Upload, upload};
