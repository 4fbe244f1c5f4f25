//! 13/WAKU2-STORE, served by our node: no implementation but nwaku serves version 3 of it.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use waku::proto::EncodedMessage;
use waku::store::archive::{Archive as _, MemoryArchive, RetentionPolicy};
use waku::{Config, ContentTopic, Envelope, StoreConfig, WakuMessage};

use super::relay::same;
use super::{CLUSTER, Pair, Scene, content_topics, now, topic};
use crate::line::{Op, Start, StoreOp, StorePage, StoredMessage, hex};
use crate::ours;
use crate::peer::Failure;

/// Messages in the store: of two content topics by turns, a second apart, the last a minute ago.
const KEPT: usize = 50;
const SECOND: i64 = 1_000_000_000;
const PAGE: u64 = 20;

/// A foreign client and our store.
struct Stored {
    pair: Pair,
    topics: Vec<ContentTopic>,
    /// In their order.
    kept: Vec<Envelope>,
}

impl Stored {
    async fn start(scene: &Scene<'_>) -> Result<Self> {
        let topics = content_topics(3)?;
        // Whole seconds: js-waku cannot ask for times exactly.
        let newest = now()? / SECOND * SECOND - 60 * SECOND;
        let mut kept = Vec::new();
        for (number, content_topic) in (0..KEPT).zip(topics.iter().take(2).cycle()) {
            let at = newest - i64::try_from(KEPT - number)? * SECOND;
            let message = WakuMessage::new(content_topic, format!("number {number}"), at);
            kept.push(Envelope::new(topic(), EncodedMessage::encode(message)));
        }
        let archive = Arc::new(MemoryArchive::new(1_000, 10 << 20));
        archive.insert(&kept)?;
        let mut store = StoreConfig::new(archive);
        store.writer.retention = RetentionPolicy::default();
        let config = Config { store: Some(store), ..ours::config(CLUSTER)? };
        let pair = Pair::start(scene, config, Start::light(CLUSTER)).await?;
        Ok(Self { pair, topics, kept })
    }

    /// Everything with data, oldest first, in pages.
    fn everything(&self) -> StoreOp {
        StoreOp {
            peer: self.pair.ours(),
            include_data: true,
            pubsub_topic: Some(topic().to_string()),
            content_topics: self.topics.iter().take(2).map(ToString::to_string).collect(),
            forward: true,
            limit: Some(PAGE),
            ..StoreOp::default()
        }
    }

    async fn page(&mut self, op: StoreOp) -> Result<StorePage> {
        self.pair.peer.ask(Op::Store(op)).await
    }

    /// All pages, one after the other as they came.
    async fn pages(&mut self, mut op: StoreOp) -> Result<Vec<Vec<StoredMessage>>> {
        let mut pages = Vec::new();
        loop {
            let page = self.page(op.clone()).await?;
            ensure!(page.status == 200, "status {}: {}", page.status, page.info);
            pages.push(page.messages);
            ensure!(pages.len() <= KEPT, "the pages have no end");
            op.cursor = page.cursor;
            if op.cursor.is_none() {
                return Ok(pages);
            }
        }
    }

    /// Asks, and checks that these messages are found, in this order.
    async fn finds(&mut self, op: StoreOp, wanted: &[Envelope]) -> Result<()> {
        let with_data = op.include_data;
        let found = self.pages(op).await?.concat();
        check(&found, wanted, with_data)
    }
}

fn check(found: &[StoredMessage], wanted: &[Envelope], with_data: bool) -> Result<()> {
    let (hashes, wanted_hashes): (Vec<_>, Vec<_>) = (
        found.iter().map(|found| &found.hash).collect(),
        wanted.iter().map(|wanted| hex(wanted.hash())).collect(),
    );
    ensure!(hashes == wanted_hashes.iter().collect::<Vec<_>>(), "{hashes:?} instead of {wanted_hashes:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        if with_data {
            let message = found.message.clone().context("a message is missing")?;
            same(&WakuMessage::try_from(message)?, wanted.message())?;
        } else {
            ensure!(found.message.is_none(), "a message came that was not asked for");
        }
    }
    Ok(())
}

pub(super) async fn pages_forward(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let (op, kept) = (stored.everything(), stored.kept.clone());
    stored.finds(op, &kept).await?;
    stored.pair.end().await
}

/// Pages follow each other backward; each of them is in the order of time.
pub(super) async fn pages_backward(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let op = StoreOp { forward: false, ..stored.everything() };
    let mut pages = stored.pages(op).await?;
    pages.reverse();
    check(&pages.concat(), &stored.kept, true)?;
    stored.pair.end().await
}

pub(super) async fn by_content_topic(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let wanted = stored.topics.first().context("three were asked for")?.to_string();
    let op = StoreOp { content_topics: vec![wanted.clone()], ..stored.everything() };
    let kept: Vec<_> =
        stored.kept.iter().filter(|kept| kept.message().content_topic == wanted).cloned().collect();
    stored.finds(op, &kept).await?;
    stored.pair.end().await
}

pub(super) async fn by_time(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let at = |index: usize| stored.kept.get(index).and_then(|kept| kept.message().timestamp);
    let (from, to) = (at(10).context("an eleventh")?, at(30).context("a thirty-first")?);
    let op = StoreOp {
        time_start: Some(from.to_string()),
        // Between two messages: whether the end is within, implementations do not agree.
        time_end: Some((to + SECOND / 2).to_string()),
        ..stored.everything()
    };
    let kept = stored.kept.get(10..=30).context("there are fifty")?.to_vec();
    stored.finds(op, &kept).await?;
    stored.pair.end().await
}

pub(super) async fn by_hash(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let kept = stored.kept.get(5..8).context("there are fifty")?.to_vec();
    let unknown = "ab".repeat(32);
    let hashes = kept.iter().map(|kept| hex(kept.hash())).chain([unknown]).collect();
    let op = StoreOp { pubsub_topic: None, content_topics: vec![], hashes, ..stored.everything() };
    stored.finds(op, &kept).await?;
    stored.pair.end().await
}

pub(super) async fn hashes_alone(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let op = StoreOp { include_data: false, ..stored.everything() };
    let kept = stored.kept.clone();
    stored.finds(op, &kept).await?;
    stored.pair.end().await
}

pub(super) async fn nothing_found(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let unused = stored.topics.get(2).context("three were asked for")?.to_string();
    let op = StoreOp { content_topics: vec![unused], ..stored.everything() };
    stored.finds(op, &[]).await?;
    stored.pair.end().await
}

/// A cursor that names no message is refused; the store goes on answering.
pub(super) async fn unknown_cursor(scene: &Scene<'_>) -> Result<()> {
    let mut stored = Stored::start(scene).await?;
    let op = StoreOp { cursor: Some("ab".repeat(32)), ..stored.everything() };
    match stored.page(op).await {
        Ok(page) => ensure!(page.status != 200, "it was answered with {} messages", page.messages.len()),
        Err(error) => ensure!(matches!(error.downcast_ref(), Some(Failure::Refused(_))), "{error:?}"),
    }
    let (op, kept) = (stored.everything(), stored.kept.clone());
    stored.finds(op, &kept).await?;
    stored.pair.end().await
}
