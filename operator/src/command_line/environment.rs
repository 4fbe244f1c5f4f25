//! Variables of the environment.

use zeroize::Zeroizing;

use super::error::{Error, SourceError};
use super::table::{Flag, Status, flags};
use super::values::Given;

/// What the names of all variables begin with.
const PREFIX: &str = "WAKUNODE2_";

/// Another name of the variable for the node's key; that of the flag wins.
const NODE_KEY: &str = "WAKU_NODEKEY";

/// The variable of a flag: `WAKUNODE2_TCP_PORT` for `tcp-port`.
pub fn variable(flag: &Flag) -> String {
    format!("{PREFIX}{}", flag.name.to_ascii_uppercase().replace('-', "_"))
}

/// Reads the variables that are known; an empty one is as good as none. One of a flag that may be repeated holds
/// several values with commas between.
///
/// # Errors
/// A value is wrong.
pub(super) fn read(variables: &[(String, Zeroizing<String>)]) -> Result<Given, Error> {
    let value = |name: &str| {
        let found = variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let mut given = Given::default();
    for flag in flags() {
        let mut name = variable(flag);
        let mut text = value(&name);
        if text.is_none() && flag.name == "nodekey" {
            NODE_KEY.clone_into(&mut name);
            text = value(NODE_KEY);
        }
        let Some(text) = text else { continue };
        if let Status::Removed(_) = flag.status {
            given.push_removed(flag);
            continue;
        }
        let values = if flag.repeated { text.split(',').map(str::trim).collect() } else { vec![text] };
        for text in values.into_iter().filter(|text| !text.is_empty()) {
            let wrong =
                |reason| Error::Source { place: format!("{name}:"), reason: SourceError::Value(reason) };
            given.push(flag, flag.kind.read(text).map_err(wrong)?);
        }
    }
    Ok(given)
}
