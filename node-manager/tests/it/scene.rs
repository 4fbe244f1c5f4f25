//! A paired host with a stand-in for its beacon node, and an app with an address for it.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use ureq::{Agent, Body, http::Response};
use waku_gateway::stand_in::{Options, StandIn};

use crate::process::{PATIENCE, Process};
use crate::stage::Stage;

/// Everything, at work.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) beacon: StandIn,
    pub(crate) host: Process,
    pub(crate) app: Process,
    /// Where the host's services answer on the app's side.
    pub(crate) endpoint: String,
    agent: Agent,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Scene {
    /// Pairs, starts both services, and waits for their session.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same, with more words for `app run`.
    pub(crate) async fn with(words: &[&str]) -> Self {
        let stage = Stage::new().await;
        stage.pair_by_hand();
        let beacon = StandIn::start(Options { slot: Duration::from_secs(1), ..Options::default() }).await;
        let beacon = beacon.unwrap();
        configure(&stage, &beacon);
        let mut host = stage.run_host();
        let mut app = stage.run_app_with(words);
        host.expect("session up");
        app.expect("session up");
        let endpoint = stage.peer_of_app()["endpoint"].as_str().unwrap().to_owned();
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { stage, beacon, host, app, endpoint, agent: agent.into() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        read(self.agent.get(self.url(path)).call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        read(self.agent.post(self.url(path)).send(body).unwrap())
    }

    /// The same, with a name for good.
    pub(crate) fn post_once(&self, path: &str, key: &str) -> Answer {
        read(self.agent.post(self.url(path)).header("idempotency-key", key).send_empty().unwrap())
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Lets the app do more.
    pub(crate) fn grant(&self, grant: &str) {
        let ended = self.stage.on_host(&["peers", "grant", "laptop", grant]);
        assert_eq!(ended.code, Some(0), "{}", ended.output);
    }
}

/// The beacon node, metrics and execution client of the host are the stand-in.
fn configure(stage: &Stage, beacon: &StandIn) {
    let (host, url) = (stage.host(), format!("http://{}", beacon.address()));
    fs::write(host.join("token"), "stand-in-token").unwrap();
    let services = ["beacon", "metrics", "execution"]
        .map(|name| format!("[[service]]\nname = \"{name}\"\nurl = \"{url}\"\n"));
    let keys = format!(
        "[[service]]\nname = \"keymanager\"\nenabled = true\nurl = \"{url}\"\ntoken_file = '{}'\n",
        host.join("token").display()
    );
    fs::write(host.join("config.toml"), format!("profile = \"nimbus\"\n{}{keys}", services.concat()))
        .unwrap();
}

pub(crate) fn read(mut response: Response<Body>) -> Answer {
    let reason = response.headers().get("x-node-manager-reason");
    Answer {
        status: response.status().as_u16(),
        reason: reason.map(|reason| reason.to_str().unwrap().to_owned()),
        body: response.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap(),
    }
}
