//! `demo`: the whole story on one machine, with real sockets on loopback and nothing mocked.

mod serving;
mod story;

use std::path::Path;
use std::time::Duration;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use node_manager::{Mode, Network, Service, ServiceConfig};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;
use waku::{Config, Keypair, Multiaddr, Node, PeerList, Sharding};
use waku_pairing::code::Code;
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Event, Part, PeerView, StageView, Step, Terms};
use waku_pairing::record::PairingId;
use waku_pairing::sas::Sas;

use crate::args::DemoArgs;
use crate::failure::Failure;
use crate::signals::Signals;
use story::Story;

/// A cluster of the demo's own, with autosharding.
const CLUSTER: u16 = 99;
const SHARDS: u16 = 8;
/// Round trips measured in each direction.
const ROUND_TRIPS: usize = 10;

/// Tells the story; fails with the first step that does not hold.
pub(crate) async fn run(args: &DemoArgs) -> Result<(), Failure> {
    let directory = tempfile::Builder::new().prefix("node-manager-demo-").tempdir();
    let directory = directory.map_err(|error| Failure::other(format!("no temporary directory: {error}")))?;
    let mut story = Story::begin(args.json);
    // Stopped half-way it leaves nothing behind either.
    let telling = Box::pin(tell(&mut story, directory.path()));
    let told = Signals::new()?.unless_interrupted(telling).await.flatten();
    story.end(&told);
    told
}

async fn tell(story: &mut Story, directory: &Path) -> Result<(), Failure> {
    let relay = relay(story).await?;
    let beacon = serving::beacon(story).await?;
    let mut host = Actor::start(story, directory, Part::NodeManager, &relay).await?;
    let mut app = Actor::start(story, directory, Part::App, &relay).await?;
    let pairing = pair(story, &mut host, &mut app).await?;
    let first =
        session(story, "session", "Both sides are in the same Noise session", &host, &app, pairing).await?;
    round_trips(story, &host, &app, pairing).await?;

    restart(story, &mut host, &mut app, directory, &relay).await?;
    let text = "Both are back in a session, from disk and without a code";
    let second = session(story, "session_again", text, &host, &app, pairing).await?;
    story.check("keys_are_new", "Its keys are new: nothing of the old session was kept", first != second)?;
    round_trips(story, &host, &app, pairing).await?;

    let moved = move_relay(story, relay, &host, &app).await?;
    round_trips(story, &host, &app, pairing).await?;
    let asked = serving::ask(story, &beacon, (host, app), &moved, pairing).await;
    moved.shutdown().await;
    asked
}

/// One side: its service and what it has to tell.
struct Actor {
    config: ServiceConfig,
    service: Service,
    events: broadcast::Receiver<Event>,
}

impl Actor {
    async fn start(story: &mut Story, directory: &Path, part: Part, relay: &Node) -> Result<Self, Failure> {
        let (name, text) = match part {
            Part::NodeManager => ("host", "The host makes its vault and connects to the relay"),
            Part::App => ("app", "The app makes its vault and connects to the relay"),
        };
        let config = ServiceConfig::new(part, name.parse().map_err(Failure::other)?, directory.join(name));
        let actor =
            story.step(&format!("{name}_up"), text, Self::take_up(config, relay.listen_addresses())).await?;
        story.detail(&json!({ "fingerprint": actor.service.fingerprint().to_string() }));
        Ok(actor)
    }

    /// Starts from whatever is on disk, and waits until the relay is connected.
    async fn take_up(config: ServiceConfig, static_nodes: Vec<Multiaddr>) -> Result<Self, Failure> {
        let network = Network {
            sharding: sharding()?,
            mode: Mode::Relay,
            static_nodes,
            listen_addresses: Vec::new(),
            keypair: None,
        };
        let service = Service::start(&config, network).await?;
        let events = service.party().events();
        let actor = Self { config, service, events };
        actor.until_connected().await?;
        Ok(actor)
    }

    fn node(&self) -> &Node {
        self.service.node().expect("the demo's services are on the network")
    }

    async fn until_connected(&self) -> Result<(), Failure> {
        let subscribed = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
        self.node().peers().watch().wait_for(subscribed).await.map_err(Failure::other).map(|_| ())
    }

    /// The first event of this kind.
    async fn hear<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> Result<T, Failure> {
        loop {
            match self.events.recv().await.map_err(Failure::other)? {
                Event::PairingFailed { failure, .. } => return Err(Failure::other(failure)),
                event => {
                    if let Some(found) = wanted(event) {
                        return Ok(found);
                    }
                }
            }
        }
    }

