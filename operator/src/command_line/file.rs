//! The file that `--config-file` names: TOML, a key for each flag.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{Error, SourceError};
use super::near::nearest;
use super::table::{Flag, Status, flags};
use super::value::{Kind, Value, ValueError};
use super::values::Given;

/// Reads a file's text.
///
/// # Errors
/// The first thing in it that is wrong.
pub(super) fn read(path: &str, text: &str) -> Result<Given, Error> {
    let fail = |at: usize, reason| Error::Source { place: place(path, text, at), reason };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        fail(at, SourceError::Toml(error.message().to_owned()))
    })?;
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut given = Given::default();
    for (key, value) in entries {
        let at = value.span().start;
        let name = key.get_ref();
        let Some(flag) = flags().find(|flag| flag.name == name.as_ref()) else {
            let reason = SourceError::UnknownField { name: name.to_string(), near: nearest(name) };
            return Err(fail(at, reason));
        };
        if let Status::Removed(_) = flag.status {
            given.push_removed(flag);
            continue;
        }
        for (at, value) in elements(flag, &value).map_err(|reason| fail(at, reason))? {
            let value = one(flag, value).map_err(|reason| fail(at, reason))?;
            given.push(flag, value);
        }
        // An empty list was given too.
        given.list(flag);
    }
    Ok(given)
}

/// The values of a flag, each with its place.
fn elements<'v, 'i>(
    flag: &Flag,
    value: &'v Spanned<DeValue<'i>>,
) -> Result<Vec<(usize, &'v DeValue<'i>)>, SourceError> {
    let at = |value: &'v Spanned<DeValue<'i>>| (value.span().start, value.get_ref());
    match (flag.repeated, value.get_ref()) {
        (true, DeValue::Array(values)) => Ok(values.iter().map(at).collect()),
        (true, _) => Err(SourceError::NoList),
        (false, DeValue::Array(_)) => Err(SourceError::List),
        (false, _) => Ok(vec![at(value)]),
    }
}

fn one(flag: &Flag, value: &DeValue<'_>) -> Result<Value, SourceError> {
    match (flag.kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
        (Kind::Bool, _) => Err(SourceError::NoBool),
        (kind @ (Kind::Port | Kind::Number { .. }), DeValue::Integer(value)) => integer(kind, value),
        (Kind::Port | Kind::Number { .. }, _) => Err(SourceError::NoInteger),
        (kind, DeValue::String(text)) => kind.read(text).map_err(SourceError::Value),
        _ => Err(SourceError::NoString),
    }
}

fn integer(kind: Kind, value: &DeInteger<'_>) -> Result<Value, SourceError> {
    let read = match i128::from_str_radix(value.as_str(), value.radix()) {
        Ok(number) if number >= 0 => kind.read(&number.to_string()),
        _ => Err(match kind {
            Kind::Number { max, .. } => ValueError::Range { max },
            _ => ValueError::Port,
        }),
    };
    read.map_err(SourceError::Value)
}

/// Where in a file a byte stands, as nwaku writes it: lines from 1, columns from 0.
fn place(path: &str, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    format!("{path}({line}, {column})")
}
