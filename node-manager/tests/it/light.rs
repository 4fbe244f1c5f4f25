//! Light clients: sides that relay nothing, behind one node that serves them.

use std::path::PathBuf;

use tempfile::TempDir;
use waku::Node;

use crate::process::{Ended, Process, node_manager};
use crate::stage::{relay, service_node};

/// The node that both sides know, and their directories and network options.
struct Stage {
    node: Node,
    directory: TempDir,
    network: String,
    /// What the host and the app are started with beside it.
    more: [&'static [&'static str]; 2],
}

const LIGHT: &[&str] = &["--light"];

impl Stage {
    async fn new(host: &'static [&'static str], app: &'static [&'static str]) -> Self {
        let node = service_node("/ip4/127.0.0.1/tcp/0").await;
        let address = node.listen_addresses()[0].to_string();
        let network = format!("--staticnode={}", address.split("/p2p/").next().unwrap());
        Self { node, directory: TempDir::new().unwrap(), network, more: [host, app] }
    }

    fn on_host(&self, arguments: &[&str]) -> Process {
        self.start("host", &[arguments, self.more[0]].concat())
    }

    fn on_app(&self, arguments: &[&str]) -> Process {
        self.start("app", &[&["app"], arguments, self.more[1]].concat())
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Process {
        let directory: PathBuf = self.directory.path().join(name);
        Process::start(&directory, &[arguments, &[&self.network]].concat())
    }

    fn pair(&self) {
        let mut app = self.on_app(&["pair", "--json", "--label=laptop"]);
        let code = app.event("code")["code"].as_str().unwrap().to_owned();
        let mut host = self.on_host(&["pair", &code, "--json", "--label=beacon-01"]);
        let digits = host.event("show_digits")["digits"].as_str().unwrap().to_owned();
        app.event("ask_digits");
        app.type_line(&digits);
        let (host, app) = (host.wait(), app.wait());
        assert_eq!((host.code, app.code), (Some(0), Some(0)), "{}\n{}", host.output, app.output);
    }

    fn run(&self) -> (Process, Process) {
        let (mut host, mut app) = (self.on_host(&["run"]), self.on_app(&["run"]));
        host.expect("session up");
        app.expect("session up");
        (host, app)
    }

    fn ping(&self) {
        let pings = [self.on_host(&["ping", "-c", "1"]), self.on_app(&["ping", "-c", "1"])];
        for Ended { code, output } in pings.map(Process::wait) {
            assert_eq!(code, Some(0), "{output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_pair_and_ping_without_relaying() {
    let stage = Stage::new(LIGHT, LIGHT).await;
    stage.pair();
    let (host, _app) = stage.run();
    stage.ping();
    // Whoever stops takes its leave through the service node.
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_app_and_a_host_that_relays_pair_and_ping() {
    let stage = Stage::new(&[], LIGHT).await;
    stage.pair();
    let _sides = stage.run();
    stage.ping();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_node_restarted_under_another_identity_is_found_again() {
    let stage = Stage::new(LIGHT, LIGHT).await;
    stage.pair();
    let (mut host, mut app) = stage.run();
    let address = stage.node.listen_addresses()[0].to_string();
    stage.node.shutdown().await;
    host.expect("connected=0");
    app.expect("connected=0");
    let _again = service_node(address.split("/p2p/").next().unwrap()).await;
    host.expect("connected=1");
    app.expect("connected=1");
    stage.ping();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_does_not_serve_is_named() {
    let node = relay(0, "/ip4/127.0.0.1/tcp/0").await;
    let network = format!("--staticnode={}", node.listen_addresses()[0]);
    let directory = TempDir::new().unwrap();
    let arguments = ["pair", "81985529216486895", "--light", &network, "--timeout=3"];
    let ended = Process::start(&directory.path().join("data"), &arguments).wait();
    assert_eq!(ended.code, Some(4), "{}", ended.output);
    assert!(ended.output.contains("serves filter or lightpush"), "{}", ended.output);
}

#[test]
fn a_light_client_takes_no_connections() {
    let directory = TempDir::new().unwrap();
    let arguments = ["run", "--light", "--tcp-port=0", "--staticnode=/ip4/127.0.0.1/tcp/1"];
    for (arguments, says) in [(&arguments[..], "cannot be used with"), (&arguments[..3], "--staticnode")] {
        let ended = Process::start(directory.path(), arguments).wait();
        assert_eq!(ended.code, Some(2), "{}", ended.output);
        assert!(ended.output.contains(says), "{}", ended.output);
    }
    // Said not to be one, it takes them.
    let arguments = ["run", "--tcp-port=0", "--listen-address=127.0.0.1"];
    let mut command = node_manager(directory.path(), &arguments);
    command.env("NODE_MANAGER_LIGHT", "false");
    Process::spawn(command, "run").expect("running");
}
