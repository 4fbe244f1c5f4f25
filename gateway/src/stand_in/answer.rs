//! The ordinary answers.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::channel::Channel;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::chain::{Chain, EPOCH};
use super::mood::{Mood, whole};
use super::{Body, Node, Seen};

/// Answers a request.
pub(super) fn answer(node: &Arc<Node>, request: &Seen, path: &str, query: &str) -> Response<Body> {
    let segments: Vec<_> = path.split('/').skip(1).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["eth", "v1", "events"]) => events(node, query),
        ("GET", ["metrics"]) => typed("text/plain; version=0.0.4", whole(200, metrics(node))),
        ("POST", [""]) => rpc(node, &request.body),
        (_, ["eth", "v1", "keystores" | "remotekeys", ..] | ["eth", "v1", "validator", _, _])
            if !matches!(segments.as_slice(), ["eth", "v1", "validator", "duties", ..]) =>
        {
            keymanager(node, request, &segments)
        }
        ("POST", ["nimbus", "v1", "graffiti"]) => {
            node.figures().graffiti = String::from_utf8_lossy(&request.body).chars().take(32).collect();
            json(&json!({ "result": true }))
        }
        ("POST", ["nimbus", "v1", "chronicles", "settings"]) => json(&json!({ "result": true })),
        ("POST", ["eth", "v1", "validator", "duties", ..] | ["eth", "v1", "beacon", "rewards", ..]) => {
            json(&json!({ "data": [] }))
        }
        ("POST", ["nimbus", "v1", "validator", "activity", _]) => json(&json!({ "data": [] })),
        ("GET", segments) => match read(node, segments) {
            Some(data) => json(&json!({ "data": data })),
            None => whole(404, "{\"code\":404,\"message\":\"not found\"}"),
        },
        _ => whole(404, "{\"code\":404,\"message\":\"not found\"}"),
    }
}

/// What can be read of the chain and of the node.
fn read(node: &Node, segments: &[&str]) -> Option<Value> {
    let slot = node.chain.slot();
    let behind = node.figures().behind;
    let head = slot.saturating_sub(behind);
    Some(match segments {
        ["eth" | "nimbus", "v1", "node", "version"] => {
            json!({ "version": "Nimbus/stand-in" })
        }
        ["eth", "v1", "node", "health"] => Value::Null,
        ["eth", "v1", "node", "syncing"] => json!({
            "head_slot": head.to_string(), "sync_distance": behind.to_string(),
            "is_syncing": behind > 1, "is_optimistic": false, "el_offline": false,
        }),
        ["eth", "v1", "node", "identity"] => json!({ "peer_id": "16Uiu2HAstandin" }),
        ["eth", "v1", "node", "peer_count"] => json!({
            "connected": node.figures().peers.to_string(), "connecting": "0", "disconnected": "0", "disconnecting": "0",
        }),
        ["eth", "v1", "node", "peers"] | ["eth", "v1", "validator", "duties", "proposer", _] => json!([]),
        ["eth", "v1", "config", "spec"] => json!({
            "SECONDS_PER_SLOT": node.chain.seconds_per_slot().to_string(), "SLOTS_PER_EPOCH": EPOCH.to_string(),
        }),
        ["eth", "v1", "beacon", "genesis"] => json!({ "genesis_time": node.chain.genesis().to_string() }),
        ["eth", "v1", "beacon", "headers"] => json!([header(head)]),
        ["eth", "v1", "beacon", "headers", "head"] | ["nimbus", "v1", "beacon" | "chain", "head"] => {
            header(head)
        }
        ["eth", "v1", "beacon", "headers", slot] => header(slot.parse().ok()?),
        ["eth", "v1", "beacon", "states", _, "finality_checkpoints"] => {
            let epoch = Chain::finalized(head);
            let checkpoint =
                |epoch: u64| json!({ "epoch": epoch.to_string(), "root": Chain::root(epoch * EPOCH) });
            json!({
                "finalized": checkpoint(epoch), "current_justified": checkpoint(epoch + 1),
                "previous_justified": checkpoint(epoch),
            })
        }
        ["eth", "v1", "beacon", "states", _, "validators" | "validator_balances"] => {
            json!([{ "index": "1", "balance": "32000000000", "status": "active_ongoing" }])
        }
        ["nimbus", "v1", "graffiti"] => json!(node.figures().graffiti),
        _ => return None,
    })
}

fn header(slot: u64) -> Value {
    json!({
        "root": Chain::root(slot), "canonical": true,
        "header": { "message": { "slot": slot.to_string(), "parent_root": Chain::root(slot.saturating_sub(1)) } },
    })
}

