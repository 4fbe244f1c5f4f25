//! 43/WAKU2-DEVICE-PAIRING: pairing by QR code, beside the numeric code. The handshake itself is
//! [`WakuPairing`](waku_noise_session::pattern::Pattern::WAKU_PAIRING); here is what surrounds it.
//!
//! # Differences from 43
//! The specification puts the first message's nametag into the QR code; no implementation does, and neither does this.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use waku_noise_session::kdf::hkdf;
use waku_noise_session::key::PublicKey;

/// What the QR code says: where to meet, the responder's ephemeral key, and a commitment to its static key. As text it
/// is the handshake's prologue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceQr {
    /// The application's name.
    pub application: String,
    /// Its version.
    pub version: String,
    /// What names the content topic beyond those two.
    pub shard_id: String,
    /// The responder's ephemeral public key.
    pub ephemeral: PublicKey,
    /// The commitment to the responder's static key.
    pub commitment: [u8; 32],
}

impl fmt::Display for DeviceQr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: [&[u8]; 5] = [
            self.application.as_bytes(),
            self.version.as_bytes(),
            self.shard_id.as_bytes(),
            self.ephemeral.as_bytes(),
            &self.commitment,
        ];
        f.write_str(&fields.map(|field| BASE64URL.encode(field)).join(":"))
    }
}

impl FromStr for DeviceQr {
    type Err = DeviceQrError;

    fn from_str(scanned: &str) -> Result<Self, DeviceQrError> {
        let mut fields = scanned.split(':').map(|field| BASE64URL.decode(field.as_bytes()));
        let mut next = |name| fields.next().and_then(Result::ok).ok_or(DeviceQrError(name));
        let text = |bytes: Vec<u8>, name| String::from_utf8(bytes).map_err(|_| DeviceQrError(name));
        let key = |bytes: Vec<u8>, name| <[u8; 32]>::try_from(bytes).map_err(|_| DeviceQrError(name));
        let qr = Self {
            application: text(next("application")?, "application")?,
            version: text(next("version")?, "version")?,
            shard_id: text(next("shard id")?, "shard id")?,
            ephemeral: key(next("ephemeral key")?, "ephemeral key")?.into(),
            commitment: key(next("commitment")?, "commitment")?,
        };
        if fields.next().is_some() {
            return Err(DeviceQrError("end"));
        }
        // Base64 may be padded in its middle. As a prologue every code must have one spelling.
        if qr.to_string() == scanned { Ok(qr) } else { Err(DeviceQrError("spelling")) }
    }
}

/// The text is no device pairing QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a device pairing code: its {0} is missing or wrong")]
pub struct DeviceQrError(&'static str);

/// The commitment to a static key: `SHA-256(key || r)`.
pub fn commit(key: &PublicKey, r: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(key.as_bytes()).chain_update(r).finalize().into()
}

/// Whether `r` opens the commitment for the static key that the handshake revealed.
pub fn opens(commitment: &[u8; 32], key: &PublicKey, r: &[u8; 32]) -> bool {
    commit(key, r).ct_eq(commitment).into()
}

/// The byte order in which an implementation reads the authentication code; 43 does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthcodeOrder {
    /// As js-noise and go-noise.
    BigEndian,
    /// As nwaku, which also shows no leading zeros.
    LittleEndian,
}

/// The eight digits that both people compare after the first message: `HKDF(h)[0..8] mod 10^8`.
pub fn authcode(handshake_hash: &[u8; 32], order: AuthcodeOrder) -> String {
    let bytes = *hkdf::<8>(handshake_hash, b"", b"");
    match order {
        AuthcodeOrder::BigEndian => format!("{:08}", u64::from_be_bytes(bytes) % 100_000_000),
        AuthcodeOrder::LittleEndian => (u64::from_le_bytes(bytes) % 100_000_000).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use waku_noise_session::key::KeyPair;

    use super::*;

    const QR: &str = "d2FrdS1ub2lzZS1zZXNzaW9ucw==:MC4x:MTA=:_y7kVgHsG2cxDHeQQEWFrmlzMe7hwfjPJBlzHB__Pms=:NSHA44s-nB_PcfnEBgAnH0134AluxmbQZpwn9lTxKXI=";

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn responder() -> KeyPair {
        KeyPair::from_secret(&[0x22; 32])
    }

    #[test]
    fn reads_and_writes_the_code_of_the_vector() {
        let qr: DeviceQr = QR.parse().unwrap();
        assert_eq!(
            (qr.application.as_str(), qr.version.as_str(), qr.shard_id.as_str()),
            ("waku-noise-sessions", "0.1", "10")
        );
        assert_eq!(qr.ephemeral, KeyPair::from_secret(&[0x44; 32]).public());
        assert!(opens(&qr.commitment, &responder().public(), &[0x66; 32]));
        assert_eq!(qr.to_string(), QR);
    }

    #[test]
    fn commitments_are_those_of_the_vector() {
        let initiator = KeyPair::from_secret(&[0x11; 32]);
        assert_eq!(
            commit(&responder().public(), &[0x66; 32]),
            hex("3521c0e38b3e9c1fcf71f9c40600271f4d77e0096ec666d0669c27f654f12972")
        );
        let committed = hex("5f132d79ef96b561b628ad25aacf7e73df76073dcaf113cb98b2583cd0011121");
        assert!(opens(&committed, &initiator.public(), &[0x77; 32]));
        assert!(!opens(&committed, &initiator.public(), &[0x66; 32]));
        assert!(!opens(&committed, &responder().public(), &[0x77; 32]));
    }

    #[test]
    fn authcodes_are_those_of_js_noise_and_of_nwaku() {
        let after_first = hex("402bcde12608cb5465a60d88dfe3d82ca3e7e9006da44301b6685be58910ddf0");
        assert_eq!(authcode(&after_first, AuthcodeOrder::BigEndian), "47298586");
        assert_eq!(authcode(&after_first, AuthcodeOrder::LittleEndian), "64902921");
        let xx = hex("503396f72f6140c536d061ab347601f0c79ba0bc189a33c8a7107a5388341c24");
        assert_eq!(authcode(&xx, AuthcodeOrder::LittleEndian), "4592467", "nwaku shows no leading zero");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!("".parse::<DeviceQr>(), Err(DeviceQrError("version")));
        assert_eq!("d2FrdQ==:MC4x:MTA=:AAAA:AAAA".parse::<DeviceQr>(), Err(DeviceQrError("ephemeral key")));
        assert_eq!(format!("{QR}:AAAA").parse::<DeviceQr>(), Err(DeviceQrError("end")));
        assert_eq!("!:MC4x".parse::<DeviceQr>(), Err(DeviceQrError("application")));
    }

    #[test]
    fn a_code_padded_in_its_middle_is_refused() {
        let padded = QR.replace("d2Fr", "d2E=aw==");
        assert_eq!(padded.parse::<DeviceQr>(), Err(DeviceQrError("spelling")));
    }
}
