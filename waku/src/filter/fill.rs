//! Fills gaps with what store nodes have kept.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::FilterGap;
use crate::Envelope;
use crate::node::Shared;
use crate::store::archive::{Criteria, Query, Selection};
use crate::store::{MAX_CONTENT_TOPICS, MAX_PAGE_LEN, Store};

/// Time from a gap's end to its filling: stores keep a message some seconds after it was relayed.
const FILL_AFTER: Duration = Duration::from_secs(5);
/// Time from a try that failed to the next one.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);
const MAX_TRIES: u32 = 5;
/// How long one try may take.
const FILL_WITHIN: Duration = Duration::from_secs(60);
/// Gaps that wait. One more is given up at once.
const MAX_WAITING: usize = 64;
/// How much more is asked for on either side: clocks differ, and messages take time.
const SLACK: Duration = Duration::from_secs(20);
/// Most messages of one gap and ten content topics.
const MAX_MESSAGES: usize = 10_000;

/// Where past messages come from.
pub(super) trait History: Send + Sync {
    /// The messages of a gap of at most ten content topics, oldest first, as they come.
    fn messages(&self, gap: &FilterGap) -> BoxStream<'static, Result<Vec<Envelope>, NoHistory>>;
}

/// Past messages could not be had.
#[derive(Debug, Error)]
#[error("past messages could not be had: {0}")]
pub(super) struct NoHistory(pub(super) String);

/// The store nodes that a node is connected with.
#[derive(Debug)]
pub(super) struct StoreNodes(pub(super) Weak<Shared>);

impl History for StoreNodes {
    fn messages(&self, gap: &FilterGap) -> BoxStream<'static, Result<Vec<Envelope>, NoHistory>> {
        let Some(node) = self.0.upgrade() else {
            return stream::empty().boxed();
        };
        let selection = Selection::Content(Criteria {
            pubsub_topic: Some(gap.pubsub_topic.clone()),
            content_topics: gap.content_topics.iter().cloned().collect(),
            time_start: gap.from.checked_sub(SLACK).map(nanos_of),
            time_end: gap.to.checked_add(SLACK).map(nanos_of),
        });
        let query = Query { limit: MAX_PAGE_LEN, ..Query::new(selection) };
        let pages = Store { node }.query_any(query, MAX_MESSAGES);
        pages
            .map(|page| match page {
                Ok(page) => Ok(page.entries.into_iter().filter_map(|entry| entry.envelope).collect()),
                Err(error) => Err(NoHistory(error.to_string())),
            })
            .boxed()
    }
}

fn nanos_of(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX)
}

/// What comes out of a [`Filler`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Messages of a gap, and of some seconds around it.
    Messages(Vec<Envelope>),
    /// A gap that could not be filled.
    GivenUp(FilterGap),
}

/// The gaps to be filled, one at a time.
pub(super) struct Filler {
    history: Arc<dyn History>,
    waiting: VecDeque<Waiting>,
    filling: Option<Filling>,
}

#[derive(Debug)]
struct Waiting {
    gap: FilterGap,
    due: Instant,
    tries: u32,
}

struct Filling {
    waiting: Waiting,
    messages: BoxStream<'static, Result<Vec<Envelope>, NoHistory>>,
    deadline: Instant,
}

