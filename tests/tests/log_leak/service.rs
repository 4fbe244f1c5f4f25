//! Two services of the node manager, each with its vault and its Waku node, and a relay between them.

use std::path::Path;

use node_manager::{Mode, Network, Service, ServiceConfig, Vault};
use waku::{Config, Keypair, Node, Sharding};
use waku_pairing::code::Code;
use waku_pairing::identity::Seed;
use waku_pairing::party::Part;

use crate::log::Log;
use crate::story;

const CODE: u64 = 0x1c0d_e0f7_2e5e_4ce5;

fn sharding() -> Sharding {
    Sharding::auto(99, 8).unwrap()
}

async fn start(part: Part, directory: &Path, relay: &Node) -> (Service, Seed) {
    // The vault is made and closed again, so that the test knows its seed.
    let seed = Vault::open(directory, part).unwrap().seed().clone();
    let config = ServiceConfig::new(part, "label".parse().unwrap(), directory);
    let static_nodes = relay.listen_addresses();
    let network = Network {
        sharding: sharding(),
        mode: Mode::Relay,
        static_nodes,
        listen_addresses: Vec::new(),
        keypair: None,
    };
    let service = Service::start(&config, network).await.unwrap();
    let mut peers = service.node().unwrap().peers().watch();
    let connected = peers.wait_for(|peers| peers.connected.iter().any(|peer| !peer.topics.is_empty()));
    drop(story::within("the relay", connected).await.unwrap());
    (service, seed)
}

#[tokio::test]
async fn services_log_neither_code_nor_digits_nor_keys() {
    let log = Log::start();
    let mut config = Config::new(Keypair::generate(), sharding());
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let relay = Node::spawn(config).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (host, host_seed) = start(Part::NodeManager, &directory.path().join("host"), &relay).await;
    let (app, app_seed) = start(Part::App, &directory.path().join("app"), &relay).await;

    let code = Code::from(CODE);
    let (pairing, digits) = story::pair(host.party(), app.party(), &code).await;
    // Without the relay nothing is published, which is logged.
    relay.shutdown().await;
    host.party().unpair(pairing).await.unwrap();
    host.stop().await;
    app.stop().await;

    log.assert_without(&story::spoken(&code, CODE, digits));
    log.assert_without(&story::keys(&host_seed));
    log.assert_without(&story::keys(&app_seed));
}