fn keymanager(node: &Node, request: &Seen, segments: &[&str]) -> Response<Body> {
    let expected = format!("Bearer {}", node.token);
    if !request.headers.iter().any(|(name, value)| name == "authorization" && *value == expected) {
        return whole(401, "{\"code\":401,\"message\":\"wrong token\"}");
    }
    let keys = &mut node.figures().keys;
    match (request.method.as_str(), segments.get(2)) {
        ("GET", Some(&"keystores")) => {
            let listed: Vec<_> = keys.iter().map(|key| json!({ "validating_pubkey": key })).collect();
            json(&json!({ "data": listed }))
        }
        ("POST", Some(&"keystores")) => {
            keys.push(format!("0x{:096x}", keys.len() + 1));
            json(&json!({ "data": [{ "status": "imported" }] }))
        }
        ("DELETE", Some(&"keystores")) => {
            keys.clear();
            json(&json!({ "data": [{ "status": "deleted" }], "slashing_protection": "{\"data\":[]}" }))
        }
        _ => json(&json!({ "data": [] })),
    }
}

fn rpc(node: &Node, body: &Bytes) -> Response<Body> {
    let call: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = call.get("id");
    let result = match call.get("method").and_then(Value::as_str) {
        Some("eth_syncing") => json!(false),
        Some("net_peerCount") => json!(format!("{:#x}", node.figures().peers)),
        Some("web3_clientVersion") => json!("nimbus-eth1/stand-in"),
        Some("eth_blockNumber") => json!(format!("{:#x}", node.chain.slot())),
        _ => return json(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601 } })),
    };
    json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn metrics(node: &Node) -> String {
    let slot = node.chain.slot();
    let figures = node.figures();
    let (peers, missed) = (figures.peers, figures.missed);
    let mut text = format!(
        "# HELP beacon_slot Latest slot of the beacon chain state\n# TYPE beacon_slot gauge\nbeacon_slot {slot}.0\n\
         beacon_current_epoch {}.0\nfinalization_delay 2.0\nnext_action_wait 14.0\nnext_proposal_wait +Inf\n\
         sync_committee_active 0.0\nlibp2p_peers {peers}.0\n\
         validator_monitor_prev_epoch_on_chain_attester_miss_total{{validator=\"total\"}} {missed}.0\n",
        slot / EPOCH
    );
    for number in 0..500_u32 {
        let line = ["nim_gc_heap_instance_occupied_bytes{type_name=\"T", &number.to_string(), "\"} 1.0\n"];
        text.extend(line);
    }
    text
}

/// Heads, blocks and checkpoints, each as its time comes. Ends when the mood changes.
fn events(node: &Arc<Node>, query: &str) -> Response<Body> {
    let topics: Vec<_> = query.split('&').filter_map(|pair| pair.strip_prefix("topics=")).collect();
    let topics: Vec<_> = topics.iter().flat_map(|topics| topics.split(',')).map(str::to_owned).collect();
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(8);
    let (node, mut mood) = (Arc::clone(node), node.mood.subscribe());
    tokio::spawn(async move {
        let slots = async {
            loop {
                sleep(node.chain.until_next()).await;
                let slot = node.chain.slot();
                let told = json!({ "slot": slot.to_string(), "block": Chain::root(slot) }).to_string();
                let epoch = json!({ "epoch": Chain::finalized(slot).to_string() }).to_string();
                let events = [("head", told.clone(), true), ("block", told, true)];
                let finalized = ("finalized_checkpoint", epoch, slot.is_multiple_of(EPOCH));
                for (kind, data, is_due) in events.into_iter().chain([finalized]) {
                    let text = format!("event: {kind}\ndata: {data}\n\n");
                    if is_due
                        && topics.iter().any(|topic| topic == kind)
                        && sender.send_data(Bytes::from(text)).await.is_err()
                    {
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = slots => {}
            _ = mood.changed() => {}
        }
    });
    typed("text/event-stream", Response::new(body.boxed()))
}

/// Does what a control path wishes.
pub(super) fn wish(node: &Node, wish: &str) -> Response<Body> {
    let done = match wish.split_once('/') {
        None => Mood::named(wish).map(|mood| _ = node.mood.send_replace(mood)),
        Some((figure, number)) => number.parse().ok().and_then(|number| {
            let mut figures = node.figures();
            let place = match figure {
                "peers" => &mut figures.peers,
                "behind" => &mut figures.behind,
                "missed" => &mut figures.missed,
                _ => return None,
            };
            *place = number;
            Some(())
        }),
    };
    if done.is_some() { whole(200, "done\n") } else { whole(404, "there is no such wish\n") }
}

fn json(value: &Value) -> Response<Body> {
    typed("application/json", whole(200, value.to_string()))
}

fn typed(content_type: &'static str, mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
