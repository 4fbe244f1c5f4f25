//! The services: sessions that come back, and looking at them.

use std::process::Command;

use serde_json::Value;

use crate::process::{Process, node_manager};
use crate::stage::{Stage, relay};

fn ping(stage: &Stage) {
    for ended in [stage.on_app(&["ping", "-c", "1"]), stage.on_host(&["ping", "-c", "1"])] {
        assert_eq!(ended.code, Some(0), "{}", ended.output);
    }
}

fn status(stage: &Stage) -> Value {
    let ended = stage.on_host(&["status", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    serde_json::from_str(&ended.output).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_find_each_other_and_tell_how_they_are() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let (mut host, _app) = (stage.run_host(), stage.run_app());
    host.expect("session up");
    ping(&stage);
    let status = status(&stage);
    assert_eq!((status["running"].as_bool(), status["part"].as_str()), (Some(true), Some("host")));
    assert_eq!(status["network"]["connected"], 1);
    let peer = &status["peers"][0];
    assert!(peer["session"]["id"].is_string() && peer["session"]["round_trip_ms"].is_f64(), "{peer}");
    assert!(peer["last_seen"].as_u64() >= peer["paired_at"].as_u64());
    assert!(stage.on_host(&["status"]).output.contains("up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_either_side_is_back_in_session() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let (mut host, mut app) = (stage.run_host(), stage.run_app());
    host.expect("session up");
    for round in 0..3 {
        host.kill();
        host = stage.run_host();
        // In the middle of the handshake the first time, in a session the second, and so on.
        if round != 0 {
            host.expect("session up");
        }
        app.kill();
        app = stage.run_app();
        app.expect("session up");
        ping(&stage);
    }
    assert_eq!(stage.peer_of_host()["stage"], "confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_takes_its_leave_and_leaves_nothing_behind() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let mut app = stage.run_app();
    // A terminal that is closed sends SIGHUP.
    for signal in ["TERM", "INT", "HUP"] {
        let mut host = stage.run_host();
        app.expect("session up");
        host.expect("session up");
        host.signal(signal);
        let ended = host.wait();
        assert_eq!(ended.code, Some(0), "SIG{signal}: {}", ended.output);
        assert!(!stage.host().join("control.sock").exists());
        app.expect("session down");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nohup_keeps_a_service_running() {
    let stage = Stage::new().await;
    let command = node_manager(&stage.host(), &["run", &stage.network()]);
    let mut immune = Command::new("bash");
    immune.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(command.get_program());
    immune.args(command.get_args());
    let mut host = Process::spawn(immune, "run under nohup");
    host.expect("running");
    host.signal("HUP");
    host.signal("TERM");
    let ended = host.wait();
    assert!(ended.code == Some(0) && ended.output.contains("SIGTERM"), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_restarted_under_another_identity_is_found_again() {
    let mut stage = Stage::new().await;
    stage.pair_by_hand();
    let address = stage.relay.listen_addresses()[0].to_string();
    let address = address.split("/p2p/").next().unwrap();
    let network = format!("--staticnode={address}");
    let mut host = Process::start(&stage.host(), &["run", &network]);
    let mut app = Process::start(&stage.app(), &["app", "run", &network]);
    host.expect("session up");
    app.expect("session up");
    stage.relay.shutdown().await;
    host.expect("connected=0");
    app.expect("connected=0");
    stage.relay = relay(0, address).await;
    host.expect("connected=1");
    app.expect("connected=1");
    ping(&stage);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_shown_renamed_and_revoked_with_and_without_the_service() {
    for with_service in [true, false] {
        let stage = Stage::new().await;
        stage.pair_by_hand();
        let services = with_service.then(|| (stage.run_host(), stage.run_app()));
        let fingerprint = stage.peer_of_host()["fingerprint"].as_str().unwrap().to_owned();
        let shown = stage.on_host(&["peers", "show", &fingerprint[..6]]);
        assert!(shown.output.contains("laptop") && shown.output.contains(&fingerprint), "{}", shown.output);
        let renamed = stage.on_host(&["peers", "rename", "laptop", "my phone"]);
        assert_eq!(renamed.code, Some(0), "{}", renamed.output);
        assert_eq!(stage.peer_of_host()["name"], "my phone");
        assert_eq!(stage.peer_of_host()["label"], "laptop");
        let unknown = stage.on_host(&["peers", "show", "laptop"]);
        assert_eq!(unknown.code, Some(2), "{}", unknown.output);
        let revoked = stage.on_host(&["peers", "revoke", "my phone"]);
        assert_eq!(revoked.code, Some(0), "{}", revoked.output);
        assert_eq!(stage.on_host(&["peers", "--json"]).output, "[]");
        // Without the services the app learns it when it calls.
        let (_host, mut app) = services.unwrap_or_else(|| (stage.run_host(), stage.run_app()));
        app.expect("unpaired");
        assert_eq!(stage.on_app(&["peers", "--json"]).output, "[]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_answer_is_named_and_what_is_waited_for_is_said() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let _host = stage.run_host();
    let ended = stage.on_host(&["ping", "--timeout=2"]);
    assert_eq!(ended.code, Some(4), "{}", ended.output);
    assert!(ended.output.contains("\"laptop\" does not answer"), "{}", ended.output);
    assert!(ended.output.contains("Waiting for an answer"), "{}", ended.output);
    assert_eq!(stage.on_host(&["ping", "--count=0"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_one_name_are_told_apart_before_anything_is_revoked() {
    let stage = Stage::new().await;
    let other = tempfile::TempDir::new().unwrap();
    let network = stage.network();
    for data_dir in [stage.app(), other.path().join("app")] {
        let arguments = ["app", "pair", "--json", "--no-confirm", "--label=laptop", &network];
        let mut app = Process::start(&data_dir, &arguments);
        let code = app.event("code")["code"].as_str().unwrap().to_owned();
        let host = stage.pair(&code, &["--no-confirm"]).wait();
        assert_eq!((host.code, app.wait().code), (Some(0), Some(0)), "{}", host.output);
    }
    let revoked = stage.on_host(&["peers", "revoke", "laptop"]);
    assert_eq!(revoked.code, Some(2), "{}", revoked.output);
    assert!(revoked.output.contains("several peers are called"), "{}", revoked.output);
    let peers: Vec<Value> = serde_json::from_str(&stage.on_host(&["peers", "--json"]).output).unwrap();
    assert_eq!(peers.len(), 2);
    let fingerprint = peers[0]["fingerprint"].as_str().unwrap();
    assert_eq!(stage.on_host(&["peers", "revoke", fingerprint]).code, Some(0));
    assert_eq!(stage.peer_of_host()["fingerprint"], peers[1]["fingerprint"]);
    // A blank name is none.
    assert_eq!(stage.on_host(&["peers", "rename", "laptop", " "]).code, Some(0));
    assert_eq!(stage.peer_of_host()["name"], "laptop");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_can_be_json() {
    let stage = Stage::new().await;
    let network = stage.network();
    let mut host =
        Process::start(&stage.host(), &["run", "--log-format=json", "--label=beacon-01", &network]);
    let line = host.expect("\"running\"");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["fields"]["label"], "beacon-01");
}
