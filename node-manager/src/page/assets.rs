//! The page's files, built from `web/`.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
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
pub(super) fn to_folder(folder: &str) -> Response<Body> {
    let mut response = problem(308, "the page's address ends in `/`", None);
    // A folder of hexadecimal digits is a header's value; without one the message has to do.
    if let Ok(address) = HeaderValue::try_from(format!("/{folder}/")) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// The answer to who would change a file.
pub(super) fn only_read() -> Response<Body> {
    let mut response = problem(405, "the page's files are only read", None);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// A body that is there.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
