//! `/store/v3`: past messages, of this node's archive or of a store node.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use data_encoding::HEXLOWER;
use futures::TryStreamExt as _;
use getrandom::SysRng;
use rand_core::{Rng as _, UnwrapErr};
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waku::peers::ConnectError;
use waku::proto::protocol_id::STORE_QUERY;
use waku::proto::store::{Direction, Status};
use waku::store::archive::{Criteria, Entry, Page, Query, QueryError, Selection};
use waku::{AskError, MessageHash, Multiaddr, Node, PeerId, StoreError};

use super::json::MessageOut;
use super::query::Parameters;
use super::reply::{Refusal, Reply, json};
use super::service_peer::{NoPeer, peer_id_of};
use super::{ANSWER_WITHIN, Api};

/// Most messages on a page.
const MAX_PAGE: usize = 100;
/// Messages on a page unless the client says so.
const DEFAULT_PAGE: usize = 20;
/// Most hashes in a query. nwaku has no limit but that of the head.
const MAX_HASHES: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(messages))
}

/// A page of messages, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Found {
    /// Empty when this node's archive has answered.
    request_id: String,
    /// 200, or the status of the store node that was asked.
    status_code: u32,
    status_desc: String,
    messages: Vec<FoundMessage>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination_cursor: Option<String>,
}

/// A message found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FoundMessage {
    /// `0x` and 64 hexadecimal digits.
    message_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubsub_topic: Option<String>,
}

/// Past messages: of the store named, of this node's own archive, or of any store node.
#[utoipa::path(
    get, path = "/store/v3/messages", tag = "store",
    params(
        ("peerAddr" = Option<String>, Query, description = "multiaddress of the store node to ask"),
        ("includeData" = Option<bool>, Query, description = "with the messages, not only their hashes"),
        ("pubsubTopic" = Option<String>, Query), ("contentTopics" = Option<String>, Query, description = "separated by commas"),
        ("startTime" = Option<i64>, Query, description = "Unix nanoseconds, inclusive"),
        ("endTime" = Option<i64>, Query, description = "Unix nanoseconds, inclusive"),
        ("hashes" = Option<String>, Query, description = "separated by commas"),
        ("cursor" = Option<String>, Query, description = "hash of the message that the page begins behind"),
        ("pageSize" = Option<u64>, Query, description = "at most 100, by default 20"),
        ("ascending" = Option<String>, Query, description = "`true`, the default: the oldest page first")
    ),
    responses((status = 200, body = Found), (status = 400, body = String), (status = 412, body = String),
        (status = 429, body = String), (status = 500, body = String))
)]
async fn messages(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Reply {
    let node = api.node()?;
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default());
    let asked = Asked::read(&parameters)?;
    match (&asked.peer, node.store().archive().is_some()) {
        (Some(address), _) => {
            let Some(peer) = peer_id_of(address) else {
                return Err(unparsable(&no_peer_id(address)));
            };
            match node.peers().connect(address.clone()).await {
                Ok(peer) => ask(node, peer, asked).await,
                Err(ConnectError::Stopped(error)) => Err(Refusal::internal(error.to_string())),
                Err(_) => Ok(unreachable(peer)),
            }
        }
        (None, true) => look_up(node, asked).await,
        (None, false) => {
            let named = api.settings.service_nodes.store.as_ref();
            match api.service_peer(node, STORE_QUERY, None, named).await {
                Ok(peer) => ask(node, peer, asked).await,
                Err(NoPeer::NotReached(peer)) => Ok(unreachable(peer)),
                Err(NoPeer::Unknown(reason)) => Err(Refusal::new(StatusCode::PRECONDITION_FAILED, reason)),
            }
        }
    }
}

/// What a client wants to know.
#[derive(Debug)]
struct Asked {
    peer: Option<Multiaddr>,
    query: Query,
    /// Whether the client wants more than hashes.
    shows_data: bool,
    /// What messages named by hash must be like too.
    criteria: Option<Criteria>,
    /// Criteria that no message meets.
    meets_nothing: bool,
}

