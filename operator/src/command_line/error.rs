//! Why there are no options.

use super::table::Flag;
use super::value::ValueError;

use super::problem::Problem;

/// What the process ends with after an [`Error`].
pub const EXIT_STATUS: u8 = 1;

/// Why there are no options. `Display` is one line, in nwaku's words where it has any; [`Error::report`] is for
/// standard error. No secret is repeated in either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No flag has this name.
    #[error("Unrecognized option '{name}'")]
    UnknownOption {
        /// What was given, without hyphens and value.
        name: String,
        /// The flag that was meant, perhaps.
        near: Option<&'static str>,
    },
    /// A word is neither a flag nor the value of one.
    #[error("{program} does not accept arguments")]
    Argument {
        /// What the program is called.
        program: String,
    },
    /// A flag's value on the command line is wrong.
    #[error("Error while processing the {flag}={} parameter: {reason}", .value.as_deref().unwrap_or("<hidden>"))]
    Value {
        /// The flag.
        flag: &'static str,
        /// What was given, unless it is a secret.
        value: Option<String>,
        /// What is wrong with it.
        reason: ValueError,
    },
    /// The environment or the file is wrong.
    #[error("Failed to load secondary sources: '{place} {reason}'")]
    Source {
        /// The variable, or the file with line and column, both as nwaku counts them.
        place: String,
        /// What is wrong there.
        reason: SourceError,
    },
    /// The options do not go together, or ask for what is not built. nwaku logs these after `Waku configuration
    /// failed`.
    #[error(transparent)]
    Configuration(#[from] Problem),
}

/// What is wrong in the environment or in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The value is wrong.
    #[error(transparent)]
    Value(ValueError),
    /// No flag has this name.
    #[error("Unexpected field '{name}' while deserializing 'WakuNodeConf*'")]
    UnknownField {
        /// What was given.
        name: String,
        /// The flag that was meant, perhaps.
        near: Option<&'static str>,
    },
    /// A flag of which there can be several needs brackets.
    #[error("expected '\"[\"'")]
    NoList,
    /// A flag of which there is one has brackets.
    #[error("expected one value, not a list")]
    List,
    /// A switch has something else than `true` or `false`, without quotes.
    #[error("invalid boolean value")]
    NoBool,
    /// A number is in quotes, or is none.
    #[error("expected an integer, without quotes")]
    NoInteger,
    /// A text without quotes.
    #[error("expected a string, in quotes")]
    NoString,
    /// It is not TOML.
    #[error("{0}")]
    Toml(String),
}

impl Error {
    /// A wrong value on the command line.
    pub(super) fn value(flag: &Flag, text: &str, reason: ValueError) -> Self {
        let value = (!flag.secret).then(|| text.to_owned());
        Self::Value { flag: flag.name, value, reason }
    }

    /// What to do about it, where the error does not say it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownOption { near, .. } => near.map(|near| format!("Did you mean --{near}?")),
            Self::Argument { .. } => {
                Some("Flags begin with -- and may have a value: --name=value.".to_owned())
            }
            Self::Value { reason, .. } | Self::Source { reason: SourceError::Value(reason), .. } => {
                reason.hint()
            }
            Self::Source { reason, .. } => match reason {
                SourceError::UnknownField { near, .. } => near.map(|near| format!("Did you mean {near}?")),
                SourceError::NoList => {
                    Some("Values of this flag stand in a list: [\"a\", \"b\"].".to_owned())
                }
                _ => None,
            },
            Self::Configuration(problem) => problem.hint(),
        }
    }

    /// The whole report for standard error: the error, what to do about it, where to read on.
    pub fn report(&self, program: &str) -> String {
        let hint = self.hint().map(|hint| format!("{hint}\n")).unwrap_or_default();
        format!("{self}\n{hint}Try {program} --help for more information.")
    }
}
