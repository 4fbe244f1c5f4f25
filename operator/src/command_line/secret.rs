//! What is never shown and does not stay in memory.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

/// The node's secp256k1 secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey(Zeroizing<[u8; 32]>);

impl NodeKey {
    /// The key from 64 hexadecimal digits, `0x` before them or not; nothing when they are no key of the curve.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        HEXLOWER_PERMISSIVE.decode_mut(digits, bytes.as_mut_slice()).ok()?;
        k256::SecretKey::from_slice(bytes.as_slice()).ok()?;
        Some(Self(bytes))
    }

    /// The key's bytes, big endian.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_key_is_64_digits_with_or_without_a_prefix() {
        let text = "1122334455667788990011223344556677889900112233445566778899001122";
        let key = NodeKey::from_hex(text).unwrap();
        assert_eq!(key.bytes()[..3], [0x11, 0x22, 0x33]);
        assert_eq!(NodeKey::from_hex(&format!("0x{text}")), Some(key.clone()));
        assert_eq!(format!("{key:?}"), "NodeKey(..)");
    }

    #[test]
    fn what_is_no_number_below_the_order_of_the_curve_is_no_key() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for text in ["", "11", &"0".repeat(64), order, &"g".repeat(64), &"1".repeat(66), &"é".repeat(32)] {
            assert_eq!(NodeKey::from_hex(text), None, "{text}");
        }
    }
}
