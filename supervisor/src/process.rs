//! A service as a child process: orders in, one at a time, and its status for whoever looks.

mod backoff;
mod group;
mod run;
mod task;

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::config::ProcessSpec;
use crate::error::Error;
use crate::log::Log;
use crate::status::Status;
use crate::supervisor::MAX_ORDERS;
use task::{Order, Task};

/// What an order may take beside the time from SIGTERM to SIGKILL.
const SLACK: Duration = Duration::from_secs(30);

/// The service's task, from outside. When the handle is dropped, the process is stopped.
pub(crate) struct Process {
    name: String,
    orders: mpsc::Sender<(Order, oneshot::Sender<Result<Status, Error>>)>,
    status: watch::Receiver<Status>,
    log: Log,
    limit: Duration,
}

impl Process {
    /// Begins to supervise. Has to be called in a runtime.
    pub(crate) fn new(
        name: &str,
        description: String,
        spec: ProcessSpec,
        folder: &Path,
    ) -> Result<Self, Error> {
        let log = Log::open(folder, name)?;
        let (orders, receiver) = mpsc::channel(MAX_ORDERS);
        let limit = spec.stop_limit + SLACK;
        let (task, status) = Task::new(name, description, spec, log.clone());
        tokio::spawn(task.run(receiver));
        Ok(Self { name: name.to_owned(), orders, status, log, limit })
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn log(&self, lines: usize) -> Vec<crate::log::Line> {
        self.log.last(lines)
    }

    pub(crate) async fn start(&self) -> Result<Status, Error> {
        self.wait(self.order(Order::Start)?).await
    }

    pub(crate) async fn stop(&self) -> Result<Status, Error> {
        self.wait(self.order(Order::Stop)?).await
    }

    pub(crate) async fn restart(&self) -> Result<Status, Error> {
        self.wait(self.order(Order::Restart)?).await
    }

    /// Has the process stopped, and its task ended after the orders before this one. Waits for a place among them.
    pub(crate) async fn shut_down(&self) {
        let (reply, answer) = oneshot::channel();
        if self.orders.send((Order::ShutDown, reply)).await.is_ok() {
            _ = answer.await;
        }
    }

    fn order(&self, order: Order) -> Result<oneshot::Receiver<Result<Status, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        match self.orders.try_send((order, reply)) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(Error::Busy(self.name.clone())),
            Err(TrySendError::Closed(_)) => Err(Error::ShutDown),
        }
    }

    async fn wait(&self, answer: oneshot::Receiver<Result<Status, Error>>) -> Result<Status, Error> {
        match timeout(self.limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::ShutDown),
            Err(_) => Err(Error::Slow { name: self.name.clone(), limit: self.limit }),
        }
    }
}
