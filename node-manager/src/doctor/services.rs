//! Whether the services answer, and how they say they are.

mod ask;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use waku_gateway::Config;
use waku_gateway::policy::Service;
use waku_gateway::watch::{Alert, Kind, Thresholds};

use super::report::Finding;
use ask::{Answer, Asker};

/// How long a service may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// What a beacon node, metrics, an execution client and a keymanager are called in the profile.
const BEACON: &str = "beacon";
const METRICS: &str = "metrics";
const EXECUTION: &str = "execution";
const KEYMANAGER: &str = "keymanager";

/// Asks every service, all at the same time.
pub(super) async fn check(config: &Config, raised: &[Alert]) -> Vec<Finding> {
    let asker = Asker::new(config);
    let services = config.policy.services().iter();
    let each = services.map(|service| one(&asker, service, config.thresholds));
    let mut findings = futures::future::join_all(each).await.concat();
    if let Some(alert) = raised.iter().find(|alert| alert.kind == Kind::MissedAttestations) {
        findings.push(Finding::failed("attestations", &alert.text, alert.kind.runbook()));
    }
    findings
}

async fn one(asker: &Asker, service: &Service, thresholds: Thresholds) -> Vec<Finding> {
    let name = service.name.as_str();
    if let Err(finding) = reach(service).await {
        return vec![finding];
    }
    match name {
        BEACON => beacon(asker, service, thresholds).await,
        METRICS => {
            let answer = asker.get("/metrics?series=beacon_slot").await;
            vec![answers(
                service,
                &answer,
                "metrics",
                "start the client with its metrics on (Nimbus: --metrics)",
            )]
        }
        EXECUTION => {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_syncing", "params": [] });
            vec![execution(service, &asker.post("/execution", &call).await)]
        }
        KEYMANAGER => vec![keymanager(service, &asker.get("/eth/v1/keystores").await)],
        _ => vec![Finding::ok(name, format!("{} accepts connections", service.base))],
    }
}

async fn reach(service: &Service) -> Result<(), Finding> {
    let mut seen = "has no address".to_owned();
    for address in service.base.addresses() {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => seen = error.kind().to_string(),
            Err(_) => "no answer in time".clone_into(&mut seen),
        }
    }
    let fix = "start it (systemctl status, journalctl -u), or mend its url in config.toml";
    Err(Finding::failed(&service.name, format!("{} cannot be reached: {seen}", service.base), fix))
}

async fn beacon(asker: &Asker, service: &Service, thresholds: Thresholds) -> Vec<Finding> {
    let syncing = asker.get("/eth/v1/node/syncing").await;
    let Answer::Json(200, syncing) = syncing else {
        return vec![answers(service, &syncing, "the Beacon API", "look at the node's log on the host")];
    };
    let (peers, inbound) = futures::future::join(
        asker.get("/eth/v1/node/peer_count"),
        asker.get("/eth/v1/node/peers?state=connected&direction=inbound"),
    )
    .await;
    vec![
        sync(&syncing, thresholds.max_sync_distance),
        peer_count(&peers, thresholds.min_peers),
        port(&inbound),
    ]
}

/// An answer as it should be, or what is wrong with it.
fn answers(service: &Service, answer: &Answer, what: &str, fix: &str) -> Finding {
    match answer {
        Answer::Json(200, _) | Answer::Other(200) => {
            Finding::ok(&service.name, format!("{} answers with {what}", service.base))
        }
        Answer::Json(status, _) | Answer::Other(status) => Finding::failed(
            &service.name,
            format!("{} answers {status} when asked for {what}", service.base),
            fix,
        ),
        Answer::None(why) => Finding::failed(
            &service.name,
            format!("{} accepts connections, but {why}", service.base),
            "it may be busy or hang: look at its log, and restart it if that does not help",
        ),
    }
}

