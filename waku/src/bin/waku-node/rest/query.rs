//! Query strings: names in any case, empty values as if they were not there, repeated ones joined by commas.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn parse(query: &str) -> Self {
        let mut parameters = BTreeMap::<String, String>::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name).to_ascii_lowercase(), decode(value));
            if value.is_empty() {
                continue;
            }
            let known = parameters.entry(name).or_default();
            if !known.is_empty() {
                known.push(',');
            }
            known.push_str(&value);
        }
        Self(parameters)
    }

    /// A value; `name` is in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_any_case_empty_values_absent_and_repeated_ones_joined() {
        let parameters = Parameters::parse("PAGESIZE=1&cursor=&a%20b=%2Fx&hashes=1&hashes=2&flag");
        assert_eq!(parameters.get("pagesize"), Some("1"));
        assert_eq!(parameters.get("cursor"), None);
        assert_eq!(parameters.get("a b"), Some("/x"));
        assert_eq!(parameters.get("hashes"), Some("1,2"));
        assert_eq!(parameters.get("flag"), None);
    }

    #[test]
    fn text_that_is_no_utf8_does_no_harm() {
        assert_eq!(Parameters::parse("a=%ff%").get("a"), Some("\u{fffd}%"));
        assert_eq!(Parameters::parse(""), Parameters::default());
    }
}
