//! For all who share a key: AES-256-GCM, as `ciphertext | tag (16) | nonce (12)` (26/WAKU2-PAYLOAD, "Symmetric").

use std::mem;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::layout::{self, Opened, PayloadTooLong};
use crate::{MAX_SEALED_LEN, OpenError, SecretKey, SymmetricKey};

const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;

impl SymmetricKey {
    /// Pads `payload`, signs it if there is a `signer`, and encrypts it under this key.
    ///
    /// The nonce is random: a key should not seal more than 2^32 payloads.
    ///
    /// # Errors
    /// When the payload is longer than [`layout::MAX_PAYLOAD_LEN`].
    pub fn seal(
        &self,
        payload: &[u8],
        signer: Option<&SecretKey>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, PayloadTooLong> {
        let mut data = layout::encode(payload, signer, rng)?;
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let tag = self
            .cipher()
            .encrypt_inout_detached(&Nonce::from(nonce), &[], data.as_mut_slice().into())
            .expect("AES-GCM encrypts anything shorter than 64 GiB");
        let mut sealed = mem::take(&mut *data);
        sealed.extend_from_slice(&tag);
        sealed.extend_from_slice(&nonce);
        Ok(sealed)
    }

    /// Opens what was sealed under this key.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, sealed: &[u8]) -> Result<Opened, OpenError> {
        let length = OpenError::Length { len: sealed.len() };
        let (rest, nonce) = sealed.split_last_chunk::<NONCE_LEN>().ok_or(length)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(length)?;
        if ciphertext.is_empty() || sealed.len() > MAX_SEALED_LEN {
            return Err(length);
        }
        let mut data = Zeroizing::new(ciphertext.to_vec());
        self.cipher()
            .decrypt_inout_detached(&Nonce::from(*nonce), &[], data.as_mut_slice().into(), &Tag::from(*tag))
            .map_err(|_| OpenError::NotAuthentic)?;
        Ok(layout::decode(&data)?)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.as_bytes().into())
    }
}