impl fmt::Debug for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filler").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Filler {
    pub(super) fn new(history: Arc<dyn History>) -> Self {
        Self { history, waiting: VecDeque::new(), filling: None }
    }

    /// Takes a gap that has come to an end. Returns what there is no room for.
    pub(super) fn add(&mut self, gap: &FilterGap) -> Option<FilterGap> {
        let mut refused = Vec::new();
        for topics in gap.content_topics.chunks(MAX_CONTENT_TOPICS) {
            if self.waiting.len() >= MAX_WAITING {
                refused.extend_from_slice(topics);
                continue;
            }
            let gap = FilterGap { content_topics: topics.to_vec(), ..gap.clone() };
            self.waiting.push_back(Waiting { gap, due: Instant::now() + FILL_AFTER, tries: 0 });
        }
        (!refused.is_empty()).then(|| FilterGap { content_topics: refused, ..gap.clone() })
    }

    /// What comes next. Nothing is lost when the future is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Filled {
        loop {
            match &mut self.filling {
                Some(filling) => match timeout_at(filling.deadline, filling.messages.next()).await {
                    Ok(Some(Ok(messages))) => return Filled::Messages(messages),
                    Ok(None) => self.filling = None,
                    Ok(Some(Err(error))) => {
                        tracing::debug!(%error, "gap not filled");
                        if let Some(given_up) = self.put_back() {
                            return given_up;
                        }
                    }
                    Err(_) => {
                        if let Some(given_up) = self.put_back() {
                            return given_up;
                        }
                    }
                },
                None => self.begin().await,
            }
        }
    }

    /// Begins with the gap that is due first, when it is.
    async fn begin(&mut self) {
        let Some(due) = self.waiting.iter().map(|waiting| waiting.due).min() else {
            return std::future::pending().await;
        };
        sleep_until(due).await;
        let first = self.waiting.iter().position(|waiting| waiting.due == due);
        self.filling = first.and_then(|position| self.waiting.remove(position)).map(|waiting| {
            let messages = self.history.messages(&waiting.gap);
            Filling { waiting, messages, deadline: Instant::now() + FILL_WITHIN }
        });
    }

    /// Puts back the gap that could not be filled now, or gives it up.
    fn put_back(&mut self) -> Option<Filled> {
        let mut waiting = self.filling.take()?.waiting;
        waiting.tries += 1;
        if waiting.tries >= MAX_TRIES {
            return Some(Filled::GivenUp(waiting.gap));
        }
        waiting.due = Instant::now() + TRY_AGAIN_AFTER;
        self.waiting.push_back(waiting);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use futures::FutureExt as _;
    use waku_proto::{EncodedMessage, WakuMessage};

    use super::*;

    /// Answers as told, call after call, and notes what it is asked for.
    #[derive(Default)]
    struct Told {
        answers: Mutex<VecDeque<Vec<Answer>>>,
        asked: Mutex<Vec<(Vec<String>, Instant)>>,
    }

    type Answer = Result<Vec<Envelope>, NoHistory>;

    impl Told {
        fn new(answers: impl IntoIterator<Item = Vec<Answer>>) -> Arc<Self> {
            Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() })
        }

        fn asked(&self) -> Vec<(Vec<String>, Instant)> {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    impl History for Told {
        fn messages(&self, gap: &FilterGap) -> BoxStream<'static, Result<Vec<Envelope>, NoHistory>> {
            self.asked.lock().unwrap().push((gap.content_topics.clone(), Instant::now()));
            stream::iter(self.answers.lock().unwrap().pop_front().unwrap_or_default()).boxed()
        }
    }

    fn envelope(number: i64) -> Envelope {
        let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), "x", number);
        Envelope::new("/waku/2/rs/0/0".parse().unwrap(), EncodedMessage::encode(message))
    }

    fn gap(topics: usize) -> FilterGap {
        FilterGap {
            pubsub_topic: "/waku/2/rs/0/0".parse().unwrap(),
            content_topics: (0..topics).map(|number| format!("/a/1/{number}/c")).collect(),
            from: UNIX_EPOCH,
            to: UNIX_EPOCH + Duration::from_secs(60),
        }
    }

    fn failure() -> Vec<Answer> {
        vec![Err(NoHistory("nobody there".to_owned()))]
    }

    #[tokio::test(start_paused = true)]
    async fn brings_the_pages_of_a_gap_some_seconds_after_its_end() {
        let told = Told::new([vec![Ok(vec![envelope(1), envelope(2)]), Ok(vec![envelope(3)])]]);
        let (mut filler, start) = (Filler::new(told.clone()), Instant::now());
        assert_eq!(filler.add(&gap(1)), None);
        assert_eq!(filler.next().await, Filled::Messages(vec![envelope(1), envelope(2)]));
        assert_eq!(filler.next().await, Filled::Messages(vec![envelope(3)]));
        assert!(filler.next().now_or_never().is_none());
        assert_eq!(told.asked(), [(gap(1).content_topics, start + FILL_AFTER)]);
    }

    #[tokio::test(start_paused = true)]
    async fn asks_for_ten_content_topics_at_a_time() {
        let told = Told::new((1..=3).map(|number| vec![Ok(vec![envelope(number)])]));
        let mut filler = Filler::new(told.clone());
        assert_eq!(filler.add(&gap(25)), None);
        for number in 1..=3 {
            assert_eq!(filler.next().await, Filled::Messages(vec![envelope(number)]));
        }
        assert!(filler.next().now_or_never().is_none());
        let sizes: Vec<usize> = told.asked().iter().map(|(topics, _)| topics.len()).collect();
        assert_eq!(sizes, [10, 10, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn tries_again_what_failed_and_fills_others_meanwhile() {
        let told = Told::new([failure(), vec![Ok(vec![envelope(1)])], vec![Ok(vec![envelope(2)])]]);
        let (mut filler, start) = (Filler::new(told.clone()), Instant::now());
        filler.add(&gap(1));
        filler.add(&gap(2));
        assert_eq!(filler.next().await, Filled::Messages(vec![envelope(1)]));
        assert_eq!(filler.next().await, Filled::Messages(vec![envelope(2)]));
        let sizes: Vec<usize> = told.asked().iter().map(|(topics, _)| topics.len()).collect();
        assert_eq!(sizes, [1, 2, 1]);
        assert_eq!(told.asked()[2].1, start + FILL_AFTER + TRY_AGAIN_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_a_gap_that_nobody_can_fill() {
        let told = Told::new((0..MAX_TRIES).map(|_| failure()));
        let mut filler = Filler::new(told.clone());
        filler.add(&gap(1));
        assert_eq!(filler.next().await, Filled::GivenUp(gap(1)));
        assert!(filler.next().now_or_never().is_none());
        assert_eq!(told.asked().len(), MAX_TRIES as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_that_hangs_is_tried_again() {
        struct Hangs;
        impl History for Hangs {
            fn messages(&self, _: &FilterGap) -> BoxStream<'static, Result<Vec<Envelope>, NoHistory>> {
                stream::pending().boxed()
            }
        }
        let (mut filler, start) = (Filler::new(Arc::new(Hangs)), Instant::now());
        filler.add(&gap(1));
        assert_eq!(filler.next().await, Filled::GivenUp(gap(1)));
        assert_eq!(
            Instant::now() - start,
            FILL_AFTER + MAX_TRIES * FILL_WITHIN + (MAX_TRIES - 1) * TRY_AGAIN_AFTER
        );
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_bounded_number_of_gaps() {
        let mut filler = Filler::new(Told::new([]));
        for _ in 0..MAX_WAITING - 1 {
            assert_eq!(filler.add(&gap(1)), None);
        }
        let refused = filler.add(&gap(25)).unwrap();
        assert_eq!(refused.content_topics, gap(25).content_topics[10..]);
        assert_eq!(filler.waiting.len(), MAX_WAITING);
    }
}
