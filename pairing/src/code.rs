//! The code: the 64-bit number `P` that the app shows and a person types on the host.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How long a code may be used.
pub const CODE_LIFETIME: std::time::Duration = std::time::Duration::from_secs(10 * 60);

/// Decimal digits of the number itself.
const DIGITS: usize = 20;
/// Those and the two check digits.
const CHECKED_DIGITS: usize = DIGITS + 2;
/// Crockford base32 characters that 64 bits take.
const BASE32_CHARS: usize = 13;
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A pairing code. Whoever knows it while it lives can take part in the pairing: it is zeroized on drop, and printed
/// only by [`Code::digits`].
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Code(u64);

impl Code {
    /// A fresh code.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(rng.next_u64())
    }

    /// The code as it is shown: 20 decimal digits and two check digits (ISO 7064 mod 97-10), in groups of four.
    pub fn digits(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(format!("{:020}{:02}", self.0, check_digits(self.0)));
        let mut grouped = Zeroizing::new(String::with_capacity(CHECKED_DIGITS + CHECKED_DIGITS / 4));
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                grouped.push('-');
            }
            grouped.push(digit);
        }
        grouped
    }

    /// The number as 8 big-endian bytes, the input of the key derivation.
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 8]> {
        Zeroizing::new(self.0.to_be_bytes())
    }
}

impl From<u64> for Code {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// Reads what a person typed: 22 digits with their check, up to 20 digits as the plain number, or 13 characters of
/// Crockford base32. Spaces and dashes mean nothing.
impl FromStr for Code {
    type Err = CodeError;

