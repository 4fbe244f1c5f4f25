//! PayloadV2: what a WakuMessage of version 2 carries (35/WAKU2-NOISE "Payload").
//!
//! ```text
//! offset size  field
//! 0      16    message-nametag
//! 16     1     protocol-id
//! 17     1     handshake-message-len H
//! 18     H     handshake-message: for each key  flag(1) || key(32, or 48 when encrypted)
//! 18+H   8     transport-message-len L, u64 little-endian
//! 26+H   L     transport-message
//! ```

use crate::cipher_state::TAG_LEN;
use crate::handshake_state::HandshakeKey;
use crate::key::{KEY_LEN, PublicKey};
use crate::message_nametag::{MessageNametag, NAMETAG_LEN};
use crate::pattern::Pattern;

/// Bytes of a payload without keys and without a transport message.
pub const HEADER_LEN: usize = NAMETAG_LEN + 1 + 1 + 8;

/// What the payload is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ProtocolId {
    /// A message after the handshake.
    AfterHandshake = 0,
    /// `Noise_K1K1_25519_ChaChaPoly_SHA256`.
    K1K1 = 10,
    /// `Noise_XK1_25519_ChaChaPoly_SHA256`.
    Xk1 = 11,
    /// `Noise_XX_25519_ChaChaPoly_SHA256`.
    Xx = 12,
    /// `Noise_XXpsk0_25519_ChaChaPoly_SHA256`.
    XxPsk0 = 13,
    /// `Noise_WakuPairing_25519_ChaChaPoly_SHA256`; only in the code of the implementations, not in 35.
    WakuPairing = 14,
    /// Symmetric encryption: the transport message is `nonce(12) || ciphertext || tag(16)`.
    ChaChaPoly = 30,
}

impl ProtocolId {
    const ALL: [Self; 7] = [
        Self::AfterHandshake,
        Self::K1K1,
        Self::Xk1,
        Self::Xx,
        Self::XxPsk0,
        Self::WakuPairing,
        Self::ChaChaPoly,
    ];

    /// The id of a handshake pattern, if 35 gives it one.
    pub fn of(pattern: &Pattern) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.pattern() == Some(pattern))
    }

    /// The handshake this id names, if it names one.
    pub fn pattern(self) -> Option<&'static Pattern> {
        match self {
            Self::K1K1 => Some(&Pattern::K1K1),
            Self::Xk1 => Some(&Pattern::XK1),
            Self::Xx => Some(&Pattern::XX),
            Self::XxPsk0 => Some(&Pattern::XXPSK0),
            Self::WakuPairing => Some(&Pattern::WAKU_PAIRING),
            Self::AfterHandshake | Self::ChaChaPoly => None,
        }
    }
}

impl TryFrom<u8> for ProtocolId {
    type Error = PayloadError;

    fn try_from(id: u8) -> Result<Self, PayloadError> {
        Self::ALL.into_iter().find(|known| *known as u8 == id).ok_or(PayloadError::UnknownProtocolId(id))
    }
}

/// A payload, its transport message borrowed from the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadV2<'a> {
    /// By which its receiver knows it.
    pub nametag: MessageNametag,
    /// What it is part of.
    pub protocol_id: ProtocolId,
    /// The keys of a handshake message; none otherwise.
    pub handshake_keys: Vec<HandshakeKey>,
    /// Padded, and encrypted wherever there is a key.
    pub transport_message: &'a [u8],
}

impl<'a> PayloadV2<'a> {
    /// Reads a payload; total over all inputs.
    ///
    /// # Errors
    /// [`PayloadError`] says what is wrong; nothing is allocated beyond the input's own length.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let (nametag, rest) = bytes.split_first_chunk::<NAMETAG_LEN>().ok_or(PayloadError::Truncated)?;
        let ([protocol_id, handshake_len], rest) = rest.split_first_chunk().ok_or(PayloadError::Truncated)?;
        let protocol_id = ProtocolId::try_from(*protocol_id)?;
        let (handshake, rest) =
            rest.split_at_checked((*handshake_len).into()).ok_or(PayloadError::Truncated)?;
        let handshake_keys = decode_keys(handshake)?;
        let (transport_len, transport_message) = rest.split_first_chunk().ok_or(PayloadError::Truncated)?;
        let stated = u64::from_le_bytes(*transport_len);
        if u64::try_from(transport_message.len()) != Ok(stated) {
            return Err(PayloadError::WrongTransportLength { stated, actual: transport_message.len() });
        }
        Ok(Self { nametag: (*nametag).into(), protocol_id, handshake_keys, transport_message })
    }

    /// The bytes on the wire.
    ///
    /// # Errors
    /// [`PayloadError::TooManyKeys`] when the keys exceed the 255 bytes that the length field can state.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let handshake_len = self.handshake_keys.iter().map(|key| 1 + key.as_bytes().len()).sum::<usize>();
        let stated = u8::try_from(handshake_len).map_err(|_| PayloadError::TooManyKeys)?;
        let mut bytes = Vec::with_capacity(HEADER_LEN + handshake_len + self.transport_message.len());
        bytes.extend_from_slice(self.nametag.as_bytes());
        bytes.push(self.protocol_id as u8);
        bytes.push(stated);
        for key in &self.handshake_keys {
            bytes.push(key.flag());
            bytes.extend_from_slice(key.as_bytes());
        }
        bytes.extend_from_slice(&transport_len_field(self.transport_message.len()));
        bytes.extend_from_slice(self.transport_message);
        Ok(bytes)
    }
}

