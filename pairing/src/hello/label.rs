//! The name a party gives itself, shown to the person on the other side.

use std::fmt;
use std::str::FromStr;

/// Up to 64 bytes of printable UTF-8, without control characters and without anything that changes how the text around
/// it reads. A peer may have no name at all.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(String);

impl Label {
    /// The most bytes a label may have.
    pub const MAX_LEN: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a reader may take one for the other: they differ at most in case and in space around them.
    pub fn looks_like(&self, other: &Self) -> bool {
        let seen = |label: &Self| label.0.trim().to_lowercase();
        seen(self) == seen(other)
    }

    /// The longest label at the start of `text`, without what may not be in one; empty when nothing is left.
    pub fn sanitized(text: &str) -> Self {
        let mut label = String::new();
        for character in text.trim().chars().filter(|c| is_printable(*c)) {
            if label.len() + character.len_utf8() > Self::MAX_LEN {
                break;
            }
            label.push(character);
        }
        Self(label)
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text.len() {
            len if len > Self::MAX_LEN => Err(LabelError::TooLong(len)),
            _ if !text.chars().all(is_printable) => Err(LabelError::NotPrintable),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<&[u8]> for Label {
    type Error = LabelError;

    fn try_from(bytes: &[u8]) -> Result<Self, LabelError> {
        std::str::from_utf8(bytes).map_err(|_| LabelError::NotPrintable)?.parse()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Control characters could rewrite a terminal; marks of direction, of zero width and blanks that are no spaces could
/// make one name look like another.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It would not fit the message.
    #[error("a name has at most 64 bytes, this has {0}")]
    TooLong(usize),
    /// Control characters, marks of direction, or no UTF-8.
    #[error("a name may hold only printable characters")]
    NotPrintable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_deceive_a_reader() {
        for deceiving in ["a\u{1b}[2Jb", "a\nb", "a\u{202e}b", "a\u{200b}b", "\u{feff}a", "a\u{7f}"] {
            assert_eq!(deceiving.parse::<Label>(), Err(LabelError::NotPrintable), "{deceiving:?}");
        }
        assert_eq!(Label::try_from(&[0xff, 0xfe][..]), Err(LabelError::NotPrintable));
    }

    #[test]
    fn holds_up_to_64_bytes() {
        assert_eq!("".parse::<Label>().unwrap().as_str(), "");
        assert!("x".repeat(64).parse::<Label>().is_ok());
        assert_eq!("é".repeat(33).parse::<Label>(), Err(LabelError::TooLong(66)));
    }

    #[test]
    fn tells_whether_a_reader_may_take_one_for_the_other() {
        let label = |text: &str| text.parse::<Label>().unwrap();
        assert!(label("Beacon-01 ").looks_like(&label("beacon-01")));
        assert!(!label("beacon-02").looks_like(&label("beacon-01")));
        assert_eq!(
            "beacon\u{3164}".parse::<Label>(),
            Err(LabelError::NotPrintable),
            "a blank that is no space"
        );
    }

    #[test]
    fn makes_a_label_of_any_host_name() {
        assert_eq!(Label::sanitized(" beacon-01\n").as_str(), "beacon-01");
        assert_eq!(Label::sanitized("\u{1b}\u{200b}").as_str(), "");
        assert_eq!(Label::sanitized(&"é".repeat(40)).as_str(), "é".repeat(32));
    }
}
