//! How fast messages are kept in a file, and how fast pages of them are found.
//!
//! Messages of 1 KB over 100 content topics and 8 shards go into a new archive, each batch on disk before the next
//! one. Then pages of 100 messages are asked for at random places, in every form that a query has. Run with
//! `cargo bench -p waku-archive --bench archive`, or with `-- 10000 100000` for other numbers of messages. With
//! `--features sqlite` and `-- sqlite` it is nwaku's file that is measured. The file is in `TMPDIR`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use waku_archive::{Archive, Criteria, Query, RedbArchive, Selection};
#[cfg(feature = "sqlite")]
use waku_archive::{SqliteArchive, SqliteOptions};
use waku_proto::store::Direction;
use waku_proto::{EncodedMessage, Envelope, MessageHash, PubsubTopic, WakuMessage};

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// Messages of one commit. The last is what the node's writer takes when it is behind.
const BATCHES: [usize; 2] = [512, 2_048];
const PAYLOAD_LEN: usize = 1_000;
const CONTENT_TOPICS: usize = 100;
const SHARDS: usize = 8;
const PAGE_LEN: usize = 100;
const PAGES: usize = 1_000;
/// Unix nanoseconds of the first message, and from one message to the next.
const START: i64 = 1_700_000_000_000_000_000;
const STEP: i64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo itself hands over `--bench`.
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (sizes, drivers) = arguments.partition::<Vec<_>, _>(|argument| argument.parse::<usize>().is_ok());
    let driver = match drivers.as_slice() {
        [] => Driver::Redb,
        [name] if name == "redb" => Driver::Redb,
        #[cfg(feature = "sqlite")]
        [name] if name == "sqlite" => Driver::Sqlite,
        others => return Err(format!("no such driver here: {}", others.join(" ")).into()),
    };
    let sizes = sizes.iter().map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    println!(
        "{driver:?}: messages with {PAYLOAD_LEN} B of payload, {CONTENT_TOPICS} content topics, {SHARDS} shards"
    );
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
    sizes.into_iter().try_for_each(|messages| measure(driver, messages))
}

/// What keeps the messages.
#[derive(Debug, Clone, Copy)]
enum Driver {
    Redb,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

impl Driver {
    fn open(self, path: &Path) -> Result<Box<dyn Archive>, Box<dyn Error>> {
        Ok(match self {
            Self::Redb => Box::new(RedbArchive::open(path)?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => Box::new(SqliteArchive::open(path, SqliteOptions::default())?),
        })
    }
}

fn measure(driver: Driver, messages: usize) -> Result<(), Box<dyn Error>> {
    println!("\n{messages} messages");
    for batch_len in BATCHES {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("archive");
        let mut scene = fill(driver, &path, messages, batch_len)?;
        if Some(&batch_len) == BATCHES.last() {
            let start = Instant::now();
            let archive = driver.open(&path)?;
            println!("opened in {}", show(Some(&start.elapsed())));
            println!("\n{:<36} {:>9} {:>9} {:>9}", "page of 100", "p50", "p99", "max");
            FORMS.into_iter().try_for_each(|(name, form)| ask(&*archive, name, || form(&mut scene)))?;
        }
    }
    Ok(())
}

/// A new archive with so many messages.
fn fill(driver: Driver, path: &Path, messages: usize, batch_len: usize) -> Result<Scene, Box<dyn Error>> {
    let archive = driver.open(path)?;
    let mut scene = Scene { random: ChaCha8Rng::seed_from_u64(1), hashes: Vec::with_capacity(messages) };
    let (mut spent, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for first in (0..messages).step_by(batch_len) {
        let numbers = first..messages.min(first + batch_len);
        let batch = numbers.map(|number| scene.envelope(number)).collect::<Result<Vec<_>, _>>()?;
        scene.hashes.extend(batch.iter().map(Envelope::hash));
        // What the senders do is left out.
        let start = Instant::now();
        archive.insert(&batch)?;
        let took = start.elapsed();
        (spent, slowest) = (spent + took, slowest.max(took));
    }
    let stats = archive.stats()?;
    assert_eq!(stats.messages, messages as u64, "every message is new");
    drop(archive);
    #[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
    let (rate, counted, file) = (
        messages as f64 / spent.as_secs_f64(),
        stats.bytes as f64 / 1e6,
        fs::metadata(path)?.len() as f64 / 1e6,
    );
    println!(
        "{batch_len:>5} a commit: {rate:>6.0} inserts/s, slowest commit {}, {counted:.0} MB counted, {file:.0} MB file",
        show(Some(&slowest)),
    );
    Ok(scene)
}

fn ask(archive: &dyn Archive, name: &str, mut query: impl FnMut() -> Query) -> Result<(), Box<dyn Error>> {
    let mut latencies = Vec::with_capacity(PAGES);
    for _ in 0..PAGES {
        let query = query();
        let start = Instant::now();
        let page = archive.query(&query)?;
        latencies.push(start.elapsed());
        assert_eq!(page.entries.is_empty(), name.starts_with("unused"), "{name}");
    }
    latencies.sort_unstable();
    let percentile = |percent: usize| show(latencies.get((latencies.len() - 1) * percent / 100));
    println!("{name:<36} {:>9} {:>9} {:>9}", percentile(50), percentile(99), percentile(100));
    Ok(())
}

/// What messages and queries are made of.
struct Scene {
    random: ChaCha8Rng,
    /// Of all messages, oldest first.
    hashes: Vec<MessageHash>,
}

impl Scene {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.next_u32()).unwrap_or_default() % end
    }

