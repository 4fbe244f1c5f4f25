//! The page that `app run --web` serves: who gets it, and what it can do.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::process::{PATIENCE, Process};
use crate::stage::Stage;

/// What shows that the page itself asks.
const MARK: (&str, &str) = ("x-node-manager", "1");

/// `app run --web=0` at work.
struct Page {
    app: Process,
    /// `127.0.0.1:PORT`.
    address: String,
    secret: String,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Events as they come in, on a connection of their own.
struct Events(BufReader<TcpStream>);

impl Events {
    /// The next notice of this name.
    fn notice(&mut self, name: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended before {name}");
            let data = line.trim_end().strip_prefix("data: ");
            if let Some(notice) = data.map(|data| serde_json::from_str::<Value>(data).unwrap())
                && notice["event"] == name
            {
                return notice;
            }
        }
    }
}

impl Page {
    fn open(stage: &Stage) -> Self {
        let words = ["app", "run", "--label=laptop", "--web=0", "--log-level=debug", &stage.network()];
        let mut app = Process::start(&stage.app(), &words);
        let url =
            app.find("the page's address", |line| Some(line.strip_prefix("The page: http://")?.to_owned()));
        let (address, secret) = url.trim_end_matches('/').split_once('/').unwrap();
        assert!(address.starts_with("127.0.0.1:") && secret.len() == 32, "{url}");
        Self { address: address.to_owned(), secret: secret.to_owned(), app }
    }

