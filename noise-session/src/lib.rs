//! Noise for Waku: the handshakes of 35/WAKU2-NOISE and the sessions of 37/WAKU2-NOISE-SESSIONS, bytes in and bytes
//! out.
pub mod cipher_state;
pub mod handshake;
pub mod handshake_state;
pub mod kdf;
pub mod key;
pub mod message_nametag;
pub mod padding;
pub mod pattern;
pub mod payload;
pub mod session;
mod symmetric_state;
pub mod time;
