//! Between frames and their protobuf.

use bytes::Bytes;
use prost::Message;

use super::scan::{count, fields};
use super::{
    Ack, Data, DecodeError, Encoding, Envelope, Event, Frame, Head, MAX_FRAMES, MAX_HEADER_BYTES,
    MAX_HEADERS, MAX_MESSAGE, MAX_METHOD, MAX_OFFSET, MAX_PATH, MAX_RANGES, Open,
};
use crate::generated::{self as wire, frame::Kind as WireFrame};
use crate::request::{Header, Key, Kind, Pace, StreamId};

/// Field numbers of protos/tunnel.proto.
const ENVELOPE_FRAMES: u64 = 1;
const ENVELOPE_ACK: u64 = 2;
const FRAME_OPEN: u64 = 1;
const FRAME_HEAD: u64 = 2;
const OPEN_HEADERS: u64 = 5;
const HEAD_HEADERS: u64 = 3;
const ACK_RECEIVED: u64 = 2;

pub(super) fn encode(envelope: &Envelope) -> Vec<u8> {
    wire::Envelope {
        frames: envelope.frames.iter().map(to_wire).collect(),
        ack: envelope.ack.as_ref().map(ack_to_wire),
        pad: Bytes::new(),
        epoch: envelope.epoch,
        to: envelope.to,
    }
    .encode_to_vec()
}

pub(super) fn frame_len(frame: &Frame) -> usize {
    field_len(to_wire(frame).encoded_len())
}

pub(super) fn ack_len(ack: &Ack) -> usize {
    field_len(ack_to_wire(ack).encoded_len())
}

fn field_len(len: usize) -> usize {
    1 + prost::length_delimiter_len(len) + len
}

pub(super) fn decode(plaintext: &[u8]) -> Result<Envelope, DecodeError> {
    if plaintext.len() > MAX_MESSAGE {
        return Err(DecodeError::TooLong(plaintext.len()));
    }
    check_counts(plaintext)?;
    let envelope = wire::Envelope::decode(Bytes::copy_from_slice(plaintext))?;
    let kinds = envelope.frames.into_iter().filter_map(|frame| frame.kind);
    Ok(Envelope {
        frames: kinds.map(from_wire).collect::<Result<_, _>>()?,
        ack: envelope.ack.as_ref().map(ack_from_wire).transpose()?,
        epoch: envelope.epoch,
        to: envelope.to,
    })
}

/// Protobuf puts fields that are given in pieces together, so all pieces count.
fn check_counts(plaintext: &[u8]) -> Result<(), DecodeError> {
    count(plaintext, ENVELOPE_FRAMES, "frames", MAX_FRAMES)?;
    for frame in fields(plaintext, ENVELOPE_FRAMES) {
        let frame = frame?;
        let mut headers = 0;
        for (kind, tag) in [(FRAME_OPEN, OPEN_HEADERS), (FRAME_HEAD, HEAD_HEADERS)] {
            for head in fields(frame, kind) {
                headers += count(head?, tag, "headers", MAX_HEADERS)?;
            }
        }
        if headers > MAX_HEADERS {
            return Err(DecodeError::TooMany { what: "headers", limit: MAX_HEADERS });
        }
    }
    let mut ranges = 0;
    for ack in fields(plaintext, ENVELOPE_ACK) {
        ranges += count(ack?, ACK_RECEIVED, "ranges", MAX_RANGES)?;
    }
    if ranges > MAX_RANGES {
        return Err(DecodeError::TooMany { what: "ranges", limit: MAX_RANGES });
    }
    Ok(())
}

