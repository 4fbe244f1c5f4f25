//! The archive: where it is, what is kept, and what happens when its file or its disk fails.

mod faults;
mod full_disk;
mod opening;
mod resuming;
mod retention;

use std::path::Path;
use std::thread;

use data_encoding::HEXLOWER;
use waku::proto::EncodedMessage;
use waku::store::archive::{Archive, RedbArchive};
use waku::{Envelope, Shard, WakuMessage};

use crate::network::{message, now};
use crate::process::{Process, until};

/// A message of so many seconds ago on shard 0 of cluster 99.
fn envelope(seconds: i64, payload: Vec<u8>) -> Envelope {
    let message =
        WakuMessage::new(&"/a/1/b/proto".parse().unwrap(), payload, now() - seconds * 1_000_000_000);
    Envelope::new(Shard::new(99, 0).unwrap().into(), EncodedMessage::encode(message))
}

/// `count` messages, the oldest first, one a second, the newest so many seconds ago.
fn envelopes(count: u16, seconds: i64) -> Vec<Envelope> {
    (0..count).map(|i| envelope(seconds + i64::from(count - i), i.to_be_bytes().to_vec())).collect()
}

/// How REST shows their hashes.
fn hashes(envelopes: &[Envelope]) -> Vec<String> {
    envelopes.iter().map(|envelope| format!("0x{}", HEXLOWER.encode(envelope.hash().as_bytes()))).collect()
}

/// An archive with these messages, as an earlier run could have left it.
fn left(path: &Path, envelopes: &[Envelope]) {
    assert_eq!(RedbArchive::open(path).unwrap().insert(envelopes).unwrap().new, envelopes.len());
}

/// Publishes a message through REST that is to be kept; nothing when the node does not take it.
fn try_publish(rest: u16, payload: &[u8]) -> Option<()> {
    use std::io::{Read as _, Write as _};
    let body = message(payload, "/a/1/b/proto").to_string();
    let request = format!(
        "POST /relay/v1/messages/%2Fwaku%2F2%2Frs%2F99%2F0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, rest)).ok()?;
    stream.set_read_timeout(Some(crate::process::WITHIN)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(())
}

/// Publishes until the node takes no more, and returns the payloads that it took.
fn flood(rest: u16, name: u8) -> thread::JoinHandle<Vec<Vec<u8>>> {
    thread::spawn(move || {
        let payloads = (0_u32..).map(|number| [&[name][..], &number.to_be_bytes()].concat());
        payloads.take_while(|payload| try_publish(rest, payload).is_some()).collect()
    })
}

/// The payloads it has, in base64.
fn payloads(node: &Process) -> Vec<String> {
    let (mut payloads, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/store/v3/messages?includeData=true&pageSize=100&ascending=true{cursor}");
        let page = node.get(&path).json();
        let payload = |one: &serde_json::Value| one["message"]["payload"].as_str().unwrap().to_owned();
        payloads.extend(page["messages"].as_array().unwrap().iter().map(payload));
        match page["paginationCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return payloads,
        }
    }
}

/// Waits until it has exactly these messages.
fn has(node: &Process, hashes: &[String]) {
    until("exactly these messages are kept", || (node.stored() == hashes).then_some(()));
}
