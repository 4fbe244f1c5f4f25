//! `HandshakeState` of Noise (rev 34 section 5.3), driven by a [`Pattern`] table.
//!
//! Stock Noise but for one thing: a payload's associated data may carry extra bytes after `h`, where 35/WAKU2-NOISE
//! puts the message nametag. With none it equals any other Noise implementation byte for byte. Padding, nametags and
//! the wire format are the next layer's, [`crate::handshake`].

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cipher_state::{DecryptError, NonceExhausted, TAG_LEN};
use crate::key::{KEY_LEN, KeyPair, LowOrderKey, Psk, PublicKey};
use crate::pattern::{Pattern, Role, Token};
use crate::symmetric_state::{HASH_LEN, SymmetricState};

/// What a party brings to a handshake. Which keys are needed is the pattern's to say.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The table to run.
    pub pattern: &'static Pattern,
    /// Our side.
    pub role: Role,
    /// Bytes both sides must agree on. A secret in here keeps `h`, and all that 35 derives from it, from observers.
    pub prologue: &'a [u8],
    /// Our static key.
    pub local_static: Option<KeyPair>,
    /// An ephemeral made beforehand, as WakuPairing's responder shows in a QR code. Never use one twice.
    pub local_ephemeral: Option<KeyPair>,
    /// The other party's static key, where the pattern has it known beforehand.
    pub remote_static: Option<PublicKey>,
    /// The other party's ephemeral, where the pattern has it known beforehand.
    pub remote_ephemeral: Option<PublicKey>,
    /// The pre-shared key of psk patterns.
    pub psk: Option<Psk>,
}

impl<'a> Setup<'a> {
    /// A setup without keys.
    pub fn new(pattern: &'static Pattern, role: Role, prologue: &'a [u8]) -> Self {
        Self {
            pattern,
            role,
            prologue,
            local_static: None,
            local_ephemeral: None,
            remote_static: None,
            remote_ephemeral: None,
            psk: None,
        }
    }
}

/// A key inside a handshake message: 35's flag and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeKey {
    /// Flag 0: a public key in clear.
    Clear(PublicKey),
    /// Flag 1: a public key under encryption, with its tag.
    Encrypted([u8; KEY_LEN + TAG_LEN]),
}

/// One handshake message before it is put on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeMessage {
    /// The keys, in the pattern's order.
    pub keys: Vec<HandshakeKey>,
    /// The payload, encrypted as soon as there is a key to encrypt it with.
    pub payload: Vec<u8>,
}

/// A handshake under way.
#[derive(Clone)]
pub struct HandshakeState {
    pattern: &'static Pattern,
    role: Role,
    symmetric: SymmetricState,
    local_static: Option<KeyPair>,
    local_ephemeral: Option<KeyPair>,
    remote_static: Option<PublicKey>,
    remote_ephemeral: Option<PublicKey>,
    psk: Option<Psk>,
    turn: usize,
}

impl HandshakeState {
    /// Starts a handshake: hashes the protocol name, the prologue and the pre-message keys.
    ///
    /// # Errors
    /// [`SetupError`] names the key that the pattern needs and `setup` lacks.
    pub fn new(setup: Setup<'_>) -> Result<Self, SetupError> {
        let Setup {
            pattern,
            role,
            prologue,
            local_static,
            local_ephemeral,
            remote_static,
            remote_ephemeral,
            psk,
        } = setup;
        if pattern.uses_static_of(role) && local_static.is_none() {
            return Err(SetupError::LocalStaticMissing);
        }
        if pattern.is_psk() && psk.is_none() {
            return Err(SetupError::PskMissing);
        }
        let mut symmetric = SymmetricState::new(&pattern.protocol_name());
        symmetric.mix_hash(prologue);
        for party in [Role::Initiator, Role::Responder] {
            for token in pattern.pre_message_of(party) {
                let (ours, theirs, missing) = match token {
                    Token::S if party == role => (&local_static, None, SetupError::LocalStaticMissing),
                    Token::S => (&None, remote_static, SetupError::RemoteStaticMissing),
                    Token::E if party == role => (&local_ephemeral, None, SetupError::LocalEphemeralMissing),
                    Token::E => (&None, remote_ephemeral, SetupError::RemoteEphemeralMissing),
                    _ => return Err(SetupError::InvalidPattern),
                };
                let key = ours.as_ref().map(KeyPair::public).or(theirs).ok_or(missing)?;
                symmetric.mix_hash(key.as_bytes());
                if *token == Token::E && pattern.is_psk() {
                    symmetric.mix_key(key.as_bytes());
                }
            }
        }
        Ok(Self {
            pattern,
            role,
            symmetric,
            local_static,
            local_ephemeral,
            remote_static,
            remote_ephemeral,
            psk,
            turn: 0,
        })
    }