fn to_wire(frame: &Frame) -> wire::Frame {
    let kind = match frame {
        Frame::Open(open) => WireFrame::Open(open_to_wire(open)),
        Frame::Head(head) => WireFrame::Head(wire::Head {
            stream: head.stream.into(),
            status: head.status.into(),
            headers: headers_to_wire(&head.headers),
            encoding: encoding_to_wire(head.encoding),
        }),
        Frame::Data(data) => WireFrame::Data(wire::Data {
            stream: data.stream.into(),
            offset: data.offset,
            bytes: data.bytes.clone(),
            fin: data.fin,
        }),
        Frame::Credit { stream, limit } => {
            WireFrame::Credit(wire::Credit { stream: (*stream).into(), bytes: *limit })
        }
        Frame::Reset { stream, code, time } => {
            WireFrame::Reset(wire::Reset { stream: (*stream).into(), code: *code, time: *time })
        }
        Frame::Event(event) => WireFrame::Event(wire::Event {
            subscription: event.stream.into(),
            seq: event.seq,
            bytes: event.bytes.clone(),
            missed: event.missed,
        }),
        Frame::Ping(id) => WireFrame::Ping(wire::Ping { id: *id }),
        Frame::Pong(id) => WireFrame::Pong(wire::Pong { id: *id }),
        Frame::Close => WireFrame::Close(wire::Close {}),
        Frame::Control(bytes) => WireFrame::Control(bytes.clone()),
    };
    wire::Frame { kind: Some(kind) }
}

fn from_wire(frame: WireFrame) -> Result<Frame, DecodeError> {
    Ok(match frame {
        WireFrame::Open(open) => Frame::Open(open_from_wire(open)?),
        WireFrame::Head(head) => Frame::Head(Head {
            stream: stream(head.stream)?,
            status: u16::try_from(head.status)
                .ok()
                .filter(|status| (100..600).contains(status))
                .ok_or(DecodeError::Field("status"))?,
            headers: headers_from_wire(head.headers)?,
            encoding: encoding_from_wire(head.encoding)?,
        }),
        WireFrame::Data(data) => {
            let end = data.offset.checked_add(data.bytes.len() as u64);
            end.filter(|end| *end <= MAX_OFFSET).ok_or(DecodeError::Field("offset"))?;
            let stream = stream(data.stream)?;
            Frame::Data(Data { stream, offset: data.offset, bytes: data.bytes, fin: data.fin })
        }
        WireFrame::Credit(credit) if credit.bytes > MAX_OFFSET => return Err(DecodeError::Field("credit")),
        WireFrame::Credit(credit) => Frame::Credit { stream: stream(credit.stream)?, limit: credit.bytes },
        WireFrame::Reset(reset) => {
            Frame::Reset { stream: stream(reset.stream)?, code: reset.code, time: reset.time }
        }
        WireFrame::Event(event) if event.seq > MAX_OFFSET => return Err(DecodeError::Field("seq")),
        WireFrame::Event(event) => Frame::Event(Event {
            stream: stream(event.subscription)?,
            seq: event.seq,
            bytes: event.bytes,
            missed: event.missed,
        }),
        WireFrame::Ping(ping) => Frame::Ping(ping.id),
        WireFrame::Pong(pong) => Frame::Pong(pong.id),
        WireFrame::Close(_) => Frame::Close,
        WireFrame::Control(bytes) => Frame::Control(bytes),
    })
}

fn open_to_wire(open: &Open) -> wire::Open {
    let kind = match open.kind {
        Kind::Http => wire::Kind::Http,
        Kind::Subscribe => wire::Kind::Subscribe,
        Kind::Rpc => wire::Kind::Rpc,
    };
    wire::Open {
        stream: open.stream.into(),
        kind: kind.into(),
        method: open.method.clone(),
        path: open.path.clone(),
        headers: headers_to_wire(&open.headers),
        idempotency_key: open.key.map_or_else(Bytes::new, |key| Bytes::copy_from_slice(&key.0)),
        not_after: open.not_after,
        body_len: open.body_len,
        encoding: encoding_to_wire(open.encoding),
        pace: (open.pace != Pace::default()).then_some(wire::Pace {
            min_interval_ms: open.pace.min_interval_ms,
            coalesce: open.pace.coalesce,
        }),
    }
}

