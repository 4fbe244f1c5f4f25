//! What requests are carried out on: a service, and what its side has beside it.

use node_manager::Service;
use node_manager::app::EndpointView;
use node_manager::doctor::Doctor;
use node_manager::host::GrantBook;
use tokio::sync::watch;
use waku_pairing::party::Part;
use waku_pairing::record::PairingId;

use crate::failure::{Failure, Kind};

/// A service and what its side has beside it.
pub(crate) struct Room {
    pub(crate) service: Service,
    /// On the host.
    grants: Option<GrantBook>,
    /// On the host, while it runs.
    doctor: Option<Doctor>,
    /// On the app's side, while it runs.
    endpoints: Option<watch::Receiver<Vec<EndpointView>>>,
}

impl Room {
    /// A host at work.
    pub(crate) fn of_host(service: Service, grants: GrantBook, doctor: Doctor) -> Self {
        Self { service, grants: Some(grants), doctor: Some(doctor), endpoints: None }
    }

    /// An app's side at work.
    pub(crate) fn of_app(service: Service, endpoints: watch::Receiver<Vec<EndpointView>>) -> Self {
        Self { service, grants: None, doctor: None, endpoints: Some(endpoints) }
    }

    /// A service of either side that answers nobody's requests.
    pub(crate) fn alone(service: Service) -> Result<Self, Failure> {
        let grants = match service.part() {
            Part::NodeManager => {
                Some(GrantBook::open(service.data_dir()).map_err(|error| Failure::new(Kind::Vault, error))?)
            }
            Part::App => None,
        };
        Ok(Self { service, grants, doctor: None, endpoints: None })
    }

    /// What pairings may do.
    pub(super) fn grants(&self) -> Result<&GrantBook, Failure> {
        self.grants.as_ref().ok_or_else(|| Failure::usage("grants are given on the host"))
    }

    /// Whoever says how the host is.
    pub(super) fn doctor(&self) -> Result<&Doctor, Failure> {
        self.doctor.as_ref().ok_or_else(|| Failure::usage("a host is examined, while it runs"))
    }

    /// What a pairing may do, on the host.
    pub(super) fn grants_of(&self, pairing: PairingId) -> Option<String> {
        self.grants.as_ref().map(|grants| grants.of(pairing).to_string())
    }

    /// Where a host's services answer on this machine.
    pub(super) fn endpoint_of(&self, pairing: PairingId) -> Option<String> {
        let endpoints = self.endpoints.as_ref()?.borrow();
        let address = endpoints.iter().find(|view| view.pairing == pairing)?.address?;
        Some(format!("http://{address}"))
    }
}