    async fn hear_step(&mut self, wanted: impl Fn(Step) -> bool) -> Result<(), Failure> {
        self.hear(|event| matches!(event, Event::Step(step) if wanted(step)).then_some(())).await
    }

    async fn peer(&self, pairing: PairingId) -> Result<PeerView, Failure> {
        let peers = self.service.party().peers().await.map_err(Failure::other)?;
        peers
            .into_iter()
            .find(|peer| peer.pairing == pairing)
            .ok_or_else(|| Failure::other("the peer is gone"))
    }
}

fn sharding() -> Result<Sharding, Failure> {
    Sharding::auto(CLUSTER, SHARDS).map_err(Failure::other)
}

async fn relay_at(address: &str) -> Result<Node, Failure> {
    let mut config = Config::new(Keypair::generate(), sharding()?);
    config.listen_addresses = vec![address.parse().map_err(Failure::other)?];
    Node::spawn(config).await.map_err(Failure::other)
}

async fn relay(story: &mut Story) -> Result<Node, Failure> {
    let text = "A Waku relay starts, the only thing the two sides will have in common";
    let node = story.step("relay_up", text, relay_at("/ip4/127.0.0.1/tcp/0")).await?;
    story.detail(&addresses(&node));
    Ok(node)
}

fn addresses(node: &Node) -> serde_json::Value {
    json!({ "addresses": node.listen_addresses().iter().map(ToString::to_string).collect::<Vec<_>>() })
}

/// From a number to a pairing on both disks.
async fn pair(story: &mut Story, host: &mut Actor, app: &mut Actor) -> Result<PairingId, Failure> {
    let code = Code::generate(&mut UnwrapErr(SysRng));
    let shown = code.digits();
    let stretched = async { spawn_blocking(move || CodeKeys::derive(&code)).await.map_err(Failure::other) };
    let keys =
        story.step("code", "The app makes a number, and both stretch it (Argon2id)", stretched).await?;
    story.detail(&json!({ "code": shown.as_str() }));
    let offered =
        async { app.service.party().offer(keys.clone(), Terms::default()).await.map_err(Failure::other) };
    story.step("offered", "The app waits on the topic derived from it", offered).await?;

    host.service.party().pair(keys, Terms::default()).await.map_err(Failure::other)?;
    let sent = host.hear_step(|step| matches!(step, Step::HelloAppSent { .. }));
    story.step("hello_app_sent", "The host, where the number was typed in, says HELLO_APP", sent).await?;
    let received = app.hear_step(|step| step == Step::HelloAppReceived);
    story
        .step("hello_app_received", "The app hears it and has the host on disk as pending", received)
        .await?;
    let sent = app.hear_step(|step| step == Step::HelloNodeManagerSent);
    story.step("hello_node_manager_sent", "The app says HELLO_NODE_MANAGER", sent).await?;
    let received = host.hear_step(|step| step == Step::HelloNodeManagerReceived);
    story
        .step("hello_node_manager_received", "The host hears it and has the app on disk as pending", received)
        .await?;
    let (pairing, digits) = digits(story, host, app).await?;

    let typed = async { app.service.party().digits(pairing, digits).await.map_err(Failure::other) };
    story
        .step("digits_typed", "A person types the host's digits into the app: confirmed, on disk", typed)
        .await?;
    let confirmed = host.hear(|event| matches!(event, Event::Confirmed { compared: true, .. }).then_some(()));
    story.step("host_confirmed", "The host is told so, and has it on disk as well", confirmed).await?;
    let acknowledged = app.hear(|event| matches!(event, Event::Acknowledged { .. }).then_some(()));
    story.step("acknowledged", "The app knows that the host has it", acknowledged).await?;
    Ok(pairing)
}

/// The six digits: shown by the host, computed by the app from what it heard.
async fn digits(story: &mut Story, host: &mut Actor, app: &mut Actor) -> Result<(PairingId, Sas), Failure> {
    let shown = host.hear(|event| match event {
        Event::ShowDigits { peer, digits, .. } => Some((peer.pairing, digits)),
        _ => None,
    });
    let (pairing, digits) =
        story.step("digits_shown", "The host shows six digits and who is asking", shown).await?;
    story.detail(&json!({ "digits": digits.to_string() }));
    let keyed = async {
        host.hear_step(|step| step == Step::Keyed).await?;
        app.hear(|event| matches!(event, Event::AskDigits(_)).then_some(())).await
    };
    let text = "A K1K1 handshake shows that both hold their keys and heard the same";
    story.step("keyed", text, keyed).await?;
    let computed = app.peer(pairing).await?.digits;
    story.check("digits_equal", "The app computed the same six digits", computed == Some(digits))?;
    Ok((pairing, digits))
}