    /// Asks for a target as it stands, as a program would that knows no page: nothing is made neat on the way.
    fn ask_raw(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.connect();
        let has_host = headers.iter().any(|(name, _)| *name == "host");
        let host = (!has_host).then_some(("host", self.address.as_str()));
        let mut lines = String::new();
        for (name, value) in headers.iter().chain(&host) {
            writeln!(lines, "{name}: {value}\r").unwrap();
        }
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\n{lines}connection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks as the page does.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_raw(method, &format!("/{}/{path}", self.secret), &[MARK], &body)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null)
    }

    fn state(&self) -> Value {
        let answer = self.get("api/state");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn events(&self) -> Events {
        let mut stream = self.connect();
        let target = format!("/{}/api/events", self.secret);
        write!(stream, "GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address).unwrap();
        let mut events = Events(BufReader::new(stream));
        // The first word on the network shows that the stream is open.
        events.notice("network");
        events
    }

    /// Makes a code, and has it typed in on the host.
    fn begin(&self, stage: &Stage) -> (Process, String) {
        let offer = self.ask("POST", "api/pair", &json!({}));
        assert_eq!(offer.status, 200, "{offer:?}");
        let mut host = stage.pair(offer.json()["code"].as_str().unwrap(), &[]);
        let digits = host.event("show_digits")["digits"].as_str().unwrap().to_owned();
        (host, digits)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_address_learns_nothing() {
    let stage = Stage::new().await;
    let page = Page::open(&stage);
    let last = if page.secret.ends_with('0') { "1" } else { "0" };
    let almost = format!("{}{last}", page.secret.get(..31).unwrap());
    let paths =
        ["", "api/state", &almost, &format!("{almost}/"), &format!("{almost}/api/state"), "favicon.ico"];
    let longer = [format!("{}0/", page.secret), format!("/{}/", page.secret), page.secret.to_uppercase()];
    let same = |answer: Answer| {
        let headers = answer.headers.into_iter().filter(|(name, _)| name != "date").collect::<Vec<_>>();
        (answer.status, headers, answer.body)
    };
    let first = same(page.ask_raw("GET", "/nothing", &[], ""));
    assert_eq!(first.0, 404);
    for path in paths.into_iter().chain(longer.iter().map(String::as_str).filter(|path| *path != page.secret))
    {
        assert_eq!(same(page.ask_raw("GET", &format!("/{path}"), &[MARK], "")), first, "{path}");
        assert_eq!(same(page.ask_raw("POST", &format!("/{path}"), &[MARK], "{}")), first, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_and_pages_of_others_are_refused_and_every_answer_binds_the_browser() {
    let stage = Stage::new().await;
    let page = Page::open(&stage);
    let (home, call) = (format!("/{}/", page.secret), format!("/{}/api/state", page.secret));
    let own = format!("http://{}", page.address);
    let port = page.address.rsplit(':').next().unwrap();
    let local = format!("localhost:{port}");
    let evil = format!("evil.example:{port}");
    let mut answers = Vec::new();
    for target in [&home, &call] {
        for (header, status) in [
            (("host", evil.as_str()), 421),
            (("host", "127.0.0.1"), 421),
            (("origin", "http://evil.example"), 403),
            (("origin", "null"), 403),
            (("sec-fetch-site", "cross-site"), 403),
            (("sec-fetch-site", "same-site"), 403),
            (("host", local.as_str()), 200),
            (("origin", own.as_str()), 200),
            (("sec-fetch-site", "same-origin"), 200),
            (("sec-fetch-site", "none"), 200),
        ] {
            let answer = page.ask_raw("GET", target, &[header], "");
            assert_eq!(answer.status, status, "{header:?}");
            answers.push(answer);
        }
    }
    let here = home.trim_end_matches('/');
    for (method, target, status) in
        [("GET", "/", 404), ("GET", here, 308), ("POST", home.as_str(), 405), ("POST", call.as_str(), 403)]
    {
        let answer = page.ask_raw(method, target, &[], "");
        assert_eq!(answer.status, status, "{method} {target}");
        answers.push(answer);
    }
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_are_those_that_were_built_and_no_path_leads_elsewhere() {
    let stage = Stage::new().await;
    let page = Page::open(&stage);
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist");
    for (path, file, kind) in [
        ("", "index.html", "text/html; charset=utf-8"),
        ("index.html", "index.html", "text/html; charset=utf-8"),
        ("page.js", "page.js", "text/javascript; charset=utf-8"),
        ("page.css", "page.css", "text/css; charset=utf-8"),
    ] {
        let whole = page.get(path);
        assert_eq!((whole.status, whole.header("content-type")), (200, Some(kind)));
        assert_eq!(whole.body, fs::read_to_string(dist.join(file)).unwrap());
        let head = page.ask("HEAD", path, &Value::Null);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), whole.header("content-length"));
    }
    assert_eq!(page.ask("HEAD", "api/state", &Value::Null).body, "");
    let folder = format!("/{}/", page.secret);
    let redirect = page.ask_raw("GET", folder.trim_end_matches('/'), &[], "");
    assert_eq!((redirect.status, redirect.header("location")), (308, Some(folder.as_str())));
    for path in [
        "../",
        "..",
        "%2e%2e/",
        "../index.html",
        "./index.html",
        "page.js/",
        "page.js%00",
        "//page.js",
        "dist/page.js",
        "..%2fCargo.toml",
        "../../../../../../etc/passwd",
        "%2fetc%2fpasswd",
        "..\\page.js",
    ] {
        let answer = page.get(path);
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (404, Some("the page has no such file")),
            "{path}"
        );
    }
    for path in ["", "page.js"] {
        let answer = page.ask("POST", path, &json!({}));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_changes_nothing_and_what_the_page_did_not_ask_neither() {
    let stage = Stage::new().await;
    let page = Page::open(&stage);
    let pairing = "0123456789abcdef0123456789abcdef";
    let at = |call: &str| format!("/{}/api/{call}", page.secret);
    for (method, call) in [
        ("POST", "pair".to_owned()),
        ("DELETE", "pair".to_owned()),
        ("POST", "digits".to_owned()),
        ("POST", format!("hosts/{pairing}/ping")),
        ("DELETE", format!("hosts/{pairing}")),
        ("POST", format!("hosts/{pairing}/name")),
        ("POST", format!("hosts/{pairing}/http/node-manager/v1/services/beacon/stop")),
        ("PUT", format!("hosts/{pairing}/http/x")),
    ] {
        let answer = page.ask_raw(method, &at(&call), &[], "{}");
        assert_eq!(answer.status, 403, "{method} {call}");
        assert!(answer.json()["message"].as_str().unwrap().contains("only the page itself"));
    }
    let long = format!(r#"{{"pairing":"{pairing}","digits":"{}"}}"#, "1".repeat(5000));
    let extra = format!(r#"{{"pairing":"{pairing}","digits":"123456","more":1}}"#);
    for body in ["", "{", "[]", "{}", r#"{"pairing":1,"digits":2}"#, "\u{0}", &long, &extra] {
        let answer = page.ask_raw("POST", &at("digits"), &[MARK], body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["message"].as_str().unwrap().starts_with("the body"), "{answer:?}");
    }
    for digits in ["12345", "1234567", "12345a", ""] {
        let answer = page.ask("POST", "api/digits", &json!({ "pairing": pairing, "digits": digits }));
        assert_eq!(answer.status, 400, "{digits}");
    }
    let nobody = page.ask("POST", "api/digits", &json!({ "pairing": pairing, "digits": "123456" }));
    assert_eq!(nobody.status, 400, "{nobody:?}");
    for (method, call) in [
        ("GET", "api/"),
        ("GET", "api/nothing"),
        ("GET", "api/state/"),
        ("PUT", "api/pair"),
        ("GET", "api/hosts"),
        ("GET", "api/hosts/none/http/eth/v1/node/version"),
        ("GET", "api/hosts/../http/x"),
        ("GET", &format!("api/hosts/{pairing}/http/eth/v1/node/version")),
    ] {
        assert_eq!(page.ask(method, call, &Value::Null).status, 404, "{method} {call}");
    }
    let now = page.state();
    assert_eq!((&now["pairing"], &now["hosts"]), (&Value::Null, &json!([])));
    assert_eq!((&now["label"], &now["network"]["connected"].is_u64()), (&json!("laptop"), &true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_paired_in_two_tabs_and_neither_code_nor_address_is_logged() {
    let stage = Stage::new().await;
    let page = Page::open(&stage);
    let mut tabs = [page.events(), page.events()];
    let (host, digits) = page.begin(&stage);
    for tab in &mut tabs {
        assert_eq!(tab.notice("ask_digits")["peer"]["name"], "beacon-01");
    }
    let now = page.state();
    let offer = &now["pairing"];
    assert_eq!((offer["step"].as_str(), offer["peer"]["name"].as_str()), (Some("digits"), Some("beacon-01")));
    let rows = offer["qr"].as_array().unwrap();
    assert!(rows.len() >= 21 && rows.iter().all(|row| row.as_str().unwrap().len() == rows.len()), "{offer}");
    assert!((1..=600).contains(&offer["expires_in_s"].as_u64().unwrap()), "{offer}");
    // The digits come from the host's screen.
    assert!(!now.to_string().contains(&digits), "{now}");
    let code = offer["code"].as_str().unwrap().to_owned();
    let pairing = offer["peer"]["pairing"].as_str().unwrap().to_owned();

    let compared = page.ask("POST", "api/digits", &json!({ "pairing": pairing, "digits": digits }));
    assert_eq!((compared.status, compared.body.as_str()), (204, ""));
    for tab in &mut tabs {
        assert_eq!(tab.notice("confirmed")["peer"]["pairing"], pairing.as_str());
        tab.notice("acknowledged");
    }
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let now = page.state();
    let host = &now["hosts"][0];
    assert_eq!(
        (&now["pairing"], host["stage"].as_str(), host["compared"].as_bool()),
        (&Value::Null, Some("confirmed"), Some(true))
    );

    let name = format!("api/hosts/{pairing}/name");
    let renamed = page.ask("POST", &name, &json!({ "name": "attic" })).json();
    assert_eq!((renamed["name"].as_str(), renamed["label"].as_str()), (Some("attic"), Some("beacon-01")));
    assert_eq!(page.ask("POST", &name, &json!({ "name": "x".repeat(1000) })).status, 400);
    assert_eq!(page.ask("POST", &name, &json!({ "name": null })).json()["name"], "beacon-01");
    // The host is off, and what it wrote is asked of this side.
    let told = page.get(&format!("api/hosts/{pairing}/http/node-manager/v1/told"));
    assert_eq!((told.status, told.json()), (200, json!({ "alerts": [] })));
    let unpaired = page.ask("DELETE", &format!("api/hosts/{pairing}"), &Value::Null);
    assert_eq!((unpaired.status, unpaired.body.as_str()), (204, ""));
    for tab in &mut tabs {
        assert_eq!(tab.notice("unpaired")["by_peer"], false);
    }
    assert_eq!(page.state()["hosts"], json!([]));

    let secret = page.secret.clone();
    page.app.signal("TERM");
    let ended = page.app.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    for word in [secret, code.clone(), code.replace('-', "")] {
        assert!(
            !ended.output.lines().any(|line| line.contains(&word) && !line.starts_with("The page: ")),
            "{}",
            ended.output
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_trip_is_measured_at_once_and_when_it_is_asked_for() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let page = Page::open(&stage);
    let mut tab = page.events();
    let _host = stage.run_host();
    let pairing = tab.notice("session_up")["pairing"].as_str().unwrap().to_owned();
    let since = Instant::now();
    assert!(tab.notice("pong")["round_trip_ms"].as_f64() > Some(0.0));
    // Sides that hear nothing ping each other once a minute.
    assert!(since.elapsed() < PATIENCE / 2);
    let asked = page.ask("POST", &format!("api/hosts/{pairing}/ping"), &Value::Null);
    assert_eq!(asked.status, 200, "{asked:?}");
    let shown = &page.state()["hosts"][0]["session"]["round_trip_ms"];
    assert_eq!(&asked.json()["round_trip_ms"], shown);
    let nobody = page.ask("POST", &format!("api/hosts/{:032}/ping", 0), &Value::Null);
    assert_eq!(nobody.status, 400, "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_that_differ_pair_nobody_and_a_pairing_can_be_cancelled() {
    let stage = Stage::new().await;
    let page = Page::open(&stage);
    let mut tab = page.events();
    let (host, digits) = page.begin(&stage);
    let pairing = tab.notice("ask_digits")["peer"]["pairing"].as_str().unwrap().to_owned();
    let wrong = if digits == "111111" { "222222" } else { "111111" };
    let compared = page.ask("POST", "api/digits", &json!({ "pairing": pairing, "digits": wrong }));
    assert_eq!(compared.status, 403, "{compared:?}");
    assert!(tab.notice("pairing_failed")["failure"]["message"].as_str().unwrap().contains("digits differ"));
    assert_eq!(host.wait().code, Some(3));
    let now = page.state();
    assert_eq!((&now["pairing"], &now["hosts"]), (&Value::Null, &json!([])));

    let offer = page.ask("POST", "api/pair", &Value::Null).json();
    assert_eq!(page.state()["pairing"]["code"], offer["code"]);
    assert_eq!(page.ask("DELETE", "api/pair", &Value::Null).status, 204);
    tab.notice("pairing_failed");
    assert_eq!(page.state()["pairing"], Value::Null);
}
