//! Requests and streams between an app and its node manager, over Noise sessions whose messages are large, few, lost,
//! doubled, reordered and late.
//!
//! A sans-I/O core: [`connection::Connection`] is one peer's tunnel, through all of its sessions and for as long as the
//! process lives. It knows no keys, no clock, no chance, no network and no disk; its driver does, and calls it so:
//!
//! 1. **Time.** [`handle_timeout`](connection::Connection::handle_timeout) when
//!    [`poll_timeout`](connection::Connection::poll_timeout) says so, and everything below after any call.
//! 2. **Events.** [`poll_event`](connection::Connection::poll_event) until there is none.
//!    [`Event::Save`](connection::Event::Save) is made durable and answered with
//!    [`saved`](connection::Connection::saved): a request that changes something is handed out only afterwards, and its
//!    answer sent only afterwards.
//! 3. **Messages out.** [`poll_transmit`](connection::Connection::poll_transmit) until there is none.
//!    [`Transmit::Send`](connection::Transmit::Send) is sealed at once, its index told with
//!    [`sealed`](connection::Connection::sealed), and its ciphertext kept until
//!    [`Transmit::Forget`](connection::Transmit::Forget), for what is repeated is the ciphertext.
//! 4. **Messages in.** Every plaintext that a session opens goes to
//!    [`handle_plaintext`](connection::Connection::handle_plaintext) with its index, the pairing's own too; what a session
//!    drops because it came before goes to [`handle_repeated`](connection::Connection::handle_repeated).
//! 5. **Sessions.** [`connected`](connection::Connection::connected) when there is a new one to send on,
//!    [`disconnected`](connection::Connection::disconnected) when there is none. Streams go on over the next.
//!
//! [`budget`] says how many messages there are; one is shared by all tunnels on the same membership. [`once`] is what makes
//! a request with a key run at most once. [`frame`] is what is on the wire, [`body`] how bodies are compressed. How a
//! message and a request go their ways is drawn in [`connection`].
//!
//! ```
//! use std::time::Duration;
//! use waku_noise_session::time::{Now, UnixTime};
//! use waku_tunnel::budget::Budget;
//! use waku_tunnel::connection::{Config, Connection, Event, Read, Transmit};
//! use waku_tunnel::request::{Answer, Request, Side};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Now { unix: UnixTime::from_secs(1_760_000_000), ..Now::default() };
//! let mut app = Connection::new(Config::new(Side::App, 1), now, Vec::new());
//! let mut manager = Connection::new(Config::new(Side::Manager, 2), now, Vec::new());
//! let mut budget = Budget::new(100, Duration::from_secs(600));
//!
//! // A driver learns from the Noise sessions that there is one. Here the two are joined by hand.
//! const SESSION: u64 = 1;
//! app.connected(SESSION);
//! manager.connected(SESSION);
//! let mut carry = |from: &mut Connection, to: &mut Connection, index: u64| {
//!     while let Some(transmit) = from.poll_transmit(now.instant, &mut budget) {
//!         let Transmit::Send { packet, plaintext, .. } = transmit else { continue };
//!         packet.inspect(|packet| from.sealed(*packet, index));
//!         to.handle_plaintext(now, SESSION, index, &plaintext)?;
//!     }
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! };
//!
//! let asked = app.open(now, Request::new("GET", "/eth/v1/node/version"))?;
//! carry(&mut app, &mut manager, 0)?;
//! let Some(Event::Requested { stream, request }) = manager.poll_event() else { panic!("it has arrived") };
//! assert_eq!(request.path, "/eth/v1/node/version");
//!
//! manager.answer_whole(now.instant, stream, Answer::new(200), b"Nimbus")?;
//! carry(&mut manager, &mut app, 0)?;
//! assert!(matches!(app.poll_event(), Some(Event::Answered { status: 200, .. })));
//! assert!(matches!(app.read(asked), Read::Bytes(body) if body == "Nimbus"));
//! # Ok(())
//! # }
//! ```
//!
//! # Differences from the plan
//!
//! * Every envelope names its sender's process and, once that is known, the process it is for (`epoch`, `to`): a side that
//!   began anew is seen at once, and nothing of an earlier process is taken for the present one's.
//! * `Open` says how its body is encoded, as `Head` does, and a subscription's pace; `Reset` carries the sender's clock; an
//!   `Event` says how many before it were left out.
//! * Parity for large bodies is not there: what is lost is repeated.

mod arrivals;
pub mod body;
pub mod budget;
pub mod connection;
mod flight;
pub mod frame;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
pub mod once;
mod ranges;
pub mod request;
mod rtt;
pub mod stream;
