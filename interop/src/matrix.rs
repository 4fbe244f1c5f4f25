//! What came of every scenario, as a table.

use std::fmt::{self, Write as _};

use crate::peer::Failure;
use crate::scenario::Role;

/// What came of one scenario with one implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It held.
    Pass,
    /// It held but for this, in which the other deviates from its specification.
    Differs(String),
    /// The other does not have what it needs.
    NotOffered(String),
    /// It did not hold.
    Fail(String),
}

/// How the other implementation deviates, found exactly as it is known to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Deviation(pub &'static str);

impl Verdict {
    /// The verdict on how a scenario ended.
    #[must_use]
    pub fn of(outcome: &anyhow::Result<()>) -> Self {
        let Err(error) = outcome else { return Self::Pass };
        if let Some(Failure::Unsupported(why)) = error.downcast_ref() {
            return Self::NotOffered(why.clone());
        }
        if let Some(Deviation(how)) = error.downcast_ref() {
            return Self::Differs((*how).to_owned());
        }
        Self::Fail(format!("{error:#}"))
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Differs(_) => "pass, with a deviation of theirs",
            Self::NotOffered(_) => "not offered",
            Self::Fail(_) => "FAIL",
        }
    }

    fn remark(&self) -> &str {
        match self {
            Self::Pass => "",
            Self::Differs(text) | Self::NotOffered(text) | Self::Fail(text) => text,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        if self.remark().is_empty() { Ok(()) } else { write!(f, ": {}", self.remark()) }
    }
}

/// A row of the matrix.
#[derive(Debug, Clone)]
pub struct Row {
    /// The specification.
    pub protocol: &'static str,
    /// What our node was.
    pub role: Role,
    /// The implementation and its version.
    pub peer: String,
    /// The name by which the runner knows the implementation.
    pub set: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// What came of it.
    pub verdict: Verdict,
}

/// Everything that was tried, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    /// What was tried.
    pub rows: Vec<Row>,
    /// Implementations that were skipped, and why.
    pub skipped: Vec<(&'static str, String)>,
}

impl Matrix {
    /// How many rows failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.verdict, Verdict::Fail(_))).count()
    }

    /// How many rows there are of each kind, in words.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |is: fn(&Verdict) -> bool| self.rows.iter().filter(|row| is(&row.verdict)).count();
        format!(
            "{} passed, {} passed with a deviation of theirs, {} not offered, {} failed, {} implementations skipped",
            count(|verdict| *verdict == Verdict::Pass),
            count(|verdict| matches!(verdict, Verdict::Differs(_))),
            count(|verdict| matches!(verdict, Verdict::NotOffered(_))),
            self.failures(),
            self.skipped.len(),
        )
    }

    /// The matrix as a page.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::from(
            "# Interoperability\n\nWritten by `cargo run -p waku-interop -- all`. Each row is one scenario between our node and an\n\
             implementation we did not write; the command shows that row alone. The role is our node's.\n\n",
        );
        let _ = writeln!(page, "{}.\n", self.summary());
        for (set, why) in &self.skipped {
            let _ = writeln!(page, "`{set}` was skipped: {why}\n");
        }
        page.push_str("| Protocol | Role | Peer | Scenario | Result | Remark | Command |\n|---|---|---|---|---|---|---|\n");
        for Row { protocol, role, peer, set, scenario, verdict } in &self.rows {
            let remark = verdict.remark().replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(
                page,
                "| {protocol} | {role} | {peer} | {scenario} | {} | {remark} | `cargo run -p waku-interop -- {set} --only {scenario}` |",
                verdict.word()
            );
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn what_is_not_offered_and_what_is_known_to_deviate_is_no_failure() {
        let unsupported = Err(anyhow!(Failure::Unsupported("no relay".to_owned()))).context("asked");
        assert_eq!(Verdict::of(&unsupported), Verdict::NotOffered("no relay".to_owned()));
        let deviation = Err(anyhow!(Deviation("its digits are reversed"))).context("at the end");
        assert_eq!(Verdict::of(&deviation), Verdict::Differs("its digits are reversed".to_owned()));
        assert_eq!(Verdict::of(&Ok(())), Verdict::Pass);
        let failure = Err(anyhow!("nothing came")).context("at the end");
        assert_eq!(Verdict::of(&failure), Verdict::Fail("at the end: nothing came".to_owned()));
    }

    #[test]
    fn a_remark_stays_within_its_cell() {
        let row = Row {
            protocol: "11/RELAY",
            role: Role::Peer,
            peer: "go-waku".to_owned(),
            set: "gowaku",
            scenario: "relay",
            verdict: Verdict::Fail("a | b\nc".to_owned()),
        };
        let matrix = Matrix { rows: vec![row], skipped: vec![] };
        let page = matrix.page();
        let last = page.lines().last().unwrap();
        assert!(last.contains("| a \\| b c |"), "{last}");
        assert_eq!(matrix.failures(), 1);
    }
}
