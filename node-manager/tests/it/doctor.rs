//! Examining a host, with and without its service.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use waku_gateway::stand_in::{Mood, Options, StandIn};

use crate::process::{Ended, PATIENCE, Process, node_manager};
use crate::scene::Scene;
use crate::stage::Stage;

fn report(ended: &Ended) -> Value {
    let line = ended.output.lines().find(|line| line.starts_with('{'));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{}", ended.output))).unwrap()
}

/// What a finding means, and all of it.
fn finding<'r>(report: &'r Value, check: &str) -> (&'r str, &'r Value) {
    let mut findings = report["findings"].as_array().unwrap().iter();
    let found = findings.find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("{check:?} in {report:#}"));
    (found["state"].as_str().unwrap(), found)
}

fn failed(report: &Value) -> Vec<&Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["state"] == "failed").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_is_examined_by_its_service_and_apps_are_told_the_same() {
    let scene = Scene::new().await;
    let ended = scene.stage.on_host(&["doctor", "--json"]);
    let told = report(&ended);
    assert_eq!(told["running"], true);
    for check in [
        "data directory",
        "vault",
        "what apps may ask",
        "services to start and stop",
        "beacon node in sync",
        "beacon node's peers",
        "metrics",
        "execution",
        "keymanager",
        "Waku network",
        "message budget",
        "paired apps",
    ] {
        assert_eq!(finding(&told, check).0, "ok", "{:#}", finding(&told, check).1);
    }
    // The scene's token is not for its owner alone.
    let (state, token) = finding(&told, "keymanager token");
    assert!(state == "warning" && token["fix"].as_str().unwrap().starts_with("chmod 600"), "{token:#}");
    let waku = finding(&told, "Waku network").1;
    assert!(waku["seen"].as_str().unwrap().contains("relay"), "{waku:#}");
    for finding in told["findings"].as_array().unwrap() {
        assert_eq!(finding["fix"].is_null(), finding["state"] == "ok", "{finding:#}");
    }
    assert_eq!(failed(&told), Vec::<&Value>::new());
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(!ended.output.contains("stand-in-token") && !ended.output.contains("laptop"), "{}", ended.output);

    let asked = scene.get("/node-manager/v1/doctor");
    assert_eq!(asked.status, 200, "{asked:?}");
    let checks = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["check"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(checks(&asked.json()), checks(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_is_named_with_what_to_do_and_ends_with_one() {
    let scene = Scene::new().await;
    scene.beacon.set_mood(Mood::Fail);
    fs::write(scene.stage.host().join("config.toml"), "profile = \"nimbo\"\n").unwrap();
    let ended = scene.stage.on_host(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    let told = report(&ended);
    assert_eq!(finding(&told, "what apps may ask").0, "failed");
    // The service goes on with what it read, and so does its doctor.
    let (state, beacon) = finding(&told, "beacon");
    assert!(state == "failed" && beacon["seen"].as_str().unwrap().contains("503"), "{beacon:#}");

    let ended = scene.stage.on_host(&["doctor"]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("→ look at the node's log"), "{}", ended.output);
    assert!(!ended.output.contains('\u{1b}'), "no colours where no terminal is: {}", ended.output);

    // A file that is named is looked at in place of the service's.
    let good = scene.stage.host().join("good.toml");
    fs::write(&good, "profile = \"nimbus\"\n").unwrap();
    let ended = scene.stage.on_host(&["doctor", "--json", "--config", good.to_str().unwrap()]);
    assert_eq!(finding(&report(&ended), "what apps may ask").0, "warning", "it is not what the service read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_service_does_not_run_is_examined_as_far_as_it_goes() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let beacon = StandIn::start(Options::default()).await.unwrap();
    let config = stage.host().join("config.toml");
    let text = format!(
        "[[service]]\nname = \"beacon\"\nurl = \"http://{}\"\n[doctor]\njwt_secret = {:?}\n",
        beacon.address(),
        stage.host().join("jwt.hex")
    );
    fs::write(&config, text).unwrap();
    fs::write(stage.host().join("jwt.hex"), "0x").unwrap();
    let services = "[[service]]\nname = \"own\"\ncommand = [\"/bin/true\"]\n";
    fs::write(stage.host().join("services.toml"), services).unwrap();
    fs::set_permissions(stage.host().join("vault.redb"), Permissions::from_mode(0o644)).unwrap();

    let told = report(&stage.on_host(&["doctor", "--json", &stage.network()]));
    assert_eq!(told["running"], false);
    assert_eq!(finding(&told, "data directory").0, "warning", "the vault could be read by others");
    for check in ["vault", "beacon node in sync", "Waku network", "paired apps"] {
        assert_eq!(finding(&told, check).0, "ok", "{:#}", finding(&told, check).1);
    }
    assert_eq!(finding(&told, "JWT secret").0, "failed");
    for check in ["service own", "message budget"] {
        assert_eq!(finding(&told, check).0, "not_checked", "{:#}", finding(&told, check).1);
    }

    // Without a node to dial, the network is not looked at; one that is not there is.
    let told = report(&stage.on_host(&["doctor", "--json"]));
    assert_eq!(finding(&told, "Waku network").0, "not_checked");
    assert_eq!(finding(&told, "data directory").0, "ok", "opening the vault took it from others");
}

#[test]
fn a_host_that_was_never_started_harms_nothing_and_nothing_is_made() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("host");
    let ended = Process::start(&data_dir, &["doctor", "--json", "--staticnode=/ip4/127.0.0.1/tcp/1"]).wait();
    let told = report(&ended);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert_eq!(finding(&told, "vault").0, "not_checked");
    assert_eq!(finding(&told, "Waku network").0, "failed");
    assert_eq!(finding(&told, "Waku node /ip4/127.0.0.1/tcp/1").0, "failed");
    assert!(!data_dir.exists());
}

#[test]
fn the_rule_for_polkit_is_printed_for_the_units_of_the_list() {
    let directory = TempDir::new().unwrap();
    let list = directory.path().join("services.toml");
    let words = ["doctor", "--polkit-rule=node-manager", "--services", list.to_str().unwrap()];
    fs::write(&list, "[[service]]\nname = \"beacon\"\nunit = \"nimbus_beacon_node.service\"\n").unwrap();
    let ended = Process::start(directory.path(), &words).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.starts_with("polkit.addRule(") && ended.output.ends_with("});"), "{}", ended.output);
    assert!(
        ended.output.contains("\"nimbus_beacon_node.service\"") && ended.output.contains("\"node-manager\"")
    );
    fs::write(&list, "[[service]]\nname = \"own\"\ncommand = [\"/bin/true\"]\n").unwrap();
    let ended = Process::start(directory.path(), &words).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.output);
    assert!(ended.output.contains("no unit of the system"), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_when_the_service_is_up_and_when_it_stops() {
    let stage = Stage::new().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let network = stage.network();
    let mut command: Command = node_manager(&stage.host(), &["run", &network]);
    command.env("NOTIFY_SOCKET", &path);
    let host = Process::spawn(command, "run");
    let hear = || {
        let mut bytes = [0; 256];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    assert_eq!(hear().trim(), "READY=1");
    assert_eq!(stage.on_host(&["status"]).code, Some(0), "whoever waited for it finds it up");
    host.signal("TERM");
    assert_eq!(hear().trim(), "STOPPING=1");
    assert_eq!(host.wait().code, Some(0));
}
