//! How grave an event is, in nwaku's eight steps.

use std::str::FromStr;

use thiserror::Error;
use tracing::Metadata;

/// How grave an event is; as a level, the least that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// Every step.
    Trace,
    /// Each request and decision.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What an operator should know.
    Notice,
    /// What may need care.
    Warn,
    /// What failed.
    Error,
    /// What ends the program.
    Fatal,
    /// No event has it: as a level, nothing is shown.
    None,
}

/// Why a word is no level, in the words of nwaku's REST API.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseSeverityError {
    /// There is no word.
    #[error("Invalid log-level, it can’t be empty")]
    Empty,
    /// It is none of the levels.
    #[error(
        "Invalid log-level: {word}. Please specify one of TRACE, DEBUG, INFO, NOTICE, WARN, ERROR or FATAL"
    )]
    Unknown {
        /// The word as it was given.
        word: String,
    },
}

impl Severity {
    const ALL: [Self; 8] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warn,
        Self::Error,
        Self::Fatal,
        Self::None,
    ];

    /// Of the events of a callsite.
    pub fn of(metadata: &Metadata<'_>) -> Self {
        let has = |name| metadata.fields().field(name).is_some();
        match *metadata.level() {
            tracing::Level::ERROR if has("fatal") => Self::Fatal,
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO if has("notice") => Self::Notice,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }

    /// The three letters that a line begins with.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Trace => "TRC",
            Self::Debug => "DBG",
            Self::Info => "INF",
            Self::Notice => "NTC",
            Self::Warn => "WRN",
            Self::Error => "ERR",
            Self::Fatal => "FAT",
            Self::None => "NON",
        }
    }

    /// The name on the command line and in the REST API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::None => "NONE",
        }
    }

    pub(super) fn from_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|severity| *severity as u8 == number).unwrap_or(Self::None)
    }
}

impl FromStr for Severity {
    type Err = ParseSeverityError;

    /// By its name, in any case.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word.is_empty() {
            return Err(ParseSeverityError::Empty);
        }
        let named = Self::ALL.into_iter().find(|severity| severity.name().eq_ignore_ascii_case(word));
        named.ok_or_else(|| ParseSeverityError::Unknown { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_found_by_its_name_in_any_case() {
        for severity in Severity::ALL {
            assert_eq!(severity.name().parse(), Ok(severity));
            assert_eq!(severity.name().to_lowercase().parse(), Ok(severity));
            assert_eq!(Severity::from_number(severity as u8), severity);
        }
        assert_eq!("NOTice".parse(), Ok(Severity::Notice));
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_in_nwakus_words() {
        let refusal = |word: &str| word.parse::<Severity>().unwrap_err().to_string();
        let expected =
            "Invalid log-level: foo. Please specify one of TRACE, DEBUG, INFO, NOTICE, WARN, ERROR or FATAL";
        assert_eq!(refusal("foo"), expected);
        assert_eq!(refusal(""), "Invalid log-level, it can’t be empty");
        assert!(refusal(" info").starts_with("Invalid log-level:  info."));
    }
}
