//! What values a flag takes, and why one is wrong.

use std::net::IpAddr;

use data_encoding::HEXLOWER_PERMISSIVE;
use k256::PublicKey;
use thiserror::Error;
use zeroize::Zeroizing;

use super::secret::NodeKey;

/// Longest public key in hexadecimal: uncompressed.
const MAX_PUBLIC_KEY_DIGITS: usize = 130;

/// What values a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// on/off, yes/no, true/false, 1/0. The flag alone means true.
    Bool,
    /// 1 to 65535.
    Port,
    /// A whole number.
    Number {
        /// The largest.
        max: u64,
        /// True when nwaku's type has a sign. What is below 0 is refused all the same.
        signed: bool,
    },
    /// An IPv4 or IPv6 address.
    Ip,
    /// Any text, also none.
    Text,
    /// An address with `http://` or `https://`.
    HttpUrl,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// A secp256k1 secret key: 64 hexadecimal digits, with or without `0x`.
    NodeKey,
    /// `SHARD:PUBLICKEY`.
    ProtectedShard,
    /// The name of a file that is there.
    File,
}

impl Kind {
    /// 0 to 65535.
    pub const U16: Self = Self::Number { max: u16::MAX as u64, signed: false };
    /// 0 to 2^32 - 1.
    pub const U32: Self = Self::Number { max: u32::MAX as u64, signed: false };
    /// 0 to 2^64 - 1.
    pub const U64: Self = Self::Number { max: u64::MAX, signed: false };
    /// 0 to 2^32 - 1, where nwaku has a number with a sign and no use for it.
    pub const INT: Self = Self::Number { max: u32::MAX as u64, signed: true };
}

/// A shard on which only messages signed with one key are relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedShard {
    /// The shard's index.
    pub shard: u16,
    /// The secp256k1 public key, compressed.
    pub public_key: [u8; 33],
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    Number(u64),
    Ip(IpAddr),
    /// As the table writes it.
    Choice(&'static str),
    Text(Text),
    NodeKey(NodeKey),
    ProtectedShard(ProtectedShard),
}

/// Text of which nothing is known: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Zeroizing<String>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(..)")
    }
}

/// Why a value is wrong, in nwaku's words where it has any.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Nothing stands where something must.
    #[error("a value is required")]
    Missing,
    /// It is no port.
    #[error("The supplied port must be an integer value in the range 1-65535")]
    Port,
    /// It is neither true nor false.
    #[error("'{0}' is not a valid boolean value. Supported values are on/off, yes/no, true/false or 1/0")]
    Bool(String),
    /// It is not one of a few words.
    #[error("Invalid enum value: {text}")]
    Choice {
        /// What was given.
        text: String,
        /// The words.
        allowed: &'static [&'static str],
    },
    /// It is a number, and too small or too large.
    #[error("Parsed integer outside of valid range")]
    Range {
        /// The largest.
        max: u64,
    },
    /// It is no number.
    #[error("invalid {}: {text}", if *signed { "integer" } else { "unsigned integer" })]
    Number {
        /// What was given.
        text: String,
        /// Whether nwaku's type has a sign.
        signed: bool,
    },
    /// It is no IP address.
    #[error("Invalid IP address: {0}")]
    Ip(String),
    /// It is no secp256k1 secret key.
    #[error("Invalid private key")]
    NodeKey,
    /// It is not two parts with a colon between.
    #[error("Invalid format for protected shard expected shard:publickey")]
    ProtectedShard,
    /// The second part is no secp256k1 public key.
    #[error("Invalid public key")]
    PublicKey,
    /// The first part is neither a number nor a pubsub topic of a shard.
    #[error("Invalid pubsub topic. Pubsub topics must be in the format /waku/2/rs/<cluster-id>/<shard-id>")]
    PubsubTopic,
    /// It is not an HTTP address.
    #[error("Invalid HTTP RPC URL")]
    HttpUrl,
    /// No such file.
    #[error("File doesn't exist")]
    NoFile,
    /// The file is there and cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

impl ValueError {
    /// What would be right, where the error itself does not say it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Choice { allowed, .. } => Some(format!("It is one of {}.", allowed.join(", "))),
            Self::Range { max } => Some(format!("It is a whole number from 0 to {max}.")),
            Self::NodeKey => Some("It is a secp256k1 key of 64 hexadecimal digits.".to_owned()),
            Self::HttpUrl => Some("It begins with http:// or https://.".to_owned()),
            Self::PublicKey => Some("It is a secp256k1 key of 66 or 130 hexadecimal digits.".to_owned()),
            _ => None,
        }
    }
}

impl Kind {
    /// Reads a value as it stands on the command line.
    ///
    /// # Errors
    /// It is not of this kind.
    pub(super) fn read(self, text: &str) -> Result<Value, ValueError> {
        match self {
            Self::Bool => boolean(text).map(Value::Bool).ok_or_else(|| ValueError::Bool(text.to_owned())),
            Self::Port => match text.parse() {
                Ok(port @ 1..=0xffff) => Ok(Value::Number(port)),
                _ => Err(ValueError::Port),
            },
            Self::Number { max, signed } => number(text, max, signed).map(Value::Number),
            Self::Ip => text.parse().map(Value::Ip).map_err(|_| ValueError::Ip(text.to_owned())),
            Self::Text | Self::File => Ok(Value::Text(Text(Zeroizing::new(text.to_owned())))),
            Self::HttpUrl if is_http(text) => Ok(Value::Text(Text(Zeroizing::new(text.to_owned())))),
            Self::HttpUrl => Err(ValueError::HttpUrl),
            Self::Choice(allowed) => {
                let found = allowed.iter().find(|word| word.eq_ignore_ascii_case(text));
                let found = found.map(|word| Value::Choice(word));
                found.ok_or_else(|| ValueError::Choice { text: text.to_owned(), allowed })
            }
            Self::NodeKey => NodeKey::from_hex(text).map(Value::NodeKey).ok_or(ValueError::NodeKey),
            Self::ProtectedShard => protected_shard(text).map(Value::ProtectedShard),
        }
    }

