//! Calls to a service on this machine.
//!
//! One connection for each call, to the loopback address of the configuration and nowhere else; nothing is resolved, no
//! redirect is followed. The service's token is added here.

mod answer;
mod patience;
mod slots;
mod token;
mod upload;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;

pub use answer::BodyError;
pub(crate) use answer::{Answer, AnswerBody};
pub(crate) use patience::Patience;
pub(crate) use slots::{PeerPlace, PeerSlots, Place, ServiceSlots};
pub(crate) use token::Token;
pub use token::TokenError;
pub use upload::{AppGone, RequestBody, Upload, upload};
pub(crate) use upload::{UploadError, Uploading};

use crate::policy::header::Header;
use crate::policy::{BaseUrl, Method};

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most headers of an answer.
const MAX_ANSWER_HEADERS: usize = 100;
/// How often the patience with a service may begin anew while an app is still sending its body.
const UPLOAD_PATIENCE: u32 = 30;

/// What is sent.
pub(crate) struct Call<'c> {
    pub(crate) base: &'c BaseUrl,
    pub(crate) method: Method,
    pub(crate) target: &'c str,
    pub(crate) headers: &'c [Header],
    pub(crate) token: Option<&'c Token>,
    pub(crate) body: Outgoing,
    /// Most bytes of the answer's body.
    pub(crate) max_response: u64,
    /// How long the service may keep us waiting in all.
    pub(crate) timeout: Duration,
}

/// The body of a call.
pub(crate) enum Outgoing {
    None,
    Whole(Bytes),
    /// Passed on while it comes in.
    Streamed(Uploading),
}

/// A call without an answer.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// Nobody listens, or the connection is refused.
    #[error("{0}")]
    Down(io::Error),
    /// The service kept us waiting too long.
    #[error("no answer in time")]
    TimedOut,
    /// What came is no answer.
    #[error("{0}")]
    Broken(String),
    /// The app's body did not come to its end.
    #[error("{0}")]
    Upload(UploadError),
    /// The answer announces more than is passed on.
    #[error("the answer is longer than the {0} bytes that are passed on")]
    TooLong(u64),
}

/// Makes a call and returns when the answer's head is there.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn call(call: Call<'_>) -> Result<Answer, CallError> {
    let mut patience = Patience::new(call.timeout);
    let stream = patience.wait(connect(call.base.addresses())).await.ok_or(CallError::TimedOut)?;
    let stream = stream.map_err(CallError::Down)?;
    stream.set_nodelay(true).map_err(CallError::Down)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_ANSWER_HEADERS);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| CallError::Broken(error.to_string()))?;
    // Ends with the answer's body: dropping what is returned closes the socket.
    let mut task = answer::Task::spawn(connection);
    let (body, progress) = outgoing(call.body);
    let request = request(call.base, call.method, call.target, call.headers, call.token, body)?;
    let mut sending = std::pin::pin!(sender.send_request(request));
    let mut anew = 0;
    let starved = || progress.as_ref().is_some_and(upload::Progress::is_starved);
    let outcome = loop {
        let before = progress.as_ref().map(upload::Progress::moved);
        match patience.wait(sending.as_mut()).await {
            Some(outcome) => break outcome,
            // It is the app that keeps the service waiting, not the service us.
            None if anew < UPLOAD_PATIENCE
                && (starved() || before != progress.as_ref().map(upload::Progress::moved)) =>
            {
                patience = Patience::new(call.timeout);
                anew += 1;
            }
            None if starved() => return Err(CallError::Upload(UploadError::TooSlow)),
            None => return Err(CallError::TimedOut),
        }
    };
    let response = match outcome {
        Ok(response) => response,
        Err(error) => {
            let failed = progress.as_ref().and_then(upload::Progress::failure);
            return Err(failed.map_or_else(|| CallError::Broken(chain(&error)), CallError::Upload));
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(CallError::Broken("it wants to speak another protocol".to_owned()));
    }
    task.keep_sender(sender);
    Answer::new(response, task, patience, call.max_response)
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is handed to the HTTP client: a body whose errors say why the app's did not come to its end.
type SentBody = BoxBody<Bytes, UploadError>;

fn outgoing(body: Outgoing) -> (SentBody, Option<upload::Progress>) {
    match body {
        Outgoing::None => (Empty::new().map_err(|never| match never {}).boxed(), None),
        Outgoing::Whole(bytes) => (Full::new(bytes).map_err(|never| match never {}).boxed(), None),
        Outgoing::Streamed(uploading) => {
            let progress = uploading.progress();
            (uploading.boxed(), Some(progress))
        }
    }
}

fn request(
    base: &BaseUrl,
    method: Method,
    target: &str,
    headers: &[Header],
    token: Option<&Token>,
    body: SentBody,
) -> Result<Request<SentBody>, CallError> {
    let mut request = Request::builder().method(method.name()).uri(target);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request = request.header(HOST, base.authority()).header(CONNECTION, HeaderValue::from_static("close"));
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, token.header());
    }
    request.body(body).map_err(|error| CallError::Broken(error.to_string()))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
