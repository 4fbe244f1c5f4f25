//! The examples, run as a user runs them.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use waku::store::archive::MemoryArchive;
use waku::{ContentTopic, FilterConfig, LightpushConfig, Node, Sharding, StoreConfig, WakuMessage};

use super::scene::{address, node, sees_subscription, within};

/// An example that runs, killed at the end of its test.
struct Example {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Example {
    fn run(name: &str, arguments: &[&str]) -> Self {
        // Built beside this very test by `cargo test`.
        let own: PathBuf = std::env::current_exe().unwrap();
        let folder = own.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
        let mut child = Command::new(folder.join(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} in {}: {error}", folder.display()));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, input, output }
    }

    async fn type_line(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
    }

    async fn line(&mut self) -> String {
        within("a line of the example", self.output.next_line()).await.unwrap().expect("it has ended")
    }

    /// The rest of what it prints.
    async fn rest(mut self) -> Vec<String> {
        drop(self.input);
        let mut lines = Vec::new();
        while let Some(line) = within("the end of the example", self.output.next_line()).await.unwrap() {
            lines.push(line);
        }
        lines
    }
}

fn sharding() -> Sharding {
    Sharding::auto(99, 8).unwrap()
}

fn lobby() -> ContentTopic {
    "/waku-chat/1/lobby/plain".parse().unwrap()
}

/// A node that serves everything, and one that relays with it.
async fn services() -> (Node, Node) {
    let service = node(|config| {
        config.sharding = sharding();
        config.filter = Some(FilterConfig::default());
        config.lightpush = Some(LightpushConfig::default());
        config.store = Some(StoreConfig::new(Arc::new(MemoryArchive::new(1000, 1 << 20))));
    })
    .await;
    let relay = node(|config| {
        config.sharding = sharding();
        config.static_peers = vec![address(&service)];
    })
    .await;
    let topic = sharding().pubsub_topic(&lobby()).unwrap();
    sees_subscription(&service, relay.local_peer_id(), &topic).await;
    sees_subscription(&relay, service.local_peer_id(), &topic).await;
    (service, relay)
}

fn message(text: &str) -> WakuMessage {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    WakuMessage::new(&lobby(), text.to_owned(), now.try_into().unwrap())
}

/// Types a line again until somebody is there to hear it.
async fn is_heard(from: &mut Example, to: &mut Example, line: &str, heard: &str) {
    loop {
        from.type_line(line).await;
        tokio::select! {
            there = to.line() => return assert_eq!(there, heard),
            here = from.line() => assert_eq!(here, "(nobody is there yet)"),
        }
    }
}

#[tokio::test]
async fn relay_chat_carries_lines_both_ways() {
    let mut alice = Example::run("relay_chat", &["alice"]);
    let at = alice.line().await;
    let mut bob = Example::run("relay_chat", &["bob", &at]);
    bob.line().await;
    is_heard(&mut bob, &mut alice, "are you there?", "bob: are you there?").await;
    is_heard(&mut alice, &mut bob, "I am here", "alice: I am here").await;
    assert_eq!(bob.rest().await, [""; 0]);
}

#[tokio::test]
async fn light_client_publishes_receives_and_finds_what_was_stored() {
    let (service, _relay) = services().await;
    let lines = Example::run("light_client", &[&address(&service).to_string(), "hello"]).rest().await;
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[..2], ["connected", "subscribed"]);
    assert!(lines[2].strip_prefix("published ").is_some_and(|hash| hash.len() == 64), "{lines:?}");
    assert_eq!(lines[3..], ["received hello", "stored hello"]);
}

#[tokio::test]
async fn store_query_prints_what_is_stored() {
    let (service, relay) = services().await;
    let mut inbox = service.relay().subscribe(lobby()).await.unwrap();
    for text in ["one", "two"] {
        relay.relay().publish(message(text)).await.unwrap();
        within("a message at the store", inbox.recv()).await;
    }
    let (at, topic) = (address(&service).to_string(), lobby());
    for order in ["all", "newest"] {
        let arguments = ["99", &at, topic.as_str(), order];
        let lines = Example::run("store_query", &arguments).rest().await;
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].ends_with(" one") && lines[1].ends_with(" two"), "{lines:?}");
        assert_eq!(lines[2], "2 messages");
    }
}
