use std::fs;

use waku_gateway::stand_in::{Mood, Options, StandIn};

use super::super::State;
use super::*;

async fn stand_in() -> StandIn {
    StandIn::start(Options::default()).await.unwrap()
}

/// All services of the profile at a stand-in, with a token.
fn config(beacon: &StandIn, folder: &tempfile::TempDir, token: &str) -> Config {
    let path = folder.path().join("token");
    fs::write(&path, token).unwrap();
    let services = [BEACON, METRICS, EXECUTION, KEYMANAGER, "other"].map(|name| {
        let token = if name == KEYMANAGER { format!("token_file = {path:?}\n") } else { String::new() };
        let url = format!("http://{}", beacon.address());
        format!("[[service]]\nname = \"{name}\"\nurl = \"{url}\"\n{token}")
    });
    Config::parse("c.toml", &format!("profile = \"nimbus\"\n{}", services.concat())).unwrap()
}

async fn states(config: &Config) -> Vec<(String, State)> {
    let findings = check(config, &[]).await;
    for finding in &findings {
        assert_eq!(finding.fix.is_none(), finding.state == State::Ok, "{finding:?}");
    }
    findings.into_iter().map(|finding| (finding.check, finding.state)).collect()
}

fn state_of(states: &[(String, State)], check: &str) -> State {
    states.iter().find(|(known, _)| known == check).unwrap_or_else(|| panic!("{check} in {states:?}")).1
}

#[tokio::test]
async fn services_that_are_well_are_said_to_be() {
    let (beacon, folder) = (stand_in().await, tempfile::tempdir().unwrap());
    let states = states(&config(&beacon, &folder, "stand-in-token")).await;
    for check in ["beacon node in sync", "beacon node's peers", METRICS, EXECUTION, KEYMANAGER, "other"] {
        assert_eq!(state_of(&states, check), State::Ok, "{check}");
    }
    // Nobody came in, which says nothing.
    assert_eq!(state_of(&states, "beacon node's P2P port"), State::NotChecked);
}

#[tokio::test]
async fn what_a_node_says_about_itself_decides() {
    let (beacon, folder) = (stand_in().await, tempfile::tempdir().unwrap());
    let config = config(&beacon, &folder, "wrong-token");
    beacon.set_behind(5);
    beacon.set_peers(3);
    let some = states(&config).await;
    assert_eq!(state_of(&some, "beacon node in sync"), State::Warning);
    assert_eq!(state_of(&some, "beacon node's peers"), State::Warning);
    assert_eq!(state_of(&some, KEYMANAGER), State::Failed, "the token is wrong");
    beacon.set_behind(500);
    beacon.set_peers(0);
    let worse = states(&config).await;
    assert_eq!(state_of(&worse, "beacon node in sync"), State::Failed);
    assert_eq!(state_of(&worse, "beacon node's peers"), State::Failed);
}

#[tokio::test]
async fn services_that_fail_hang_or_are_not_there_have_failed() {
    let (beacon, folder) = (stand_in().await, tempfile::tempdir().unwrap());
    let config = config(&beacon, &folder, "stand-in-token");
    for mood in [Mood::Fail, Mood::Hang, Mood::BreakOff, Mood::Endless] {
        beacon.set_mood(mood);
        let states = states(&config).await;
        assert_eq!(state_of(&states, BEACON), State::Failed, "{mood:?}");
        assert_eq!(state_of(&states, EXECUTION), State::Failed, "{mood:?}");
        // It accepts connections, which is all that is known of it.
        assert_eq!(state_of(&states, "other"), State::Ok);
    }
    drop(beacon);
    // The port is free as soon as the listener's task is gone.
    let mut tries = 0;
    loop {
        let states = states(&config).await;
        if state_of(&states, "other") == State::Failed {
            assert_eq!(state_of(&states, BEACON), State::Failed);
            return;
        }
        tries += 1;
        assert!(tries < 100, "{states:?}");
    }
}

#[test]
fn the_words_of_a_beacon_node_are_understood() {
    let state = |data: Value| sync(&json!({ "data": data }), 8).state;
    assert_eq!(state(json!({ "sync_distance": "1" })), State::Ok);
    assert_eq!(state(json!({ "sync_distance": "0", "is_optimistic": true })), State::Warning);
    assert_eq!(state(json!({ "sync_distance": "0", "el_offline": true })), State::Failed);
    assert_eq!(state(json!({ "sync_distance": "8" })), State::Warning);
    assert_eq!(state(json!({ "sync_distance": "9" })), State::Failed);
    for odd in [json!({}), json!([]), Value::Null, json!({ "sync_distance": "-1" })] {
        assert_eq!(state(odd), State::Failed);
    }
}

#[test]
fn peers_that_came_in_show_that_the_port_is_open() {
    let answer = |status, data: Value| port(&Answer::Json(status, json!({ "data": data }))).state;
    assert_eq!(answer(200, json!([{ "direction": "inbound" }])), State::Ok);
    assert_eq!(answer(200, json!([])), State::NotChecked);
    assert_eq!(answer(404, json!([1])), State::NotChecked);
    assert_eq!(port(&Answer::None(String::new())).state, State::NotChecked);
}

#[tokio::test]
async fn an_execution_client_that_syncs_has_failed_its_validators() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&stand_in().await, &folder, "x");
    let service = config.policy.services().iter().find(|service| service.name == EXECUTION).unwrap();
    let told = |result: Value| execution(service, &Answer::Json(200, json!({ "result": result })));
    assert_eq!(told(json!(false)).state, State::Ok);
    let syncing = told(json!({ "currentBlock": "0x10", "highestBlock": "0xff" }));
    assert!(syncing.state == State::Failed && syncing.seen.contains("block 16 of 255"), "{syncing:?}");
    assert_eq!(told(Value::Null).state, State::Failed);
    assert_eq!(execution(service, &Answer::Other(405)).state, State::Failed);
}
