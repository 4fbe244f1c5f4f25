//! Who did what: a file of JSON lines that only grows, with older ones beside it.
//!
//! An entry names the pairing, the rule's pattern of the path and the outcome; never a query, a header, a body or a
//! token. What changes something is on disk before the service is asked, and again when it has answered.

mod entry;
mod file;
mod reader;
mod recorder;

pub use entry::{Entry, Phase};
pub use file::{AuditError, Keep, Log};
pub use reader::{Filter, Reading, read};
pub use recorder::{RecordError, Recorder};
