//! A way to a host's services: through a running `app run`, or through one of our own.

use std::fs;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use node_manager::Service;
use node_manager::app::{App, AppConfig};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use waku_pairing::party::Part;
use zeroize::Zeroizing;

use crate::args::{AskArgs, Global};
use crate::control::{Access, PeerStatus, Request as Ask, Response as Told, Room};
use crate::failure::{Failure, Kind};
use crate::{daemon, settings};

/// How long an answer is waited for, if nobody says.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest JSON that is taken, in bytes.
const MAX_JSON: usize = 16 << 20;
/// The longest event that is taken, in bytes.
const MAX_EVENT: usize = 1 << 20;

/// A host that can be asked.
pub(crate) struct Asking {
    /// Where, such as `127.0.0.1:17001`.
    address: String,
    /// What the host is called.
    pub(super) name: String,
    token: Option<HeaderValue>,
    patience: Duration,
    /// A service of our own, and what opened the address.
    own: Option<(Access, App)>,
}

impl Asking {
    /// Finds the way to a host. Without `app run` it takes `--staticnode`.
    pub(super) async fn open(global: &Global, peer: &str, args: &AskArgs) -> Result<Self, Failure> {
        let config = settings::service(global, Part::App, None)?;
        let token = daemon::token(&args.token)?;
        let shown = args.token.local_token_file.as_ref().map(|path| {
            let text = Zeroizing::new(fs::read_to_string(path).unwrap_or_default());
            bearer(text.trim())
        });
        let patience = Duration::from_secs(args.timeout);
        let (access, app) = match Access::daemon(&config).await? {
            Some(daemon) => (daemon, None),
            None if args.network.static_nodes.is_empty() => {
                return Err(Failure::usage("the service is not running")
                    .hint("start `node-manager app run`, or give --staticnode to do without it"));
            }
            None => {
                let service = Service::start(&config, args.network.network()?).await?;
                let app_config = AppConfig { token, ports: Vec::new() };
                let app = App::start(app_config, &service).await?;
                let mut endpoints = app.endpoints();
                _ = endpoints.wait_for(|endpoints| !endpoints.is_empty()).await;
                (Access::Local(Box::new(Room::of_app(service, endpoints))), Some(app))
            }
        };
        let found = find(&access, peer, patience).await;
        let own = match app {
            Some(app) => Some((access, app)),
            None => None,
        };
        let found = match found {
            Ok(found) => found,
            Err(failure) => {
                if let Some((access, app)) = own {
                    drop(app);
                    access.close().await;
                }
                return Err(failure);
            }
        };
        let (address, name) = found;
        Ok(Self { address, name, token: shown.transpose()?, patience, own })
    }

    /// Whatever is at an address of this machine.
    pub(crate) fn at(address: &str) -> Self {
        let address = address.to_owned();
        Self { name: address.clone(), address, token: None, patience: PATIENCE, own: None }
    }

    /// Asks something.
    pub(super) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::other(format!("http://{} does not answer: {error}", self.address))
        };
        let stream = TcpStream::connect(&self.address).await.map_err(|error| unreachable(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
        tokio::spawn(async move {
            // What goes wrong is told by the answer.
            _ = connection.await;
        });
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.address)
            .header("x-node-manager-timeout", self.patience.as_secs().max(1));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request =
            request.body(Full::new(body)).map_err(|error| Failure::usage(format!("no request: {error}")))?;
        sender.send_request(request).await.map_err(|error| unreachable(&error))
    }

    /// A JSON document.
    pub(crate) async fn json(&self, target: &str) -> Result<Value, Failure> {
        let answer = self.ask("GET", target, &[], Bytes::new()).await?;
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), MAX_JSON).collect().await;
        let body = body.map_err(|error| Failure::other(format!("the answer broke off: {error}")))?.to_bytes();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let message = json["message"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        Err(Failure::other(message))
    }

    /// Events, from now on.
    pub(super) async fn events(&self, target: &str) -> Result<Events, Failure> {
        let accept = (ACCEPT.to_string(), "text/event-stream".to_owned());
        let answer = self.ask("GET", target, &[accept], Bytes::new()).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Events { body: answer.into_body(), read: BytesMut::new() });
        }
        let body = http_body_util::Limited::new(answer.into_body(), MAX_JSON).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        Err(Failure::other(json["message"].as_str().map_or_else(|| status.to_string(), str::to_owned)))
    }

    /// Ends a service of our own.
    pub(super) async fn close(self) {
        if let Some((access, app)) = self.own {
            drop(app);
            access.close().await;
        }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::usage("the local token has characters that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The address of a host on this machine, and its name; as soon as there is a session with it.
async fn find(access: &Access, peer: &str, patience: Duration) -> Result<(String, String), Failure> {
    // A session is waited for here, so that what is asked afterwards has all of its time.
    let timeout_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let ping = access.call(Ask::Ping { peer: Some(peer.to_owned()), timeout_ms });
    timeout(patience, ping).await.map_err(|_| no_session(peer)).flatten()?;
    match access.call(Ask::Show { peer: peer.to_owned() }).await? {
        Told::Peer(PeerStatus { endpoint: Some(endpoint), name, .. }) => {
            Ok((endpoint.trim_start_matches("http://").to_owned(), name))
        }
        _ => Err(Failure::other("this host has no address on this machine")
            .hint("the log of `app run` says why; `--endpoint HOST=PORT` gives it one")),
    }
}

fn no_session(peer: &str) -> Failure {
    Failure::new(Kind::Timeout, format!("there is no session with {peer:?}"))
        .hint("is it running, and does it reach the same network?")
}

/// Events as they come.
pub(super) struct Events {
    body: Incoming,
    read: BytesMut,
}

impl Events {
    /// The next: its kind and its data.
    pub(super) async fn next(&mut self) -> Result<(String, String), Failure> {
        loop {
            while let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let block = self.read.split_to(end);
                self.read.advance(2);
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Ok(event);
                }
            }
            let broke_off = || Failure::other("the host ended the stream of events");
            if self.read.len() > MAX_EVENT {
                return Err(broke_off());
            }
            let frame = self.body.frame().await.and_then(Result::ok).ok_or_else(broke_off)?;
            if let Ok(bytes) = frame.into_data() {
                self.read.extend_from_slice(&bytes);
            }
        }
    }
}

/// A block of `text/event-stream`; `None` when it is a remark.
fn parse(block: &str) -> Option<(String, String)> {
    let field = |name: &'static str| {
        let lines = block.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.collect::<Vec<_>>().join("\n")
    };
    let (kind, data) = (field("event"), field("data"));
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).collect();
    (!kind.is_empty()).then(|| (plain(kind), plain(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_no_events_and_nothing_steers_the_terminal() {
        assert_eq!(parse(": 3 events were left out"), None);
        let event = parse("event: head\ndata: {\"slot\":\ndata: \"1\"}\x1b[2J");
        assert_eq!(event, Some(("head".to_owned(), "{\"slot\":\"1\"}[2J".to_owned())));
    }
}
