//! Frames on a stream, in whatever pieces it arrives.

use waku_proto::Bytes;
use waku_proto::framing::{Decoder, FrameError, encode};

use super::script::Script;

/// What came out of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    messages: Vec<Bytes>,
    error: Option<FrameError>,
    /// Whether nothing was left over.
    ended: bool,
}

/// Pieces make no difference, no message is over the limit, and the messages are the stream.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let (Some(limit), Some(cuts)) = (script.byte(), script.bytes()) else { return };
    let (limit, stream) = (16 * usize::from(limit), script.rest());

    let whole = read(limit, [stream]);
    assert_eq!(read(limit, pieces(cuts, stream)), whole);
    assert!(whole.messages.iter().all(|message| message.len() <= limit));
    let written = whole.messages.iter().flat_map(|message| encode(message)).collect::<Vec<_>>();
    assert!(stream.starts_with(&written));
    assert_eq!(whole.ended, whole.error.is_none() && written.len() == stream.len());
}

fn read<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut decoder, mut messages) = (Decoder::new(limit), Vec::new());
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return Read { messages, error: Some(error), ended: false },
            }
        }
    }
    Read { messages, error: None, ended: decoder.is_empty() }
}

/// Cuts a stream; what is left after the last cut is a piece too.
fn pieces<'a>(cuts: &'a [u8], mut stream: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for len in cuts {
        let (piece, rest) = stream.split_at(stream.len().min((*len).into()));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}