/// Waits until both sides are in the same session and returns its name.
async fn session(
    story: &mut Story,
    name: &str,
    text: &str,
    host: &Actor,
    app: &Actor,
    pairing: PairingId,
) -> Result<String, Failure> {
    let same = async {
        // Each event may be the one that brings them together.
        let (mut at_host, mut at_app) = (host.service.party().events(), app.service.party().events());
        loop {
            let (host, app) = (host.peer(pairing).await?, app.peer(pairing).await?);
            if let (Some(ours), Some(theirs)) = (host.session, app.session)
                && ours.id == theirs.id
                && matches!(
                    (host.stage, app.stage),
                    (StageView::Confirmed { .. }, StageView::Confirmed { .. })
                )
            {
                return Ok(format!("{:?}", ours.id));
            }
            tokio::select! {
                _ = at_host.recv() => {}
                _ = at_app.recv() => {}
            }
        }
    };
    let id = story.step(name, text, same).await?;
    story.detail(&json!({ "session": id }));
    Ok(id)
}

async fn round_trips(
    story: &mut Story,
    host: &Actor,
    app: &Actor,
    pairing: PairingId,
) -> Result<(), Failure> {
    for (actor, name, text) in [
        (host, "round_trips_from_host", "The host pings the app through the relay"),
        (app, "round_trips_from_app", "The app pings the host through the relay"),
    ] {
        let measured = story.step(name, text, ping_many(actor, pairing)).await?;
        let ms = |at: usize| measured.get(at).map_or(0.0, |round_trip| round_trip.as_secs_f64() * 1e3);
        let (best, median, worst) = (ms(0), ms(measured.len() / 2), ms(measured.len() - 1));
        story.detail(&json!({ "round_trips": measured.len(), "best_ms": best, "median_ms": median, "worst_ms": worst }));
    }
    Ok(())
}

async fn ping_many(actor: &Actor, pairing: PairingId) -> Result<Vec<Duration>, Failure> {
    let mut measured = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        measured.push(actor.service.party().ping(pairing).await.map_err(Failure::other)?);
    }
    measured.sort();
    Ok(measured)
}

async fn restart(
    story: &mut Story,
    host: &mut Actor,
    app: &mut Actor,
    directory: &Path,
    relay: &Node,
) -> Result<(), Failure> {
    let stopped = async {
        host.service.stop().await;
        app.service.stop().await;
        Ok(())
    };
    story.step("stopped", "Both sides stop; all that is left is on disk", stopped).await?;
    story.detail(&json!({ "vaults": directory.display().to_string() }));
    for (name, text, actor) in [
        ("host_again", "The host starts again from its vault", host),
        ("app_again", "The app starts again from its vault", app),
    ] {
        *actor =
            story.step(name, text, Actor::take_up(actor.config.clone(), relay.listen_addresses())).await?;
    }
    Ok(())
}

/// The relay goes; another one is up elsewhere, under another identity.
async fn move_relay(story: &mut Story, relay: Node, host: &Actor, app: &Actor) -> Result<Node, Failure> {
    let old = relay.listen_addresses();
    let gone = async {
        relay.shutdown().await;
        for actor in [host, app] {
            let lost = |peers: &PeerList| peers.connected.is_empty();
            actor.node().peers().watch().wait_for(lost).await.map_err(Failure::other)?;
        }
        Ok(())
    };
    story.step("relay_gone", "The relay goes; both sides notice", gone).await?;
    let moved = story
        .step("relay_moved", "It comes back at another address", relay_at("/ip4/127.0.0.1/tcp/0"))
        .await?;
    story.detail(&addresses(&moved));
    let told = async {
        for actor in [host, app] {
            for address in &old {
                actor.node().peers().remove_static(address.clone()).await.map_err(Failure::other)?;
            }
            for address in moved.listen_addresses() {
                actor.node().peers().add_static(address).await.map_err(Failure::other)?;
            }
            actor.until_connected().await?;
        }
        Ok(())
    };
    story.step("reconnected", "Both are told the new address and connect; the session goes on", told).await?;
    Ok(moved)
}