    fn envelope(&mut self, number: usize) -> Result<Envelope, Box<dyn Error>> {
        let mut payload = vec![0; PAYLOAD_LEN];
        self.random.fill_bytes(&mut payload);
        let topic = self.below(CONTENT_TOPICS);
        let message = WakuMessage::new(&content_topic(topic).parse()?, payload, time_of(number));
        let pubsub_topic = pubsub_topic(topic).ok_or("it is a shard")?;
        Ok(Envelope::new(pubsub_topic, EncodedMessage::encode(message)))
    }

    /// The number of a message in the first half, so that the page behind it is full.
    fn early(&mut self) -> usize {
        self.below(self.hashes.len() / 2)
    }

    fn topics(&mut self, count: usize) -> BTreeSet<String> {
        let mut topics = BTreeSet::new();
        while topics.len() < count {
            topics.insert(content_topic(self.below(CONTENT_TOPICS)));
        }
        topics
    }

    fn some_hashes(&mut self) -> Query {
        let mut hashes = BTreeSet::new();
        while hashes.len() < PAGE_LEN {
            let at = self.below(self.hashes.len());
            hashes.extend(self.hashes.get(at));
        }
        Query { limit: PAGE_LEN, ..Query::new(Selection::Hashes(hashes.into_iter().collect())) }
    }

    /// From a message in the first half on.
    fn since(&mut self) -> Criteria {
        Criteria { time_start: Some(time_of(self.early())), ..Criteria::default() }
    }

    /// Up to a message in the second half.
    fn until(&mut self) -> Criteria {
        let number = self.hashes.len() - self.early();
        Criteria { time_end: Some(time_of(number)), ..Criteria::default() }
    }
}

fn content_topic(number: usize) -> String {
    format!("/bench/1/topic-{number}/proto")
}

/// A content topic has one shard, as it has with autosharding.
fn pubsub_topic(content_topic: usize) -> Option<PubsubTopic> {
    format!("/waku/2/rs/1/{}", content_topic % SHARDS).parse().ok()
}

fn time_of(number: usize) -> i64 {
    START + STEP * i64::try_from(number).unwrap_or_default()
}

fn forward(criteria: Criteria) -> Query {
    Query { limit: PAGE_LEN, ..Query::new(Selection::Content(criteria)) }
}

fn backward(criteria: Criteria) -> Query {
    Query { direction: Direction::Backward, ..forward(criteria) }
}

fn hashes_alone(query: Query) -> Query {
    Query { include_data: false, ..query }
}

type Form = fn(&mut Scene) -> Query;

const FORMS: [(&str, Form); 17] = [
    ("time", |scene| forward(scene.since())),
    ("time, hashes alone", |scene| hashes_alone(forward(scene.since()))),
    ("time, backward", |scene| backward(scene.until())),
    ("content topic", |scene| forward(Criteria { content_topics: scene.topics(1), ..scene.since() })),
    ("content topic, hashes alone", |scene| {
        hashes_alone(forward(Criteria { content_topics: scene.topics(1), ..scene.since() }))
    }),
    ("content topic, backward", |scene| {
        backward(Criteria { content_topics: scene.topics(1), ..scene.until() })
    }),
    ("content topic, behind a cursor", |scene| {
        let number = scene.early();
        let cursor = scene.hashes.get(number).copied();
        Query { cursor, ..forward(Criteria { content_topics: scene.topics(1), ..Criteria::default() }) }
    }),
    ("10 content topics", |scene| forward(Criteria { content_topics: scene.topics(10), ..scene.since() })),
    ("10 content topics, hashes alone", |scene| {
        hashes_alone(forward(Criteria { content_topics: scene.topics(10), ..scene.since() }))
    }),
    ("10 content topics, backward", |scene| {
        backward(Criteria { content_topics: scene.topics(10), ..scene.until() })
    }),
    ("pubsub topic", |scene| {
        forward(Criteria { pubsub_topic: pubsub_topic(scene.below(SHARDS)), ..scene.since() })
    }),
    ("pubsub topic and content topic", |scene| {
        let topic = scene.below(CONTENT_TOPICS);
        let content_topics = [content_topic(topic)].into();
        forward(Criteria { pubsub_topic: pubsub_topic(topic), content_topics, ..scene.since() })
    }),
    ("100 hashes", Scene::some_hashes),
    ("100 hashes, hashes alone", |scene| hashes_alone(scene.some_hashes())),
    ("unused content topic", |scene| {
        let unused = format!("/bench/1/unused-{}/proto", scene.below(1_000_000));
        forward(Criteria { content_topics: [unused].into(), ..Criteria::default() })
    }),
    ("unused pubsub topic", |_| {
        forward(Criteria { pubsub_topic: "/waku/2/unused".parse().ok(), ..Criteria::default() })
    }),
    ("unused pair of used topics", |scene| {
        let topic = scene.below(CONTENT_TOPICS);
        let content_topics = [content_topic(topic)].into();
        forward(Criteria { pubsub_topic: pubsub_topic(topic + 1), content_topics, ..Criteria::default() })
    }),
];

fn show(latency: Option<&Duration>) -> String {
    latency.map_or_else(|| "-".to_owned(), |latency| format!("{:.3} ms", latency.as_secs_f64() * 1e3))
}