    fn from_str(typed: &str) -> Result<Self, CodeError> {
        let text: Zeroizing<String> = Zeroizing::new(
            typed.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2013}')).collect(),
        );
        if text.is_empty() {
            return Err(CodeError::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return from_base32(&text);
        }
        match text.len() {
            CHECKED_DIGITS => from_checked_digits(&text),
            1..=DIGITS => from_digits(&text),
            len => Err(CodeError::WrongLength(len)),
        }
    }
}

fn from_digits(digits: &str) -> Result<Code, CodeError> {
    digits.parse().map(Code).map_err(|_| CodeError::TooLarge)
}

fn from_checked_digits(digits: &str) -> Result<Code, CodeError> {
    let (number, check) = digits.split_at_checked(DIGITS).ok_or(CodeError::WrongLength(digits.len()))?;
    // The check covers numbers above 64 bits too, so that a slip in the first digits is still called a slip.
    let slip =
        number.parse().ok().map(check_digits).zip(check.parse().ok()).is_none_or(|(a, b): (u64, u64)| a != b);
    if slip { Err(CodeError::WrongCheckDigits) } else { from_digits(number) }
}

/// ISO 7064 mod 97-10: the two digits that make the whole number 1 modulo 97.
fn check_digits(number: u64) -> u64 {
    let remainder = u128::from(number) * 100 % 97;
    98 - u64::try_from(remainder).expect("a remainder of 97 is small")
}

fn from_base32(text: &str) -> Result<Code, CodeError> {
    let length = text.chars().count();
    let mut number = 0_u64;
    for (place, character) in text.chars().enumerate() {
        let value = crockford_value(character).ok_or(CodeError::WrongCharacter(character))?;
        if length != BASE32_CHARS {
            continue;
        }
        // 13 characters hold 65 bits.
        if place == 0 && value > 0xf {
            return Err(CodeError::TooLarge);
        }
        number = number << 5 | value;
    }
    if length == BASE32_CHARS { Ok(Code(number)) } else { Err(CodeError::WrongLength(length)) }
}

fn crockford_value(character: char) -> Option<u64> {
    let character = match character.to_ascii_uppercase() {
        'O' => b'0',
        'I' | 'L' => b'1',
        other => u8::try_from(other).ok()?,
    };
    CROCKFORD.iter().zip(0..).find_map(|(known, value)| (*known == character).then_some(value))
}

/// Why what was typed is no code. None of these repeats the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nothing was typed.
    #[error("no code was given; type the digits that the app shows")]
    Empty,
    /// A digit was mistyped, or two were exchanged.
    #[error(
        "the check digits do not match: one of the digits is wrong; compare them with the app and type them again"
    )]
    WrongCheckDigits,
    /// Too many or too few characters.
    #[error("a code has 22 digits (20 without the check digits) or 13 letters and digits, this has {0}")]
    WrongLength(usize),
    /// A character that is neither a digit nor Crockford base32.
    #[error("{0:?} cannot be part of a code; type the digits that the app shows")]
    WrongCharacter(char),
    /// More than 64 bits.
    #[error("the number is too large to be a code; type the digits that the app shows")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: u64 = 0x0123_4567_89ab_cdef;

    #[test]
    fn is_shown_with_its_check_digits() {
        assert_eq!(Code(EXAMPLE).digits().as_str(), "0008-1985-5292-1648-6895-81");
        assert_eq!(Code(u64::MAX).digits().len(), 27);
    }

    #[test]
    fn is_read_as_it_is_shown_however_it_is_spaced() {
        for typed in [
            "0008-1985-5292-1648-6895-81",
            "0008 1985 5292 1648 6895 81",
            "0008198552921648689581",
            " 0008-1985-5292-1648-6895 81\n",
        ] {
            assert_eq!(typed.parse(), Ok(Code(EXAMPLE)), "{typed}");
        }
    }

    #[test]
    fn is_read_as_a_plain_number() {
        assert_eq!("81985529216486895".parse(), Ok(Code(EXAMPLE)));
        assert_eq!("18446744073709551615".parse(), Ok(Code(u64::MAX)));
        assert_eq!("0".parse(), Ok(Code(0)));
    }

    #[test]
    fn is_read_in_crockford_base32() {
        assert_eq!("FZZZZZZZZZZZZ".parse(), Ok(Code(u64::MAX)));
        assert_eq!("0-2C59-GJV9-TVFF".parse::<Code>(), "0-2c59-gjv9-tvff".parse());
        assert_eq!("02C59GJV9TVFF".parse::<Code>(), "O2C59GJV9TVFF".parse());
        assert_eq!("GZZZZZZZZZZZZ".parse::<Code>(), Err(CodeError::TooLarge));
    }

    #[test]
    fn every_single_slip_and_every_swap_of_neighbours_is_noticed() {
        let shown: Vec<u8> = Code(EXAMPLE).digits().bytes().filter(u8::is_ascii_digit).collect();
        let read = |digits: &[u8]| std::str::from_utf8(digits).unwrap().parse::<Code>();
        for place in 0..shown.len() {
            for digit in b'0'..=b'9' {
                let mut slipped = shown.clone();
                slipped[place] = digit;
                assert_eq!(read(&slipped).is_ok(), slipped == shown, "digit {place}");
            }
            if place > 0 {
                let mut swapped = shown.clone();
                swapped.swap(place - 1, place);
                assert_eq!(read(&swapped).is_ok(), swapped == shown, "digits {place}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |typed: &str| typed.parse::<Code>().unwrap_err();
        assert_eq!(error(" - "), CodeError::Empty);
        assert_eq!(error("0008-1985-5292-1648-6895-82"), CodeError::WrongCheckDigits);
        assert_eq!(error("123456789012345678901"), CodeError::WrongLength(21));
        assert_eq!(error("18446744073709551616"), CodeError::TooLarge);
        assert_eq!(error("ABC"), CodeError::WrongLength(3));
        assert_eq!(error("0008_1985"), CodeError::WrongCharacter('_'));
        assert_eq!(error("0008-1985-5292-1648-6895-8é"), CodeError::WrongCharacter('é'));
    }

    #[test]
    fn debug_output_never_holds_the_code() {
        assert_eq!(format!("{:?}", Code(EXAMPLE)), "Code(..)");
    }
}
