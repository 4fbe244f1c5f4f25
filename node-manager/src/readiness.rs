//! Telling systemd that the service is up, and that it stops (`Type=notify`). Where nobody wants to know, nothing is told.

use sd_notify::NotifyState;

/// The service is up: whoever started it may go on.
pub(crate) fn up() {
    tell(&[NotifyState::Ready]);
}

/// The service stops, and may take its time for that.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
