//! The library: a service in somebody else's process.

use node_manager::{Mode, Network, Service, ServiceConfig};
use tempfile::TempDir;
use tokio::time::timeout;
use waku::Sharding;
use waku_pairing::party::Part;

use crate::process::PATIENCE;

fn nowhere() -> Network {
    Network {
        sharding: Sharding::fixed(0, [0]).unwrap(),
        mode: Mode::Relay,
        static_nodes: Vec::new(),
        listen_addresses: Vec::new(),
        keypair: None,
    }
}

#[tokio::test]
async fn a_service_that_was_stopped_can_be_started_again() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("host");
    let config = ServiceConfig::new(Part::NodeManager, "beacon".parse().unwrap(), data_dir);
    for _ in 0..20 {
        Service::start(&config, nowhere()).await.unwrap().stop().await;
    }
}

#[tokio::test]
async fn a_service_whose_node_has_gone_says_that_it_has_ended() {
    let directory = TempDir::new().unwrap();
    let config = ServiceConfig::new(Part::App, "laptop".parse().unwrap(), directory.path().join("app"));
    let service = Service::start(&config, nowhere()).await.unwrap();
    let ended = service.ended();
    service.node().unwrap().shutdown().await;
    timeout(PATIENCE, ended).await.expect("it says so");
    timeout(PATIENCE, service.stop()).await.expect("there is nothing left to wait for");
}
