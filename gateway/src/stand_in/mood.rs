//! Ways to misbehave.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use tokio::time::sleep;

use super::{Body, Node};

/// How the stand-in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Calm,
    /// Not at all.
    Hang,
    /// With 503.
    Fail,
    /// With a redirect to another machine.
    Redirect,
    /// With a body that does not end.
    Endless,
    /// With a byte every 20 milliseconds.
    Drip,
    /// With a tenth of the body it announces.
    BreakOff,
    /// With an answer of 50 MB that says so.
    Huge,
    /// With cookies and headers of its own connection.
    Cookies,
}

impl Mood {
    const ALL: [(&str, Self); 9] = [
        ("calm", Self::Calm),
        ("hang", Self::Hang),
        ("fail", Self::Fail),
        ("redirect", Self::Redirect),
        ("endless", Self::Endless),
        ("drip", Self::Drip),
        ("break-off", Self::BreakOff),
        ("huge", Self::Huge),
        ("cookies", Self::Cookies),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, mood)| mood)
    }

    /// The answer in this mood; nothing when it is the ordinary one.
    pub(super) async fn answer(self, node: &Arc<Node>) -> Option<Result<Response<Body>, io::Error>> {
        Some(match self {
            Self::Calm => return None,
            Self::Hang => {
                let mut mood = node.mood.subscribe();
                _ = mood.wait_for(|mood| *mood != Self::Hang).await;
                return None;
            }
            Self::Fail => Ok(whole(503, "{\"code\":503,\"message\":\"the node is syncing\"}")),
            Self::Redirect => headed(
                307,
                &[("location", "http://169.254.169.254/latest/meta-data/"), ("content-type", "text/plain")],
                whole(307, "elsewhere"),
            ),
            Self::Endless => Ok(streamed(node, None)),
            Self::Drip => Ok(streamed(node, Some(Duration::from_millis(20)))),
            Self::BreakOff => {
                let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
                tokio::spawn(async move {
                    if sender.send_data(Bytes::from_static(&[b'x'; 100])).await.is_ok() {
                        sender.abort(io::ErrorKind::BrokenPipe.into());
                    }
                });
                headed(200, &[("content-length", "1000")], Response::new(body.boxed()))
            }
            Self::Huge => headed(200, &[("content-length", "50000000")], streamed(node, None)),
            Self::Cookies => headed(
                200,
                &[
                    ("set-cookie", "session=1"),
                    ("www-authenticate", "Basic"),
                    ("keep-alive", "timeout=5"),
                    ("server", "stand-in"),
                    ("etag", "\"1\""),
                    ("content-type", "application/json"),
                ],
                whole(200, "{}"),
            ),
        })
    }
}

/// An answer that is all there.
pub(super) fn whole(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response
}

fn headed(
    status: u16,
    headers: &[(&str, &str)],
    response: Response<Body>,
) -> Result<Response<Body>, io::Error> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(response.into_body()).map_err(io::Error::other)
}

/// A body without end, as fast as it is read or with pauses.
fn streamed(node: &Arc<Node>, pause: Option<Duration>) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let piece = Bytes::from_static(if pause.is_some() { b"x" } else { &[b'x'; 16 * 1024] });
        while sender.send_data(piece.clone()).await.is_ok() {
            node.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
    });
    Response::new(body.boxed())
}
