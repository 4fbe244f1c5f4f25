//! A paired host in a process of its own, with the app's side in this one: for what only a program that holds the keys
//! can say.

use std::time::{Duration, SystemTime};

use node_manager::tunnels::{Asked, Exchange, Tunnels};
use node_manager::{Mode, Network, Service, ServiceConfig};
use waku::Sharding;
use waku_gateway::stand_in::StandIn;
use waku_noise_session::time::UnixTime;
use waku_pairing::party::Part;
use waku_pairing::record::PairingId;
use waku_tunnel::request::{Key, Request};

use crate::process::Process;
use crate::scene::paired;
use crate::stage::Stage;

/// Everything, at work.
pub(crate) struct Within {
    pub(crate) stage: Stage,
    pub(crate) beacon: StandIn,
    pub(crate) host: Process,
    pub(crate) app: Service,
    pub(crate) pairing: PairingId,
}

impl Within {
    pub(crate) async fn new() -> Self {
        Self::with(&[], None).await
    }

    /// With more words for `run`, and so many messages for the app.
    pub(crate) async fn with(words: &[&str], budget: Option<(u32, Duration)>) -> Self {
        let (stage, beacon) = paired().await;
        let mut host = stage.run_host_with(words);
        let mut config = ServiceConfig::new(Part::App, "laptop".parse().unwrap(), stage.app());
        config.message_budget = budget;
        let network = Network {
            sharding: Sharding::fixed(0, [0]).unwrap(),
            mode: Mode::Relay,
            static_nodes: stage.relay.listen_addresses(),
            listen_addresses: Vec::new(),
            keypair: None,
        };
        let app = Service::start(&config, network).await.unwrap();
        host.expect("session up");
        let pairing = app.party().peers().await.unwrap()[0].pairing;
        Self { stage, beacon, host, app, pairing }
    }

    pub(crate) fn tunnels(&self) -> &Tunnels {
        self.app.tunnels().unwrap()
    }

    pub(crate) async fn ask(&self, request: Request) -> Exchange {
        self.tunnels().ask(self.pairing, request).await.unwrap()
    }

    pub(crate) async fn open(&self, request: Request) -> Asked {
        self.tunnels().open(self.pairing, request).await.unwrap()
    }

    /// How many orders the host's services have seen.
    pub(crate) fn posts(&self) -> usize {
        self.beacon.seen().iter().filter(|seen| seen.method == "POST").count()
    }
}

/// An order with a name for good.
pub(crate) fn order(key: u8) -> Request {
    Request { key: Some(Key([key; 16])), ..Request::new("POST", "/nimbus/v1/graffiti") }
}

/// The time by the wall clock.
pub(crate) fn unix() -> UnixTime {
    UnixTime::from_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}
