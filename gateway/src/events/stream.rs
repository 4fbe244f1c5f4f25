//! The format of event streams, as the HTML standard has it; lines end with LF or CR LF.

/// Longest event, in bytes. What is longer is left out.
const MAX_EVENT: usize = 64 * 1024;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    Event {
        /// `message` where the stream names none.
        kind: String,
        data: String,
    },
    /// One that is too long to be kept.
    TooLong,
}

/// Reads a stream piece by piece. Holds at most one event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    kind: String,
    data: Option<String>,
    too_long: bool,
}

impl Parser {
    /// Takes the next bytes, and hands out what they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Parsed> {
        let mut parsed = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, is_end) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
            if held + piece.len() > MAX_EVENT {
                self.too_long = true;
                self.data = None;
                // Something has to be left, or else the line would look like the empty one at an event's end.
                self.line = b":".to_vec();
            } else {
                self.line.extend_from_slice(piece);
            }
            if is_end {
                parsed.extend(self.end_line());
            }
        }
        parsed
    }

    fn end_line(&mut self) -> Option<Parsed> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
        if line.is_empty() {
            let (kind, data) = (std::mem::take(&mut self.kind), self.data.take());
            if std::mem::take(&mut self.too_long) {
                return Some(Parsed::TooLong);
            }
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            return data.map(|data| Parsed::Event { kind, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" if !self.too_long => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(kind: &str, data: &str) -> Parsed {
        Parsed::Event { kind: kind.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text =
            b": hello\r\nevent: head\r\ndata: {\"slot\":\"1\"}\r\n\r\nid: 7\ndata:a\ndata: b\n\nevent:x\n\n";
        let expected = [event("head", "{\"slot\":\"1\"}"), event("message", "a\nb")];
        assert_eq!(Parser::default().push(text), expected);
        let mut parser = Parser::default();
        let parsed: Vec<_> = text.iter().flat_map(|byte| parser.push(&[*byte])).collect();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn an_event_that_is_too_long_is_told_and_the_next_is_read() {
        let mut parser = Parser::default();
        for _ in 0..100 {
            assert_eq!(parser.push(&[b'a'; 10_000]), []);
            assert!(parser.line.len() <= MAX_EVENT);
        }
        assert_eq!(parser.push(b"\n\nevent: head\ndata: 1\n\n"), [Parsed::TooLong, event("head", "1")]);
        let many = "data: xxxxxxxxxxxxxxx\n".repeat(10_000) + "\n";
        assert_eq!(parser.push(many.as_bytes()), [Parsed::TooLong]);
    }

    proptest! {
        #[test]
        fn no_stream_makes_it_hold_more_than_an_event(pieces in prop::collection::vec(
            prop_oneof![Just(b"\n".to_vec()), Just(b"data: ".to_vec()), prop::collection::vec(any::<u8>(), 0..3000)], 0..60,
        )) {
            let mut parser = Parser::default();
            for piece in pieces {
                for parsed in parser.push(&piece) {
                    if let Parsed::Event { data, .. } = parsed {
                        // Three bytes stand for each that is no text.
                        prop_assert!(data.len() <= 3 * MAX_EVENT);
                    }
                }
                prop_assert!(parser.line.len() <= MAX_EVENT);
            }
        }
    }
}
