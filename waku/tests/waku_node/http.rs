//! What a client of the REST API does.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;

use crate::process::{Process, WITHIN};

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The words after the status.
    pub(crate) phrase: String,
    /// In lower case, with their values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One request on a connection of its own, byte for byte.
pub(crate) fn raw(port: u16, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    // A server that refuses early may close before everything is written.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let mut status = lines.next().unwrap().splitn(3, ' ').skip(1);
    let code = status.next().unwrap().parse().unwrap();
    let phrase = status.next().unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines.map(header).collect();
    assert!(!headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())), "{text}");
    Answer { status: code, phrase, headers, body: body.to_owned() }
}

impl Process {
    /// A request with these headers, each with its line end, and this body.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n"
        );
        raw(self.rest, [head.as_bytes(), body.as_bytes()].concat().as_slice())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", "")
    }

    /// With a body of JSON.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.request(method, path, "Content-Type: application/json\r\n", body)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, body)
    }
}

/// A value in a path.
pub(crate) fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}
