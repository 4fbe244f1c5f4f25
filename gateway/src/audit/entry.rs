//! A line of the audit log.

use serde::{Deserialize, Serialize};

/// Longest name in an entry, in characters.
const MAX_NAME: usize = 128;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is about to change something. One without a `Done` after it was cut short, and may have been carried out.
    Begun,
    /// It is over.
    Done,
    /// It reached no service.
    Refused,
}

/// What is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Where it stands.
    pub phase: Phase,
    /// The pairing's id.
    pub pairing: String,
    /// What the operator calls it.
    pub name: String,
    /// The method; empty when it is none.
    pub method: String,
    /// The service; empty when none was reached.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The pattern of the path; empty when none fits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The grant that was used, or that is missing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub grant: String,
    /// The status; 0 while there is none.
    pub status: u16,
    /// Bytes of the answer's body that were passed on.
    pub bytes: u64,
}

impl Entry {
    /// The line, its end included. Names that are too long are cut.
    pub(super) fn line(&self) -> Vec<u8> {
        let cut = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
        let entry = Self { pairing: cut(&self.pairing), name: cut(&self.name), ..self.clone() };
        let mut line = serde_json::to_vec(&entry).expect("text and numbers make JSON");
        line.push(b'\n');
        line
    }
}
