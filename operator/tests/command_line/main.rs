//! nwaku's command line as its contract has it (`tests/contract`), and what we do better.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it fails")]

mod any_text;
mod consumers;
mod contract;
mod errors;
mod presets;
mod sources;

use std::io;
use std::path::Path;

use waku_operator::command_line::{Asked, Error, Options, Sources, parse};

/// What words, variables and a file `b.toml` give.
fn read(words: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Asked, Error> {
    let sources = Sources::new("wakunode2", words.iter().copied(), variables.iter().copied());
    parse(&sources, |path: &Path| {
        if path == Path::new("b.toml") { Ok(file.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
    })
}

/// Options and warnings, or the report.
fn options_of(
    words: &[&str],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<(Options, Vec<String>), String> {
    match read(words, variables, file) {
        Ok(Asked::Run { options, warnings }) => Ok((*options, warnings)),
        Ok(other) => panic!("{words:?} asks for {other:?}"),
        Err(error) => Err(error.report("wakunode2")),
    }
}

/// Options and warnings of words that are right.
fn run(words: &[&str]) -> (Options, Vec<String>) {
    options_of(words, &[], "").unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The report on words that are wrong.
fn refuse(words: &[&str]) -> String {
    options_of(words, &[], "").map(|_| ()).expect_err("the words are wrong")
}

/// Rows of a table of the contract, its head left out, each with `columns` fields.
fn rows(table: &'static str, columns: usize) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().skip(1).map(move |line| {
        let row: Vec<_> = line.split('\t').collect();
        assert_eq!(row.len(), columns, "{line}");
        row
    })
}
