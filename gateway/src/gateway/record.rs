//! A request's trace in the audit log.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Caller;
use super::failure::Failure;
use super::response::Response;
use crate::audit::{Entry, Phase, RecordError, Recorder};
use crate::policy::{Decision, Effect, Head, Refusal};

/// Longest method that is kept, in characters.
const MAX_METHOD: usize = 16;

/// What is known of a request so far. Written when it is dropped, whatever became of the request.
pub(super) struct Record {
    entry: Entry,
    changes: bool,
    audit: Option<Recorder>,
}

impl Record {
    pub(super) fn new(caller: &Caller, head: &Head, audit: Option<Recorder>) -> Self {
        let entry = Entry {
            at: 0,
            phase: Phase::Done,
            pairing: caller.pairing.clone(),
            name: caller.name.clone(),
            method: head.method.chars().take(MAX_METHOD).collect(),
            service: String::new(),
            path: String::new(),
            grant: String::new(),
            status: 0,
            bytes: 0,
        };
        Self { entry, changes: false, audit }
    }

    pub(super) fn decided(&mut self, decision: &Decision<'_>) {
        self.entry.service.clone_from(&decision.service.name);
        self.entry.path = format!("{}{}", decision.service.mount, decision.pattern);
        decision.rule.grant.name().clone_into(&mut self.entry.grant);
        self.changes = decision.effect() == Effect::StateChanging;
    }

    /// Returns when it is on disk that the request is about to be made.
    pub(super) async fn begin(&mut self) -> Result<(), RecordError> {
        let Some(audit) = &self.audit else { return Ok(()) };
        audit.ensure(Entry { at: now(), phase: Phase::Begun, ..self.entry.clone() }).await
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.entry.status = status;
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.entry.status = failure.status();
        if failure.is_before_the_service() {
            self.entry.phase = Phase::Refused;
        }
    }

    pub(super) fn passed_on(&mut self, bytes: usize) {
        self.entry.bytes += bytes as u64;
    }

    pub(super) fn refuse(mut self, refusal: &Refusal) -> Response {
        self.entry.phase = Phase::Refused;
        self.entry.status = refusal.status();
        if let Refusal::Grant(grant) = refusal {
            grant.name().clone_into(&mut self.entry.grant);
        }
        Response::refused(refusal, self)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(audit) = &self.audit {
            audit.note(Entry { at: now(), ..self.entry.clone() }, self.changes);
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
