//! The app's side of HTTP over Waku: for each paired host an address on this machine where its services answer as if
//! they were here.

mod endpoints;
mod forward;
mod guard;
mod history;
mod server;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::record::PairingId;

use crate::tunnels::Tunnels;
pub use endpoints::EndpointView;
use endpoints::Endpoints;
pub use forward::Forward;
pub use guard::{Guard, LocalToken};
pub use server::{Body, Server, Service};

/// What an app's side is told.
#[derive(Debug, Clone, Default)]
pub struct AppConfig {
    /// What local programs have to show to use an endpoint; nothing when any may.
    pub token: Option<LocalToken>,
    /// Ports that are wanted, by the peer's name or pairing; others get one of their own.
    pub ports: Vec<(String, u16)>,
}

/// An app's side at work. Dropped, it stops.
pub struct App {
    views: watch::Receiver<Vec<EndpointView>>,
    task: JoinHandle<()>,
}

impl App {
    /// Opens an endpoint for each paired host, from now on.
    pub fn start(config: AppConfig, party: Party, tunnels: Tunnels) -> Self {
        let (sender, views) = watch::channel(Vec::new());
        let endpoints = Endpoints::new(config, party, Forward::new(tunnels), sender);
        Self { views, task: tokio::spawn(endpoints.run()) }
    }

    /// The endpoints, as they change.
    pub fn endpoints(&self) -> watch::Receiver<Vec<EndpointView>> {
        self.views.clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A pairing in hexadecimal digits is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a pairing has 32 hexadecimal digits")]
pub struct NoPairing;

/// The pairing that these 32 hexadecimal digits name.
///
/// # Errors
/// [`NoPairing`].
pub fn parse_pairing(text: &str) -> Result<PairingId, NoPairing> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| NoPairing)?;
    Ok(PairingId::from_bytes(bytes.try_into().map_err(|_| NoPairing)?))
}
