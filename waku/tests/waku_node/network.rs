//! What tests do with several nodes: connect them, send messages, look at who is there.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::http::encoded;
use crate::process::{Process, until};

/// The pubsub topic of a shard of cluster 99.
pub(crate) fn topic(shard: u16) -> String {
    format!("/waku/2/rs/99/{shard}")
}

/// Unix time in nanoseconds.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// A message as REST takes it.
pub(crate) fn message(payload: &[u8], content_topic: &str) -> Value {
    json!({ "payload": BASE64.encode(payload), "contentTopic": content_topic, "timestamp": now() })
}

impl Process {
    /// Has it dial the other node.
    pub(crate) fn dial(&self, other: &Self) {
        let answer = self.post("/admin/v1/peers", &json!([other.address()]).to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Its connected peers, as `/admin/v1` shows them.
    pub(crate) fn connected(&self) -> Vec<Value> {
        self.get("/admin/v1/peers/connected").json().as_array().unwrap().clone()
    }

    /// The peer of this id, if it is connected.
    pub(crate) fn neighbour(&self, peer_id: &str) -> Option<Value> {
        let is_it = |peer: &Value| peer["multiaddr"].as_str().unwrap().ends_with(peer_id);
        self.connected().into_iter().find(is_it)
    }

    /// Waits until it is connected with the other node and knows what that speaks.
    pub(crate) fn meets(&self, other: &Self) -> Value {
        let id = other.peer_id();
        until("they are connected", || {
            self.neighbour(&id).filter(|peer| !peer["protocols"].as_array().unwrap().is_empty())
        })
    }

    /// Waits until so many peers are in its mesh of a shard.
    pub(crate) fn meshes(&self, shard: u16, peers: usize) {
        until("there is a mesh", || {
            let mesh = self.get(&format!("/admin/v1/peers/mesh/on/{shard}")).json();
            (mesh["peers"].as_array().unwrap().len() >= peers).then_some(())
        });
    }

    /// Publishes on a shard of cluster 99.
    pub(crate) fn publish(&self, shard: u16, message: &Value) {
        let answer =
            self.post(&format!("/relay/v1/messages/{}", encoded(&topic(shard))), &message.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Waits until a message with this payload has come on a shard of cluster 99.
    pub(crate) fn receives(&self, shard: u16, payload: &[u8]) {
        let (path, payload) =
            (format!("/relay/v1/messages/{}", encoded(&topic(shard))), BASE64.encode(payload));
        until("the message is there", || {
            let messages = self.get(&path).json();
            messages.as_array().unwrap().iter().any(|message| message["payload"] == *payload).then_some(())
        });
    }

    /// How many messages a query of its own archive finds, page by page.
    pub(crate) fn stored(&self) -> Vec<String> {
        let (mut hashes, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/store/v3/messages?pageSize=100&ascending=true{cursor}")).json();
            assert_eq!(page["statusCode"], 200, "{page}");
            let hash = |message: &Value| message["messageHash"].as_str().unwrap().to_owned();
            hashes.extend(page["messages"].as_array().unwrap().iter().map(hash));
            match page["paginationCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return hashes,
            }
        }
    }

    /// One of its figures, if it shows it.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        let answer = crate::http::raw(self.metrics, METRICS);
        assert_eq!(answer.status, 200);
        let line = answer.body.lines().find(|line| line.rsplit_once(' ').is_some_and(|(key, _)| key == name));
        line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    /// Waits until a figure is at least so much.
    pub(crate) fn counts(&self, name: &str, least: f64) {
        until(&format!("{name} >= {least}"), || self.figure(name).filter(|value| *value >= least));
    }
}

/// A scrape.
pub(crate) const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Two nodes on shard 0 of cluster 99, each in the other's mesh.
pub(crate) fn pair(first: &[&str], second: &[&str]) -> (Process, Process) {
    let a = Process::start(&[&["--shard=0"][..], first].concat());
    let b = Process::start(&[&["--shard=0"][..], second].concat());
    b.dial(&a);
    a.meshes(0, 1);
    b.meshes(0, 1);
    (a, b)
}
