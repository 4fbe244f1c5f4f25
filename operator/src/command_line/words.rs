//! The command line's words.

use zeroize::Zeroizing;

use super::error::Error;
use super::near::nearest;
use super::problem::Problem;
use super::table::{Flag, Status, find};
use super::value::{Kind, Value, ValueError, boolean};
use super::values::Given;

/// What the command line asks for.
pub(super) enum Asked {
    Help,
    Version,
    Run(Given),
}

/// nwaku's one command beside running.
const KEYSTORE: &str = "generateRlnKeystore";

/// Reads the words after the program's name.
///
/// # Errors
/// The first that is wrong. `--help` and `--version` hide what is wrong behind them.
pub(super) fn read(program: &str, words: &[Zeroizing<String>]) -> Result<Asked, Error> {
    let mut given = Given::default();
    let mut words = words.iter().map(|word| word.as_str()).peekable();
    while let Some(word) = words.next() {
        // What scripts make of a variable that is not set.
        if word.is_empty() {
            continue;
        }
        let Some(body) = word.strip_prefix('-') else {
            return Err(stray(program, word));
        };
        let (name, value) = split(body.strip_prefix('-').unwrap_or(body));
        if !word.starts_with("--") {
            return Err(Error::UnknownOption { name: name.to_owned(), near: None });
        }
        match name.to_ascii_lowercase().as_str() {
            "help" => return Ok(Asked::Help),
            "version" => return Ok(Asked::Version),
            _ => {}
        }
        let flag =
            find(name).ok_or_else(|| Error::UnknownOption { name: name.to_owned(), near: nearest(name) })?;
        let value = value.or_else(|| words.next_if(|next| is_value(flag, next)));
        if let Status::Removed(_) = flag.status {
            given.push_removed(flag);
        } else {
            given.push(flag, parse(flag, value)?);
        }
    }
    Ok(Asked::Run(given))
}

/// Name and value of a word without its hyphens.
fn split(body: &str) -> (&str, Option<&str>) {
    body.split_once(['=', ':']).map_or((body, None), |(name, value)| (name, Some(value)))
}

/// Whether a word is the value of the flag before it.
fn is_value(flag: &Flag, word: &str) -> bool {
    match flag.kind {
        Kind::Bool => boolean(word).is_some(),
        _ => !word.starts_with("--"),
    }
}

fn parse(flag: &Flag, value: Option<&str>) -> Result<Value, Error> {
    let wrong = |reason| Error::value(flag, value.unwrap_or_default(), reason);
    match (flag.kind, value) {
        (Kind::Bool, None) => Ok(Value::Bool(true)),
        (Kind::Text, None) => Err(wrong(ValueError::Missing)),
        (kind, value) => kind.read(value.unwrap_or_default()).map_err(wrong),
    }
}

fn stray(program: &str, word: &str) -> Error {
    if word.eq_ignore_ascii_case(KEYSTORE) {
        let advice = "make the keystore with nwaku; without RLN no node needs one";
        return Problem::NotBuilt { what: KEYSTORE.to_owned(), advice }.into();
    }
    Error::Argument { program: program.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_word_says_nothing() {
        let words = ["", "--relay", ""].map(|word| Zeroizing::new(word.to_owned()));
        assert!(matches!(read("waku-node", &words), Ok(Asked::Run(_))));
        let words = ["", "stray"].map(|word| Zeroizing::new(word.to_owned()));
        assert!(matches!(read("waku-node", &words), Err(Error::Argument { .. })));
    }
}
