//! Which flag may have been meant.

use super::table::flags;

/// No flag is longer. What is much longer is not compared.
const MAX_LEN: usize = 64;

/// The flag whose name is nearest, if it is near enough to be meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > MAX_LEN {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('_', "-");
    let shown = flags().filter(|flag| !flag.hidden);
    let measured = shown.map(|flag| (distance(name.as_bytes(), flag.name.as_bytes()), flag.name));
    let (distance, nearest) = measured.min_by_key(|(distance, _)| *distance)?;
    // With half of the letters wrong it is another word.
    (distance <= 3 && distance * 2 < name.len()).then_some(nearest)
}

/// How many letters must be put in, left out or replaced to make one the other (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("xy", "yx", 2)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_is_corrected_and_another_word_is_not() {
        assert_eq!(nearest("tcp_port"), Some("tcp-port"));
        assert_eq!(nearest("stor"), Some("store"));
        assert_eq!(nearest("staticnodes"), Some("staticnode"));
        assert_eq!(nearest("foo"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest(&"x".repeat(1 << 20)), None);
    }
}
