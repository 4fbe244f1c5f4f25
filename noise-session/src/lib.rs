//! Noise for Waku: the handshakes of 35/WAKU2-NOISE and the sessions of 37/WAKU2-NOISE-SESSIONS, bytes in and bytes
//! out. No I/O, no clock, no runtime: time and chance are arguments, so the crate runs wherever Rust does.
//!
//! Three layers, each usable alone:
//!
//! * [`handshake_state`]: Noise itself, driven by the tables in [`pattern`]. With no extra associated data it equals any
//!   other implementation byte for byte.
//! * [`handshake`] and [`session`]: what 35 and 37 add, which is padding, message nametags, [`payload::PayloadV2`], a
//!   receive window that survives loss and reordering, and termination.
//! * [`manager`]: the sessions of two parties that know each other, through restarts and simultaneous calls.
//!
//! Beside them are [letters](letter), for a party that is away and has no session.
//!
//! ```
//! # use waku_noise_session::{handshake::Handshake, handshake_state::Setup, key::KeyPair, message_nametag::MessageNametag};
//! # use waku_noise_session::{pattern::{Pattern, Role}, payload::PayloadV2, session::{Content, Session}, time::Instant};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::from_seed([0; 32]);
//! // Two parties that know nothing of each other run XX over some channel.
//! let mut alice = Setup::new(&Pattern::XX, Role::Initiator, b"prologue");
//! alice.local_static = Some(KeyPair::generate(&mut rng));
//! let mut bob = Setup::new(&Pattern::XX, Role::Responder, b"prologue");
//! bob.local_static = Some(KeyPair::generate(&mut rng));
//! let (mut alice, mut bob) = (Handshake::new(alice)?, Handshake::new(bob)?);
//!
//! let first = alice.write(&mut rng, MessageNametag::default(), b"")?;
//! bob.read(&PayloadV2::decode(&first)?)?;
//! let second = bob.write(&mut rng, bob.next_nametag(), b"")?;
//! alice.read(&PayloadV2::decode(&second)?)?;
//! let third = alice.write(&mut rng, alice.next_nametag(), b"")?;
//! bob.read(&PayloadV2::decode(&third)?)?;
//!
//! // From then on messages may be lost, reordered or duplicated under way.
//! let (mut alice, mut bob) = (Session::new(alice.finish()?, true), Session::new(bob.finish()?, true));
//! let lost = alice.seal(b"never arrives")?;
//! let sealed = alice.seal(b"hello")?;
//! let opened = bob.open(Instant::default(), &PayloadV2::decode(&sealed.payload)?)?;
//! assert_eq!((opened.index, opened.content), (1, Content::Data(b"hello".to_vec().into())));
//! # let _ = lost;
//! # Ok(())
//! # }
//! ```
//!
//! # Differences from 35 and 37
//!
//! What is deployed counts: the message nametag is part of the associated data, and a nametag's index is the nonce.
//! Beyond that, keys of low order are refused, padding is checked, terminations count only inside the session, and the
//! session id has a derivation of its own (see [`session`]).

pub mod cipher_state;
pub mod handshake;
pub mod handshake_state;
pub mod kdf;
pub mod key;
pub mod letter;
pub mod manager;
pub mod message_nametag;
pub mod padding;
pub mod pattern;
pub mod payload;
pub mod session;
mod symmetric_state;
pub mod time;
