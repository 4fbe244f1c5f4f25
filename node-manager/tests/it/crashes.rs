//! kill -9 right after every step that was written to disk, on either side.

use crate::process::Process;
use crate::stage::Stage;

/// What each side tells after a write, in the order of the protocol.
const HOST_STEPS: [&str; 4] = ["hello_node_manager_received", "show_digits", "keyed", "confirmed"];
const APP_STEPS: [&str; 4] = ["hello_node_manager_sent", "keyed", "ask_digits", "confirmed"];

/// Waits until a side's service has its only peer confirmed.
fn until_confirmed(service: &mut Process) {
    service.expect("session up");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_killed_after_any_step_ends_up_paired() {
    for step in HOST_STEPS {
        let stage = Stage::new().await;
        let (mut app, code) = stage.app_pair(&[]);
        let mut host = stage.pair(&code, &[]);
        if step == "confirmed" {
            let digits = host.event("show_digits")["digits"].as_str().unwrap().to_owned();
            app.event("ask_digits");
            app.type_line(&digits);
        }
        host.event(step);
        host.kill();
        // The service takes up what the command left, and shows the digits again.
        let mut host = stage.run_host();
        if step != "confirmed" {
            let digits = stage.peer_of_host()["digits"].as_str().unwrap().to_owned();
            app.event("ask_digits");
            app.type_line(&digits);
        }
        let app = app.wait();
        assert_eq!(app.code, Some(0), "after {step}: {}", app.output);
        let _app = stage.run_app();
        until_confirmed(&mut host);
        let peer = stage.peer_of_host();
        assert_eq!(
            (peer["stage"].as_str(), peer["compared"].as_bool()),
            (Some("confirmed"), Some(true)),
            "after {step}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_killed_after_any_step_ends_up_paired() {
    for step in APP_STEPS {
        let stage = Stage::new().await;
        let mut host = stage.run_host();
        let (mut app, code) = stage.app_pair(&[]);
        let mut pair = Process::start(&stage.host(), &["pair", &code, "--json"]);
        let digits = pair.event("show_digits")["digits"].as_str().unwrap().to_owned();
        if step == "confirmed" {
            app.event("ask_digits");
            app.type_line(&digits);
        }
        app.event(step);
        app.kill();
        // The service takes up what the command left; whoever holds the app types the digits there.
        let mut app = stage.run_app();
        if step != "confirmed" {
            app.expect("waits for the digits");
            let typed = stage.on_app(&["digits", &digits]);
            assert_eq!(typed.code, Some(0), "after {step}: {}", typed.output);
        }
        let pair = pair.wait();
        assert_eq!(pair.code, Some(0), "after {step}: {}", pair.output);
        until_confirmed(&mut host);
        assert_eq!(stage.peer_of_app()["stage"], "confirmed", "after {step}");
    }
}
