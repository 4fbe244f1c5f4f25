//! Runs the [`Validator`] on a bounded pool, so that a slow one holds nobody up.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task;

use super::validate::{Validator, Verdict};
use crate::Envelope;

/// Validators running at a time.
const WORKERS: usize = 4;
/// Messages from peers that wait for a verdict.
const QUEUE_LEN: usize = 256;

/// A validator and the threads it may use.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    validator: Arc<dyn Validator>,
    workers: Arc<Semaphore>,
}

impl Judge {
    pub(crate) fn new(validator: Arc<dyn Validator>) -> Self {
        Self { validator, workers: Arc::new(Semaphore::new(WORKERS)) }
    }

    /// Judges a message, waiting for a thread.
    pub(crate) async fn judge(&self, envelope: Envelope) -> Verdict {
        let Ok(worker) = Arc::clone(&self.workers).acquire_owned().await else {
            return Verdict::Ignore;
        };
        let validator = Arc::clone(&self.validator);
        let work = task::spawn_blocking(move || {
            let verdict = validator.validate(&envelope);
            drop(worker);
            verdict
        });
        work.await.unwrap_or(Verdict::Ignore)
    }
}

/// Messages from peers on their way through a [`Judge`]. `T` says where a message came from.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    judge: Judge,
    queue: Arc<Semaphore>,
    verdicts: mpsc::Sender<Judged<T>>,
}

/// A message from a peer with its verdict.
#[derive(Debug)]
pub(crate) struct Judged<T> {
    pub(crate) origin: T,
    pub(crate) envelope: Envelope,
    pub(crate) verdict: Verdict,
    /// The message's place in the queue, given back when the verdict has been taken.
    _place: OwnedSemaphorePermit,
}

/// The pool has no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<T: Send + 'static> Pool<T> {
    /// A pool, and where its verdicts come out.
    pub(crate) fn new(judge: Judge) -> (Self, mpsc::Receiver<Judged<T>>) {
        let (verdicts, receiver) = mpsc::channel(QUEUE_LEN);
        (Self { judge, queue: Arc::new(Semaphore::new(QUEUE_LEN)), verdicts }, receiver)
    }

    /// Has a message judged; the verdict comes out of the channel.
    pub(crate) fn submit(&self, origin: T, envelope: Envelope) -> Result<(), Full> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| Full)?;
        let (judge, verdicts) = (self.judge.clone(), self.verdicts.clone());
        task::spawn(async move {
            let verdict = judge.judge(envelope.clone()).await;
            // The channel has as much room as there are places, so this fails only once the node has stopped.
            let _ = verdicts.send(Judged { origin, envelope, verdict, _place: place }).await;
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, sync_channel};

    use waku_proto::{EncodedMessage, WakuMessage};

    use super::*;

    fn envelope() -> Envelope {
        let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), "x", 1);
        Envelope::new("/waku/2/rs/0/0".parse().unwrap(), EncodedMessage::encode(message))
    }

    /// Waits for a go-ahead before each verdict.
    #[derive(Debug)]
    struct Gated(Mutex<Receiver<Verdict>>);

    impl Validator for Gated {
        fn validate(&self, _: &Envelope) -> Verdict {
            self.0.lock().unwrap().recv().unwrap()
        }
    }

    #[derive(Debug)]
    struct Panics;

    impl Validator for Panics {
        fn validate(&self, _: &Envelope) -> Verdict {
            panic!("a fault of the validator")
        }
    }

    #[tokio::test]
    async fn takes_so_many_messages_and_no_more() {
        let (go_ahead, gate) = sync_channel(QUEUE_LEN + 1);
        let (pool, mut verdicts) = Pool::new(Judge::new(Arc::new(Gated(Mutex::new(gate)))));
        for number in 0..QUEUE_LEN {
            assert_eq!(pool.submit(number, envelope()), Ok(()));
        }
        assert_eq!(pool.submit(QUEUE_LEN, envelope()), Err(Full));

        go_ahead.send(Verdict::Reject).unwrap();
        let judged = verdicts.recv().await.unwrap();
        assert_eq!(judged.verdict, Verdict::Reject);
        assert_eq!(pool.submit(QUEUE_LEN, envelope()), Err(Full), "its place is taken until it is looked at");
        drop(judged);
        assert_eq!(pool.submit(QUEUE_LEN, envelope()), Ok(()));

        for _ in 0..QUEUE_LEN {
            go_ahead.send(Verdict::Accept).unwrap();
        }
        for _ in 0..QUEUE_LEN {
            assert_eq!(verdicts.recv().await.unwrap().verdict, Verdict::Accept);
        }
    }

    #[tokio::test]
    async fn a_validator_that_panics_makes_the_message_ignored() {
        let judge = Judge::new(Arc::new(Panics));
        for _ in 0..=WORKERS {
            assert_eq!(judge.judge(envelope()).await, Verdict::Ignore);
        }
    }
}
