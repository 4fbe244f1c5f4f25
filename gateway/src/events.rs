//! Streams of events (`text/event-stream`), made small enough to be sent on.
//!
//! A task reads the service's stream without pause; of each type the newest event waits for whoever takes it. When the
//! stream breaks, it is opened again, and a gap is told.

mod coalescer;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

pub use coalescer::Notice;
pub(crate) use coalescer::{Coalescer, Pace};
pub(crate) use stream::{Parsed, Parser};

use crate::upstream::AnswerBody;

/// How long a stream may be silent before it is opened again: longer than an epoch, for there may be nothing to tell.
pub(crate) const SILENCE: Duration = Duration::from_secs(20 * 60);
/// The pause before the first attempt to open a broken stream again; it doubles with each, up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Opens the stream (again).
pub(crate) trait Source: Send + 'static {
    fn open(&mut self) -> impl Future<Output = Option<AnswerBody>> + Send;
}

/// A subscription: what a service tells, until this is dropped.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    waiting: Mutex<Coalescer>,
    news: Notify,
}

impl Subscription {
    pub(crate) fn start<S: Source>(first: AnswerBody, source: S, topics: Vec<String>, pace: Pace) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            waiting: Mutex::new(Coalescer::new(topics, pace)),
            news: Notify::new(),
        });
        let task = tokio::spawn(read(first, source, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// The next thing to tell, when the pace allows it. Giving up waiting loses nothing.
    pub async fn next(&mut self) -> Notice {
        loop {
            let due = {
                let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(notice) = waiting.take(self.shared.began.elapsed()) {
                    return notice;
                }
                waiting.due()
            };
            match due {
                Some(due) => sleep_until(self.shared.began + due).await,
                None => self.shared.news.notified().await,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn tell(&self, what: impl FnOnce(&mut Coalescer)) {
        what(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.news.notify_one();
    }
}

async fn read<S: Source>(first: AnswerBody, mut source: S, shared: Arc<Shared>) {
    let mut next = Some(first);
    let (least, most) = BACKOFF;
    let mut pause = least;
    loop {
        if let Some(body) = next.take() {
            let mut body = body.endless(SILENCE);
            let mut parser = Parser::default();
            while let Some(Ok(bytes)) = body.next().await {
                body.wait_anew(SILENCE);
                pause = least;
                for parsed in parser.push(&bytes) {
                    shared.tell(|waiting| match parsed {
                        Parsed::Event { kind, data } => waiting.put(&kind, data),
                        Parsed::TooLong => waiting.gap(),
                    });
                }
            }
            shared.tell(Coalescer::gap);
        }
        sleep(pause).await;
        pause = (pause * 2).min(most);
        next = source.open().await;
    }
}
