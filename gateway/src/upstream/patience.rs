//! How long somebody may still keep us waiting.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// Time that is used up by waiting alone: while nobody waits, none passes.
#[derive(Debug)]
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn new(all: Duration) -> Self {
        Self(all)
    }

    /// Waits as long as there is patience left; nothing when it is used up.
    pub(crate) async fn wait<F: Future>(&mut self, what: F) -> Option<F::Output> {
        let began = Instant::now();
        let outcome = timeout(self.0, what).await.ok();
        self.0 = self.0.saturating_sub(began.elapsed());
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_add_up_and_other_time_does_not_count() {
        let mut patience = Patience::new(Duration::from_secs(10));
        let seconds = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert!(patience.wait(seconds(6)).await.is_some());
        seconds(60).await;
        assert!(patience.wait(ready(())).await.is_some());
        let began = Instant::now();
        assert!(patience.wait(pending::<()>()).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 4);
    }
}
