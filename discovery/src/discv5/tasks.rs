//! The library's tasks, so that their end can be waited for.

use std::convert::Infallible;
use std::pin::Pin;

use ::discv5::Executor;
use tokio::sync::mpsc;

/// Runs tasks in the current runtime.
#[derive(Clone)]
pub(super) struct Tasks {
    /// Nothing is sent: each task, and this, holds the channel open.
    alive: mpsc::Sender<Infallible>,
}

/// Tells when all tasks have ended and no more can begin.
pub(super) struct AllEnded(mpsc::Receiver<Infallible>);

impl Tasks {
    pub(super) fn new() -> (Self, AllEnded) {
        let (alive, ended) = mpsc::channel(1);
        (Self { alive }, AllEnded(ended))
    }
}

impl Executor for Tasks {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let alive = self.alive.clone();
        tokio::spawn(async move {
            future.await;
            drop(alive);
        });
    }
}

impl AllEnded {
    pub(super) async fn wait(mut self) {
        while self.0.recv().await.is_some() {}
    }
}
