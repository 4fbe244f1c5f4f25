//! How a query is answered, whatever the messages are kept in.
//!
//! Every index lists places on the time axis. A page reads, from each list that a query needs, as many places as
//! end up on the page and one more: its cost does not grow with the archive.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::iter;

use waku_proto::store::Direction;
use waku_proto::{Envelope, MessageHash};

use super::key::{Position, Span, TopicKey, Topics};
use super::{ArchiveError, Criteria, Entry, Page, Query, QueryError, Selection};

/// A list of places, where topics go by their keys.
#[derive(Debug, Clone, Copy)]
pub(super) enum List {
    All,
    Pubsub(TopicKey),
    Topics(Topics),
}

/// Places in order, seen in one direction.
pub(super) type Positions<'a> = Box<dyn Iterator<Item = Result<Position, ArchiveError>> + 'a>;

/// One moment of an archive.
pub(super) trait Index {
    /// Names a list.
    type List;

    fn position(&self, hash: &MessageHash) -> Result<Option<Position>, ArchiveError>;

    /// The message at a place that one of the lists has named.
    fn envelope(&self, position: Position) -> Result<Envelope, ArchiveError>;

    /// The lists that together have what the criteria ask for, and nothing twice.
    fn lists(&self, criteria: &Criteria) -> Result<Vec<Self::List>, ArchiveError>;

    /// The places of a list within `span`, which is not empty.
    fn positions(
        &self,
        list: Self::List,
        span: Span,
        direction: Direction,
    ) -> Result<Positions<'_>, ArchiveError>;
}

/// Places that can be seen from either end, seen in one direction.
pub(super) fn seen<'a>(
    places: impl DoubleEndedIterator<Item = Result<Position, ArchiveError>> + 'a,
    direction: Direction,
) -> Positions<'a> {
    match direction {
        Direction::Forward => Box::new(places),
        Direction::Backward => Box::new(places.rev()),
    }
}

pub(super) fn answer(index: &impl Index, query: &Query) -> Result<Page, QueryError> {
    let place = |cursor: MessageHash| index.position(&cursor)?.ok_or(QueryError::UnknownCursor { cursor });
    let cursor = query.cursor.map(place).transpose()?;
    let mut found = match &query.selection {
        Selection::Hashes(hashes) => by_hashes(index, hashes, cursor, query)?,
        Selection::Content(criteria) => by_content(index, criteria, cursor, query)?,
    };
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(|last| last.hash);
    if query.direction == Direction::Backward {
        found.reverse();
    }
    let entry = |position: Position| {
        let envelope = query.include_data.then(|| index.envelope(position)).transpose()?;
        Ok(Entry { hash: position.hash, envelope })
    };
    let entries = found.into_iter().map(entry).collect::<Result<_, ArchiveError>>()?;
    Ok(Page { entries, cursor: next })
}

/// What lies behind the cursor.
fn behind(span: Span, cursor: Option<Position>, direction: Direction) -> Span {
    match (cursor, direction) {
        (None, _) => span,
        (Some(cursor), Direction::Forward) => Span { first: span.first.max(cursor), ..span },
        (Some(cursor), Direction::Backward) => Span { last: span.last.min(cursor), ..span },
    }
}

/// As many places as the page takes and one more, which tells whether anything follows. The cursor itself is none
/// of them.
fn take<E>(
    places: impl Iterator<Item = Result<Position, E>>,
    cursor: Option<Position>,
    limit: usize,
) -> Result<Vec<Position>, E> {
    let is_new = |place: &Result<Position, E>| place.as_ref().ok().is_none_or(|place| Some(*place) != cursor);
    places.filter(is_new).take(limit.saturating_add(1)).collect()
}

fn by_hashes(
    index: &impl Index,
    hashes: &[MessageHash],
    cursor: Option<Position>,
    query: &Query,
) -> Result<Vec<Position>, ArchiveError> {
    let span = behind(Span::between(None, None), cursor, query.direction);
    let places = hashes.iter().map(|hash| index.position(hash));
    let places = places.filter_map(Result::transpose).collect::<Result<BTreeSet<_>, _>>()?;
    let places = places.into_iter().filter(|place| span.contains(*place)).map(Ok);
    match query.direction {
        Direction::Forward => take(places, cursor, query.limit),
        Direction::Backward => take(places.rev(), cursor, query.limit),
    }
}

fn by_content(
    index: &impl Index,
    criteria: &Criteria,
    cursor: Option<Position>,
    query: &Query,
) -> Result<Vec<Position>, ArchiveError> {
    let span = behind(Span::between(criteria.time_start, criteria.time_end), cursor, query.direction);
    if span.is_empty() {
        return Ok(Vec::new());
    }
    let lists = index.lists(criteria)?.into_iter().map(|list| index.positions(list, span, query.direction));
    let lists = lists.collect::<Result<Vec<_>, _>>()?;
    match query.direction {
        Direction::Forward => take(merge(lists, Reverse)?, cursor, query.limit),
        Direction::Backward => take(merge(lists, |place| place)?, cursor, query.limit),
    }
}

/// The lists for criteria where topics go by their keys. `pubsub_topic` finds the first pubsub topic, from its second
/// argument on, that has a message of the content topic that is its first.
pub(super) fn lists(
    criteria: &Criteria,
    pubsub_topic: impl Fn(TopicKey, TopicKey) -> Result<Option<TopicKey>, ArchiveError>,
) -> Result<Vec<List>, ArchiveError> {
    let pubsub = criteria.pubsub_topic.as_ref().map(|topic| TopicKey::of(topic.as_str()));
    if criteria.content_topics.is_empty() {
        return Ok(vec![pubsub.map_or(List::All, List::Pubsub)]);
    }
    let mut lists = Vec::new();
    for topic in &criteria.content_topics {
        let content = TopicKey::of(topic);
        let mut from = pubsub.or(Some(TopicKey::FIRST));
        while let Some(first) = from {
            let Some(found) = pubsub_topic(content, first)? else { break };
            from = match pubsub {
                Some(wanted) if wanted != found => break,
                Some(_) => None,
                None => found.next(),
            };
            lists.push(List::Topics(Topics { content, pubsub: found }));
        }
    }
    Ok(lists)
}

/// One list of several. Each of them is in descending order of `rank`, and so is the whole.
fn merge<R: Ord>(
    mut lists: Vec<Positions<'_>>,
    rank: impl Fn(Position) -> R,
) -> Result<impl Iterator<Item = Result<Position, ArchiveError>>, ArchiveError> {
    let mut heads = BinaryHeap::with_capacity(lists.len());
    for (list, places) in lists.iter_mut().enumerate() {
        if let Some(place) = places.next().transpose()? {
            heads.push(Head { rank: rank(place), place, list });
        }
    }
    Ok(iter::from_fn(move || {
        let Head { place, list, .. } = heads.pop()?;
        match lists.get_mut(list)?.next() {
            Some(Ok(next)) => heads.push(Head { rank: rank(next), place: next, list }),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
        Some(Ok(place))
    }))
}

/// The next place of a list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head<R> {
    rank: R,
    place: Position,
    list: usize,
}