    /// Writes our next message around `payload`. `extra_ad` follows `h` in the payload's associated data.
    /// On error the state is as before.
    ///
    /// # Errors
    /// [`WriteError`] when it is not our turn, the handshake is over, or a key is unusable.
    pub fn write_message(
        &mut self,
        rng: &mut dyn CryptoRng,
        payload: &[u8],
        extra_ad: &[u8],
    ) -> Result<HandshakeMessage, WriteError> {
        let tokens = self.pattern.messages.get(self.turn).ok_or(WriteError::Finished)?;
        if Role::speaking_at(self.turn) != self.role {
            return Err(WriteError::NotOurTurn);
        }
        let mut next = self.clone();
        let mut keys = Vec::new();
        for token in *tokens {
            match token {
                Token::E => {
                    let public = next.local_ephemeral.get_or_insert_with(|| KeyPair::generate(rng)).public();
                    next.mix_ephemeral(public);
                    keys.push(HandshakeKey::Clear(public));
                }
                Token::S => {
                    let public = next.local_static.as_ref().ok_or(WriteError::MissingKey)?.public();
                    let sealed = next.symmetric.encrypt_and_hash(public.as_bytes(), &[])?;
                    keys.push(match sealed.try_into() {
                        Ok(encrypted) => HandshakeKey::Encrypted(encrypted),
                        Err(_) => HandshakeKey::Clear(public),
                    });
                }
                Token::Psk => next.mix_psk().ok_or(WriteError::MissingKey)?,
                Token::Ee | Token::Es | Token::Se | Token::Ss => next.mix_dh(*token)?,
            }
        }
        let payload = next.symmetric.encrypt_and_hash(payload, extra_ad)?;
        next.turn += 1;
        *self = next;
        Ok(HandshakeMessage { keys, payload })
    }

