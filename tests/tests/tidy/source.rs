//! One Rust file, its code told from its comments and from what its strings say.

/// A file. `code` and `comments` have the length of `text`; what does not belong to them is blank there.
pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Without comments and without what stands between quotes.
    pub(crate) code: String,
    pub(crate) comments: String,
    /// Compiled for tests only.
    pub(crate) is_test: bool,
}

#[derive(PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (mut code, mut comments) = (String::new(), String::new());
        let mut rest = text;
        while !rest.is_empty() {
            let (kind, len) = token(rest);
            let (token, after) = rest.split_at(len);
            let visible = |to: &mut String, show: bool| {
                to.extend(token.chars().flat_map(|c| {
                    let blank = std::iter::repeat_n(' ', c.len_utf8());
                    if show || c == '\n' { vec![c] } else { blank.collect() }
                }));
            };
            visible(&mut code, kind == Kind::Code);
            visible(&mut comments, kind == Kind::Comment);
            rest = after;
        }
        let is_test = path.contains("/tests/") || path.starts_with("tests/");
        Self { path: path.to_owned(), text: text.to_owned(), code, comments, is_test }
    }

    /// The crate's folder.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Not written by hand.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.ends_with("/generated.rs")
    }

    /// The code that ships: without the tests at the file's end.
    pub(crate) fn product(&self) -> &str {
        let is_shipped = self.path.contains("/src/") && !self.is_test && !self.is_generated();
        if !is_shipped {
            return "";
        }
        let tests = test_items(&self.code).find(|(_, rest)| rest.starts_with("mod tests {"));
        &self.code[..tests.map_or(self.code.len(), |(at, _)| at)]
    }

    /// The files of the modules that this one declares for tests only.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.strip_suffix("/lib.rs").or(self.path.strip_suffix("/main.rs")) {
            Some(folder) => folder,
            None => self.path.trim_end_matches(".rs"),
        };
        let declared =
            test_items(&self.code).filter_map(|(_, rest)| rest.strip_prefix("mod ")?.split_once(';'));
        declared
            .filter(|(name, _)| name.chars().all(is_word))
            .map(|(name, _)| format!("{folder}/{name}.rs"))
            .collect()
    }

    /// `path:line` of a place in the text.
    pub(crate) fn at(&self, offset: usize) -> String {
        let line = 1 + self.text[..offset].matches('\n').count();
        format!("{}:{line}", self.path)
    }

    /// Where a word or a phrase begins in a view of the file, as a whole word.
    pub(crate) fn find_word<'a>(view: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        view.match_indices(word).map(|(at, _)| at).filter(move |at| {
            let (before, after) = (&view[..*at], &view[at + word.len()..]);
            let joins =
                |c: Option<char>, edge: Option<char>| c.is_some_and(is_word) && edge.is_some_and(is_word);
            !joins(before.chars().next_back(), word.chars().next())
                && !joins(after.chars().next(), word.chars().next_back())
        })
    }

    /// Every path that code names, such as `std::fs::File`, with where it stands; those of `use` written out.
    pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        for at in Self::find_word(code, "use") {
            let tree = code[at + 3..].split(';').next().unwrap_or_default();
            let mut expanded = Vec::new();
            expand("", tree, &mut expanded);
            paths.extend(expanded.into_iter().map(|path| (at, path)));
        }
        let mut offset = 0;
        for piece in code.split_inclusive(|c: char| !is_word(c) && c != ':') {
            let path = piece.trim_end_matches(|c: char| !is_word(c)).trim_start_matches(':');
            if path.contains("::") {
                paths.push((offset, path.to_owned()));
            }
            offset += piece.len();
        }
        paths
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `path` is `parent` or below it.
pub(crate) fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What follows each `#[cfg(test)]`, and where the attribute stands.
fn test_items(code: &str) -> impl Iterator<Item = (usize, &str)> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    code.match_indices(ATTRIBUTE).map(|(at, _)| {
        let item = code[at + ATTRIBUTE.len()..].trim_start();
        (at, item.trim_start_matches("pub(crate) ").trim_start_matches("pub "))
    })
}

/// Writes out `a::{b, c::{d, e}}`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, body)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return paths.push(format!("{prefix}{path}"));
    };
    let body = body.trim_end().trim_end_matches('}');
    let (mut depth, mut start) = (0, 0);
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&format!("{prefix}{head}"), &body[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&format!("{prefix}{head}"), &body[start..], paths);
}

/// The first token of `text`, as far as telling code from the rest needs it.
fn token(text: &str) -> (Kind, usize) {
    let first = text.chars().next().map_or(0, char::len_utf8);
    if text.starts_with("//") {
        (Kind::Comment, text.find('\n').unwrap_or(text.len()))
    } else if text.starts_with("/*") {
        (Kind::Comment, block_comment(text))
    } else if let Some(len) = raw_string(text) {
        (Kind::Literal, len)
    } else if let Some(body) = text.strip_prefix('"') {
        (Kind::Literal, 1 + quoted(body, '"'))
    } else if let Some(len) = character(text) {
        (Kind::Literal, len)
    } else {
        let word = text.find(|c| !is_word(c)).unwrap_or(text.len());
        (Kind::Code, word.max(first))
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix("br").or(text.strip_prefix("cr")).or(text.strip_prefix('r'))?;
    let hashes = start.len() - start.trim_start_matches('#').len();
    let body = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let len = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + len)
}

/// The length up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.chars();
    let first = chars.next()?;
    if first == '\\' {
        return Some(1 + quoted(body, '\''));
    }
    (chars.next()? == '\'').then_some(first.len_utf8() + 2)
}

#[test]
fn code_comments_and_strings_are_told_apart() {
    let source = Source::new(
        "x/src/a.rs",
        "let a: &'static str = \"sleep( // no\"; // sleep( \"\nlet b = r#\"dbg!(\"#; let c = '\"'; /* todo!( */ f();\n",
    );
    assert!(
        !source.code.contains("sleep") && !source.code.contains("dbg!") && !source.code.contains("todo!")
    );
    assert!(source.code.contains("&'static str") && source.code.contains("f();"));
    assert!(source.comments.contains("// sleep( \"") && source.comments.contains("todo!"));
    assert_eq!((source.code.len(), source.comments.len()), (source.text.len(), source.text.len()));
    assert_eq!(source.at(source.text.find("f()").unwrap()), "x/src/a.rs:2");
}

#[test]
fn paths_are_found_however_they_are_imported() {
    let code = "use std::{fmt, time::{Duration, Instant as Now}};\nlet file = std::fs::File::open(x);\n";
    let paths: Vec<_> = Source::paths(code).into_iter().map(|(_, path)| path).collect();
    for path in ["std::fmt", "std::time::Instant", "std::fs::File::open"] {
        assert!(paths.iter().any(|found| found == path), "{path} in {paths:?}");
    }
    assert!(is_below("std::fs::File", "std::fs") && !is_below("std::fsx", "std::fs"));
}

#[test]
fn tests_are_told_from_what_ships() {
    let source = Source::new(
        "x/src/a.rs",
        "#[cfg(test)]\nmod fake;\nfn f() {}\n#[cfg(test)]\nmod tests {\n fn g() {}\n}\n",
    );
    assert!(source.product().contains("fn f") && !source.product().contains("fn g"));
    assert_eq!(source.test_modules(), ["x/src/a/fake.rs"]);
}
