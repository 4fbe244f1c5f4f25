//! Messages as JSON.

use data_encoding::{BASE64, BASE64_NOPAD};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use waku::{Bytes, WakuMessage, unix_nanos};

use super::input::Flaw;

/// A message as clients write it. Binary fields are in base64.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MessageIn {
    /// Base64, not empty.
    payload: String,
    content_topic: String,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    version: Option<Integer>,
    /// Unix time in nanoseconds; now if absent or 0.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    timestamp: Option<Integer>,
    /// Base64, at most 64 bytes.
    #[serde(default, deserialize_with = "given")]
    meta: Option<String>,
    /// Stores do not keep the message.
    #[serde(default, deserialize_with = "given")]
    ephemeral: Option<bool>,
    /// A rate limit proof, base64.
    #[serde(default, deserialize_with = "given")]
    proof: Option<String>,
}

/// A field that may be left out, but not be `null`.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

/// A whole number, also in the form `1e18`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Integer(i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Integer;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                value.try_into().map(Integer).map_err(E::custom)
            }

            #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of i64")]
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Integer, E> {
                let limit = 2_f64.powi(63);
                if value.fract() == 0.0 && (-limit..limit).contains(&value) {
                    Ok(Integer(value as i64))
                } else {
                    Err(E::custom("not a whole number of 64 bits"))
                }
            }
        }
        input.deserialize_any(Reader)
    }
}

impl MessageIn {
    /// The message; its timestamp is now if it has none.
    pub(super) fn read(self) -> Result<WakuMessage, Flaw> {
        let payload = decode_base64(&self.payload)?;
        if payload.is_empty() || self.content_topic.trim().is_empty() {
            return Err(Flaw::Undecodable);
        }
        let version = self.version.map(|Integer(version)| u32::try_from(version)).transpose();
        let timestamp =
            self.timestamp.map(|Integer(timestamp)| timestamp).filter(|timestamp| *timestamp != 0);
        let meta = self.meta.as_deref().map(decode_base64).transpose()?;
        let proof = self.proof.as_deref().map(decode_base64).transpose()?;
        Ok(WakuMessage {
            payload,
            content_topic: self.content_topic,
            version: version.map_err(|_| Flaw::Undecodable)?.filter(|version| *version != 0),
            timestamp: Some(timestamp.unwrap_or_else(unix_nanos)),
            meta: meta.filter(|meta| !meta.is_empty()),
            rate_limit_proof: proof.filter(|proof| !proof.is_empty()),
            ephemeral: self.ephemeral.filter(|is_ephemeral| *is_ephemeral),
        })
    }
}

/// The standard alphabet, with or without padding.
fn decode_base64(text: &str) -> Result<Bytes, Flaw> {
    let bytes = BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes());
    bytes.map(Bytes::from).map_err(|_| Flaw::Base64)
}

/// A message as the API writes it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageOut {
    /// Base64.
    payload: String,
    content_topic: String,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    version: u32,
    /// Unix time in nanoseconds.
    timestamp: i64,
    ephemeral: bool,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

impl From<&WakuMessage> for MessageOut {
    fn from(message: &WakuMessage) -> Self {
        let encoded = |bytes: &Bytes| (!bytes.is_empty()).then(|| BASE64.encode(bytes));
        Self {
            payload: BASE64.encode(&message.payload),
            content_topic: message.content_topic.clone(),
            meta: message.meta.as_ref().and_then(encoded),
            version: message.version.unwrap_or_default(),
            timestamp: message.timestamp.unwrap_or_default(),
            ephemeral: message.ephemeral.unwrap_or_default(),
            proof: message.rate_limit_proof.as_ref().and_then(encoded),
        }
    }
}

impl MessageOut {
    /// As relay clients have it: with a proof in any case.
    pub(super) fn with_proof(mut self) -> Self {
        self.proof.get_or_insert_default();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<WakuMessage, Flaw> {
        serde_json::from_str::<MessageIn>(json).map_err(|_| Flaw::Undecodable)?.read()
    }

    fn with(field: &str) -> Result<WakuMessage, Flaw> {
        read(&format!(r#"{{"payload":"YWI=","contentTopic":"/a/1/b/c",{field}}}"#))
    }

    #[test]
    fn a_message_has_what_was_written() {
        let message =
            with(r#""version":10,"timestamp":-1,"meta":"YQ==","ephemeral":true,"proof":"Yg""#).unwrap();
        assert_eq!(message.payload, "ab");
        assert_eq!((message.version, message.timestamp), (Some(10), Some(-1)));
        assert_eq!((message.meta.unwrap(), message.rate_limit_proof.unwrap()), ("a".into(), "b".into()));
        assert_eq!(message.ephemeral, Some(true));
    }

    #[test]
    fn a_message_without_timestamp_or_with_0_is_of_now() {
        let before = unix_nanos();
        for message in [with(r#""timestamp":0"#), with(r#""version":0"#)] {
            let timestamp = message.unwrap().timestamp.unwrap();
            assert!((before..=unix_nanos()).contains(&timestamp));
        }
    }

    #[test]
    fn whole_numbers_are_taken_in_every_form_and_others_refused() {
        assert_eq!(with(r#""timestamp":1e18"#).unwrap().timestamp, Some(1_000_000_000_000_000_000));
        for wrong in ["2.1", "\"1\"", "9223372036854775808", "1e19", "null", "[1]", "{}", "true"] {
            assert_eq!(with(&format!(r#""timestamp":{wrong}"#)), Err(Flaw::Undecodable), "{wrong}");
        }
        for wrong in ["-1", "4294967296", "2.1", "\"1\""] {
            assert_eq!(with(&format!(r#""version":{wrong}"#)), Err(Flaw::Undecodable), "{wrong}");
        }
    }

    #[test]
    fn nulls_unknown_fields_and_fields_written_twice_are_refused() {
        for wrong in [r#""meta":null"#, r#""extra":1"#, r#""version":1,"version":1"#, r#""ephemeral":"true""#]
        {
            assert_eq!(with(wrong), Err(Flaw::Undecodable), "{wrong}");
        }
    }

    #[test]
    fn base64_needs_no_padding_and_takes_no_other_alphabet() {
        let payload = |text: &str| read(&format!(r#"{{"payload":"{text}","contentTopic":"x"}}"#));
        assert_eq!(payload("YWE").unwrap().payload, "aa");
        for wrong in ["YW_-", "Y W", "a", "$"] {
            assert_eq!(payload(wrong), Err(Flaw::Base64), "{wrong}");
        }
        assert_eq!(payload(""), Err(Flaw::Undecodable));
    }
}
