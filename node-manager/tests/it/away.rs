//! What a host tells of while the app is closed.

use node_manager::{Mode, Network, Service, ServiceConfig};
use serde_json::{Value, json};
use tokio::time::timeout;
use waku::{PeerList, Sharding};
use waku_pairing::party::Part;
use zeroize::Zeroizing;

use crate::process::PATIENCE;
use crate::stage::{Stage, service_node};

/// The host's service in this process: it writes, as it does about alerts, and goes.
async fn write(stage: &Stage, texts: &[&str]) {
    let config = ServiceConfig::new(Part::NodeManager, "beacon-01".parse().unwrap(), stage.host());
    let network = Network {
        sharding: Sharding::fixed(0, [0]).unwrap(),
        mode: Mode::Relay,
        static_nodes: stage.relay.listen_addresses(),
        listen_addresses: Vec::new(),
        keypair: None,
    };
    let host = Service::start(&config, network).await.unwrap();
    let is_there = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
    host.node().unwrap().peers().watch().wait_for(is_there).await.unwrap();
    let pairing = host.party().peers().await.unwrap()[0].pairing;
    let archive = stage.relay.store().archive().unwrap().clone();
    for text in texts {
        let before = archive.stats().unwrap().messages;
        let alert = json!({ "at": 29_500_000, "raised": { "kind": "out_of_sync", "text": text } });
        let body = Zeroizing::new(serde_json::to_vec(&alert).unwrap());
        host.party().post(pairing, body).await.unwrap();
        let is_kept = async {
            while archive.stats().unwrap().messages == before {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, is_kept).await.expect("the store keeps it");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_was_closed_finds_the_alerts_once_it_is_back() {
    let stage = Stage::on(service_node("/ip4/127.0.0.1/tcp/0").await);
    stage.pair_by_hand();
    write(&stage, &["first alert", "second alert"]).await;

    let mut app = stage.run_app();
    app.expect("first alert");
    app.expect("second alert");
    // The host is still away. What it told of is here.
    let endpoint = stage.peer_of_app()["endpoint"].as_str().unwrap().to_owned();
    let told = |endpoint: &str| -> Value {
        let mut answer = ureq::get(format!("{endpoint}/node-manager/v1/told")).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    let alerts = told(&endpoint);
    assert_eq!(alerts["alerts"].as_array().unwrap().len(), 2, "{alerts}");
    drop(app);

    // What was read is not told again.
    write(&stage, &["third alert"]).await;
    let mut app = stage.run_app();
    let line = app.find("an alert", |line| line.contains("alert=").then(|| line.to_owned()));
    assert!(line.contains("third alert"), "{line}");
    assert_eq!(told(&endpoint)["alerts"].as_array().unwrap().len(), 3);
}
