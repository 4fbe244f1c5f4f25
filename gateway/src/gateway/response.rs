//! What an app is answered.

use std::fmt;

use bytes::Bytes;

use super::failure::Failure;
use super::record::Record;
use crate::policy::{Refusal, Service};
use crate::upstream::{Answer, AnswerBody, BodyError, PeerPlace, Place};

/// Whose answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The service's.
    Service,
    /// The gateway's: a refusal, or why there is no answer.
    Gateway,
}

/// An answer. Its body is read from the service as fast as it is asked for here.
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Whose it is.
    pub origin: Origin,
    /// Whether the service may have heard of the request; if not, nothing was done.
    pub was_sent: bool,
    body: Body,
    record: Option<Record>,
}

enum Body {
    Whole(Bytes),
    Streamed(Box<AnswerBody>, #[expect(dead_code, reason = "held until the body is read")] Places),
    Ended,
}

/// The places that a call takes up until its answer is read.
type Places = Option<(PeerPlace, Place)>;

/// A service's answer, before it is recorded.
pub(super) struct Told {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Told {
    pub(super) fn whole(status: u16, content_type: &str, body: Bytes) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: Body::Whole(body) }
    }

    pub(super) fn streamed(answer: Answer, places: Places) -> Self {
        let Answer { status, headers, body } = answer;
        Self { status, headers, body: Body::Streamed(Box::new(body), places) }
    }
}

impl Response {
    pub(super) fn told(told: Told, mut record: Record) -> Self {
        record.answered(told.status);
        let Told { status, headers, body } = told;
        Self { status, headers, origin: Origin::Service, was_sent: true, body, record: Some(record) }
    }

    pub(super) fn failed(failure: &Failure, service: &Service, mut record: Record) -> Self {
        record.failed(failure);
        let own = Self::own(failure.status(), &failure.text(service), record);
        let response = Self { was_sent: !failure.is_unsent(), ..own };
        match failure {
            Failure::PeerBusy | Failure::ServiceBusy => response.with("retry-after", "1"),
            _ => response,
        }
    }

    pub(super) fn refused(refusal: &Refusal, record: Record) -> Self {
        let response = Self::own(refusal.status(), &refusal.to_string(), record);
        match refusal {
            Refusal::Method(allowed) => {
                let names: Vec<_> = allowed.iter().map(|method| method.name()).collect();
                response.with("allow", &names.join(", "))
            }
            _ => response,
        }
    }

    /// In the form of the Beacon API's errors.
    fn own(status: u16, text: &str, record: Record) -> Self {
        let body = serde_json::json!({ "code": status, "message": text }).to_string();
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            origin: Origin::Gateway,
            was_sent: false,
            body: Body::Whole(body.into()),
            record: Some(record),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How many bytes of the body are still to come, where that is known.
    pub fn bytes_left(&self) -> Option<u64> {
        match &self.body {
            Body::Whole(bytes) => Some(bytes.len() as u64),
            Body::Streamed(body, _) => body.bytes_left(),
            Body::Ended => Some(0),
        }
    }

    /// The next piece of the body; nothing after the last, and nothing after an error. Giving up waiting loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        let piece = match &mut self.body {
            Body::Streamed(body, _) => body.next().await,
            Body::Whole(bytes) if bytes.is_empty() => None,
            Body::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Body::Ended => None,
        };
        match (&piece, &mut self.record) {
            (Some(Ok(piece)), Some(record)) => record.passed_on(piece.len()),
            (Some(Ok(_)), None) => {}
            _ => {
                // The places are free and the record is written as soon as the body is read.
                self.body = Body::Ended;
                self.record = None;
            }
        }
        piece
    }

    /// The whole body.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn read(mut self) -> Result<Vec<u8>, BodyError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole)
    }
}

/// Without the body.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
