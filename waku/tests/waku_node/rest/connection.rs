//! HTTP itself: what no single request with an answer shows.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::http::{Answer, raw};
use crate::process::{Process, WITHIN, free_ports};

use super::coverage::covers;

/// A connection that stays open for several requests.
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(node: &Process) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.rest)).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next answer: its first line, its headers in lower case, its body as long as it says.
    pub(super) fn answer(&mut self) -> (String, Vec<String>, String) {
        let mut line = || {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let status = line();
        let headers: Vec<_> = std::iter::repeat_with(|| line().to_ascii_lowercase())
            .take_while(|line| !line.is_empty())
            .collect();
        let length = headers.iter().find_map(|header| header.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        (status, headers, String::from_utf8(body).unwrap())
    }

    fn is_at_its_end(&mut self) -> bool {
        self.0.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}

fn ok(answer: &Answer, body: &str) {
    assert_eq!(
        (answer.status, answer.phrase.as_str(), answer.body.as_str()),
        (200, "OK", body),
        "{answer:?}"
    );
}

#[test]
fn requests_of_every_shape_are_answered() {
    covers(&["server.http-1.0", "server.no-host", "server.chunked", "server.garbage"]);
    let node = Process::start(&["--shard=0"]);
    ok(&raw(node.rest, b"GET /version HTTP/1.0\r\n\r\n"), "v0.38.1");
    ok(&raw(node.rest, b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n"), "v0.38.1");
    let chunked = "POST /relay/v1/subscriptions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                   7\r\n[\"/waku\r\n10\r\n/2/rs/99/4\"]    \r\n0\r\n\r\n";
    ok(&raw(node.rest, chunked.as_bytes()), "OK");
    assert_eq!(node.get("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F99%2F4").body, "[]");
    for garbage in ["hello\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9\r\n\r\n"] {
        let answer = raw(node.rest, garbage.as_bytes());
        assert_eq!((answer.status, answer.phrase.as_str(), answer.body.as_str()), (400, "Bad Request", ""));
    }
}

#[test]
fn a_connection_serves_several_requests_and_is_closed_when_asked() {
    covers(&["server.keep-alive"]);
    let node = Process::start(&["--shard=0"]);
    let mut connection = Connection::open(&node);
    for path in ["/version", "/nothing", "/version"] {
        connection.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let (status, headers, body) = connection.answer();
        let is_there = path == "/version";
        assert_eq!(status, if is_there { "HTTP/1.1 200 OK" } else { "HTTP/1.1 404 Not Found" });
        assert_eq!(body, if is_there { "v0.38.1" } else { "" });
        assert!(!headers.contains(&"connection: close".to_owned()), "{headers:?}");
    }
    // Several at once are answered in their order.
    connection.write(
        b"GET /version HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(connection.answer().0, "HTTP/1.1 200 OK");
    let (status, headers, _) = connection.answer();
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert!(headers.contains(&"connection: close".to_owned()), "{headers:?}");
    assert!(connection.is_at_its_end());
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_comes_and_while_it_comes() {
    covers(&["server.too-large", "server.early-413-is-delivered"]);
    let node = Process::start(&["--shard=0"]);
    let head = |length: usize| {
        format!(
            "POST /relay/v1/subscriptions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let too_large = "HTTP/1.1 413 Request Entity Too Large";
    // Nothing of the body is sent, and the answer comes.
    let mut connection = Connection::open(&node);
    connection.write(head((16 << 20) + 1).as_bytes());
    assert_eq!(connection.answer().0, too_large);
    // All of it is sent, and the answer is not lost to a reset.
    let answer = raw(node.rest, &[head(20 << 20).into_bytes(), vec![b' '; 20 << 20]].concat());
    assert_eq!((answer.status, answer.phrase.as_str()), (413, "Request Entity Too Large"));
    // As much as is allowed is read.
    let mut body = vec![b' '; 16 << 20];
    body[..2].copy_from_slice(b"[]");
    ok(&raw(node.rest, &[head(16 << 20).into_bytes(), body].concat()), "OK");
    // In chunks nobody knows before how much it is.
    let mut connection = Connection::open(&node);
    connection.write(
        b"POST /relay/v1/subscriptions HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    for _ in 0..17 {
        connection.write(&chunk);
    }
    assert_eq!(connection.answer().0, too_large);
}

#[test]
fn the_server_answers_before_the_node_is_up() {
    covers(&["server.bound-before-up"]);
    let node = Process::start(&["--shard=0"]);
    let log = node.log();
    let bound = log.find("REST server started").unwrap();
    assert!(bound < log.find("Created WakuMetadata protocol").unwrap());
    assert!(bound < log.find("Node setup complete").unwrap());
}

#[test]
fn a_node_that_was_stopped_and_continued_answers_what_waited() {
    covers(&["server.stopped-and-continued"]);
    let node = Process::start(&["--shard=0"]);
    for _ in 0..3 {
        node.signal("-STOP");
        // The system takes the connection in the node's place.
        let mut connections: Vec<_> = (0..20).map(|_| Connection::open(&node)).collect();
        for connection in &mut connections {
            connection.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        node.signal("-CONT");
        for connection in &mut connections {
            let (status, _, body) = connection.answer();
            assert_eq!(status, "HTTP/1.1 200 OK");
            assert!(body.contains("READY"), "{body}");
        }
    }
}

#[test]
fn a_body_that_stalls_holds_up_nobody_else() {
    let node = Process::start(&["--shard=0"]);
    let stalled: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = Connection::open(&node);
            connection.write(
                b"POST /relay/v1/subscriptions HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n[",
            );
            connection
        })
        .collect();
    let start = Instant::now();
    for _ in 0..50 {
        ok(&node.get("/version"), "v0.38.1");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    for mut connection in stalled {
        connection.write(b"]");
        assert_eq!(connection.answer().0, "HTTP/1.1 200 OK");
    }
}

#[test]
fn clients_that_go_in_the_middle_do_no_harm() {
    let node = Process::start(&["--shard=0"]);
    let requests: [&[u8]; 4] = [
        b"",
        b"GET /ver",
        b"GET /version HTTP/1.1\r\nHo",
        b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
    ];
    for request in requests.repeat(10) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.rest)).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    ok(&node.get("/version"), "v0.38.1");
}

#[test]
fn announced_addresses_are_what_the_flags_say_tcp_first() {
    covers(&["info.announced", "info.websocket"]);
    let [websocket] = free_ports();
    let port = format!("--websocket-port={websocket}");
    let node = Process::start(&["--shard=0", "--nat=extip:192.0.2.7", "--websocket-support", &port]);
    let info = node.get("/info").json();
    let id = node.peer_id();
    let wanted = [
        format!("/ip4/192.0.2.7/tcp/{}/p2p/{id}", node.tcp),
        format!("/ip4/192.0.2.7/tcp/{websocket}/ws/p2p/{id}"),
    ];
    assert_eq!(info["listenAddresses"], serde_json::json!(wanted));
    assert_eq!(node.get("/debug/v1/info").json(), info);
}