fn sync(answer: &Value, most: u64) -> Finding {
    let check = "beacon node in sync";
    let said = |key: &str| answer.get("data")?.get(key);
    let is = |key: &str| said(key).and_then(Value::as_bool) == Some(true);
    let Some(distance) = said("sync_distance").and_then(number) else {
        return Finding::failed(
            check,
            "it does not say how far it is",
            "see that its url is a beacon node's REST API",
        );
    };
    if is("el_offline") {
        return Finding::failed(
            check,
            "it cannot reach its execution client",
            "see that the execution client runs, and that both use the same JWT secret",
        );
    }
    let wait = "wait, and look at its log and peers; validators have no use of it until then";
    match distance {
        0..=1 if is("is_optimistic") => Finding::warning(
            check,
            "at the head, but the execution client has not checked it yet (optimistic)",
            "wait until the execution client is in sync: validators do not attest before",
        ),
        0..=1 => Finding::ok(check, "at the head of the chain"),
        slots if slots > most => Finding::failed(check, format!("{slots} slots behind"), wait),
        slots => Finding::warning(check, format!("{slots} slots behind"), wait),
    }
}

fn peer_count(answer: &Answer, least: u64) -> Finding {
    let check = "beacon node's peers";
    let count = match answer {
        Answer::Json(200, answer) => answer.pointer("/data/connected").and_then(number),
        _ => None,
    };
    match count {
        None => Finding::not_checked(
            check,
            "it does not say how many it has",
            "look at the node's log on the host",
        ),
        Some(0) => Finding::failed(check, "it has none", Kind::PeersLow.runbook()),
        Some(count) if count < least => {
            Finding::warning(check, format!("{count}, fewer than {least}"), Kind::PeersLow.runbook())
        }
        Some(count) => Finding::ok(check, format!("{count} connected")),
    }
}

/// Nobody on this host can see whether a port is open to the outside, but those who came in did.
fn port(inbound: &Answer) -> Finding {
    let check = "beacon node's P2P port";
    let count = match inbound {
        Answer::Json(200, answer) => answer.get("data").and_then(Value::as_array).map_or(0, Vec::len),
        _ => 0,
    };
    if count > 0 {
        return Finding::ok(check, format!("open to the outside: {count} peers came in by it"));
    }
    Finding::not_checked(
        check,
        "whether it is open to the outside cannot be seen from here, and no peer is known to have come in",
        "forward TCP and UDP 9000, or the node's --tcp-port and --udp-port, in router and firewall",
    )
}

fn execution(service: &Service, answer: &Answer) -> Finding {
    let hex = |value: &Value| u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok();
    let Answer::Json(200, told) = answer else {
        return answers(
            service,
            answer,
            "JSON-RPC",
            "start the client with JSON-RPC on (Nimbus, Geth: --http or --rpc)",
        );
    };
    match told.get("result") {
        Some(Value::Bool(false)) => Finding::ok(EXECUTION, "in sync"),
        Some(Value::Object(progress)) => {
            let block = |key: &str| progress.get(key).and_then(hex);
            let seen = match (block("currentBlock"), block("highestBlock")) {
                (Some(at), Some(of)) => format!("still syncing: block {at} of {of}"),
                _ => "still syncing".to_owned(),
            };
            Finding::failed(
                EXECUTION,
                seen,
                "wait, and look at its log and peers; validators do not attest before",
            )
        }
        _ => Finding::failed(
            EXECUTION,
            format!("{} does not say whether it is in sync", service.base),
            "see that its url is the execution client's JSON-RPC, and that `eth` is among its APIs",
        ),
    }
}

fn keymanager(service: &Service, answer: &Answer) -> Finding {
    let on = "start the client with the keymanager on (Nimbus: --keymanager --keymanager-token-file=FILE)";
    match answer {
        Answer::Json(401 | 403, _) | Answer::Other(401 | 403) => Finding::failed(
            KEYMANAGER,
            "it does not take the token",
            "name the very file that the client was started with, as token_file or in the unit's LoadCredential",
        ),
        answer => answers(service, answer, "the keymanager's API", on),
    }
}

/// A number, as the Beacon API writes it.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
