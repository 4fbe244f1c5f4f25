//! What people type or scan: pairing codes, digits, names, QR codes.

use waku_pairing::code::Code;
use waku_pairing::device::DeviceQr;
use waku_pairing::hello::Label;
use waku_pairing::identity::Fingerprint;
use waku_pairing::sas::Sas;

/// What was read is shown so that it is read again.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(code) = text.parse::<Code>() {
        assert!(code.digits().parse() == Ok(code), "a code is not read as it is shown");
    }
    if let Ok(digits) = text.parse::<Sas>() {
        assert_eq!(digits.to_string().parse(), Ok(digits));
        assert_eq!(Sas::from_u32(digits.as_u32()), Some(digits));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string(), text.to_ascii_lowercase());
    }
    if let Ok(qr) = text.parse::<DeviceQr>() {
        assert_eq!(qr.to_string(), text);
    }
    let label = Label::sanitized(text);
    assert_eq!(label.as_str().parse().as_ref(), Ok(&label));
    if let Ok(label) = text.parse::<Label>() {
        assert!(label.as_str() == text && text.len() <= Label::MAX_LEN);
    }
}
