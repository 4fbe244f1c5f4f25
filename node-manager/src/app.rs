//! The app's side of HTTP over Waku: for each paired host an address on this machine where its services answer as if
//! they were here.

mod collect;
mod endpoints;
mod forward;
mod guard;
mod history;
mod inbox;
mod server;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use waku_pairing::record::PairingId;

use crate::Service;
pub use endpoints::EndpointView;
use endpoints::Endpoints;
pub use forward::Forward;
pub use guard::{Denied, Guard, LocalToken, WeakToken};
pub use inbox::{Inbox, InboxError};
pub use server::{Answers, Body, Server};

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
    forward: Forward,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Opens an endpoint for each host that a service on the network is paired with, and reads what hosts write, from
    /// now on.
    ///
    /// # Errors
    /// When what hosts wrote before cannot be read.
    ///
    /// # Panics
    /// With a service that is offline.
    pub async fn start(config: AppConfig, service: &Service) -> Result<Self, InboxError> {
        let (party, tunnels) =
            (service.party().clone(), service.tunnels().expect("the service is on the network"));
        let inbox = Inbox::open(service.data_dir())?;
        let forward = Forward::new(tunnels.clone(), inbox.clone());
        let (sender, views) = watch::channel(Vec::new());
        let endpoints = Endpoints::new(config, party.clone(), forward.clone(), sender);
        let mut tasks = vec![tokio::spawn(endpoints.run())];
        if let Some(letters) = service.letters().await {
            tasks.push(tokio::spawn(inbox::read(inbox, party.clone(), letters)));
        }
        if let Some((history, node)) = service.history().zip(service.node()) {
            tasks.push(tokio::spawn(collect::collect(party, history.clone(), node.clone())));
        }
        Ok(Self { views, forward, tasks })
    }

    /// A way to make requests.
    pub fn forward(&self) -> &Forward {
        &self.forward
    }

    /// The endpoints, as they change.
    pub fn endpoints(&self) -> watch::Receiver<Vec<EndpointView>> {
        self.views.clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
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
