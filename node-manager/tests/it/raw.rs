//! HTTP byte by byte: what no well-behaved client would send.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::process::PATIENCE;

/// A connection to an endpoint.
pub(crate) struct Raw {
    stream: TcpStream,
    /// The endpoint's host and port.
    pub(crate) host: String,
}

impl Raw {
    pub(crate) fn connect(endpoint: &str) -> Self {
        let host = endpoint.strip_prefix("http://").unwrap().to_owned();
        let stream = TcpStream::connect(&host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, host }
    }

    /// Sends a text, in which `HOST` stands for the endpoint's name.
    pub(crate) fn send(&mut self, text: &str) {
        let text = text.replace("HOST", &self.host);
        // Who is told that a request makes no sense may be so before all of it is sent.
        _ = self.stream.write_all(text.as_bytes());
    }

    /// Reads until something has come that ends with a text.
    pub(crate) fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap_or_else(|error| {
                panic!("{error}, not {end:?} after {:?}", String::from_utf8_lossy(&read))
            });
            read.extend(byte);
        }
        String::from_utf8(read).unwrap()
    }

    /// Everything that comes until the other side closes.
    pub(crate) fn rest(mut self) -> String {
        let mut read = Vec::new();
        // Closed with something unread, it ends with an error.
        if let Err(error) = self.stream.read_to_end(&mut read) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "nothing came in time");
        }
        String::from_utf8_lossy(&read).into_owned()
    }
}

/// Sends a text to an endpoint and reads to the end of the connection.
pub(crate) fn exchange(endpoint: &str, text: &str) -> String {
    let mut raw = Raw::connect(endpoint);
    raw.send(text);
    raw.rest()
}

/// The statuses of the answers in what was read.
pub(crate) fn statuses(read: &str) -> Vec<u16> {
    let heads = read.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head.get(..3).and_then(|status| status.parse().ok()).unwrap()).collect()
}
