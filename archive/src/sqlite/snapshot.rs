//! How pages are read: every list is an index, read bit by bit.

use std::path::Path;
use std::vec;

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use waku_proto::store::Direction;
use waku_proto::{Envelope, MessageHash};

use super::super::key::{Position, Span};
use super::super::search::{Index, Positions};
use super::super::{ArchiveError, Criteria, Query, Selection};
use super::rows;

/// Fewest and most places that are read together.
const CHUNK: (usize, usize) = (8, 1_024);

/// A list of places.
#[derive(Debug)]
pub(super) enum List {
    All,
    Pubsub(Vec<u8>),
    Topics { content: Vec<u8>, pubsub: Vec<u8> },
}

impl List {
    /// What reads it: the ends of a span, how many places, and its topics are the parameters. It is in the index's order,
    /// so nothing is sorted.
    pub(super) fn sql(&self, direction: Direction) -> String {
        let (index, topics) = match self {
            Self::All => ("i_ts", ""),
            Self::Pubsub(_) => ("waku_rs_by_pubsub", "pubsubTopic = ?6 AND"),
            Self::Topics { .. } => ("waku_rs_by_topics", "contentTopic = ?6 AND pubsubTopic = ?7 AND"),
        };
        let order = match direction {
            Direction::Forward => "ASC",
            Direction::Backward => "DESC",
        };
        format!(
            "SELECT timestamp, messageHash FROM message INDEXED BY {index}
             WHERE {topics} (timestamp, messageHash) >= (?1, ?2) AND (timestamp, messageHash) <= (?3, ?4)
             ORDER BY timestamp {order}, messageHash {order} LIMIT ?5"
        )
    }
}

/// Finds the pubsub topic after another one on which a content topic is used.
pub(super) const NEXT_PUBSUB_TOPIC: &str = "
    SELECT pubsubTopic FROM message INDEXED BY waku_rs_by_topics
    WHERE contentTopic = ? AND pubsubTopic > ? ORDER BY pubsubTopic LIMIT 1";

/// The file at one moment, to answer one query.
#[derive(Debug)]
pub(super) struct Snapshot<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
    /// Places that are read together.
    chunk: usize,
}

impl<'a> Snapshot<'a> {
    pub(super) fn of(
        connection: &'a mut Connection,
        path: &'a Path,
        query: &Query,
    ) -> rusqlite::Result<Self> {
        let lists = match &query.selection {
            Selection::Content(criteria) => criteria.content_topics.len().max(1),
            Selection::Hashes(_) => 1,
        };
        // One more tells whether anything follows, and one may be the cursor.
        let chunk = query.limit.saturating_add(2).div_ceil(lists).clamp(CHUNK.0, CHUNK.1);
        Ok(Self { transaction: connection.transaction()?, path, chunk })
    }

    fn failed(&self, error: rusqlite::Error) -> ArchiveError {
        ArchiveError::from_sqlite(self.path, error)
    }

