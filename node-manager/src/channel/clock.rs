//! The clock of a party.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant as Clock, Sleep, sleep};
use waku_noise_session::time::{Instant, Now, UnixTime};

pub(super) struct PartyClock {
    started: Clock,
    sleep: Pin<Box<Sleep>>,
}

impl PartyClock {
    pub(super) fn start() -> Self {
        Self { started: Clock::now(), sleep: Box::pin(sleep(Duration::ZERO)) }
    }

    pub(super) fn now(&self) -> Now {
        Now { instant: Instant::from_origin(self.started.elapsed()), unix: unix_now() }
    }

    pub(super) fn poll_deadline(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let at = self.started + deadline.since_origin();
        if self.sleep.deadline() != at {
            self.sleep.as_mut().reset(at);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// The time of day.
pub(super) fn unix_now() -> UnixTime {
    UnixTime::from_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