    /// Reads the other party's next message and returns its payload. On error the state is as before.
    ///
    /// # Errors
    /// [`ReadError`] when it is our turn, the keys are not those of the pattern, or anything is not authentic.
    pub fn read_message(
        &mut self,
        keys: &[HandshakeKey],
        payload: &[u8],
        extra_ad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ReadError> {
        let tokens = self.pattern.messages.get(self.turn).ok_or(ReadError::Finished)?;
        if Role::speaking_at(self.turn) == self.role {
            return Err(ReadError::OurTurn);
        }
        let mut next = self.clone();
        let mut keys = keys.iter();
        for token in *tokens {
            match token {
                Token::E => {
                    let Some(HandshakeKey::Clear(public)) = keys.next() else {
                        return Err(ReadError::WrongKeys);
                    };
                    next.mix_ephemeral(*public);
                    next.remote_ephemeral = Some(*public);
                }
                Token::S => next.remote_static = Some(next.symmetric.read_static(keys.next())?),
                Token::Psk => next.mix_psk().ok_or(ReadError::MissingKey)?,
                Token::Ee | Token::Es | Token::Se | Token::Ss => next.mix_dh(*token)?,
            }
        }
        if keys.next().is_some() {
            return Err(ReadError::WrongKeys);
        }
        let payload = next.symmetric.decrypt_and_hash(payload, extra_ad)?;
        next.turn += 1;
        *self = next;
        Ok(payload)
    }

    /// Whether every message of the pattern has been written or read.
    pub fn is_finished(&self) -> bool {
        self.turn == self.pattern.messages.len()
    }

    /// Whether the next message is ours to write.
    pub fn is_our_turn(&self) -> bool {
        !self.is_finished() && Role::speaking_at(self.turn) == self.role
    }

    /// Our side.
    pub fn role(&self) -> Role {
        self.role
    }

    /// `h` so far. Not a secret unless the prologue holds one: an observer can recompute it from the wire.
    pub fn handshake_hash(&self) -> &[u8; HASH_LEN] {
        self.symmetric.handshake_hash()
    }

    /// The other party's static key, as soon as it is known.
    pub fn remote_static(&self) -> Option<PublicKey> {
        self.remote_static
    }

    /// `Split`: the initiator's sending key, then the responder's; `None` before the end.
    pub(crate) fn split(&self) -> Option<[Zeroizing<[u8; KEY_LEN]>; 2]> {
        self.is_finished().then(|| self.symmetric.split())
    }

    fn mix_ephemeral(&mut self, public: PublicKey) {
        self.symmetric.mix_hash(public.as_bytes());
        if self.pattern.is_psk() {
            self.symmetric.mix_key(public.as_bytes());
        }
    }

    fn mix_psk(&mut self) -> Option<()> {
        let psk = self.psk.as_ref()?;
        self.symmetric.mix_key_and_hash(psk.as_bytes());
        Some(())
    }

    fn mix_dh(&mut self, token: Token) -> Result<(), DhError> {
        let (local, remote) = match (token, self.role) {
            (Token::Ee, _) => (&self.local_ephemeral, self.remote_ephemeral),
            (Token::Ss, _) => (&self.local_static, self.remote_static),
            (Token::Es, Role::Initiator) | (Token::Se, Role::Responder) => {
                (&self.local_ephemeral, self.remote_static)
            }
            _ => (&self.local_static, self.remote_ephemeral),
        };
        let local = local.as_ref().ok_or(DhError::MissingKey)?;
        let shared = local.diffie_hellman(&remote.ok_or(DhError::MissingKey)?)?;
        self.symmetric.mix_key(shared.as_ref());
        Ok(())
    }
}

impl SymmetricState {
    fn read_static(&mut self, key: Option<&HandshakeKey>) -> Result<PublicKey, ReadError> {
        let plaintext = match (key, self.has_key()) {
            (Some(HandshakeKey::Encrypted(sealed)), true) => self.decrypt_and_hash(sealed, &[])?,
            (Some(HandshakeKey::Clear(public)), false) => self.decrypt_and_hash(public.as_bytes(), &[])?,
            _ => return Err(ReadError::WrongKeys),
        };
        let bytes: [u8; KEY_LEN] = plaintext.as_slice().try_into().map_err(|_| ReadError::WrongKeys)?;
        Ok(PublicKey::from(bytes))
    }
}

/// Why a handshake cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The pattern sends or pre-shares our static key.
    #[error("the pattern needs our static key")]
    LocalStaticMissing,
    /// The pattern pre-shares our ephemeral key.
    #[error("the pattern needs our ephemeral key beforehand")]
    LocalEphemeralMissing,
    /// The pattern pre-shares the other party's static key.
    #[error("the pattern needs the other party's static key beforehand")]
    RemoteStaticMissing,
    /// The pattern pre-shares the other party's ephemeral key.
    #[error("the pattern needs the other party's ephemeral key beforehand")]
    RemoteEphemeralMissing,
    /// The pattern mixes in a pre-shared key.
    #[error("the pattern needs a pre-shared key")]
    PskMissing,
    /// A pre-message may hold only `e` and `s`.
    #[error("the pattern's pre-messages hold something else than keys")]
    InvalidPattern,
}

/// Why a handshake message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The other party has to speak first.
    #[error("it is the other party's turn")]
    NotOurTurn,
    /// Every message has been exchanged.
    #[error("the handshake is over")]
    Finished,
    /// The pattern uses a key before it is known.
    #[error("the pattern uses a key that is not known yet")]
    MissingKey,
    /// The other party's key is unusable.
    #[error(transparent)]
    LowOrderKey(#[from] LowOrderKey),
    /// Cannot happen within the few messages of a handshake.
    #[error(transparent)]
    NonceExhausted(#[from] NonceExhausted),
}

/// Why a handshake message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// We have to speak first.
    #[error("it is our turn")]
    OurTurn,
    /// Every message has been exchanged.
    #[error("the handshake is over")]
    Finished,
    /// Too few, too many, or encrypted where clear ones belong, or the reverse.
    #[error("the message's keys are not those of the pattern")]
    WrongKeys,
    /// The pattern uses a key before it is known.
    #[error("the pattern uses a key that is not known yet")]
    MissingKey,
    /// The other party's key is unusable.
    #[error(transparent)]
    LowOrderKey(#[from] LowOrderKey),
    /// Forged, damaged, or for other keys, prologue or nametag.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
}

enum DhError {
    MissingKey,
    LowOrderKey(LowOrderKey),
}

impl From<LowOrderKey> for DhError {
    fn from(error: LowOrderKey) -> Self {
        Self::LowOrderKey(error)
    }
}

impl From<DhError> for WriteError {
    fn from(error: DhError) -> Self {
        match error {
            DhError::MissingKey => Self::MissingKey,
            DhError::LowOrderKey(error) => Self::LowOrderKey(error),
        }
    }
}

impl From<DhError> for ReadError {
    fn from(error: DhError) -> Self {
        match error {
            DhError::MissingKey => Self::MissingKey,
            DhError::LowOrderKey(error) => Self::LowOrderKey(error),
        }
    }
}