impl Asked {
    fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        let include_data = match parameters.get("includedata") {
            Some(text) => boolean(text).ok_or_else(|| {
                Refusal::bad_request(format!(
                    "include data parsing error: cannot interpret as a bool: {text}"
                ))
            })?,
            None => false,
        };
        let time = |name| {
            let parsed = parameters.get(name).map(integer::<i64>).transpose();
            let time = parsed.map_err(|flaw| Refusal::bad_request(format!("time parsing error: {flaw}")))?;
            Ok::<_, Refusal>(time.filter(|time| *time > 0))
        };
        let (time_start, time_end) = (time("starttime")?, time("endtime")?);
        let hashes = list(parameters.get("hashes")).map(hash).collect::<Result<Vec<_>, _>>()?;
        if hashes.len() > MAX_HASHES {
            return Err(Refusal::bad_request(format!("a query may name {MAX_HASHES} hashes")));
        }
        let cursor = parameters.get("cursor").map(hash).transpose()?;
        let limit = parameters.get("pagesize").map(integer::<i64>).transpose();
        let limit = limit.map_err(|flaw| Refusal::bad_request(format!("page size parsing error: {flaw}")))?;
        let limit = match limit {
            None | Some(0) => DEFAULT_PAGE,
            Some(limit) => usize::try_from(limit).map_or(MAX_PAGE, |limit| limit.min(MAX_PAGE)),
        };
        let is_forward = parameters.get("ascending").is_none_or(|text| text == "true");
        let peer = parameters.get("peeraddr").map(address).transpose()?;
        let pubsub_topic = parameters.get("pubsubtopic").map(str::parse).transpose();
        let content_topics =
            list(parameters.get("contenttopics")).map(str::to_owned).collect::<BTreeSet<_>>();
        let meets_nothing =
            pubsub_topic.is_err() || time_start.zip(time_end).is_some_and(|(start, end)| start > end);
        let criteria =
            Criteria { pubsub_topic: pubsub_topic.ok().flatten(), content_topics, time_start, time_end };
        let (selection, criteria) = if hashes.is_empty() {
            (Selection::Content(criteria), None)
        } else {
            (Selection::Hashes(hashes), Some(criteria))
        };
        let direction = if is_forward { Direction::Forward } else { Direction::Backward };
        // Criteria of messages named by hash are checked here, which takes their data.
        let needs_data = criteria.as_ref().is_some_and(|criteria| *criteria != Criteria::default());
        let query = Query { selection, include_data: include_data || needs_data, cursor, direction, limit };
        let criteria = criteria.filter(|_| needs_data);
        Ok(Self { peer, query, shows_data: include_data, criteria, meets_nothing })
    }
}

/// Whether a message named by hash meets the other criteria.
fn meets(criteria: &Criteria, entry: &Entry) -> bool {
    entry.envelope.as_ref().is_some_and(|envelope| {
        let (message, topics) = (envelope.message(), &criteria.content_topics);
        let time = message.timestamp.unwrap_or_default();
        criteria.pubsub_topic.as_ref().is_none_or(|topic| topic == envelope.pubsub_topic())
            && (topics.is_empty() || topics.contains(&message.content_topic))
            && criteria.time_start.is_none_or(|start| time >= start)
            && criteria.time_end.is_none_or(|end| time <= end)
    })
}

async fn look_up(node: &Node, asked: Asked) -> Reply {
    let Some(archive) = node.store().archive().cloned() else {
        return Err(Refusal::internal("the archive is gone"));
    };
    if asked.meets_nothing {
        return Ok(found(String::new(), &asked, Page::default()));
    }
    let query = asked.query.clone();
    let page = spawn_blocking(move || archive.query(&query)).await;
    let page = page.map_err(|error| Refusal::internal(format!("the archive failed: {error}")))?;
    match page {
        Ok(page) => Ok(found(String::new(), &asked, page)),
        Err(error) => {
            let reason = match error {
                QueryError::UnknownCursor { .. } => "cursor not found".to_owned(),
                QueryError::Archive(error) => error.to_string(),
            };
            let reason = format!(
                "error in handleSelfStoreRequest: BAD_RESPONSE: archive error: DRIVER_ERROR: {reason}"
            );
            Err(Refusal::internal(reason))
        }
    }
}

async fn ask(node: &Node, peer: PeerId, asked: Asked) -> Reply {
    let id = request_id();
    if asked.meets_nothing {
        return Ok(found(id, &asked, Page::default()));
    }
    let limit = asked.query.limit;
    let mut pages = node.store().query(peer, asked.query.clone(), limit);
    let Ok(page) = timeout(ANSWER_WITHIN, pages.try_next()).await else {
        return Err(late());
    };
    match page {
        Ok(page) => Ok(found(id, &asked, page.unwrap_or_default())),
        Err(StoreError::Refused { status: Status::TooManyRequests, .. }) => {
            Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Request rate limit reached"))
        }
        Err(StoreError::Refused { status, reason, .. }) => {
            let kind = match status {
                Status::BadResponse => "BAD_RESPONSE: ",
                Status::BadRequest => "BAD_REQUEST: ",
                Status::Unavailable => "SERVICE_UNAVAILABLE: ",
                _ => "",
            };
            Ok(refused(status.code(), format!("{kind}{reason}")))
        }
        Err(StoreError::Unanswered {
            error: AskError::NotReached | AskError::Unsupported | AskError::Disconnected,
            ..
        }) => Ok(unreachable(peer)),
        Err(StoreError::Unanswered { error: AskError::Timeout, .. }) => Err(late()),
        Err(StoreError::TooManyTopics { count }) => Ok(refused(
            Status::BadRequest.code(),
            format!("BAD_REQUEST: {count} content topics are too many"),
        )),
        Err(error) => Err(Refusal::internal(error.to_string())),
    }
}

