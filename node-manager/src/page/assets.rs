//! The page's files, built from `web/`.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use node_manager::app::Body;

use super::api::problem;

/// Name, type and content.
const ASSETS: [(&str, &str, &str); 3] = [
    ("index.html", "text/html; charset=utf-8", include_str!("../../web/dist/index.html")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("../../web/dist/page.js")),
    ("page.css", "text/css; charset=utf-8", include_str!("../../web/dist/page.css")),
];

/// A file of the page.
pub(super) fn asset(name: &str) -> Response<Body> {
    let name = if name.is_empty() { "index.html" } else { name };
    match ASSETS.into_iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => {
            let mut response = Response::new(whole(text));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        None => problem(404, "the page has no such file", None),
    }
}

/// What the page names is beside it: its address has to end in `/`.
pub(super) fn to_folder() -> Response<Body> {
    let mut response = problem(308, "the page's address ends in `/`", None);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("./"));
    response
}

/// A body that is there.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
