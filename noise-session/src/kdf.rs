//! HKDF-SHA256 in the forms 35/WAKU2-NOISE uses it. Outputs are secrets until a caller says otherwise.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// RFC 5869 extract-and-expand: `N` bytes from `ikm` under `salt`, bound to `info`.
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    expand_with(&Hkdf::<Sha256>::new(Some(salt), ikm), info)
}

/// RFC 5869 extract alone: the 32-byte pseudo-random key of `ikm` under `salt`.
pub fn hkdf_extract(salt: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
    let (prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    Zeroizing::new(prk.into())
}

/// RFC 5869 expand alone: `N` bytes from a 32-byte pseudo-random key, bound to `info`.
pub fn hkdf_expand<const N: usize>(prk: &[u8; 32], info: &[u8]) -> Zeroizing<[u8; N]> {
    let hkdf = Hkdf::<Sha256>::from_prk(prk).expect("32 bytes are a whole SHA-256 pseudo-random key");
    expand_with(&hkdf, info)
}

fn expand_with<const N: usize>(hkdf: &Hkdf<Sha256>, info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 yields at most 255 blocks") };
    let mut okm = Zeroizing::new([0; N]);
    hkdf.expand(info, okm.as_mut()).expect("the length was checked when this was compiled");
    okm
}
