//! What an examination found, for people and for programs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most characters of what was seen, and of a fix.
const MAX_TEXT: usize = 300;

/// An examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The version that examined.
    pub version: String,
    /// Whether the host's service answered; otherwise this is what could be seen without it.
    pub running: bool,
    /// What was found, in the order of the groups of checks.
    pub findings: Vec<Finding>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub check: String,
    /// What it means.
    pub state: State,
    /// What was seen, in a line.
    pub seen: String,
    /// What to do about it, in a line; there whenever something is not ok.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<String>,
}

/// What a finding means. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be found out.
    NotChecked,
    /// It works, and should be otherwise.
    Warning,
    /// Something does not work, or will not for long.
    Failed,
}

impl State {
    /// All, worst first.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Warning, Self::NotChecked, Self::Ok];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Failed => "failed",
        })
    }
}

impl Report {
    /// How many findings mean this.
    pub fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }
}

impl Finding {
    pub(super) fn ok(check: impl fmt::Display, seen: impl fmt::Display) -> Self {
        Self { check: line(&check), state: State::Ok, seen: line(&seen), fix: None }
    }

    pub(super) fn not_checked(
        check: impl fmt::Display,
        seen: impl fmt::Display,
        fix: impl fmt::Display,
    ) -> Self {
        Self { state: State::NotChecked, fix: Some(line(&fix)), ..Self::ok(check, seen) }
    }

    pub(super) fn warning(check: impl fmt::Display, seen: impl fmt::Display, fix: impl fmt::Display) -> Self {
        Self { state: State::Warning, fix: Some(line(&fix)), ..Self::ok(check, seen) }
    }

    pub(super) fn failed(check: impl fmt::Display, seen: impl fmt::Display, fix: impl fmt::Display) -> Self {
        Self { state: State::Failed, fix: Some(line(&fix)), ..Self::ok(check, seen) }
    }
}

/// Some of it comes from services and from other nodes: what would steer a terminal is left out.
fn line(text: &dyn fmt::Display) -> String {
    text.to_string().split(char::is_control).collect::<Vec<_>>().join(" ").chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_whatever_a_service_says() {
        let finding = Finding::failed("beacon", "it said \u{1b}[2J\nand \u{9b}more", "x".repeat(1000));
        assert_eq!(finding.seen, "it said  [2J and  more");
        assert_eq!(finding.fix.unwrap().len(), MAX_TEXT);
    }

    #[test]
    fn findings_are_counted_by_what_they_mean() {
        let findings = vec![Finding::ok("a", "b"), Finding::warning("a", "b", "c"), Finding::ok("d", "e")];
        let report = Report { at: 1, version: "1".to_owned(), running: true, findings };
        assert_eq!(State::ALL.map(|state| report.count(state)), [0, 1, 0, 2]);
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains(r#""state":"warning","seen":"b","fix":"c""#), "{text}");
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
