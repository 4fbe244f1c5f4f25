//! What a frame of the other side does.

use waku_noise_session::time::{Now, UnixTime};

use super::{Connection, Event, IDLE, MAX_INCOMING};
use crate::frame::{Data, Event as EventFrame, Frame, Head};
use crate::request::{Code, Kind, Priority, Reason, StreamId};
use crate::stream::events::Notice;
use crate::stream::{Handle, Stream};

/// Ranges of begun streams that are kept: an honest side opens them in order, and they are one.
const MAX_BEGUN: usize = 4096;

impl Connection {
    pub(super) fn deliver(&mut self, now: Now, frame: Frame) {
        match frame {
            Frame::Open(open) => self.accept_open(now, open),
            Frame::Head(head) => self.accept_head(head),
            Frame::Data(data) => self.accept_data(now, &data),
            Frame::Credit { stream, limit } => self.accept_credit(stream, limit),
            Frame::Reset { stream, code, time } => self.accept_reset(stream, code, time),
            Frame::Event(event) => self.accept_event(event),
            Frame::Close => {
                self.end_all();
                self.events.push_back(Event::Closed);
            }
            // The pairing's.
            Frame::Ping(_) | Frame::Pong(_) | Frame::Control(_) => {}
        }
    }

    /// Notes that a stream of theirs is begun, or over before it was. Returns whether that is news.
    pub(super) fn note_begun(&mut self, id: StreamId) -> bool {
        let place = u64::from(u32::from(id)) / 2;
        let is_news = !self.begun.contains(place);
        self.begun.insert(place..place + 1);
        if self.begun.count() > MAX_BEGUN {
            self.begun.pop_first();
        }
        is_news
    }

    fn is_begun(&self, id: StreamId) -> bool {
        self.begun.contains(u64::from(u32::from(id)) / 2)
    }

    pub(super) fn incoming(&self) -> usize {
        self.streams.keys().filter(|id| !self.config.side.opens(**id)).count()
    }

    fn accept_head(&mut self, head: Head) {
        let Some(stream) = self.streams.get_mut(&head.stream) else { return };
        if stream.met || !self.config.side.opens(head.stream) {
            return;
        }
        stream.met = true;
        stream.receive.set_encoding(head.encoding);
        let (handle, Head { stream: id, status, headers, .. }) = (stream.handle, head);
        self.events.push_back(Event::Answered { stream: handle, status, headers });
        self.tell_readable(id);
    }

    fn accept_data(&mut self, now: Now, data: &Data) {
        let id = data.stream;
        if !self.streams.contains_key(&id) {
            if self.config.side.opens(id) || self.is_begun(id) {
                return;
            }
            // It overtook its `Open`.
            if self.incoming() >= MAX_INCOMING {
                self.note_begun(id);
                return self.push_reset(id, Code::Busy.into(), 0);
            }
            let handle = Handle { generation: self.generation, id };
            self.streams.insert(id, Stream::new(handle, Kind::Http, Priority::Command));
        }
        let is_theirs = !self.config.side.opens(id);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.receive.accept(data.offset, &data.bytes, data.fin).is_err() {
            self.note_begun(id);
            return self.break_off(id, Reason::Protocol, Code::Protocol);
        }
        if is_theirs {
            stream.deadline = (!stream.receive.is_here() || !stream.met).then(|| now.instant + IDLE);
        }
        self.tell_readable(id);
    }

    /// Tells the caller that there is something to read; an answer without anything left to read is over.
    pub(super) fn tell_readable(&mut self, id: StreamId) {
        let is_ours = self.config.side.opens(id);
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.met) else { return };
        if is_ours {
            match stream.receive.is_over() {
                Ok(true) => return self.end(id, Ok(())),
                Ok(false) => {}
                Err(_) => return self.break_off(id, Reason::BadBody, Code::BadBody),
            }
        }
        if !stream.told_readable && stream.is_readable() {
            stream.told_readable = true;
            self.events.push_back(Event::Readable(stream.handle));
        }
    }

    fn accept_credit(&mut self, id: StreamId, limit: u64) {
        let room = self.room_to_grow(|stream| stream.send.grown());
        self.with_stream(id, |stream| stream.credited(limit, room));
        self.tell_writable(id);
    }

    fn accept_reset(&mut self, id: StreamId, code: u32, time: u64) {
        if !self.config.side.opens(id) {
            self.note_begun(id);
        }
        let time = (time != 0).then(|| UnixTime::from_epoch(std::time::Duration::from_millis(time)));
        self.end(id, Err(Reason::Reset { code: Code::from(code), time }));
    }

    fn accept_event(&mut self, event: EventFrame) {
        let id = event.stream;
        let Some(inbox) = self.streams.get_mut(&id).and_then(|stream| stream.inbox.as_mut()) else { return };
        let notice = Notice { bytes: event.bytes, missed: event.missed };
        if inbox.accept(event.seq, &notice) {
            self.tell_readable(id);
        } else {
            self.break_off(id, Reason::Protocol, Code::Protocol);
        }
    }
}
