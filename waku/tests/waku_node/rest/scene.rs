//! Nodes that rows of the contract are played against.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use crate::http::{Answer, encoded};
use crate::process::{Process, until};

use super::network::{NOBODY, NOBODY_ID, message, now, relaying, shard};
use super::pattern::{json_fits, text_fits};
use super::table::{self, Row};

/// A set-up: nodes, the first of which is asked, and the values that rows name.
struct Scene {
    nodes: Vec<Process>,
    values: BTreeMap<&'static str, String>,
}

macro_rules! scenes {
    ($($name:ident: $promise:ident,)*) => {
        /// The scenes that are played.
        pub(super) const SCENES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $promise() {
                play(stringify!($name), $name());
            }
        )*
    };
}

scenes! {
    fixed: a_node_with_static_sharding_answers_as_the_contract_says,
    auto: a_node_with_autosharding_answers_as_the_contract_says,
    bare: a_node_without_relay_and_admin_answers_as_the_contract_says,
    light: a_node_without_relay_answers_as_the_contract_says,
    cors: a_node_for_some_origins_answers_as_the_contract_says,
    cors_any: a_node_for_every_origin_answers_as_the_contract_says,
    small: a_node_for_small_messages_answers_as_the_contract_says,
    stored: a_node_with_an_archive_answers_as_the_contract_says,
    client: a_client_of_a_service_node_answers_as_the_contract_says,
    auto_client: an_autosharding_client_answers_as_the_contract_says,
    unreachable: a_client_of_nobody_answers_as_the_contract_says,
    discovering: a_client_that_looks_for_peers_answers_as_the_contract_says,
    limited: a_client_that_asks_too_often_answers_as_the_contract_says,
}

fn alone(args: &[&str]) -> Scene {
    Scene::new(vec![Process::start(args)])
}

fn fixed() -> Scene {
    alone(&["--shard=0", "--shard=1", "--num-shards-in-network=0", "--peer-exchange=false"])
}

fn auto() -> Scene {
    alone(&["--num-shards-in-network=8", "--filter", "--lightpush"])
}

fn bare() -> Scene {
    alone(&["--relay=false", "--rest-admin=false", "--num-shards-in-network=8"])
}

fn light() -> Scene {
    alone(&["--relay=false", "--shard=0"])
}

fn cors() -> Scene {
    let patterns = ["https://a.example", "localhost:*", "b?.example"];
    let flags = patterns.map(|pattern| format!("--rest-allow-origin={pattern}"));
    alone(&["--shard=0", &flags[0], &flags[1], &flags[2]])
}

fn cors_any() -> Scene {
    alone(&["--shard=0", "--rest-allow-origin=*"])
}

fn small() -> Scene {
    alone(&["--shard=0", "--max-msg-size=10KiB"])
}

fn discovering() -> Scene {
    alone(&["--shard=0", "--discv5-discovery=true"])
}

fn unreachable() -> Scene {
    let flags = ["storenode", "filternode", "lightpushnode"].map(|flag| format!("--{flag}={NOBODY}"));
    alone(&["--shard=0", &flags[0], &flags[1], &flags[2]])
}

/// An archive with five messages, oldest first, the last on another shard. Three more came before that it does not keep.
fn stored() -> Scene {
    let node = Process::start(&["--shard=0", "--shard=1", "--store"]);
    let start = now() - 1_000_000_000;
    let mut old = message("aGVsbG8=", "/app/1/a/proto", now() - 60_000_000_000);
    node.post_message(&shard(0), &old);
    old["timestamp"] = json!(now() + 60_000_000_000);
    node.post_message(&shard(0), &old);
    old["timestamp"] = json!(start - 5000);
    old["ephemeral"] = json!(true);
    node.post_message(&shard(0), &old);
    for index in 0..5_u8 {
        let (name, topic) = if index == 3 { ("b", shard(0)) } else { ("a", shard(u16::from(index / 4))) };
        let at = start + i64::from(index) * 1000;
        node.post_message(&topic, &message("aGVsbG8=", &format!("/app/1/{name}/proto"), at));
    }
    let kept = until("everything is kept", || {
        let page = node.get("/store/v3/messages").json();
        Some(page["messages"].clone()).filter(|kept| kept.as_array().unwrap().len() >= 5)
    });
    let mut scene = Scene::new(vec![node]);
    for (index, (hash, time)) in
        [("hash0", "time0"), ("hash1", "time1"), ("hash2", "time2"), ("hash3", "time3"), ("hash4", "time4")]
            .into_iter()
            .enumerate()
    {
        scene.values.insert(hash, kept[index]["messageHash"].as_str().unwrap().to_owned());
        scene.values.insert(time, (start + i64::try_from(index).unwrap() * 1000).to_string());
    }
    scene
}