/// The header of a payload without keys, for a transport message that is written after it.
pub(crate) fn transport_header(nametag: MessageNametag, transport_len: usize) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let fields = nametag
        .as_bytes()
        .iter()
        .copied()
        .chain([ProtocolId::AfterHandshake as u8, 0])
        .chain(transport_len_field(transport_len));
    header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    header
}

fn transport_len_field(len: usize) -> [u8; 8] {
    u64::try_from(len).expect("a length in memory fits 64 bits").to_le_bytes()
}

impl HandshakeKey {
    const CLEAR: u8 = 0;
    const ENCRYPTED: u8 = 1;

    fn flag(&self) -> u8 {
        match self {
            Self::Clear(_) => Self::CLEAR,
            Self::Encrypted(_) => Self::ENCRYPTED,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Clear(public) => public.as_bytes(),
            Self::Encrypted(sealed) => sealed,
        }
    }
}

fn decode_keys(mut bytes: &[u8]) -> Result<Vec<HandshakeKey>, PayloadError> {
    let mut keys = Vec::new();
    while let Some((flag, rest)) = bytes.split_first() {
        let (key, rest) = match *flag {
            HandshakeKey::CLEAR => {
                let (key, rest) = rest.split_first_chunk::<KEY_LEN>().ok_or(PayloadError::Truncated)?;
                (HandshakeKey::Clear(PublicKey::from(*key)), rest)
            }
            HandshakeKey::ENCRYPTED => {
                let (key, rest) =
                    rest.split_first_chunk::<{ KEY_LEN + TAG_LEN }>().ok_or(PayloadError::Truncated)?;
                (HandshakeKey::Encrypted(*key), rest)
            }
            flag => return Err(PayloadError::UnknownKeyFlag(flag)),
        };
        keys.push(key);
        bytes = rest;
    }
    Ok(keys)
}

/// Why bytes are not a payload, or a payload not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The bytes end before a field does.
    #[error("the payload is cut short")]
    Truncated,
    /// A protocol id that nobody defines.
    #[error("unknown protocol id {0}")]
    UnknownProtocolId(u8),
    /// A key flag other than 0 and 1.
    #[error("unknown key flag {0}")]
    UnknownKeyFlag(u8),
    /// The transport message is not as long as the payload says.
    #[error("the transport message has {actual} bytes, the payload says {stated}")]
    WrongTransportLength {
        /// What the length field says.
        stated: u64,
        /// What follows it.
        actual: usize,
    },
    /// More keys than the one-byte length can state.
    #[error("the handshake message is longer than 255 bytes")]
    TooManyKeys,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<u8> {
        let payload = PayloadV2 {
            nametag: [9; 16].into(),
            protocol_id: ProtocolId::Xx,
            handshake_keys: vec![HandshakeKey::Clear([1; 32].into()), HandshakeKey::Encrypted([2; 48])],
            transport_message: b"transport",
        };
        payload.encode().unwrap()
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = example();
        assert!(PayloadV2::decode(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(PayloadV2::decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_length_that_lies_is_an_error_before_anything_is_allocated() {
        let mut bytes = example();
        let at = bytes.len() - 9 - 8;
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(
            PayloadV2::decode(&bytes),
            Err(PayloadError::WrongTransportLength { stated: u64::MAX, actual: 9 })
        );
    }

    #[test]
    fn unknown_ids_and_flags_are_named() {
        let mut bytes = example();
        bytes[18] = 7;
        assert_eq!(PayloadV2::decode(&bytes), Err(PayloadError::UnknownKeyFlag(7)));
        bytes[16] = 254;
        assert_eq!(PayloadV2::decode(&bytes), Err(PayloadError::UnknownProtocolId(254)));
    }

    #[test]
    fn keys_beyond_255_bytes_cannot_be_written() {
        let payload = PayloadV2 {
            nametag: MessageNametag::default(),
            protocol_id: ProtocolId::Xx,
            handshake_keys: vec![HandshakeKey::Encrypted([2; 48]); 6],
            transport_message: &[],
        };
        assert_eq!(payload.encode(), Err(PayloadError::TooManyKeys));
    }
}
