//! What an answer must look like: text in which `…` stands for anything; in JSON, too, where a value `"…"` is any value.
//! Objects have exactly the fields of the pattern: clients know no others.

use serde_json::Value;

pub(super) fn text_fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let Some((_, after)) = rest.split_once(before) else { return false };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

pub(super) fn json_fits(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(pattern), _) if pattern == "…" => true,
        (Value::String(pattern), Value::String(text)) => text_fits(pattern, text),
        (Value::Array(patterns), Value::Array(values)) => {
            patterns.len() == values.len()
                && patterns.iter().zip(values).all(|(pattern, value)| json_fits(pattern, value))
        }
        (Value::Object(patterns), Value::Object(values)) => {
            let fits = |(name, pattern): (&String, &Value)| {
                values.get(name).is_some_and(|value| json_fits(pattern, value))
            };
            patterns.len() == values.len() && patterns.iter().all(fits)
        }
        (pattern, value) => pattern == value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_fits_where_only_the_gaps_differ() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("…", "abc", true),
            ("a…c", "abc", true),
            ("a…c", "ac", true),
            ("a…c", "ab", false),
            ("a…b…c", "a1b2c", true),
            ("a…b…c", "a1c", false),
            ("a…a", "a", false),
        ] {
            assert_eq!(text_fits(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn json_fits_with_no_field_more_or_less() {
        let pattern = json!({"a": "…", "b": ["x…", 1]});
        assert!(json_fits(&pattern, &json!({"a": {"c": 1}, "b": ["xyz", 1]})));
        for other in [
            json!({"a": 1, "b": ["xyz", 1], "c": 1}),
            json!({"b": ["xyz", 1]}),
            json!({"a": 1, "b": ["xyz", 2]}),
            json!({"a": 1, "b": ["xyz"]}),
            json!({"a": 1, "b": ["y", 1]}),
        ] {
            assert!(!json_fits(&pattern, &other), "{other}");
        }
    }
}
