//! Words that must not be in a log.

use std::str::Chars;
use std::sync::LazyLock;

/// The words, in lower case. No line has one of them, in whatever case.
pub const ALARMING: [&str; 20] = [
    "crash",
    "fatal",
    "panic",
    "abort",
    "segfault",
    "corrupt",
    "terminated",
    "unhandled",
    "stacktrace",
    "deadlock",
    "sigsegv",
    "sigabrt",
    "stack overflow",
    "index out of bounds",
    "nil pointer",
    "goroutine exit",
    "runtime error",
    "goexit",
    "race condition",
    "double free",
];

/// Bytes of a word before its hyphen. All words are longer.
const BREAK_AT: usize = 3;

/// For each first letter of a word, a bit for each second letter: what most of a line is not looked at beyond.
static STARTS: LazyLock<[u32; 26]> = LazyLock::new(|| {
    let mut starts = [0; 26];
    for word in ALARMING {
        let mut letters = word.chars().filter_map(letter);
        if let (Some(first), Some(second)) = (letters.next(), letters.next())
            && let Some(seconds) = starts.get_mut(first)
        {
            *seconds |= 1 << second;
        }
    }
    starts
});

/// Puts a hyphen into every alarming word of `line`. JSON stays JSON: of a word, at most the first letter belongs to an escape
/// (`\n`, `\u001b`), for none of the escapes in use ends with two letters, and the hyphen comes later.
pub(super) fn calm(line: &mut String) {
    let starts = &*STARTS;
    let mut breaks = Vec::new();
    let mut before = None;
    for (at, c) in line.char_indices() {
        let this = letter(c);
        if let (Some((start, first)), Some(second)) = (before, this)
            && starts.get(first).is_some_and(|seconds| seconds >> second & 1 == 1)
        {
            let rest = line.get(start..).unwrap_or_default().chars();
            if ALARMING.iter().any(|word| begins_with(rest.clone(), word)) {
                breaks.push(start + rest.take(BREAK_AT).map(char::len_utf8).sum::<usize>());
            }
        }
        before = this.map(|this| (at, this));
    }
    // From behind, for what is before stays where it is.
    for at in breaks.into_iter().rev() {
        line.insert(at, '-');
    }
}

fn begins_with(text: Chars<'_>, word: &str) -> bool {
    let mut letters = text.map(fold);
    word.chars().all(|letter| letters.next() == Some(letter))
}

/// The place in the alphabet, from 0.
fn letter(c: char) -> Option<usize> {
    let c = fold(c);
    c.is_ascii_lowercase().then(|| usize::from(c as u8 - b'a'))
}

/// Upper and lower case are one. Four letters beyond ASCII are taken for one of ASCII's by tools that ignore case.
fn fold(c: char) -> char {
    match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        'İ' | 'ı' => 'i',
        _ => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calmed(line: &str) -> String {
        let mut line = line.to_owned();
        calm(&mut line);
        line
    }

    fn is_calm(line: &str) -> bool {
        let folded: String = line.chars().map(fold).collect();
        ALARMING.iter().all(|word| !folded.contains(word))
    }

    #[test]
    fn breaks_each_word_in_any_case_wherever_it_is() {
        for word in ALARMING {
            let (upper, mut odd) = (word.to_uppercase(), String::new());
            for (index, c) in word.chars().enumerate() {
                odd.push(if index % 2 == 0 { c.to_ascii_uppercase() } else { c });
            }
            for form in [word, &upper, &odd] {
                for line in
                    [form.to_owned(), format!("{form}{form}"), format!("é{form}ed"), format!("x {form} y")]
                {
                    assert!(!is_calm(&line) && is_calm(&calmed(&line)), "{line}: {}", calmed(&line));
                }
            }
        }
    }

    #[test]
    fn leaves_other_lines_as_they_are() {
        let line = "FAT 2026 aborigines stacked overflow; indexes, crisps und Unhandliches – double  free";
        assert_eq!(calmed(line), line);
    }

    #[test]
    fn says_which_word_it_was() {
        assert_eq!(
            calmed("Connection ABORTED, stream terminated"),
            "Connection ABO-RTED, stream ter-minated"
        );
        assert_eq!(calmed("craſh"), "cra-ſh");
    }

    proptest! {
        #[test]
        fn no_line_has_such_a_word_after_it(
            words in prop::collection::vec((prop::sample::select(&ALARMING[..]), "[a-zſKİı \\\\u0-9]{0,4}", 0..20_usize), 0..6),
        ) {
            let parts = words.iter().map(|(word, more, keep)| [&word[..(*keep).min(word.len())], more].concat());
            let line: String = parts.collect();
            prop_assert!(is_calm(&calmed(&line)));
            prop_assert_eq!(calmed(&line).replace('-', ""), line);
        }
    }
}