fn open_from_wire(open: wire::Open) -> Result<Open, DecodeError> {
    let kind = match wire::Kind::try_from(open.kind).map_err(|_| DecodeError::Field("kind"))? {
        wire::Kind::Http => Kind::Http,
        wire::Kind::Subscribe => Kind::Subscribe,
        wire::Kind::Rpc => Kind::Rpc,
    };
    let key = match open.idempotency_key.len() {
        0 => None,
        _ => Some(Key(open
            .idempotency_key
            .as_ref()
            .try_into()
            .map_err(|_| DecodeError::Field("idempotency_key"))?)),
    };
    if open.method.len() > MAX_METHOD {
        return Err(DecodeError::Field("method"));
    }
    if open.path.len() > MAX_PATH {
        return Err(DecodeError::Field("path"));
    }
    let pace = open.pace.unwrap_or_default();
    Ok(Open {
        stream: stream(open.stream)?,
        kind,
        method: open.method,
        path: open.path,
        headers: headers_from_wire(open.headers)?,
        key,
        not_after: open.not_after,
        body_len: open.body_len,
        encoding: encoding_from_wire(open.encoding)?,
        pace: Pace { min_interval_ms: pace.min_interval_ms, coalesce: pace.coalesce },
    })
}

fn headers_to_wire(headers: &[Header]) -> Vec<wire::Header> {
    let header = |header: &Header| wire::Header { name: header.name.clone(), value: header.value.clone() };
    headers.iter().map(header).collect()
}

fn headers_from_wire(headers: Vec<wire::Header>) -> Result<Vec<Header>, DecodeError> {
    let len: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if len > MAX_HEADER_BYTES {
        return Err(DecodeError::Field("headers"));
    }
    // A copy of its own, so that a small header does not keep a whole message in memory.
    let own =
        |header: wire::Header| Header { name: header.name, value: Bytes::copy_from_slice(&header.value) };
    Ok(headers.into_iter().map(own).collect())
}

fn encoding_to_wire(encoding: Encoding) -> i32 {
    match encoding {
        Encoding::Identity => wire::Encoding::Identity.into(),
        Encoding::Zstd => wire::Encoding::Zstd.into(),
    }
}

fn encoding_from_wire(encoding: i32) -> Result<Encoding, DecodeError> {
    match wire::Encoding::try_from(encoding).map_err(|_| DecodeError::Field("encoding"))? {
        wire::Encoding::Identity => Ok(Encoding::Identity),
        wire::Encoding::Zstd => Ok(Encoding::Zstd),
    }
}

fn stream(id: u32) -> Result<StreamId, DecodeError> {
    if id == 0 { Err(DecodeError::Field("stream")) } else { Ok(StreamId::from(id)) }
}

fn ack_to_wire(ack: &Ack) -> wire::Ack {
    wire::Ack {
        largest: ack.largest,
        received: ack.received.iter().map(|&(first, last)| wire::Range { first, last }).collect(),
        delay_ms: ack.delay_ms,
        window: ack.window,
    }
}

fn ack_from_wire(ack: &wire::Ack) -> Result<Ack, DecodeError> {
    let received: Vec<_> = ack.received.iter().map(|range| (range.first, range.last)).collect();
    let newest_is_largest = received.first().is_some_and(|(_, last)| *last == ack.largest);
    let whole = received.iter().all(|(first, last)| first <= last);
    // Adjacent ranges would be one.
    let apart = received
        .iter()
        .zip(received.iter().skip(1))
        .all(|(newer, older)| newer.0.checked_sub(1).is_some_and(|before| older.1 < before));
    if !(newest_is_largest && whole && apart) {
        return Err(DecodeError::Field("received"));
    }
    Ok(Ack { largest: ack.largest, received, delay_ms: ack.delay_ms, window: ack.window })
}