/// A light client, its service node, which keeps two messages, and a relay beside that.
fn served(service: &[&str], client: &[&str], has_relay: bool) -> Scene {
    let services = ["--filter", "--lightpush", "--store", "--peer-exchange"];
    let mut nodes = Vec::new();
    let service = Process::start(&[&services[..], service].concat());
    if has_relay {
        let static_node = format!("--staticnode={}", service.address());
        let relay = Process::start(&["--shard=0", &static_node]);
        relaying(&relay, &service, 0);
        nodes.push(relay);
    }
    for payload in ["YQ==", "Yg=="] {
        service.post_message(&shard(0), &message(payload, "/app/1/kept/proto", now()));
    }
    until("the store keeps them", || {
        let page = service.get("/store/v3/messages").json();
        (page["messages"].as_array()?.len() == 2).then_some(())
    });
    let address = service.address();
    let named = ["storenode", "filternode", "lightpushnode"].map(|flag| format!("--{flag}={address}"));
    let named: Vec<_> = named.iter().map(String::as_str).collect();
    let asking = Process::start(&[&["--relay=false"][..], &named, client].concat());
    until("the client knows its service node", || {
        let health = asking.get("/health").json();
        (health["connectionStatus"] == "Connected").then_some(())
    });
    nodes.insert(0, asking);
    let (id, address) = (service.peer_id(), service.address());
    nodes.push(service);
    let mut scene = Scene::new(nodes);
    scene.values.insert("service", id);
    scene.values.insert("service.address", address);
    scene
}

fn client() -> Scene {
    served(&["--shard=0"], &["--shard=0"], true)
}

fn auto_client() -> Scene {
    served(&["--num-shards-in-network=8"], &["--num-shards-in-network=8"], false)
}

fn limited() -> Scene {
    let limits = ["--rate-limit=filter:1/1h", "--rate-limit=lightpush:1/1h", "--rate-limit=storev3:1/1h"];
    served(&[&["--shard=0"][..], &limits].concat(), &["--shard=0"], true)
}

impl Scene {
    fn new(nodes: Vec<Process>) -> Self {
        let own = &nodes[0];
        let info = own.get("/info").json();
        let values = BTreeMap::from([
            ("own", own.peer_id()),
            ("own.address", own.address()),
            ("own.tcp", own.tcp.to_string()),
            ("record", info["enrUri"].as_str().unwrap().to_owned()),
            ("nobody", NOBODY_ID.to_owned()),
            ("nobody.address", NOBODY.to_owned()),
            ("now", now().to_string()),
        ]);
        Self { nodes, values }
    }

    /// A cell with its `<<…>>` filled in.
    fn filled(&self, cell: &str) -> String {
        let mut parts = cell.split("<<");
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(">>").unwrap_or_else(|| panic!("<< without >>: {cell}"));
            let value = match name.split_once('*') {
                Some((repeated, times)) => repeated.repeat(times.parse().unwrap()),
                None => self.value(name),
            };
            text.push_str(&value);
            text.push_str(rest);
        }
        text
    }

    /// A value of the scene; with `%` in front percent-encoded.
    fn value(&self, name: &str) -> String {
        let known = |name| self.values.get(name).unwrap_or_else(|| panic!("the scene has no value {name}"));
        name.strip_prefix('%').map_or_else(|| known(name).clone(), |name| encoded(known(name)))
    }

    fn ask(&self, row: &Row) -> Answer {
        let mut headers = String::new();
        for header in self.filled(row.sends).split(" | ").filter(|header| !header.is_empty()) {
            let header = match header {
                "json" => "Content-Type: application/json",
                "text" => "Content-Type: text/plain",
                header => header,
            };
            write!(headers, "{header}\r\n").unwrap();
        }
        self.nodes[0].request(row.method, &self.filled(row.path), &headers, &self.filled(row.body))
    }

    /// What is wrong with an answer; empty when nothing is.
    fn flaws(&self, row: &Row, answer: &Answer) -> String {
        let mut flaws = String::new();
        let status = format!("{} {}", answer.status, answer.phrase);
        if status != row.status {
            write!(flaws, "\n    status {status}, not {}", row.status).unwrap();
        }
        let kind = match answer.header("content-type") {
            None => "",
            Some("application/json") => "json",
            Some("text/plain") => "text",
            Some(kind) if kind.starts_with("text/html") => "html",
            Some(other) => other,
        };
        if kind != row.kind {
            write!(flaws, "\n    content type {kind:?}, not {:?}", row.kind).unwrap();
        }
        for header in row.gives.split(" | ").filter(|header| !header.is_empty()) {
            let given = |name: &str| answer.header(&name.to_ascii_lowercase());
            let is_so = header.strip_prefix('!').map_or_else(
                || {
                    let (name, wanted) = header.split_once(": ").unwrap();
                    given(name).is_some_and(|value| text_fits(wanted, value))
                },
                |name| given(name).is_none(),
            );
            if !is_so {
                write!(flaws, "\n    not so: {header}; {:?}", answer.headers).unwrap();
            }
        }
        let wanted = self.filled(row.answer);
        let fits = if row.kind == "json" {
            let wanted = serde_json::from_str(&wanted).unwrap_or_else(|error| panic!("{}: {error}", row.id));
            serde_json::from_str(&answer.body).is_ok_and(|body| json_fits(&wanted, &body))
        } else {
            text_fits(&wanted, &answer.body)
        };
        if !fits {
            let start: String = answer.body.chars().take(2000).collect();
            write!(flaws, "\n    body {start}\n     not {wanted}").unwrap();
        }
        flaws
    }
}

fn play(name: &str, scene: Scene) {
    let mut broken = String::new();
    let rows = table::answers();
    for row in rows.iter().filter(|row| row.scene == name) {
        let answer = scene.ask(row);
        let flaws = scene.flaws(row, &answer);
        if !flaws.is_empty() {
            write!(broken, "\n{}: {} {}{flaws}", row.id, row.method, row.path).unwrap();
        }
    }
    // Their logs are long, and the flaws say it all.
    drop(scene);
    assert!(broken.is_empty(), "{broken}");
}
