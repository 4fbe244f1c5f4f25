//! The life of a service: one task that takes one order at a time.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::run::{Run, words};
use crate::config::{ProcessSpec, Restart};
use crate::error::Error;
use crate::log::{Line, Log, Source};
use crate::status::{KindOf, State, Status, now};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Start,
    Stop,
    Restart,
    ShutDown,
}

pub(super) struct Task {
    spec: ProcessSpec,
    log: Log,
    status: watch::Sender<Status>,
    backoff: Backoff,
}

enum Phase {
    Idle,
    Running(Box<Run>),
    /// Until it is started again.
    Waiting(Instant),
}

enum Event {
    /// Nothing where nobody can give orders any more.
    Order(Option<(Order, oneshot::Sender<Result<Status, Error>>)>),
    Ended,
    Due,
}

impl Task {
    pub(super) fn new(
        name: &str,
        description: String,
        spec: ProcessSpec,
        log: Log,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, receiver) = watch::channel(Status {
            name: name.to_owned(),
            kind: KindOf::Process,
            state: State::Stopped,
            since: None,
            pid: None,
            restarts: 0,
            exit: None,
            description,
            problem: None,
        });
        (Self { backoff: Backoff::new(spec.restart_delay), spec, log, status }, receiver)
    }

    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<(Order, oneshot::Sender<Result<Status, Error>>)>,
    ) {
        let mut phase = Phase::Idle;
        if self.spec.autostart {
            phase = match self.start().await {
                Ok(run) => Phase::Running(run),
                Err(_) => self.after(Duration::ZERO, false).await,
            };
        }
        loop {
            let event = match &mut phase {
                Phase::Idle => Event::Order(orders.recv().await),
                Phase::Running(run) => tokio::select! {
                    order = orders.recv() => Event::Order(order),
                    () = run.ended() => Event::Ended,
                },
                Phase::Waiting(until) => tokio::select! {
                    order = orders.recv() => Event::Order(order),
                    () = sleep_until(*until) => Event::Due,
                },
            };
            phase = match (event, phase) {
                (Event::Order(Some((order, reply))), phase) => {
                    let (phase, result) = self.obey(order, phase).await;
                    if order == Order::ShutDown {
                        orders.close();
                    }
                    // Who asked may have gone.
                    _ = reply.send(result.map(|()| self.status.borrow().clone()));
                    if order == Order::ShutDown {
                        return;
                    }
                    phase
                }
                (Event::Order(None), phase) => {
                    self.stop(phase).await;
                    return;
                }
                (Event::Ended, Phase::Running(run)) => {
                    let age = run.age();
                    let exit = self.end(run).await;
                    let clean = exit.is_some_and(|exit| exit.success());
                    self.after(age, clean).await
                }
                (Event::Due, _) => {
                    self.status.send_modify(|status| status.restarts = status.restarts.saturating_add(1));
                    match self.start().await {
                        Ok(run) => Phase::Running(run),
                        Err(_) => self.after(Duration::ZERO, false).await,
                    }
                }
                (Event::Ended, phase) => phase,
            };
        }
    }

    async fn obey(&mut self, order: Order, phase: Phase) -> (Phase, Result<(), Error>) {
        let phase = match (order, phase) {
            (Order::Start, running @ Phase::Running(_)) => return (running, Ok(())),
            (Order::Start, _) => Phase::Idle,
            (_, phase) => {
                self.stop(phase).await;
                Phase::Idle
            }
        };
        if matches!(order, Order::Stop | Order::ShutDown) {
            return (phase, Ok(()));
        }
        self.backoff.reset();
        self.status.send_modify(|status| status.restarts = 0);
        match self.start().await {
            Ok(run) => (Phase::Running(run), Ok(())),
            Err(error) => {
                self.turn(State::Failed);
                (phase, Err(error))
            }
        }
    }

    async fn start(&mut self) -> Result<Box<Run>, Error> {
        self.turn(State::Starting);
        match Run::new(&self.spec, &self.log).await {
            Ok(run) => {
                self.status.send_modify(|status| status.pid = run.pid());
                self.turn(State::Running);
                self.note(format!("started, process {}", run.pid().unwrap_or_default())).await;
                Ok(Box::new(run))
            }
            Err(error) => {
                let error = Error::Spawn { program: self.spec.program.clone(), error };
                self.status.send_modify(|status| status.exit = Some(error.to_string()));
                self.note(error.to_string()).await;
                Err(error)
            }
        }
    }

    async fn stop(&mut self, phase: Phase) {
        match phase {
            Phase::Running(run) => {
                self.end(run).await;
                self.turn(State::Stopped);
            }
            Phase::Waiting(_) => self.turn(State::Stopped),
            Phase::Idle => {}
        }
    }

    async fn end(&mut self, run: Box<Run>) -> Option<ExitStatus> {
        self.turn(State::Stopping);
        let exit = run.end(self.spec.stop_limit).await;
        let words = words(exit);
        self.note(format!("ended: {words}")).await;
        self.status.send_modify(|status| {
            status.pid = None;
            status.exit = Some(words);
        });
        exit
    }

    /// What comes after a run that ended by itself.
    async fn after(&mut self, ran: Duration, clean: bool) -> Phase {
        let again = match self.spec.restart {
            Restart::Never => false,
            Restart::OnFailure => !clean,
            Restart::Always => true,
        };
        if !again {
            self.turn(if clean { State::Stopped } else { State::Failed });
            return Phase::Idle;
        }
        let wait = self.backoff.after(ran);
        self.turn(State::Starting);
        self.note(format!("is started again in {:.1} s", wait.as_secs_f64())).await;
        Phase::Waiting(Instant::now() + wait)
    }

    fn turn(&self, state: State) {
        self.status.send_modify(|status| {
            if status.state != state || status.since.is_none() {
                (status.state, status.since) = (state, Some(now()));
            }
        });
    }

    async fn note(&self, text: String) {
        self.log.append(vec![Line { at: now(), source: Source::Supervisor, text }]).await;
    }
}
