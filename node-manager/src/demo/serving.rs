//! The last part of the story: the app asks the host's beacon node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use node_manager::ServiceConfig;
use node_manager::app::{App, AppConfig};
use node_manager::host::{Host, HostConfig, audit_path};
use serde_json::{Value, json};
use waku::Node;
use waku_gateway::audit::{Filter, read};
use waku_gateway::stand_in::{Options, StandIn};
use waku_pairing::record::PairingId;
use zeroize::Zeroizing;

use super::Actor;
use super::story::Story;
use crate::ask::client::Asking;
use crate::control::Room;
use crate::failure::Failure;
use crate::page::Page;

/// In the place of the host's Nimbus, on a port of this machine.
pub(super) async fn beacon(story: &mut Story) -> Result<StandIn, Failure> {
    let started = async { StandIn::start(Options::default()).await.map_err(Failure::other) };
    let beacon = story
        .step("beacon_up", "A stand-in for the host's beacon node answers on localhost", started)
        .await?;
    story.detail(&json!({ "address": format!("http://{}", beacon.address()) }));
    Ok(beacon)
}

/// The app asks the host's beacon node for its state, by the way that the page takes, and both sides stop.
pub(super) async fn ask(
    story: &mut Story,
    beacon: &StandIn,
    (host, app): (Actor, Actor),
    relay: &Node,
    pairing: PairingId,
) -> Result<(), Failure> {
    let served = async {
        host.service.stop().await;
        let config = format!(
            "profile = \"nimbus\"\n[[service]]\nname = \"beacon\"\nurl = \"http://{}\"\n",
            beacon.address()
        );
        let gateway =
            waku_gateway::Config::parse("the demo's configuration", &config).map_err(Failure::other)?;
        let host_config = HostConfig::new(gateway, &host.config.data_dir, host.config.label.to_string());
        let (answering, requested) = Host::open(host_config)?;
        let config = ServiceConfig { requested: Some(requested), ..host.config.clone() };
        let host = Actor::take_up(config, relay.listen_addresses()).await?;
        let hosting = answering.start(&host.service);
        Ok((host, hosting))
    };
    let (host, hosting) =
        story.step("host_serves", "The host answers for its beacon node from now on", served).await?;
    let text = "Both are back in a session";
    super::session(story, "session_to_ask", text, &host, &app, pairing).await?;
    let page = async {
        let local = App::start(AppConfig::default(), &app.service).await?;
        let forward = local.forward().clone();
        let room = Arc::new(Room::of_app(app.service, local.endpoints()));
        let page = Page::start(0, Arc::clone(&room), forward).await?;
        Ok((local, room, page))
    };
    let (local, room, page) = story.step("page_up", "The app serves its page on localhost", page).await?;
    let target = format!("api/hosts/{}/http/eth/v1/node/syncing", HEXLOWER.encode(pairing.as_bytes()));
    let asked = fetch(page.url(), target);
    let text = "Through the page, GET /eth/v1/node/syncing reaches the host's beacon node";
    let (body, took) = story.step("syncing", text, asked).await?;
    story.detail(&json!({ "answer": body.get("data"), "round_trip_ms": took.as_secs_f64() * 1e3 }));
    let audit = read(&audit_path(host.service.data_dir()), &Filter::default()).map_err(Failure::other)?;
    let is_written = matches!(audit.entries.as_slice(), [entry] if entry.path == "/eth/v1/node/syncing");
    let is_synced = body.pointer("/data/is_syncing") == Some(&Value::Bool(false));
    let text = "The node is in sync, and the host's audit log says who asked";
    story.check("audited", text, is_synced && is_written)?;
    drop((page, local));
    room.service.stop().await;
    host.service.stop().await;
    hosting.stop().await;
    Ok(())
}

/// A JSON document from this machine, and how long it took.
async fn fetch(base: Zeroizing<String>, target: String) -> Result<(Value, Duration), Failure> {
    let address = base.trim_start_matches("http://");
    let (address, secret) = address.split_once('/').unwrap_or((address, ""));
    let asking = Asking::at(address);
    let started = Instant::now();
    let body = asking.json::<Value>(&format!("/{secret}{target}")).await?;
    Ok((body, started.elapsed()))
}
