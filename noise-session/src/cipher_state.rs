//! `CipherState` of Noise (rev 34 section 5.1) over ChaCha20-Poly1305.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use zeroize::{Zeroize, Zeroizing};

use crate::key::KEY_LEN;

/// Bytes that authentication adds to a plaintext.
pub const TAG_LEN: usize = 16;

/// The first nonce that is never used: js-noise counts in 32 bits, and long before it a session is renewed.
pub const MAX_NONCE: u64 = 0xffff_ffff;

/// A 32-byte ChaCha20-Poly1305 key. Zeroized on drop and never printed.
#[derive(Clone)]
pub(crate) struct CipherKey(Zeroizing<[u8; KEY_LEN]>);

impl CipherKey {
    pub(crate) fn new(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(bytes)
    }

    /// Encrypts `buffer` in place and returns the tag.
    pub(crate) fn seal_in_place(&self, nonce: u64, ad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        self.seal_with(&noise_nonce(nonce), ad, buffer)
    }

    /// Decrypts `buffer` in place; on failure its content is zeroized.
    pub(crate) fn open_in_place(
        &self,
        nonce: u64,
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), DecryptError> {
        self.open_with(&noise_nonce(nonce), ad, buffer, tag)
    }

    fn seal_with(&self, nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        self.cipher()
            .encrypt_inout_detached(&Nonce::from(*nonce), ad, buffer.into())
            .expect("ChaCha20-Poly1305 encrypts anything shorter than 256 GiB")
            .into()
    }

    fn open_with(
        &self,
        nonce: &[u8; 12],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), DecryptError> {
        let opened = self.cipher().decrypt_inout_detached(
            &Nonce::from(*nonce),
            ad,
            (&mut *buffer).into(),
            &Tag::from(*tag),
        );
        opened.map_err(|_| {
            buffer.zeroize();
            DecryptError
        })
    }

