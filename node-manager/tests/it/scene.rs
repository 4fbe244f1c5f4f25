//! A paired host with a stand-in for its beacon node, and an app with an address for it.

use std::fs;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use ureq::{Agent, Body, http::Response};
use waku_gateway::stand_in::{Options, Seen, StandIn};

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
        let (stage, beacon) = paired().await;
        Self::at_work(stage, beacon, &[], words)
    }

    /// Starts both services, with more words for each, and waits for their session.
    pub(crate) fn at_work(stage: Stage, beacon: StandIn, host: &[&str], app: &[&str]) -> Self {
        let mut host = stage.run_host_with(host);
        let mut app = stage.run_app_with(app);
        host.expect("session up");
        app.expect("session up");
        let endpoint = stage.peer_of_app()["endpoint"].as_str().unwrap().to_owned();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build();
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

    /// As [`Self::post_once`], on a thread of its own.
    pub(crate) fn posting_once(&self, path: &str, key: &str) -> JoinHandle<Result<Answer, ureq::Error>> {
        let (agent, url, key) = (self.agent.clone(), self.url(path), key.to_owned());
        thread::spawn(move || Ok(read(agent.post(url).header("idempotency-key", key).send_empty()?)))
    }

    /// How many orders the host's services have seen.
    pub(crate) fn posts(&self) -> usize {
        self.beacon.seen().iter().filter(|seen| seen.method == "POST").count()
    }

    /// Lets the app do more.
    pub(crate) fn grant(&self, grant: &str) {
        change_grants(&self.stage, "grant", grant);
    }

    /// Lets the app do less.
    pub(crate) fn revoke(&self, grant: &str) {
        change_grants(&self.stage, "revoke", grant);
    }
}

/// A stage whose two sides are paired, and what the host's services are.
pub(crate) async fn paired() -> (Stage, StandIn) {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let beacon = StandIn::start(Options { slot: Duration::from_secs(1), ..Options::default() }).await;
    let beacon = beacon.unwrap();
    configure(&stage, &beacon);
    (stage, beacon)
}

/// Waits until a request like this has come in.
pub(crate) async fn until_seen(beacon: &StandIn, wanted: impl Fn(&Seen) -> bool) {
    let came = async {
        loop {
            let seen = beacon.seen();
            if seen.iter().any(&wanted) {
                return;
            }
            beacon.saw(seen.len() + 1).await;
        }
    };
    timeout(PATIENCE, came).await.expect("it comes in");
}

/// Grants the app something, or revokes it.
pub(crate) fn change_grants(stage: &Stage, change: &str, grant: &str) {
    let ended = stage.on_host(&["peers", change, "laptop", grant]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

/// Two services more: one whose answers are short and soon there, and one for those who are trusted.
const MORE: &str = r#"
[[service]]
name = "open"
url = "URL"
mount = "/open"
[[service.rule]]
methods = ["GET", "POST"]
changes = false
paths = ["/**"]
query = ["*"]
timeout_ms = 1000
max_response_bytes = 262144
[[service]]
name = "trusted"
url = "URL"
mount = "/trusted"
[[service.rule]]
paths = ["/eth/v1/events"]
query = ["topics"]
topics = ["head"]
grant = "operate"
[[service.rule]]
paths = ["/**"]
grant = "operate"
timeout_ms = 60000
max_response_bytes = 67108864
"#;

/// The beacon node, metrics and execution client of the host are the stand-in.
fn configure(stage: &Stage, beacon: &StandIn) {
    let (host, url) = (stage.host(), format!("http://{}", beacon.address()));
    fs::write(host.join("token"), "stand-in-token").unwrap();
    let services = ["beacon", "metrics", "execution"]
        .map(|name| format!("[[service]]\nname = \"{name}\"\nurl = \"{url}\"\n"));
    let keys = format!(
        "[[service]]\nname = \"keymanager\"\nenabled = true\nurl = \"{url}\"\ntoken_file = \"{}\"\n",
        host.join("token").display()
    );
    let text = format!("profile = \"nimbus\"\n{}{keys}{}", services.concat(), MORE.replace("URL", &url));
    fs::write(host.join("config.toml"), text).unwrap();
}

pub(crate) fn read(mut response: Response<Body>) -> Answer {
    let reason = response.headers().get("x-node-manager-reason");
    Answer {
        status: response.status().as_u16(),
        reason: reason.map(|reason| reason.to_str().unwrap().to_owned()),
        body: response.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap(),
    }
}
