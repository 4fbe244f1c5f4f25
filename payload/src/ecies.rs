//! For one recipient: ECIES over secp256k1 as in go-ethereum, as `R (65) | iv (16) | ciphertext | mac (32)`
//! (26/WAKU2-PAYLOAD, "Asymmetric").
//!
//! R is a one-time key. Its shared secret with the recipient gives two keys of 16 bytes, by the concatenation KDF of
//! NIST SP 800-56 with SHA-256 and nothing shared beside: one for AES-128-CTR, one whose SHA-256 is the key of an
//! HMAC-SHA256 over iv and ciphertext. The MAC does not cover R, and only the x-coordinate is shared: with -R in place of
//! R it opens all the same.

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::POINT_LEN;
use crate::layout::{self, Opened, PayloadTooLong};
use crate::{MAX_SEALED_LEN, OpenError, PublicKey, SecretKey};

const IV_LEN: usize = 16;
const MAC_LEN: usize = 32;

impl PublicKey {
    /// Pads `payload`, signs it if there is a `signer`, and encrypts it for the holder of this key's secret.
    ///
    /// # Errors
    /// When the payload is longer than [`layout::MAX_PAYLOAD_LEN`].
    pub fn seal(
        &self,
        payload: &[u8],
        signer: Option<&SecretKey>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, PayloadTooLong> {
        let data = layout::encode(payload, signer, rng)?;
        let one_time = SecretKey::generate(rng);
        let mut iv = [0; IV_LEN];
        rng.fill_bytes(&mut iv);

        let mut ciphertext = data;
        let keys = Keys::derive(&one_time.diffie_hellman(self));
        keys.apply_keystream(iv, &mut ciphertext);
        let mac = keys.mac(&iv, &ciphertext).finalize().into_bytes();
        Ok([&one_time.public().to_bytes()[..], &iv, &ciphertext, &mac].concat())
    }
}

impl SecretKey {
    /// Opens what was sealed for this key's public half.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, sealed: &[u8]) -> Result<Opened, OpenError> {
        let length = OpenError::Length { len: sealed.len() };
        let (one_time, rest) = sealed.split_first_chunk::<POINT_LEN>().ok_or(length)?;
        let (iv, rest) = rest.split_first_chunk::<IV_LEN>().ok_or(length)?;
        let (ciphertext, mac) = rest.split_last_chunk::<MAC_LEN>().ok_or(length)?;
        if ciphertext.is_empty() || sealed.len() > MAX_SEALED_LEN {
            return Err(length);
        }
        let one_time = PublicKey::from_uncompressed(one_time).map_err(|_| OpenError::OneTimeKey)?;
        let keys = Keys::derive(&self.diffie_hellman(&one_time));
        // In constant time.
        keys.mac(iv, ciphertext).verify(mac.into()).map_err(|_| OpenError::NotAuthentic)?;
        let mut data = Zeroizing::new(ciphertext.to_vec());
        keys.apply_keystream(*iv, &mut data);
        Ok(layout::decode(&data)?)
    }
}

/// What a shared secret is expanded to. Zeroized on drop.
struct Keys {
    encryption: Zeroizing<[u8; 16]>,
    mac: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn derive(shared: &[u8; 32]) -> Self {
        // One block of the KDF is all: its counter is 1.
        let block = sha256(&[&1_u32.to_be_bytes(), shared]);
        let (encryption, mac) = block.split_at(16);
        let mut keys = Self { encryption: Zeroizing::default(), mac: sha256(&[mac]) };
        keys.encryption.copy_from_slice(encryption);
        keys
    }

    fn apply_keystream(&self, iv: [u8; IV_LEN], data: &mut [u8]) {
        Ctr128BE::<Aes128>::new((&*self.encryption).into(), &iv.into()).apply_keystream(data);
    }

    fn mac(&self, iv: &[u8], ciphertext: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.mac.as_ref()).expect("HMAC takes a key of any length");
        mac.chain_update(iv).chain_update(ciphertext)
    }
}

fn sha256(parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update);
    Zeroizing::new(hash.finalize().into())
}
