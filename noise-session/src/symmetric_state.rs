//! `SymmetricState` of Noise (rev 34 section 5.2), with the associated data 35/WAKU2-NOISE adds to payloads.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cipher_state::{CipherState, DecryptError, NonceExhausted};
use crate::kdf::hkdf;
use crate::key::KEY_LEN;

/// Bytes of the handshake hash and of the chaining key.
pub(crate) const HASH_LEN: usize = 32;

/// Chaining key, handshake hash and the cipher keyed from them.
#[derive(Clone)]
pub(crate) struct SymmetricState {
    chaining_key: Zeroizing<[u8; HASH_LEN]>,
    hash: Zeroizing<[u8; HASH_LEN]>,
    cipher: CipherState,
}

impl SymmetricState {
    /// `InitializeSymmetric`: a name of at most 32 bytes is zero-padded, a longer one is hashed.
    pub(crate) fn new(protocol_name: &str) -> Self {
        let name = protocol_name.as_bytes();
        let mut hash = [0; HASH_LEN];
        match hash.get_mut(..name.len()) {
            Some(start) => start.copy_from_slice(name),
            None => hash = Sha256::digest(name).into(),
        }
        let hash = Zeroizing::new(hash);
        Self { chaining_key: hash.clone(), hash, cipher: CipherState::default() }
    }

    pub(crate) fn mix_key(&mut self, input: &[u8]) {
        let [chaining_key, key] = self.hkdf_chunks(input);
        self.chaining_key = chaining_key;
        self.cipher.initialize_key(key);
    }

    pub(crate) fn mix_hash(&mut self, data: &[u8]) {
        let mut hasher = Sha256::new();
        hasher.update(self.hash.as_ref());
        hasher.update(data);
        self.hash = Zeroizing::new(hasher.finalize().into());
    }

    pub(crate) fn mix_key_and_hash(&mut self, input: &[u8]) {
        let [chaining_key, hash_input, key] = self.hkdf_chunks(input);
        self.chaining_key = chaining_key;
        self.mix_hash(hash_input.as_ref());
        self.cipher.initialize_key(key);
    }

    /// `EncryptAndHash` with `AD = h || extra_ad`. Static keys pass no extra; payloads pass their nametag (35).
    pub(crate) fn encrypt_and_hash(
        &mut self,
        plaintext: &[u8],
        extra_ad: &[u8],
    ) -> Result<Vec<u8>, NonceExhausted> {
        let ad = self.associated_data(extra_ad);
        let ciphertext = self.cipher.encrypt_with_ad(&ad, plaintext)?;
        self.mix_hash(&ciphertext);
        Ok(ciphertext)
    }

    /// `DecryptAndHash` with the same associated data.
    pub(crate) fn decrypt_and_hash(
        &mut self,
        ciphertext: &[u8],
        extra_ad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let ad = self.associated_data(extra_ad);
        let plaintext = self.cipher.decrypt_with_ad(&ad, ciphertext)?;
        self.mix_hash(ciphertext);
        Ok(plaintext)
    }

    pub(crate) fn has_key(&self) -> bool {
        self.cipher.has_key()
    }

    pub(crate) fn handshake_hash(&self) -> &[u8; HASH_LEN] {
        &self.hash
    }

    /// `Split`: the initiator's sending key, then the responder's.
    pub(crate) fn split(&self) -> [Zeroizing<[u8; KEY_LEN]>; 2] {
        self.hkdf_chunks(&[])
    }

    fn associated_data(&self, extra_ad: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.hash.as_ref(), extra_ad].concat())
    }

    /// Noise's HKDF: `N` outputs of 32 bytes.
    fn hkdf_chunks<const N: usize>(&self, input: &[u8]) -> [Zeroizing<[u8; HASH_LEN]>; N] {
        // Three outputs are the most Noise asks for; the stream of RFC 5869 is the same however long it is.
        let stream = hkdf::<{ 3 * HASH_LEN }>(self.chaining_key.as_ref(), input, &[]);
        let mut chunks = stream.as_chunks().0.iter();
        std::array::from_fn(|_| Zeroizing::new(*chunks.next().expect("Noise asks for at most three outputs")))
    }
}
