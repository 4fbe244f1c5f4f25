//! What a paired peer may say through a tunnel.

use std::time::Duration;

use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_tunnel::body::{Decoder, MAX_DECODED};
use waku_tunnel::budget::Budget;
use waku_tunnel::connection::{Config, Connection, Event, MAX_INCOMING, Read, Transmit};
use waku_tunnel::frame::{Encoding, Envelope};
use waku_tunnel::request::{Answer, Key, Request, Side};

use super::script::Script;

const SESSION: u64 = 1;
/// What one message may have done: its frames are limited.
const MAX_EVENTS: usize = 1024;
/// What a peer can have a tunnel hold: full windows of all the streams there may be, and a piece each.
const MAX_HELD: usize = (MAX_INCOMING + 8) * 512 * 1024;

/// What was read is written so that it is read again. Whatever a peer says, each message has bounded effects and memory
/// stays bounded, and a request of ours ends once.
pub fn run(data: &[u8]) {
    if let Ok(envelope) = Envelope::decode(data) {
        assert!(Envelope::decode(&envelope.encode()) == Ok(envelope), "what was written is read otherwise");
    }
    read_body(data);
    let mut script = Script::new(data);
    let mut world = World::new();
    while let Some(said) = script.bytes() {
        world.hear(said);
    }
    world.end();
}

fn read_body(data: &[u8]) {
    let mut decoder = Decoder::new(Encoding::Zstd);
    decoder.push(data.to_vec().into());
    let mut total = 0;
    while let Ok(Some(bytes)) = decoder.read() {
        total += bytes.len() as u64;
        assert!(total <= MAX_DECODED, "a body swelled beyond its limit");
    }
}

struct World {
    tunnel: Connection,
    budget: Budget,
    now: Duration,
    /// Messages heard and sent.
    heard: u64,
    sent: u64,
    asked: usize,
    ended: usize,
}

impl World {
    fn new() -> Self {
        let now = Now { unix: UnixTime::from_secs(1_760_000_000), ..Now::default() };
        let mut tunnel = Connection::new(Config::new(Side::Manager, 7), now, Vec::new());
        tunnel.connected(SESSION);
        let mut world = Self {
            tunnel,
            budget: Budget::polite(),
            now: Duration::ZERO,
            heard: 0,
            sent: 0,
            asked: 0,
            ended: 0,
        };
        for request in [
            Request::new("GET", "/"),
            Request::subscribe("/events", waku_tunnel::request::Pace::default()),
            Request { key: Some(Key([1; 16])), ..Request::new("POST", "/stop") },
        ] {
            let request = Request { timeout: Some(Duration::from_secs(60)), ..request };
            world.tunnel.open(now, request).expect("there is room for three");
            world.asked += 1;
        }
        world.act();
        world
    }

    fn now(&self) -> Now {
        let unix = UnixTime::from_secs(1_760_000_000) + self.now;
        Now { instant: Instant::from_origin(self.now), unix }
    }

    fn hear(&mut self, said: &[u8]) {
        // What cannot be read does nothing.
        _ = self.tunnel.handle_plaintext(self.now(), SESSION, self.heard, said);
        self.heard += 1;
        self.act();
        self.now += Duration::from_millis(200);
        self.tunnel.handle_timeout(self.now());
        self.act();
        let held = self.tunnel.buffered();
        assert!(held <= MAX_HELD, "{held} bytes are held");
    }

    fn act(&mut self) {
        let mut events = 0;
        let now = self.now().instant;
        loop {
            if let Some(event) = self.tunnel.poll_event() {
                events += 1;
                assert!(events <= MAX_EVENTS, "one message did more than {MAX_EVENTS} things");
                self.handle(&event);
            } else if let Some(transmit) = self.tunnel.poll_transmit(now, &mut self.budget) {
                if let Transmit::Send { packet: Some(packet), .. } = transmit {
                    self.tunnel.sealed(packet, self.sent);
                    self.sent += 1;
                }
            } else {
                return;
            }
        }
    }

    fn handle(&mut self, event: &Event) {
        let now = self.now().instant;
        match *event {
            Event::Save { ticket, .. } => self.tunnel.saved(now, ticket, true),
            // A stream may have ended since.
            Event::Requested { stream, .. } => {
                _ = self.tunnel.answer_whole(now, stream, Answer::new(200), b"answer");
            }
            Event::Readable(stream) => {
                while self.tunnel.notice(stream).is_some() {}
                while let Read::Bytes(_) = self.tunnel.read(stream) {}
            }
            Event::Ended { stream, .. } if u32::from(stream.id()) % 2 == 0 => self.ended += 1,
            _ => {}
        }
    }

    /// Nobody answers any more: what was asked ends by its own time.
    fn end(mut self) {
        self.now += Duration::from_secs(120);
        self.tunnel.handle_timeout(self.now());
        self.act();
        assert_eq!(self.ended, self.asked, "each request ends once");
    }
}
