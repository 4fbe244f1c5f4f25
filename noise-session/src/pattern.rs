//! Handshake patterns as tables (Noise rev 34 section 7; 35/WAKU2-NOISE "Supported Noise Handshakes").

/// One step of a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The sender's ephemeral public key.
    E,
    /// The sender's static public key, encrypted as soon as there is a key to encrypt it with.
    S,
    /// DH of both ephemerals.
    Ee,
    /// DH of the initiator's ephemeral with the responder's static.
    Es,
    /// DH of the initiator's static with the responder's ephemeral.
    Se,
    /// DH of both statics.
    Ss,
    /// Mix in the pre-shared key.
    Psk,
}

/// A handshake pattern. The engine runs any table that keeps Noise's validity rules; the crate ships those of
/// 35/WAKU2-NOISE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// The pattern's name inside the protocol name, such as `XXpsk0`.
    pub name: &'static str,
    /// Keys of the initiator that the responder knows beforehand.
    pub initiator_pre_message: &'static [Token],
    /// Keys of the responder that the initiator knows beforehand.
    pub responder_pre_message: &'static [Token],
    /// The messages in order, the initiator's first, then in turn.
    pub messages: &'static [&'static [Token]],
}

use Token::{E, Ee, Es, Psk, S, Se, Ss};

impl Pattern {
    /// K1K1, protocol id 10: both statics known beforehand.
    pub const K1K1: Self = Self {
        name: "K1K1",
        initiator_pre_message: &[S],
        responder_pre_message: &[S],
        messages: &[&[E], &[E, Ee, Es], &[Se]],
    };

    /// XK1, protocol id 11: the responder's static known beforehand.
    pub const XK1: Self = Self {
        name: "XK1",
        initiator_pre_message: &[],
        responder_pre_message: &[S],
        messages: &[&[E], &[E, Ee, Es], &[S, Se]],
    };

    /// XX, protocol id 12: nothing known beforehand.
    pub const XX: Self = Self {
        name: "XX",
        initiator_pre_message: &[],
        responder_pre_message: &[],
        messages: &[&[E], &[E, Ee, S, Es], &[S, Se]],
    };

    /// XXpsk0, protocol id 13: XX under a pre-shared key of 256 bits of entropy.
    pub const XXPSK0: Self = Self {
        name: "XXpsk0",
        initiator_pre_message: &[],
        responder_pre_message: &[],
        messages: &[&[Psk, E], &[E, Ee, S, Es], &[S, Se]],
    };

    /// WakuPairing, protocol id 14 (43/WAKU2-DEVICE-PAIRING): the responder's ephemeral travels in a QR code.
    pub const WAKU_PAIRING: Self = Self {
        name: "WakuPairing",
        initiator_pre_message: &[],
        responder_pre_message: &[E],
        messages: &[&[E, Ee], &[S, Es], &[S, Se, Ss]],
    };

    /// The protocol name that is hashed first, such as `Noise_XX_25519_ChaChaPoly_SHA256`.
    pub fn protocol_name(&self) -> String {
        format!("Noise_{}_25519_ChaChaPoly_SHA256", self.name)
    }

    /// Whether a pre-shared key is mixed in; then every ephemeral is mixed into the key too (Noise section 9.2).
    pub(crate) fn is_psk(&self) -> bool {
        self.messages.iter().any(|message| message.contains(&Psk))
    }

    /// Whether this party's static key is part of the pattern, sent or known beforehand.
    pub(crate) fn uses_static_of(&self, role: Role) -> bool {
        self.pre_message_of(role).contains(&S)
            || self
                .messages
                .iter()
                .enumerate()
                .any(|(turn, tokens)| Role::speaking_at(turn) == role && tokens.contains(&S))
    }

    pub(crate) fn pre_message_of(&self, role: Role) -> &'static [Token] {
        match role {
            Role::Initiator => self.initiator_pre_message,
            Role::Responder => self.responder_pre_message,
        }
    }
}

/// Which side of a handshake a party is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the first message.
    Initiator,
    /// Sends the second.
    Responder,
}

impl Role {
    /// The other side.
    pub fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }

    /// Who sends message number `turn`, counted from zero.
    pub(crate) fn speaking_at(turn: usize) -> Self {
        if turn.is_multiple_of(2) { Self::Initiator } else { Self::Responder }
    }
}
