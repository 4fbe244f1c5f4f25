//! A way to a service: in a daemon, or in this very process.

use std::pin::Pin;

use node_manager::{Network, Service, ServiceConfig, StartError, Vault};
use tokio::sync::{broadcast, watch};
use waku::PeerList;
use waku_pairing::party::Event;

use super::client::{Client, RemoteWatch};
use super::notice::Notice;
use super::protocol::{PeerStatus, Request, Response};
use super::room::Room;
use super::serve::{part_name, serve, static_nodes};
use crate::failure::{Failure, Kind};

/// A way to a service. To whoever uses it both kinds are alike.
pub(crate) enum Access {
    Daemon(Client),
    /// In this process, until [`Access::close`].
    Local(Box<Room>),
}

impl Access {
    /// The daemon of a data directory, if one runs.
    ///
    /// # Errors
    /// When it does not answer, or is the other side's.
    pub(crate) async fn daemon(config: &ServiceConfig) -> Result<Option<Self>, Failure> {
        let Some(client) = Client::find(&config.data_dir).await else { return Ok(None) };
        match client.call(&Request::Status).await? {
            Response::Status(status) if status.part == part_name(config.part) => {
                Ok(Some(Self::Daemon(client)))
            }
            _ => Err(Failure::new(
                Kind::Vault,
                format!("the daemon that runs on {} is the other side's", config.data_dir.display()),
            )
            .hint("give this side's --data-dir")),
        }
    }

    /// A service of our own, on the network.
    pub(crate) async fn start(config: &ServiceConfig, network: Network) -> Result<Self, Failure> {
        Ok(Self::Local(Box::new(Room::alone(Service::start(config, network).await?)?)))
    }

    /// What is kept, without a network; `None` when nothing was ever kept.
    pub(crate) fn offline(config: &ServiceConfig) -> Result<Option<Self>, Failure> {
        if !Vault::exists(&config.data_dir).map_err(StartError::from)? {
            return Ok(None);
        }
        Ok(Some(Self::Local(Box::new(Room::alone(Service::start_offline(config)?)?))))
    }

    /// Has a request carried out.
    pub(crate) async fn call(&self, request: Request) -> Result<Response, Failure> {
        match self {
            Self::Daemon(client) => client.call(&request).await,
            Self::Local(room) => Box::pin(serve(room, request)).await,
        }
    }

    /// Everybody who is paired, or about to be.
    pub(crate) async fn peers(&self) -> Result<Vec<PeerStatus>, Failure> {
        match self.call(Request::Status).await? {
            Response::Status(status) => Ok(status.peers),
            _ => Err(Failure::other("the daemon answered something else")),
        }
    }

    /// What happens from now on.
    pub(crate) async fn watch(&self) -> Result<Watch, Failure> {
        match self {
            Self::Daemon(client) => Ok(Watch::Daemon(client.watch().await?)),
            Self::Local(room) => Ok(Watch::local(&room.service)),
        }
    }

    /// Stops a service of our own; a daemon goes on.
    pub(crate) async fn close(self) {
        if let Self::Local(room) = self {
            room.service.stop().await;
        }
    }
}

/// What happens in a service.
pub(crate) enum Watch {
    Daemon(RemoteWatch),
    Local {
        events: broadcast::Receiver<Event>,
        peers: Option<watch::Receiver<PeerList>>,
        told: Option<Notice>,
        ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    },
}

impl Watch {
    /// What happens in a service of this process.
    pub(crate) fn local(service: &Service) -> Self {
        let peers = service.node().map(|node| {
            let mut peers = node.peers().watch();
            peers.mark_changed();
            peers
        });
        Self::Local { events: service.party().events(), peers, told: None, ended: Box::pin(service.ended()) }
    }

    /// The next notice; `None` when the service has ended.
    pub(crate) async fn next(&mut self) -> Option<Notice> {
        let (events, peers, told, ended) = match self {
            Self::Daemon(watch) => return watch.next().await,
            Self::Local { events, peers, told, ended } => (events, peers, told, ended),
        };
        loop {
            tokio::select! {
                biased;
                event = events.recv() => return match event {
                    Ok(event) => Some(event.into()),
                    Err(broadcast::error::RecvError::Lagged(count)) => Some(Notice::Missed { count }),
                    Err(broadcast::error::RecvError::Closed) => None,
                },
                // The events stay open as long as anybody may give commands.
                () = ended.as_mut() => return None,
                Some(list) = changed(peers.as_mut()) => {
                    let notice = Some(Notice::Network { connected: list.connected.len(), static_nodes: static_nodes(&list) });
                    if *told != notice {
                        told.clone_from(&notice);
                        return notice;
                    }
                }
            }
        }
    }
}

async fn changed(peers: Option<&mut watch::Receiver<PeerList>>) -> Option<PeerList> {
    let peers = peers?;
    peers.changed().await.ok()?;
    Some(peers.borrow_and_update().clone())
}
