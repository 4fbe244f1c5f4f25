//! What comes in: bodies, and values in paths.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::reply::Refusal;

/// A body with its type.
#[derive(Debug)]
pub(super) struct Payload {
    content_type: Option<String>,
    bytes: Bytes,
}

/// A body that says nothing to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Flaw {
    #[error("Missing content body")]
    Missing,
    #[error("Wrong Content-Type, expected {0}")]
    WrongType(&'static str),
    #[error("Invalid content body, could not decode: Unable to deserialize data: ")]
    Undecodable,
    #[error("Incorrect base64 string")]
    Base64,
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        Self::bad_request(flaw.to_string())
    }
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| Some(value.to_str().ok()?.to_ascii_lowercase()));
        // The front has collected it already, and refused what is too large.
        let collected = request.into_body().collect().await;
        let bytes = collected.map_err(|_| super::reply::nothing_here())?.to_bytes();
        Ok(Self { content_type, bytes })
    }
}

impl Payload {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What it says, if it is JSON, whether it is called so or plain text.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, Flaw> {
        self.decode_as(&["application/json", "text/plain"], "application/json or text/plain")
    }

    /// What it says, if it is JSON and is called so.
    pub(super) fn decode_strictly<T: DeserializeOwned>(&self) -> Result<T, Flaw> {
        self.decode_as(&["application/json"], "application/json")
    }

    fn decode_as<T: DeserializeOwned>(&self, types: &[&str], expected: &'static str) -> Result<T, Flaw> {
        if self.is_empty() {
            return Err(Flaw::Missing);
        }
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !types.contains(&essence) {
            return Err(Flaw::WrongType(expected));
        }
        // What follows the first value is left unread, as nwaku does.
        let mut json = serde_json::Deserializer::from_slice(&self.bytes);
        T::deserialize(&mut json).map_err(|_| Flaw::Undecodable)
    }
}

/// The last part of a path, decoded. Clients may encode it twice; it may be empty.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let (_, last) = parts.uri.path().rsplit_once('/').unwrap_or_default();
        Ok(Self(decoded(&decoded(last))))
    }
}

fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