fn found(request_id: String, asked: &Asked, page: Page) -> Response {
    let Page { entries, cursor } = page;
    let wanted = |entry: &Entry| asked.criteria.as_ref().is_none_or(|criteria| meets(criteria, entry));
    let messages = entries.into_iter().filter(wanted).map(|entry| {
        let envelope = entry.envelope.filter(|_| asked.shows_data);
        FoundMessage {
            message_hash: format!("0x{}", entry.hash),
            message: envelope.as_ref().map(|envelope| envelope.message().into()),
            pubsub_topic: envelope.map(|envelope| envelope.pubsub_topic().to_string()),
        }
    });
    let answer = Found {
        request_id,
        status_code: Status::Ok.code(),
        status_desc: "OK".to_owned(),
        messages: messages.collect(),
        pagination_cursor: cursor.map(|cursor| format!("0x{cursor}")),
    };
    json(StatusCode::OK, &answer)
}

/// A store node's refusal: the request as such was carried out.
fn refused(status_code: u32, status_desc: String) -> Response {
    let answer = Found {
        request_id: String::new(),
        status_code,
        status_desc,
        messages: Vec::new(),
        pagination_cursor: None,
    };
    json(StatusCode::OK, &answer)
}

fn unreachable(peer: PeerId) -> Response {
    refused(504, format!("PEER_DIAL_FAILURE: {peer}"))
}

fn late() -> Refusal {
    Refusal::internal("No history response received (timeout)")
}

fn request_id() -> String {
    HEXLOWER.encode(&UnwrapErr(SysRng).next_u64().to_be_bytes())
}

/// The parts of a list; empty ones are left out.
fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split(',')).filter(|part| !part.is_empty())
}

/// Nim's words for what is true and false.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" | "1" | "on" => Some(true),
        "n" | "no" | "false" | "0" | "off" => Some(false),
        _ => None,
    }
}

fn integer<T: FromStr>(text: &str) -> Result<T, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid integer: {text}"));
    }
    text.parse().map_err(|_| "Parsed integer outside of valid range".to_owned())
}

/// A message hash; the words of its flaws are nwaku's.
fn hash(text: &str) -> Result<MessageHash, Refusal> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let unhex =
        |flaw: String| Refusal::bad_request(format!("Exception converting hex string to bytes: {flaw}"));
    if let Some(other) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return Err(unhex(format!("{other} is not a hexadecimal character")));
    }
    if !digits.len().is_multiple_of(2) {
        return Err(unhex("hex string must have even length".to_owned()));
    }
    digits.parse().map_err(|_| {
        let length = digits.len() / 2;
        Refusal::bad_request(format!("waku message hash parsing error: invalid hash length: {length}"))
    })
}

fn address(text: &str) -> Result<Multiaddr, Refusal> {
    parse_address(text).map_err(|flaw| unparsable(&flaw))
}

fn unparsable(flaw: &str) -> Refusal {
    Refusal::bad_request(format!("Failed parsing remote peer info: {flaw}"))
}

/// A multiaddress that ends in a peer id; the words of its flaws are nwaku's.
pub(super) fn parse_address(text: &str) -> Result<Multiaddr, String> {
    let wrong = |flaw: String| format!("MultiAddress.init [multiaddress: {flaw}]");
    if !text.starts_with('/') {
        return Err(wrong("Invalid MultiAddress, must start with `/`".to_owned()));
    }
    let address = text.parse::<Multiaddr>().map_err(|error| {
        let parts: Vec<_> = text.split('/').skip(1).collect();
        match parts.as_slice() {
            [.., "p2p", id] if id.parse::<PeerId>().is_err() => wrong(format!("Error encoding `p2p/{id}`")),
            _ => wrong(
                unknown_part(&parts)
                    .map_or_else(|| error.to_string(), |part| format!("Unsupported protocol '{part}'")),
            ),
        }
    })?;
    if peer_id_of(&address).is_none() {
        return Err(no_peer_id(&address));
    }
    Ok(address)
}

/// The first part of an address that stands where a protocol belongs and is none.
fn unknown_part<'a>(parts: &[&'a str]) -> Option<&'a str> {
    let mut parts = parts.iter();
    while let Some(part) = parts.next() {
        match *part {
            "ws" | "wss" | "tls" | "quic" | "quic-v1" | "p2p-circuit" | "http" | "https" => {}
            "ip4" | "ip6" | "dns" | "dns4" | "dns6" | "dnsaddr" | "tcp" | "udp" | "p2p" => {
                parts.next();
            }
            other => return Some(other),
        }
    }
    None
}

fn no_peer_id(address: &Multiaddr) -> String {
    format!("Error in parsePeerInfo: p2p part should contain / [p2pPartStr:] [peer:{address}]")
}
