//! What must not be logged, in every form it could be printed in.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

pub(crate) struct Secret {
    pub(crate) name: &'static str,
    forms: Vec<String>,
    /// Whether only whole numbers count: short ones turn up inside others by chance.
    whole_number: bool,
}

impl Secret {
    /// Bytes as text, in hexadecimal, in base64 and as a list. Their beginning alone gives them away.
    pub(crate) fn bytes(name: &'static str, bytes: &[u8]) -> Self {
        let start = &bytes[..8];
        let list = |text: String| text.trim_matches(['[', ']']).to_owned();
        // Six bytes are eight characters of base64 whatever follows.
        let mut forms = vec![
            HEXLOWER.encode(start),
            HEXUPPER.encode(start),
            BASE64_NOPAD.encode(&start[..6]),
            BASE64URL_NOPAD.encode(&start[..6]),
            list(format!("{start:?}")),
            list(format!("{start:02x?}")),
            list(format!("{start:x?}")),
        ];
        forms.extend(str::from_utf8(start).ok().map(str::to_owned));
        Self { name, forms, whole_number: false }
    }

    /// Decimal digits, as they are.
    pub(crate) fn digits(name: &'static str, digits: &str) -> Self {
        Self { name, forms: vec![digits.to_owned()], whole_number: true }
    }

    pub(crate) fn is_in(&self, line: &str) -> bool {
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        self.forms.iter().flat_map(|form| line.match_indices(form.as_str())).any(|(at, form)| {
            let (before, after) = (&line[..at], &line[at + form.len()..]);
            !self.whole_number || !(is_digit(before.chars().next_back()) || is_digit(after.chars().next()))
        })
    }
}
