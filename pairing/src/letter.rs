//! Letters: what is said to a peer that is away, and read by it in another process, days later.
//!
//! A letter rests on the pairing alone ([`waku_noise_session::letter`] seals it) and lies in a store, on a topic of its
//! day and direction. Plaintext, big-endian:
//!
//! ```text
//!  0   1  version = 1
//!  1   8  nanoseconds since the Unix epoch at which it was written, by the writer's clock, on the day of its topic
//!  9  16  random bytes; with the time they are the letter's id
//! 25      body, at most 64 KiB
//! ```
//!
//! # At least once
//! A letter is handed on whenever it comes, at most once in the life of a process, until the application acknowledges
//! it. That goes to disk with the peer, and from then on the letter is known. So what was handed on shortly before a
//! power cut comes again with the next look into a store: act on a letter first, acknowledge it then, and know it by its
//! id. Letters that are older than [`LIFETIME`], or more than [`MAX_AHEAD`] from the future, are refused.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use waku_noise_session::time::UnixTime;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 16;
/// Bytes of a [`LetterId`].
const ID_LEN: usize = 8 + NONCE_LEN;
/// Bytes before the body.
const HEADER_LEN: usize = 1 + ID_LEN;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// How old a letter may be.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How far a writer's clock may be ahead.
pub const MAX_AHEAD: Duration = Duration::from_secs(15 * 60);

const _: () = assert!(HEADER_LEN + MAX_BODY <= waku_noise_session::letter::MAX_PLAINTEXT);

/// A letter's name, alike on both sides: when it was written, and chance. As text it is 48 hexadecimal digits. Ordered by
/// time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    pub(crate) nanos: u64,
    nonce: [u8; NONCE_LEN],
}

impl LetterId {
    pub(crate) fn new(now: UnixTime, rng: &mut dyn CryptoRng) -> Self {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        Self { nanos: now.as_nanos(), nonce }
    }

    /// When the letter was written, by the writer's clock.
    pub fn sent_at(&self) -> UnixTime {
        UnixTime::from_epoch(Duration::from_nanos(self.nanos))
    }

    /// The bytes: nanoseconds, big-endian, and 16 random ones.
    pub fn to_bytes(self) -> [u8; ID_LEN] {
        let mut bytes = [0; ID_LEN];
        let fields = self.nanos.to_be_bytes().into_iter().chain(self.nonce);
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Whether the letter is neither too old nor too far ahead.
    pub(crate) fn is_fresh(&self, now: UnixTime) -> bool {
        let sent_at = self.sent_at();
        sent_at <= now + MAX_AHEAD && now <= sent_at + LIFETIME
    }
}

impl From<[u8; ID_LEN]> for LetterId {
    fn from(bytes: [u8; ID_LEN]) -> Self {
        let (nanos, nonce) = bytes.split_first_chunk().expect("an id has more than eight bytes");
        let nonce = *nonce.first_chunk().expect("eight bytes and sixteen make an id");
        Self { nanos: u64::from_be_bytes(*nanos), nonce }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.to_bytes()))
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LetterId {
    type Err = LetterIdError;

    fn from_str(text: &str) -> Result<Self, LetterIdError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| LetterIdError)?;
        <[u8; ID_LEN]>::try_from(bytes).map(Self::from).map_err(|_| LetterIdError)
    }
}

/// The text is no letter's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a letter's id: those are 48 digits, 0 to 9 and a to f")]
pub struct LetterIdError;

/// The plaintext of a letter. The body is at most [`MAX_BODY`] bytes long.
pub(crate) fn encode(id: LetterId, body: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&[VERSION][..], &id.to_bytes(), body].concat())
}

/// The id and the body in a plaintext. `None` for anything else.
pub(crate) fn decode(plaintext: &[u8]) -> Option<(LetterId, &[u8])> {
    let (id, body) = plaintext.strip_prefix(&[VERSION])?.split_first_chunk::<ID_LEN>()?;
    (body.len() <= MAX_BODY).then_some((LetterId::from(*id), body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(nanos: u64, nonce: u8) -> LetterId {
        LetterId { nanos, nonce: [nonce; NONCE_LEN] }
    }

    #[test]
    fn an_id_is_ordered_by_time_and_written_in_48_digits() {
        assert!(id(1, 9) < id(2, 0) && id(2, 0) < id(2, 1) && id(255, 0) < id(256, 0));
        let text = id(1_760_000_000_000_000_000, 0xe1).to_string();
        assert_eq!(text, format!("186cc6acd4b00000{}", "e1".repeat(16)));
        assert_eq!(text.parse(), Ok(id(1_760_000_000_000_000_000, 0xe1)));
        for wrong in ["", "18", &text[1..], &text.to_uppercase(), &format!("{text}00")] {
            assert_eq!(wrong.parse::<LetterId>(), Err(LetterIdError), "{wrong}");
        }
    }

    #[test]
    fn a_letter_is_fresh_for_a_week_and_a_quarter_of_an_hour() {
        let sent = UnixTime::from_secs(1_760_000_000);
        let id = id(sent.as_nanos(), 0);
        let earlier = |secs: u64| UnixTime::from_secs(1_760_000_000 - secs);
        assert!(id.is_fresh(sent) && id.is_fresh(earlier(15 * 60)) && id.is_fresh(sent + LIFETIME));
        assert!(!id.is_fresh(earlier(15 * 60 + 1)));
        assert!(!id.is_fresh(sent + LIFETIME + Duration::from_nanos(1)));
    }

    #[test]
    fn a_body_has_a_longest_length() {
        let too_long = vec![7; MAX_BODY + 1];
        let (_, longest) = too_long.split_last().unwrap();
        assert_eq!(decode(&encode(id(1, 1), longest)), Some((id(1, 1), longest)));
        assert_eq!(decode(&encode(id(1, 1), &too_long)), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(plaintext in prop::collection::vec(any::<u8>(), 0..200)) {
            let versioned = [&[VERSION][..], &plaintext].concat();
            for plaintext in [plaintext, versioned] {
                let long_enough = plaintext.len() >= HEADER_LEN && plaintext[0] == VERSION;
                prop_assert_eq!(decode(&plaintext).is_some(), long_enough);
                if let Some((id, body)) = decode(&plaintext) {
                    prop_assert_eq!(&*encode(id, body), &plaintext);
                }
            }
        }
    }
}