    /// What `--help` writes for a value.
    pub(super) const fn placeholder(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Port => "PORT",
            Self::Number { .. } => "NUMBER",
            Self::Ip => "IP",
            Self::Text => "TEXT",
            Self::HttpUrl => "URL",
            Self::Choice(_) => "WORD",
            Self::NodeKey => "HEX",
            Self::ProtectedShard => "SHARD:KEY",
            Self::File => "FILE",
        }
    }
}

/// The meaning of a word that is true or false.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let among = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if among(["on", "yes", "true", "1"]) {
        Some(true)
    } else {
        among(["off", "no", "false", "0"]).then_some(false)
    }
}

fn number(text: &str, max: u64, signed: bool) -> Result<u64, ValueError> {
    let digits = text.strip_prefix(if signed { ['+', '-'].as_slice() } else { ['+'].as_slice() });
    let digits = digits.unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::Number { text: text.to_owned(), signed });
    }
    let number = text.parse().ok().filter(|number| *number <= max);
    number.ok_or(ValueError::Range { max })
}

/// Whether something stands behind `http://` or `https://`, and nothing in it is white.
fn is_http(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && !rest.contains(char::is_whitespace)
    })
}

/// `shard:key`; the shard may be given by its pubsub topic.
fn protected_shard(text: &str) -> Result<ProtectedShard, ValueError> {
    let (shard, key) = text.split_once(':').ok_or(ValueError::ProtectedShard)?;
    if key.contains(':') {
        return Err(ValueError::ProtectedShard);
    }
    let public_key = public_key(key).ok_or(ValueError::PublicKey)?;
    let index = match shard.strip_prefix("/waku/2/rs/") {
        Some(topic) => topic.split_once('/').and_then(|(cluster, index)| {
            cluster.parse::<u16>().ok()?;
            index.parse().ok()
        }),
        None if shard.starts_with('/') || number(shard, u64::MAX, true).is_err() => None,
        None => {
            return shard
                .parse()
                .map_err(|_| RANGE_OF_SHARDS)
                .map(|shard| ProtectedShard { shard, public_key });
        }
    };
    index.map(|shard| ProtectedShard { shard, public_key }).ok_or(ValueError::PubsubTopic)
}

const RANGE_OF_SHARDS: ValueError = ValueError::Range { max: u16::MAX as u64 };

/// A secp256k1 public key in hexadecimal, as it is or compressed.
fn public_key(text: &str) -> Option<[u8; 33]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() > MAX_PUBLIC_KEY_DIGITS {
        return None;
    }
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    let key = PublicKey::from_sec1_bytes(&bytes).ok()?;
    key.to_sec1_bytes().as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator of the curve.
    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    #[test]
    fn a_protected_shard_is_a_number_or_a_topic_and_a_key() {
        for text in [format!("3:{KEY}"), format!("/waku/2/rs/16/3:0x{KEY}")] {
            let Ok(Value::ProtectedShard(read)) = Kind::ProtectedShard.read(&text) else { panic!("{text}") };
            assert_eq!(read.shard, 3);
            assert_eq!(HEXLOWER_PERMISSIVE.encode(&read.public_key), KEY);
        }
        let error = |text: &str| Kind::ProtectedShard.read(text).unwrap_err();
        assert_eq!(error("3"), ValueError::ProtectedShard);
        assert_eq!(error(&format!("3:{KEY}:1")), ValueError::ProtectedShard);
        assert_eq!(error("3:0202"), ValueError::PublicKey);
        assert_eq!(error(&format!("3:02{}", "f".repeat(64))), ValueError::PublicKey, "not on the curve");
        assert_eq!(error(&format!("65536:{KEY}")), RANGE_OF_SHARDS);
        assert_eq!(error(&format!("/waku/2/default:{KEY}")), ValueError::PubsubTopic);
    }

    #[test]
    fn an_uncompressed_key_is_compressed() {
        let y = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
        let text = format!("1:04{}{y}", &KEY[2..]);
        let Ok(Value::ProtectedShard(read)) = Kind::ProtectedShard.read(&text) else { panic!("{text}") };
        assert_eq!(HEXLOWER_PERMISSIVE.encode(&read.public_key), KEY);
    }

    #[test]
    fn numbers_outside_their_range_are_told_from_what_is_no_number() {
        assert_eq!(Kind::U16.read("65535"), Ok(Value::Number(65_535)));
        assert_eq!(Kind::U16.read("65536"), Err(ValueError::Range { max: 65_535 }));
        assert_eq!(Kind::U64.read("18446744073709551616"), Err(ValueError::Range { max: u64::MAX }));
        assert_eq!(Kind::INT.read("-1"), Err(ValueError::Range { max: u64::from(u32::MAX) }));
        for text in ["", "x", "1.5", " 1", "-1"] {
            assert!(matches!(Kind::U16.read(text), Err(ValueError::Number { .. })), "{text}");
        }
    }

    #[test]
    fn only_http_addresses_are_addresses_of_an_ethereum_node() {
        for text in ["http://localhost:8540/", "https://user:word@host/path?q", "http://[::1]:8540"] {
            assert!(is_http(text), "{text}");
        }
        for text in ["ws://foo", "foo", "http://", "https:///path", "http://a b", "http://@"] {
            assert!(!is_http(text), "{text}");
        }
    }
}
