//! Pairing as people do it.

use crate::process::Process;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_pair_two_machines() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let (at_host, at_app) = (stage.peer_of_host(), stage.peer_of_app());
    assert_eq!((at_host["name"].as_str(), at_app["name"].as_str()), (Some("laptop"), Some("beacon-01")));
    for peer in [&at_host, &at_app] {
        assert_eq!((peer["stage"].as_str(), peer["compared"].as_bool()), (Some("confirmed"), Some(true)));
    }
    assert_eq!(at_host["digits"], at_app["digits"]);
    assert_eq!(at_host["pairing"], at_app["pairing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_and_shown_what_is_needed() {
    let stage = Stage::new().await;
    let network = stage.network();
    let mut app = Process::start(&stage.app(), &["app", "pair", "--label=laptop", &network]);
    let code = app.find("the code", |line| {
        let digits = line.trim();
        (digits.len() == 27 && digits.chars().all(|c| c.is_ascii_digit() || c == '-'))
            .then(|| digits.to_owned())
    });
    let mut host = Process::start(&stage.host(), &["pair", "--label=beacon-01", &network]);
    // A slip is noticed at once, and asked again.
    let slip = code.replacen(|c: char| c != '9' && c.is_ascii_digit(), "9", 1);
    host.type_line(&slip);
    host.expect("check digits do not match");
    host.type_line(&code.replace('-', " "));
    host.expect("\"laptop\" asks to be paired");
    let digits = host.find("the digits", |line| {
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        (digits.len() == 6 && line.trim().len() == 7).then_some(digits)
    });
    app.expect("\"beacon-01\" asks to be paired");
    app.type_line("12345");
    app.expect("type the six digits");
    app.type_line(&digits);
    assert_eq!(app.wait().code, Some(0));
    assert_eq!(host.wait().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_do_the_pairing_when_they_run() {
    let stage = Stage::new().await;
    let (_host, _app) = (stage.run_host(), stage.run_app());
    // No network options: the services have them.
    let mut app = Process::start(&stage.app(), &["app", "pair", "--json"]);
    let code = app.event("code")["code"].as_str().unwrap().to_owned();
    let mut host = Process::start(&stage.host(), &["pair", &code, "--json"]);
    let shown = host.event("show_digits");
    assert_eq!(shown["peer"]["name"], "laptop");
    app.event("ask_digits");
    // The digits are to be read off the host, which shows them to whoever comes late; the app does not tell them.
    let digits = shown["digits"].as_str().unwrap();
    let spaced = format!("{} {}", &digits[..3], &digits[3..]);
    assert!(stage.on_host(&["status"]).output.contains(&spaced));
    assert!(stage.peer_of_app()["digits"].is_null());
    app.type_line(digits);
    assert_eq!((host.wait().code, app.wait().code), (Some(0), Some(0)));
    assert_eq!(stage.peer_of_app()["digits"], shown["digits"]);
    let pong = stage.on_app(&["ping", "beacon-01", "--json", "-c", "1"]);
    assert_eq!(pong.code, Some(0), "{}", pong.output);
    assert!(pong.output.contains("round_trip_ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_pair_without_digits_and_the_pairing_says_so() {
    let stage = Stage::new().await;
    let (app, code) = stage.app_pair(&["--no-confirm"]);
    let host = stage.pair(&code, &["--no-confirm"]);
    assert_eq!((host.wait().code, app.wait().code), (Some(0), Some(0)));
    assert_eq!(stage.peer_of_host()["compared"], false);
    assert!(stage.on_host(&["peers"]).output.contains("digits not compared"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_digits_pair_nobody() {
    let stage = Stage::new().await;
    let (mut app, code) = stage.app_pair(&[]);
    let mut host = stage.pair(&code, &[]);
    let digits: u32 = host.event("show_digits")["digits"].as_str().unwrap().parse().unwrap();
    app.event("ask_digits");
    app.type_line(&format!("{:06}", (digits + 1) % 1_000_000));
    let (host, app) = (host.wait(), app.wait());
    assert_eq!((host.code, app.code), (Some(3), Some(3)), "{}\n{}", host.output, app.output);
    assert!(host.output.contains("digits differ"), "{}", host.output);
    for ended in [stage.on_host(&["peers", "--json"]), stage.on_app(&["peers", "--json"])] {
        assert_eq!(ended.output, "[]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_on_one_code_are_both_turned_away() {
    let stage = Stage::new().await;
    let other = tempfile::TempDir::new().unwrap();
    let (mut app, code) = stage.app_pair(&[]);
    let mut first = stage.pair(&code, &[]);
    first.event("show_digits");
    app.event("ask_digits");
    let network = stage.network();
    let second = Process::start(&other.path().join("host"), &["pair", &code, &network]);
    let (first, second, app) = (first.wait(), second.wait(), app.wait());
    assert_eq!([first.code, second.code, app.code], [Some(3); 3]);
    assert!(first.output.contains("two machines used this code"), "{}", first.output);
    assert!(app.output.contains("two machines used this code"), "{}", app.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_code_is_said_to_be_used() {
    let stage = Stage::new().await;
    let _app = stage.run_app();
    let mut app = Process::start(&stage.app(), &["app", "pair", "--json"]);
    let code = app.event("code")["code"].as_str().unwrap().to_owned();
    let mut host = stage.pair(&code, &[]);
    let digits = host.event("show_digits")["digits"].as_str().unwrap().to_owned();
    app.event("ask_digits");
    app.type_line(&digits);
    assert_eq!((host.wait().code, app.wait().code), (Some(0), Some(0)));
    let other = tempfile::TempDir::new().unwrap();
    let network = stage.network();
    let late = Process::start(&other.path().join("host"), &["pair", &code, &network]).wait();
    assert_eq!(late.code, Some(3));
    assert!(late.output.contains("used before"), "{}", late.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupting_one_side_tells_the_other() {
    // A terminal that is closed sends SIGHUP.
    for signal in ["INT", "HUP"] {
        let stage = Stage::new().await;
        let (mut app, code) = stage.app_pair(&[]);
        let mut host = stage.pair(&code, &[]);
        host.event("show_digits");
        app.event("ask_digits");
        host.signal(signal);
        assert_eq!(host.wait().code, Some(130));
        app.expect("cancelled");
        assert_eq!(app.wait().code, Some(3));
    }
}
