//! Where in a file something stands.

use std::ops::Range;

use super::{ConfigError, Problem};

/// A file's name and text.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
}

impl Place<'_> {
    /// `name:line` of what begins at a byte; lines count from 1.
    pub(super) fn line(self, span: Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        format!("{}:{}", self.name, before.matches('\n').count() + 1)
    }

    pub(super) fn wrong(self, span: Range<usize>, problem: Problem) -> ConfigError {
        ConfigError::Wrong { place: self.line(span), problem }
    }
}
