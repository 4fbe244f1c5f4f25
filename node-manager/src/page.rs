//! The page that `app run --web` serves on this machine: hosts, pairing, charts, alerts.
//!
//! Its address has an unguessable part, which is printed and written nowhere. Other names that lead here, pages of others
//! and requests that no script of this page made are refused.

mod api;
mod assets;
mod pairing;
mod trips;

use std::net::SocketAddr;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use getrandom::SysRng;
use getrandom::rand_core::{Rng as _, UnwrapErr};
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response};
use node_manager::app::{Answers, Body, Forward, Guard, Server};
use subtle::ConstantTimeEq as _;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::control::Room;
use crate::failure::{Failure, Kind};
use pairing::Offer;

/// What the page may do: scripts, styles, pictures and requests of this address alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at work, until it is dropped.
pub(crate) struct Page {
    server: Server,
    secret: Arc<Zeroizing<String>>,
    tasks: [JoinHandle<()>; 2],
}

impl Page {
    /// Serves the page on a port, 0 for any.
    pub(crate) async fn start(port: u16, room: Arc<Room>, forward: Forward) -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0; 16]);
        UnwrapErr(SysRng).fill_bytes(&mut *bytes);
        let secret = Arc::new(Zeroizing::new(HEXLOWER.encode(&*bytes)));
        let offer = Arc::new(Offer::default());
        let following = pairing::follow(Arc::clone(&room), Arc::clone(&offer));
        let measuring = trips::measure(Arc::clone(&room));
        let kept = Arc::clone(&secret);
        let starting = Server::start(port, move |address| Pages {
            guard: Guard::new(address, None),
            secret: kept,
            room,
            forward,
            offer,
        });
        let server = starting.await.map_err(|error| {
            Failure::new(Kind::Network, format!("the page cannot be served on port {port}: {error}"))
                .hint("give another port: --web=PORT")
        })?;
        Ok(Self { server, secret, tasks: [tokio::spawn(following), tokio::spawn(measuring)] })
    }

    /// Where it is, with its unguessable part.
    pub(crate) fn url(&self) -> Zeroizing<String> {
        let address: SocketAddr = self.server.address();
        Zeroizing::new(format!("http://{address}/{}/", **self.secret))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What answers.
struct Pages {
    guard: Guard,
    secret: Arc<Zeroizing<String>>,
    room: Arc<Room>,
    forward: Forward,
    offer: Arc<Offer>,
}

impl Answers for Pages {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let mut response = self.answer(request).await;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl Pages {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if let Err(denied) = self.guard.check(request.uri(), request.headers()) {
            return api::problem(denied.status(), &denied.to_string(), None);
        }
        // The path is the secret, and what follows.
        let path = request.uri().path().strip_prefix('/').unwrap_or_default().to_owned();
        let (shown, rest) = path.split_once('/').unwrap_or((&path, ""));
        if !bool::from(shown.as_bytes().ct_eq(self.secret.as_bytes())) {
            let hint = "open the address that `app run` printed when it started";
            return api::problem(404, "there is no page at this address", Some(hint));
        }
        match rest.strip_prefix("api/") {
            Some(call) => self.api(call, request).await,
            None if !matches!(*request.method(), Method::GET | Method::HEAD) => assets::only_read(),
            None if path.contains('/') => assets::asset(rest),
            None => assets::to_folder(&self.secret),
        }
    }
}
