//! Store queries over an archive: pages, and cursors that anybody may invent.

use std::collections::BTreeSet;

use waku_archive::{Archive, Criteria, MemoryArchive, Query, QueryError, Selection};
use waku_proto::store::Direction;
use waku_proto::{EncodedMessage, Envelope, MessageHash, PubsubTopic, Shard, WakuMessage};

use super::script::Script;

const CONTENT_TOPICS: [&str; 3] = ["/a/1/a/a", "/a/1/b/a", "/a/1/c/a"];

/// However it is paged, a query brings what it selects, each message once and in order; a cursor that names no
/// message is an error.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let _ = play(&mut script);
}

fn play(script: &mut Script<'_>) -> Option<()> {
    let archive = MemoryArchive::new(1000, 1 << 20);
    let mut all: Vec<Envelope> = Vec::new();
    for _ in 0..script.byte()? % 32 {
        let envelope = envelope(script)?;
        archive.insert(core::slice::from_ref(&envelope)).expect("nothing fails in memory");
        if !all.iter().any(|known| known.hash() == envelope.hash()) {
            all.push(envelope);
        }
    }
    all.sort_by_key(|envelope| (envelope.message().timestamp, envelope.hash()));

    let mut query = Query::new(selection(script, &all)?);
    query.limit = usize::from(script.byte()? % 8) + 1;
    query.direction = if script.byte()? % 2 == 0 { Direction::Forward } else { Direction::Backward };
    let wanted: Vec<MessageHash> =
        all.iter().filter(|envelope| is_selected(&query.selection, envelope)).map(Envelope::hash).collect();

    let mut found = Vec::new();
    loop {
        let page = archive.query(&query).expect("its own cursors are known");
        let hashes: Vec<MessageHash> = page.entries.iter().map(|entry| entry.hash).collect();
        assert!(hashes.len() <= query.limit);
        match query.direction {
            Direction::Forward => found.extend(hashes),
            Direction::Backward => found.splice(0..0, hashes).for_each(drop),
        }
        query.cursor = page.cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, wanted);

    let invented = MessageHash::from(<[u8; 32]>::try_from(script.bytes()?.get(..32)?).ok()?);
    query.cursor = Some(invented);
    match archive.query(&query) {
        Ok(_) => assert!(all.iter().any(|envelope| envelope.hash() == invented)),
        Err(error) => assert!(matches!(error, QueryError::UnknownCursor { cursor } if cursor == invented)),
    }
    Some(())
}

fn pubsub_topic(script: &mut Script<'_>) -> Option<PubsubTopic> {
    Some(Shard::new(1, u16::from(script.byte()? % 2)).ok()?.into())
}

fn envelope(script: &mut Script<'_>) -> Option<Envelope> {
    let pubsub_topic = pubsub_topic(script)?;
    let content_topic = script.pick(&CONTENT_TOPICS)?.parse().ok()?;
    // Few different times, so that several messages have the same.
    let timestamp = i64::from(script.byte()? % 8);
    let message = WakuMessage::new(&content_topic, vec![script.byte()?], timestamp);
    Some(Envelope::new(pubsub_topic, EncodedMessage::encode(message)))
}

fn selection(script: &mut Script<'_>, all: &[Envelope]) -> Option<Selection> {
    let kind = script.byte()?;
    if kind % 4 == 0 {
        let mut hashes = vec![MessageHash::from([kind; 32])];
        for _ in 0..script.byte()? % 8 {
            hashes.extend(script.pick(all).map(Envelope::hash));
        }
        return Some(Selection::Hashes(hashes));
    }
    let mut content_topics = BTreeSet::new();
    for _ in 0..script.byte()? % 4 {
        content_topics.insert((*script.pick(&CONTENT_TOPICS)?).to_owned());
    }
    let mut time = || Some(if script.byte()? % 2 == 0 { None } else { Some(i64::from(script.byte()? % 8)) });
    let (time_start, time_end) = (time()?, time()?);
    let pubsub_topic = if kind % 4 == 1 { None } else { Some(pubsub_topic(script)?) };
    Some(Selection::Content(Criteria { pubsub_topic, content_topics, time_start, time_end }))
}

fn is_selected(selection: &Selection, envelope: &Envelope) -> bool {
    let message = envelope.message();
    match selection {
        Selection::Hashes(hashes) => hashes.contains(&envelope.hash()),
        Selection::Content(criteria) => {
            criteria.pubsub_topic.as_ref().is_none_or(|topic| topic == envelope.pubsub_topic())
                && (criteria.content_topics.is_empty()
                    || criteria.content_topics.contains(&message.content_topic))
                && criteria.time_start.is_none_or(|start| message.timestamp >= Some(start))
                && criteria.time_end.is_none_or(|end| message.timestamp <= Some(end))
        }
    }
}
