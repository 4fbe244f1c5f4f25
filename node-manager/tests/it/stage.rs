//! A relay and the two sides' data directories.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use waku::store::archive::MemoryArchive;
use waku::{Config, FilterConfig, Keypair, LightpushConfig, Node, Sharding, StoreConfig};

use crate::process::{Ended, Process};

/// The Waku relay that both sides can reach, run by the test, and a directory for each side.
pub(crate) struct Stage {
    pub(crate) relay: Node,
    directory: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::on(relay(0, "/ip4/127.0.0.1/tcp/0").await)
    }

    /// With another node between the two.
    pub(crate) fn on(relay: Node) -> Self {
        Self { relay, directory: TempDir::new().unwrap() }
    }

    pub(crate) fn host(&self) -> PathBuf {
        self.directory.path().join("host")
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.directory.path().join("app")
    }

    /// The option that leads to the relay.
    pub(crate) fn network(&self) -> String {
        format!("--staticnode={}", self.relay.listen_addresses()[0])
    }

    pub(crate) fn run_host(&self) -> Process {
        self.run_host_with(&[])
    }

    pub(crate) fn run_host_with(&self, more: &[&str]) -> Process {
        let network = self.network();
        let words = [&["run", "--label=beacon-01", &network], more].concat();
        let mut process = Process::start(&self.host(), &words);
        process.expect("running");
        process
    }

    pub(crate) fn run_app(&self) -> Process {
        self.run_app_with(&[])
    }

    pub(crate) fn run_app_with(&self, more: &[&str]) -> Process {
        let network = self.network();
        let words = [&["app", "run", "--label=laptop", &network], more].concat();
        let mut process = Process::start(&self.app(), &words);
        process.expect("running");
        process
    }

    /// Starts `app pair` and waits for its code.
    pub(crate) fn app_pair(&self, more: &[&str]) -> (Process, String) {
        let network = self.network();
        let mut arguments = vec!["app", "pair", "--json", "--label=laptop", &network];
        arguments.extend(more);
        let mut process = Process::start(&self.app(), &arguments);
        let code = process.event("code")["code"].as_str().unwrap().to_owned();
        (process, code)
    }

    pub(crate) fn pair(&self, code: &str, more: &[&str]) -> Process {
        let network = self.network();
        let mut arguments = vec!["pair", code, "--json", "--label=beacon-01", &network];
        arguments.extend(more);
        Process::start(&self.host(), &arguments)
    }

    /// A command of the host's side, to its end.
    pub(crate) fn on_host(&self, arguments: &[&str]) -> Ended {
        Process::start(&self.host(), arguments).wait()
    }

    /// A command of the app's side, to its end.
    pub(crate) fn on_app(&self, arguments: &[&str]) -> Ended {
        Process::start(&self.app(), &[&["app"], arguments].concat()).wait()
    }

    /// The only peer of a side.
    pub(crate) fn peer_of_host(&self) -> Value {
        only_peer(&self.on_host(&["peers", "--json"]))
    }

    pub(crate) fn peer_of_app(&self) -> Value {
        only_peer(&self.on_app(&["peers", "--json"]))
    }

    /// Pairs the two by the commands people use, neither side's service running.
    pub(crate) fn pair_by_hand(&self) {
        let (mut app, code) = self.app_pair(&[]);
        let mut host = self.pair(&code, &[]);
        let digits = host.event("show_digits")["digits"].as_str().unwrap().to_owned();
        app.event("ask_digits");
        app.type_line(&digits);
        let (host, app) = (host.wait(), app.wait());
        assert_eq!((host.code, app.code), (Some(0), Some(0)), "{}\n{}", host.output, app.output);
    }
}

pub(crate) async fn relay(cluster: u16, address: &str) -> Node {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(cluster, [0]).unwrap());
    config.listen_addresses = vec![address.parse().unwrap()];
    Node::spawn(config).await.unwrap()
}

/// A node that serves light clients. It hands what it cannot relay to its own clients, as nwaku does.
pub(crate) async fn service_node(address: &str) -> Node {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(0, [0]).unwrap());
    config.listen_addresses = vec![address.parse().unwrap()];
    config.filter = Some(FilterConfig::default());
    config.lightpush = Some(LightpushConfig::default());
    config.store = Some(StoreConfig::new(Arc::new(MemoryArchive::new(1000, 1 << 20))));
    config.deliver_unsent = true;
    Node::spawn(config).await.unwrap()
}

fn only_peer(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let peers: Vec<Value> = serde_json::from_str(&ended.output).unwrap();
    let [peer] = &peers[..] else { panic!("{}", ended.output) };
    peer.clone()
}