    fn find_position(&self, hash: &MessageHash) -> rusqlite::Result<Option<Position>> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT timestamp, messageHash FROM message WHERE messageHash = ?")?;
        statement.query_row([hash.as_bytes()], rows::position).optional()
    }

    fn find_envelope(&self, hash: &MessageHash) -> rusqlite::Result<Option<Envelope>> {
        let sql = format!("SELECT {} FROM message WHERE messageHash = ?", rows::COLUMNS);
        self.transaction.prepare_cached(&sql)?.query_row([hash.as_bytes()], rows::envelope).optional()
    }

    /// The pubsub topics on which a content topic is used: each is found without looking at its messages.
    fn pubsub_topics(&self, content: &[u8]) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = self.transaction.prepare_cached(NEXT_PUBSUB_TOPIC)?;
        let mut found: Vec<Vec<u8>> = Vec::new();
        loop {
            let last = found.last().map_or(&[][..], Vec::as_slice);
            match statement.query_row([content, last], |row| row.get(0)).optional()? {
                Some(next) => found.push(next),
                None => return Ok(found),
            }
        }
    }

    /// The first places of a list in a span, seen in a direction.
    fn read(&self, list: &List, span: Span, direction: Direction) -> rusqlite::Result<Vec<Position>> {
        let mut statement = self.transaction.prepare_cached(&list.sql(direction))?;
        statement.raw_bind_parameter(1, span.first.timestamp)?;
        statement.raw_bind_parameter(2, span.first.hash.as_bytes())?;
        statement.raw_bind_parameter(3, span.last.timestamp)?;
        statement.raw_bind_parameter(4, span.last.hash.as_bytes())?;
        statement.raw_bind_parameter(5, i64::try_from(self.chunk).unwrap_or(i64::MAX))?;
        let topics = match list {
            List::All => [None, None],
            List::Pubsub(pubsub) => [Some(pubsub), None],
            List::Topics { content, pubsub } => [Some(content), Some(pubsub)],
        };
        for (number, topic) in (6..).zip(topics.into_iter().flatten()) {
            statement.raw_bind_parameter(number, topic)?;
        }
        statement.raw_query().mapped(rows::position).collect()
    }
}

impl Index for Snapshot<'_> {
    type List = List;

    fn position(&self, hash: &MessageHash) -> Result<Option<Position>, ArchiveError> {
        self.find_position(hash).map_err(|error| self.failed(error))
    }

    fn envelope(&self, position: Position) -> Result<Envelope, ArchiveError> {
        let found = self.find_envelope(&position.hash).map_err(|error| self.failed(error))?;
        found.ok_or_else(|| ArchiveError::damaged(format!("message {} is gone", position.hash)))
    }

    fn lists(&self, criteria: &Criteria) -> Result<Vec<List>, ArchiveError> {
        let pubsub = criteria.pubsub_topic.as_ref().map(|topic| topic.as_str().as_bytes().to_vec());
        if criteria.content_topics.is_empty() {
            return Ok(vec![pubsub.map_or(List::All, List::Pubsub)]);
        }
        let mut lists = Vec::new();
        for topic in &criteria.content_topics {
            let pubsub_topics = match &pubsub {
                Some(pubsub) => vec![pubsub.clone()],
                None => self.pubsub_topics(topic.as_bytes()).map_err(|error| self.failed(error))?,
            };
            let list = |pubsub| List::Topics { content: topic.as_bytes().to_vec(), pubsub };
            lists.extend(pubsub_topics.into_iter().map(list));
        }
        Ok(lists)
    }

    fn positions(&self, list: List, span: Span, direction: Direction) -> Result<Positions<'_>, ArchiveError> {
        Ok(Box::new(Places {
            snapshot: self,
            list,
            span,
            direction,
            read: Vec::new().into_iter(),
            last: None,
            is_over: false,
        }))
    }
}

/// The places of a list in a span, read when they are asked for.
struct Places<'a> {
    snapshot: &'a Snapshot<'a>,
    list: List,
    /// What is left of the span; it begins, seen in its direction, at `last`.
    span: Span,
    direction: Direction,
    read: vec::IntoIter<Position>,
    /// The last place read.
    last: Option<Position>,
    is_over: bool,
}

impl Places<'_> {
    fn read_on(&mut self) -> Result<(), ArchiveError> {
        let read = self.snapshot.read(&self.list, self.span, self.direction);
        let mut read = read.map_err(|error| self.snapshot.failed(error))?;
        self.is_over = read.len() < self.snapshot.chunk;
        read.retain(|place| Some(*place) != self.last);
        if let Some(last) = read.last().copied() {
            match self.direction {
                Direction::Forward => self.span.first = last,
                Direction::Backward => self.span.last = last,
            }
            self.last = Some(last);
        }
        self.read = read.into_iter();
        Ok(())
    }
}

impl Iterator for Places<'_> {
    type Item = Result<Position, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(place) = self.read.next() {
                return Some(Ok(place));
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.read_on() {
                self.is_over = true;
                return Some(Err(error));
            }
        }
    }
}
