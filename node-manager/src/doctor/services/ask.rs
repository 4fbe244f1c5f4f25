//! Asking the host's services through a gateway of its own: the same calls, limits and tokens as for apps, but the
//! questions are the doctor's, whatever apps may ask.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use waku_gateway::policy::{Grant, Grants, Policy, Service};
use waku_gateway::{Caller, Config, Gateway, Head, Origin, Request, RequestBody};

/// The questions are among what the profile allows.
const PROFILE: &str = "profile = \"nimbus\"\n[[service]]\nname = \"keymanager\"\n";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// What a service said.
#[derive(Debug)]
pub(super) enum Answer {
    Json(u16, Value),
    /// Something else than JSON.
    Other(u16),
    /// Nothing, and why.
    None(String),
}

/// Asks.
pub(super) struct Asker {
    gateway: Gateway,
    caller: Caller,
}

impl Asker {
    pub(super) fn new(config: &Config) -> Self {
        let profile =
            Config::parse("the doctor's profile", PROFILE).expect("the built-in profile is read by tests");
        let known = profile.policy.services().iter().filter_map(|service| {
            let at = config.policy.services().iter().find(|known| known.name == service.name)?;
            Some(Service {
                base: at.base.clone(),
                token_file: at.token_file.clone(),
                token_credential: at.token_credential.clone(),
                ..service.clone()
            })
        });
        let policy = Policy::new(known.collect());
        let caller = Caller {
            pairing: String::new(),
            name: String::new(),
            grants: Grants::default().with(Grant::Keys),
        };
        Self { gateway: Gateway::new(Config { policy, ..profile }, None), caller }
    }

    pub(super) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, Vec::new()).await
    }

    pub(super) async fn post(&self, target: &str, body: &Value) -> Answer {
        self.ask("POST", target, body.to_string().into_bytes()).await
    }

    async fn ask(&self, method: &str, target: &str, body: Vec<u8>) -> Answer {
        let json = ("content-type".to_owned(), "application/json".to_owned());
        let headers = if body.is_empty() { Vec::new() } else { vec![json] };
        let head = Head { method: method.to_owned(), target: target.to_owned(), headers };
        let request = Request { head, body: RequestBody::Whole(body.into()) };
        let late = || Answer::None(format!("does not answer within {} s", PATIENCE.as_secs()));
        timeout(PATIENCE, self.hear(request)).await.unwrap_or_else(|_| late())
    }

    async fn hear(&self, request: Request) -> Answer {
        let mut response = self.gateway.handle(&self.caller, request).await;
        let mut body = Vec::new();
        while let Some(piece) = response.next().await {
            match piece {
                Ok(bytes) if body.len() + bytes.len() <= MAX_ANSWER => body.extend_from_slice(&bytes),
                Ok(_) => return Answer::None("its answer is far too long".to_owned()),
                Err(error) => return Answer::None(format!("its answer breaks off: {error}")),
            }
        }
        let json = serde_json::from_slice::<Value>(&body);
        match (response.origin, json) {
            (Origin::Gateway, Ok(told)) => {
                let message = told.get("message").and_then(Value::as_str).unwrap_or("it was not asked");
                Answer::None(format!("has no answer: {message}"))
            }
            (Origin::Gateway, Err(_)) => Answer::None("has no answer".to_owned()),
            (Origin::Service, Ok(told)) => Answer::Json(response.status, told),
            (Origin::Service, Err(_)) => Answer::Other(response.status),
        }
    }
}