    /// Noise's REKEY: the first 32 bytes of ENCRYPT(k, 2^64-1, "", 32 zero bytes).
    pub(crate) fn rekey(&self) -> Self {
        let mut next = Zeroizing::new([0; KEY_LEN]);
        self.seal_in_place(u64::MAX, &[], next.as_mut());
        Self(next)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}

/// Seals `plaintext` under `key` with a caller-chosen 12-byte nonce: `ciphertext || tag`.
///
/// This is the encryption of 35's protocol id 30; a nonce must never serve twice under one key.
pub fn chachapoly_seal(key: &[u8; KEY_LEN], nonce: &[u8; 12], ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(plaintext.len() + TAG_LEN);
    sealed.extend_from_slice(plaintext);
    let tag = CipherKey(Zeroizing::new(*key)).seal_with(nonce, ad, &mut sealed);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens what [`chachapoly_seal`] made.
///
/// # Errors
/// [`DecryptError`] when `sealed` is shorter than a tag or is not authentic.
pub fn chachapoly_open(
    key: &[u8; KEY_LEN],
    nonce: &[u8; 12],
    ad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let (ciphertext, tag) = sealed.split_last_chunk().ok_or(DecryptError)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    CipherKey(Zeroizing::new(*key)).open_with(nonce, ad, &mut plaintext, tag)?;
    Ok(plaintext)
}

/// The ciphertext is not authentic under this key, nonce and associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decryption failed: the message is forged, damaged or for another key")]
pub struct DecryptError;

/// The cipher has been used for as many messages as it safely can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher's nonces are used up; make a new handshake")]
pub struct NonceExhausted;

/// Four zero bytes, then the counter in little-endian (35 "ChaChaPoly").
fn noise_nonce(n: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(counter) = nonce.last_chunk_mut() {
        *counter = n.to_le_bytes();
    }
    nonce
}

/// A key, once there is one, and the nonce of the next message.
#[derive(Clone, Default)]
pub(crate) struct CipherState {
    key: Option<CipherKey>,
    nonce: u64,
}

impl CipherState {
    pub(crate) fn initialize_key(&mut self, key: Zeroizing<[u8; KEY_LEN]>) {
        self.key = Some(CipherKey(key));
        self.nonce = 0;
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// `EncryptWithAd`: without a key the plaintext goes out as it is.
    pub(crate) fn encrypt_with_ad(&mut self, ad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, NonceExhausted> {
        let Some(key) = &self.key else { return Ok(plaintext.to_vec()) };
        if self.nonce >= MAX_NONCE {
            return Err(NonceExhausted);
        }
        let mut sealed = Vec::with_capacity(plaintext.len() + TAG_LEN);
        sealed.extend_from_slice(plaintext);
        let tag = key.seal_in_place(self.nonce, ad, &mut sealed);
        sealed.extend_from_slice(&tag);
        self.nonce += 1;
        Ok(sealed)
    }

    /// `DecryptWithAd`: without a key the ciphertext is the plaintext. The nonce moves only on success.
    pub(crate) fn decrypt_with_ad(
        &mut self,
        ad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let Some(key) = &self.key else { return Ok(Zeroizing::new(ciphertext.to_vec())) };
        if self.nonce >= MAX_NONCE {
            return Err(DecryptError);
        }
        let (body, tag) = ciphertext.split_last_chunk().ok_or(DecryptError)?;
        let mut plaintext = Zeroizing::new(body.to_vec());
        key.open_in_place(self.nonce, ad, &mut plaintext, tag)?;
        self.nonce += 1;
        Ok(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(nonce: u64) -> CipherState {
        CipherState { key: Some(CipherKey(Zeroizing::new([7; 32]))), nonce }
    }

    #[test]
    fn the_nonce_moves_only_when_a_message_is_authentic() {
        let mut sender = keyed(0);
        let mut receiver = keyed(0);
        let sealed = sender.encrypt_with_ad(b"ad", b"hello").unwrap();
        let mut forged = sealed.clone();
        forged[0] ^= 1;
        assert_eq!(receiver.decrypt_with_ad(b"ad", &forged), Err(DecryptError));
        assert_eq!(receiver.decrypt_with_ad(b"other", &sealed), Err(DecryptError));
        assert_eq!(receiver.decrypt_with_ad(b"ad", &sealed[..TAG_LEN - 1]), Err(DecryptError));
        assert_eq!(receiver.decrypt_with_ad(b"ad", &sealed).unwrap().as_slice(), b"hello");
    }

    #[test]
    fn refuses_to_encrypt_when_the_nonces_are_used_up() {
        assert_eq!(keyed(MAX_NONCE).encrypt_with_ad(&[], b"x"), Err(NonceExhausted));
        assert!(keyed(MAX_NONCE - 1).encrypt_with_ad(&[], b"x").is_ok());
    }

    #[test]
    fn rekey_equals_noise_protocol() {
        use noise_protocol::{Cipher, U8Array};
        use noise_rust_crypto::sensitive::Sensitive;

        let ours = CipherKey(Zeroizing::new([7; 32])).rekey();
        let theirs = noise_rust_crypto::ChaCha20Poly1305::rekey(&Sensitive::from_slice(&[7; 32]));
        assert_eq!(ours.0.as_slice(), theirs.as_slice());
    }

    #[test]
    fn chachapoly_opens_what_it_sealed_and_nothing_else() {
        let sealed = chachapoly_seal(&[1; 32], &[2; 12], b"ad", b"secret");
        assert_eq!(chachapoly_open(&[1; 32], &[2; 12], b"ad", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(chachapoly_open(&[1; 32], &[3; 12], b"ad", &sealed), Err(DecryptError));
        assert_eq!(chachapoly_open(&[1; 32], &[2; 12], b"", &sealed), Err(DecryptError));
        assert_eq!(chachapoly_open(&[1; 32], &[2; 12], b"ad", &sealed[..3]), Err(DecryptError));
    }
}
