//! A stand-in with a gateway in front of it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use waku_gateway::audit::{Filter, Log, Reading, Recorder, read};
use waku_gateway::stand_in::{Options, StandIn};
use waku_gateway::{Caller, Config, Gateway, Head, Request, RequestBody, Response};

/// The token in the keymanager's file; no answer and no line may have it.
pub(crate) const TOKEN: &str = "t0p-s3cret-t0ken";

pub(crate) struct House {
    pub(crate) stand_in: StandIn,
    pub(crate) gateway: Gateway,
    pub(crate) config: Config,
    pub(crate) folder: TempDir,
}

impl House {
    /// The profile for Nimbus, with everything at one stand-in, and `more` at the end of the configuration.
    pub(crate) async fn nimbus(more: &str) -> Self {
        Self::with_slots(Duration::from_millis(100), more).await
    }

    pub(crate) async fn with_slots(slot: Duration, more: &str) -> Self {
        let options = Options { slot, token: TOKEN.to_owned(), ..Options::default() };
        let stand_in = StandIn::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let address = stand_in.address();
        let mut text = "profile = \"nimbus\"\n".to_owned();
        for name in ["beacon", "metrics", "execution"] {
            writeln!(text, "[[service]]\nname = \"{name}\"\nurl = \"http://{address}\"").unwrap();
        }
        write!(
            text,
            "[[service]]\nname = \"keymanager\"\nurl = \"http://{address}\"\ntoken_file = \"{}\"\n{more}",
            token.display()
        )
        .unwrap();
        Self::new(stand_in, folder, &text)
    }

    /// One open service with the given rule.
    pub(crate) async fn open(rule: &str) -> Self {
        let stand_in = StandIn::start(Options::default()).await.unwrap();
        let text = open_config(stand_in.address(), rule);
        Self::new(stand_in, tempfile::tempdir().unwrap(), &text)
    }

    fn new(stand_in: StandIn, folder: TempDir, text: &str) -> Self {
        let config = Config::parse("test.toml", text).unwrap();
        let log = Log::open(&log_path(folder.path()), config.audit).unwrap();
        let gateway = Gateway::new(config.clone(), Some(Recorder::start(log).unwrap()));
        Self { stand_in, gateway, config, folder }
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.gateway.handle(&caller("monitor"), get(target)).await
    }

    /// The audit log, when everything that waited for it is written.
    pub(crate) fn log(&self) -> Reading {
        read(&log_path(self.folder.path()), &Filter::default()).unwrap()
    }
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

/// The configuration of one service with one rule; `more` are lines of the rule.
pub(crate) fn open_config(address: SocketAddr, more: &str) -> String {
    format!(
        "[[service]]\nname = \"open\"\nurl = \"http://{address}\"\nmax_running = 2\nmax_waiting = 1\n\
         [[service.rule]]\npaths = [\"/**\"]\nquery = [\"*\"]\n{more}\n"
    )
}

pub(crate) fn caller(grants: &str) -> Caller {
    Caller { pairing: "a1".to_owned(), name: "Alice's phone".to_owned(), grants: grants.parse().unwrap() }
}

pub(crate) fn head(method: &str, target: &str) -> Head {
    Head { method: method.to_owned(), target: target.to_owned(), headers: Vec::new() }
}

pub(crate) fn get(target: &str) -> Request {
    Request { head: head("GET", target), body: RequestBody::Empty }
}

pub(crate) fn post(target: &str, body: &str) -> Request {
    Request { head: head("POST", target), body: RequestBody::Whole(body.to_owned().into()) }
}

pub(crate) async fn text(response: Response) -> String {
    String::from_utf8(response.read().await.unwrap()).unwrap()
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.read().await.unwrap()).unwrap()
}

/// What the gateway itself says.
pub(crate) async fn message(response: Response) -> String {
    json(response).await["message"].as_str().unwrap().to_owned()
}

pub(crate) fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A server that answers every connection with these bytes and then closes it, or leaves it open.
pub(crate) async fn raw(answer: Vec<u8>, closes: bool) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            _ = stream.read(&mut [0; 4096]).await;
            _ = stream.write_all(&answer).await;
            if !closes {
                open.push(stream);
            }
        }
    });
    (address, task)
}

/// A gateway in front of a [`raw`] server.
pub(crate) fn before(address: SocketAddr, rule: &str) -> Gateway {
    Gateway::new(Config::parse("test.toml", &open_config(address, rule)).unwrap(), None)
}
