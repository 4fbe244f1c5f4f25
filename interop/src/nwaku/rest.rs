//! The connection to nwaku's REST API.

use std::time::Duration;

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::spawn_blocking;
use ureq::Agent;

use crate::peer::Failure;

/// How long one call may take: nwaku itself waits 10 seconds for peers.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer: more than a full cache of the largest messages.
const MAX_ANSWER: u64 = 128 * 1024 * 1024;

/// The REST API of one node.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    agent: Agent,
    base: String,
}

#[derive(Debug)]
enum Call {
    Get,
    Post(Value),
    Delete(Value),
}

impl Rest {
    /// That on a port of loopback.
    pub(super) fn new(port: u16) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        Self { agent: Agent::new_with_config(config), base: format!("http://127.0.0.1:{port}") }
    }

    /// Gets what is at a path, which may have a query.
    ///
    /// # Errors
    /// When nothing answers, whatever is answered is an [`Answer`].
    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        self.call(path, Call::Get).await
    }

    /// Posts JSON to a path.
    ///
    /// # Errors
    /// As [`Rest::get`].
    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(path, Call::Post(body)).await
    }

    /// Deletes what JSON says at a path.
    ///
    /// # Errors
    /// As [`Rest::get`].
    pub(super) async fn delete(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(path, Call::Delete(body)).await
    }

    async fn call(&self, path: &str, call: Call) -> Result<Answer> {
        let (agent, uri) = (self.agent.clone(), format!("{}{path}", self.base));
        spawn_blocking(move || {
            const JSON: (&str, &str) = ("Content-Type", "application/json");
            let mut response = match call {
                Call::Get => agent.get(&uri).call()?,
                Call::Post(body) => agent.post(&uri).header(JSON.0, JSON.1).send(body.to_string())?,
                Call::Delete(body) => {
                    let delete = agent.delete(&uri).force_send_body();
                    delete.header(JSON.0, JSON.1).send(body.to_string())?
                }
            };
            let status = response.status().as_u16();
            let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
            Ok(Answer { status, body })
        })
        .await?
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Of HTTP.
    pub(super) status: u16,
    /// JSON or text.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// What was answered as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }

    /// It was answered with status 200.
    ///
    /// # Errors
    /// [`Failure::Refused`] otherwise.
    pub(super) fn accepted(self) -> Result<Self, Failure> {
        if self.status == 200 { Ok(self) } else { Err(self.refused(&self.text())) }
    }

    /// What was answered as JSON, with status 200.
    ///
    /// # Errors
    /// [`Failure::Refused`] for another status, [`Failure::Broken`] for another JSON.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        self.accepted()?.parsed()
    }

    /// What was answered as JSON, whatever its status.
    ///
    /// # Errors
    /// [`Failure::Broken`] for another JSON.
    pub(super) fn parsed<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::Broken(format!("{} is no answer: {error}", self.text())))
    }

    /// A refusal for this reason.
    pub(super) fn refused(&self, reason: &str) -> Failure {
        Failure::Refused(format!("status {}: {reason}", self.status))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one call with a reply, and returns what was asked, which ends so.
    async fn once(listener: TcpListener, ends: &'static str, reply: &'static str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(ends.as_bytes()) {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0, "it ended before {ends:?}");
        }
        stream.write_all(reply.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    }

    #[tokio::test]
    async fn a_deletion_carries_its_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = Rest::new(listener.local_addr().unwrap().port());
        let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
        let body = json!(["/waku/2/rs/99/0"]);
        let (answer, asked) = tokio::join!(
            rest.delete("/relay/v1/subscriptions", body),
            once(listener, r#"["/waku/2/rs/99/0"]"#, reply)
        );
        assert_eq!(answer.unwrap().accepted().unwrap().text(), "OK");
        let asked = asked.to_lowercase();
        assert!(asked.starts_with("delete /relay/v1/subscriptions http/1.1\r\n"), "{asked}");
        assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn an_encoded_path_stays_encoded_and_a_refusal_is_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = Rest::new(listener.local_addr().unwrap().port());
        let reply = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let path = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F99%2F0";
        let (answer, asked) = tokio::join!(rest.get(path), once(listener, "\r\n\r\n", reply));
        let answer = answer.unwrap();
        assert_eq!(answer, Answer { status: 404, body: vec![] });
        assert_eq!(answer.accepted(), Err(Failure::Refused("status 404: ".to_owned())));
        assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
    }
}
