//! Requests between two tunnels, one rule at a time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use waku_tunnel::connection::{Event, Incoming, MAX_GROWTH, MAX_QUEUED, OpenError, Read, StreamError};
use waku_tunnel::frame::{Data, Encoding, Envelope, Frame, Head};
use waku_tunnel::request::{Answer, Body, Code, Key, Kind, Pace, Reason, Request};
use waku_tunnel::stream::{Handle, SEGMENT, WINDOW};

use crate::world::{APP, MANAGER, Weather, World};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const KEY: Key = Key([7; 16]);

fn post() -> Request {
    Request { key: Some(KEY), ..Request::new("POST", "/stop") }
}

impl World {
    fn open(&mut self, request: Request) -> Handle {
        let now = self.now(APP);
        self.nodes[APP].tunnel.open(now, request).unwrap()
    }

    /// Runs until an event is the one.
    fn wait<T>(&mut self, mut is_it: impl FnMut(usize, &Event) -> Option<T>) -> T {
        let until = self.now + 2 * HOUR;
        while self.now < until {
            let happened = self.run(MINUTE);
            if let Some(found) = happened.iter().find_map(|(which, event)| is_it(*which, event)) {
                return found;
            }
        }
        panic!("it did not happen in two hours");
    }

    fn requested(&mut self) -> (Handle, Incoming) {
        self.wait(|which, event| match event {
            Event::Requested { stream, request } if which == MANAGER => Some((*stream, request.clone())),
            _ => None,
        })
    }

    fn ended(&mut self, node: usize, handle: Handle) -> Result<(), Reason> {
        self.wait(|which, event| match event {
            Event::Ended { stream, outcome } if which == node && *stream == handle => Some(*outcome),
            _ => None,
        })
    }

    fn answer(&mut self, stream: Handle, body: &[u8]) {
        let now = self.instant();
        self.nodes[MANAGER].tunnel.answer_whole(now, stream, Answer::new(200), body).unwrap();
    }

    /// Reads an answer to its end.
    fn read_all(&mut self, node: usize, handle: Handle) -> (Vec<u8>, Result<(), Reason>) {
        let mut body = Vec::new();
        let until = self.now + 2 * HOUR;
        while self.now < until {
            while let Read::Bytes(bytes) = self.nodes[node].tunnel.read(handle) {
                body.extend(bytes);
            }
            for (which, event) in self.run(MINUTE) {
                if let Event::Ended { stream, outcome } = event
                    && (which, stream) == (node, handle)
                {
                    return (body, outcome);
                }
            }
        }
        panic!("it did not end in two hours");
    }

    fn messages(&self) -> [u64; 2] {
        [APP, MANAGER].map(|which| self.nodes[which].messages)
    }
}

#[test]
fn a_small_request_takes_three_messages() {
    let mut world = World::calm();
    let handle = world.open(Request::new("GET", "/eth/v1/node/version"));
    let (stream, request) = world.requested();
    assert!((request.method.as_str(), request.path.as_str()) == ("GET", "/eth/v1/node/version"));
    world.answer(stream, b"Nimbus");
    assert!(world.read_all(APP, handle) == (b"Nimbus".to_vec(), Ok(())));
    assert_eq!(world.now, Duration::from_secs(1));
    assert_eq!(world.ended(MANAGER, stream), Ok(()));
    assert_eq!(world.messages(), [2, 1], "the request, the answer, and that it came");
    assert!(world.run(HOUR).is_empty());
    assert_eq!(world.messages(), [2, 1]);
}

#[test]
fn many_requests_share_a_message() {
    let mut world = World::calm();
    for _ in 0..20 {
        world.open(Request::new("GET", "/"));
    }
    let mut asked = 0;
    while asked < 20 {
        asked += world.run(MINUTE).len();
    }
    assert_eq!(world.messages(), [1, 0]);
}

#[test]
fn requests_and_answers_that_follow_one_another_closely_share_messages() {
    let mut world = World::calm();
    for nth in 0..10 {
        world.open(Request::new("GET", format!("/{nth}")));
        assert!(world.run(Duration::from_millis(5)).is_empty(), "it takes half a second to the other side");
    }
    let (mut asked, mut ended) = (VecDeque::new(), 0);
    while ended < 10 {
        // The service answers one after the other.
        if let Some(stream) = asked.pop_front() {
            world.answer(stream, b"yes");
        }
        let patience = if asked.is_empty() { MINUTE } else { Duration::from_millis(5) };
        for (which, event) in world.run(patience) {
            match event {
                Event::Requested { stream, .. } => asked.push_back(stream),
                Event::Readable(stream) if which == APP => {
                    assert!(world.nodes[APP].tunnel.read(stream) == Read::Bytes("yes".into()));
                }
                Event::Ended { outcome, .. } if which == APP => {
                    assert_eq!(outcome, Ok(()));
                    ended += 1;
                }
                _ => {}
            }
        }
    }
    world.run(MINUTE);
    // The first request, the others, and that all answers came; the first answer, and the others.
    assert_eq!(world.messages(), [3, 2]);
}

#[test]
fn bodies_go_both_ways_whole_and_compressed() {
    let upload: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_string().into_bytes()).take(900_000).collect();
    for compress in [false, true] {
        let mut world = World::calm();
        let body = Body::Whole(Bytes::from(upload.clone()));
        let handle = world.open(Request { body, compress, ..post() });
        let (stream, request) = world.requested();
        assert_eq!(request.body_len, Some(upload.len() as u64));
        let mut body = Vec::new();
        loop {
            match world.nodes[MANAGER].tunnel.read(stream) {
                Read::Bytes(bytes) => body.extend(bytes),
                Read::Blocked => drop(world.run(MINUTE)),
                Read::End => break,
            }
        }
        assert!(body == upload);
        let before = world.nodes[MANAGER].bytes;
        let now = world.instant();
        let answer = Answer { compress, ..Answer::new(200) };
        world.nodes[MANAGER].tunnel.answer_whole(now, stream, answer, &upload).unwrap();
        assert!(world.read_all(APP, handle) == (upload.clone(), Ok(())));
        let sent = world.nodes[MANAGER].bytes - before;
        assert_eq!(sent < 600_000, compress, "{sent} bytes");
    }
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    let mut world = World::calm();
    let handle = world.open(Request { timeout: Some(HOUR), ..Request::new("GET", "/large") });
    let (stream, _) = world.requested();
    let now = world.instant();
    let manager = &mut world.nodes[MANAGER].tunnel;
    manager.answer(now, stream, Answer::new(200)).unwrap();
    let mut written = 0;
    for _ in 0..100 {
        let now = world.instant();
        written += world.nodes[MANAGER].tunnel.write(now, stream, &vec![1; 100_000]).unwrap();
        world.run(Duration::from_secs(10));
    }
    assert!(written <= 768 * 1024, "{written} bytes were taken for somebody who reads none");
    assert!(world.nodes[APP].tunnel.buffered() <= 512 * 1024);
    world.nodes[MANAGER].tunnel.finish(stream).unwrap();
    let (body, outcome) = world.read_all(APP, handle);
    assert!(body.len() == written && outcome == Ok(()));
}

#[test]
fn readers_that_stop_hold_no_more_than_a_peers_windows_may_have_grown_to() {
    const STREAMS: usize = 12;
    let mut world = World::new(1, Weather::fine(), (1000, Duration::from_secs(10)));
    world.renew();
    let mut served = Vec::new();
    for _ in 0..STREAMS {
        world.open(Request { timeout: Some(HOUR), ..Request::new("GET", "/large") });
    }
    while served.len() < STREAMS {
        for (_, event) in world.run(MINUTE) {
            let Event::Requested { stream, .. } = event else { continue };
            let now = world.instant();
            world.nodes[MANAGER].tunnel.answer(now, stream, Answer::new(200)).unwrap();
            served.push(stream);
        }
    }
    let (mut most, mut stopped) = ([0; 2], false);
    for second in 0..600 {
        // They keep up at first, and then nobody reads any more.
        stopped |= second == 300;
        for &stream in &served {
            let now = world.instant();
            world.nodes[MANAGER].tunnel.write(now, stream, &vec![1; 2_000_000]).unwrap();
        }
        let until = world.now + Duration::from_secs(1);
        while world.now < until {
            for (which, event) in world.run(until.saturating_sub(world.now)) {
                if let Event::Readable(stream) = event
                    && which == APP
                    && !stopped
                {
                    while let Read::Bytes(_) = world.nodes[APP].tunnel.read(stream) {}
                }
            }
            for (most, node) in most.iter_mut().zip(&world.nodes) {
                *most = node.tunnel.buffered().max(*most);
            }
        }
    }
    let windows = STREAMS * usize::try_from(WINDOW).unwrap();
    let growth = usize::try_from(MAX_GROWTH).unwrap();
    let [app, manager] = most;
    assert!((windows + growth / 2..=windows + growth).contains(&app), "the app held {app} bytes");
    assert!(manager <= windows + growth + STREAMS * SEGMENT, "the manager held {manager} bytes");
}

#[test]
fn a_lost_acknowledgement_is_said_again() {
    let mut world = World::calm();
    let handle = world.open(Request::new("GET", "/"));
    let (stream, _) = world.requested();
    world.answer(stream, b"");
    assert_eq!(world.ended(APP, handle), Ok(()));
    world.weather.loss = 100;
    world.run(Duration::from_secs(2));
    world.weather.loss = 0;
    assert_eq!(world.ended(MANAGER, stream), Ok(()));
    assert_eq!(world.messages(), [3, 2], "one repetition, one acknowledgement more");
}

#[test]
fn a_request_that_nobody_hears_ends_as_unreachable() {
    let mut world = World::calm();
    world.weather.loss = 100;
    let handle = world.open(Request { timeout: Some(HOUR), ..Request::new("GET", "/") });
    assert_eq!(world.ended(APP, handle), Err(Reason::Unreachable));
    assert_eq!((world.now.as_secs(), world.messages()), (96, [7, 0]), "six tries, and that it is cancelled");
}

#[test]
fn what_a_store_has_is_waited_for() {
    let mut world = World::calm();
    world.weather = Weather { loss: 100, stored: 100, ..world.weather };
    let handle = world.open(Request { timeout: Some(HOUR), ..Request::new("GET", "/") });
    let (stream, _) = world.requested();
    assert_eq!(world.now.as_secs(), 96 + 60);
    world.weather.loss = 0;
    world.answer(stream, b"late");
    assert!(world.read_all(APP, handle) == (b"late".to_vec(), Ok(())));
}

#[test]
fn a_request_that_takes_too_long_ends_and_the_server_learns_it() {
    let mut world = World::calm();
    let handle = world.open(Request { timeout: Some(MINUTE), ..Request::new("GET", "/") });
    let (stream, _) = world.requested();
    assert_eq!(world.ended(APP, handle), Err(Reason::Timeout));
    let cancelled = Reason::Reset { code: Code::Cancelled, time: None };
    assert_eq!(world.ended(MANAGER, stream), Err(cancelled));
}

#[test]
fn a_request_can_be_cancelled() {
    let mut world = World::calm();
    let handle = world.open(Request::new("GET", "/"));
    let (stream, _) = world.requested();
    world.nodes[APP].tunnel.cancel(handle);
    assert_eq!(world.ended(APP, handle), Err(Reason::Cancelled));
    let cancelled = Reason::Reset { code: Code::Cancelled, time: None };
    assert_eq!(world.ended(MANAGER, stream), Err(cancelled));
}

#[test]
fn requests_wait_without_a_session_and_go_on_with_a_new_one() {
    let mut world = World::calm();
    world.disconnect();
    let handle = world.open(Request::new("GET", "/"));
    assert!(world.run(MINUTE).is_empty());
    world.renew();
    let (stream, _) = world.requested();
    world.weather.loss = 100;
    world.answer(stream, &vec![5; 200_000]);
    world.run(Duration::from_secs(1));
    world.weather.loss = 0;
    world.renew();
    assert!(world.read_all(APP, handle) == (vec![5; 200_000], Ok(())));
}

#[test]
fn more_requests_than_may_wait_are_refused() {
    let mut world = World::calm();
    world.disconnect();
    let now = world.now(APP);
    let app = &mut world.nodes[APP].tunnel;
    for _ in 0..MAX_QUEUED {
        app.open(now, Request::new("GET", "/")).unwrap();
    }
    assert_eq!(app.open(now, Request::new("GET", "/")), Err(OpenError::Full));
    let mut ended = 0;
    while ended < MAX_QUEUED {
        let happened = world.run(HOUR);
        ended += happened.len();
        let timeout = |event: &Event| matches!(event, Event::Ended { outcome: Err(Reason::Timeout), .. });
        assert!(!happened.is_empty() && happened.iter().all(|(_, event)| timeout(event)));
    }
    assert_eq!(world.now.as_secs(), 300);
}

#[test]
fn what_waits_is_bounded_in_bytes_too() {
    let mut world = World::calm();
    world.disconnect();
    let now = world.now(APP);
    let body = Body::Whole(Bytes::from(vec![0; 1024 * 1024]));
    let large = Request { body, ..post() };
    let taken = (0..100).take_while(|_| world.nodes[APP].tunnel.open(now, large.clone()).is_ok()).count();
    assert_eq!(taken, 15);
}

#[test]
fn what_changes_something_needs_a_key() {
    let mut world = World::calm();
    let now = world.now(APP);
    let app = &mut world.nodes[APP].tunnel;
    for request in [
        Request::new("POST", "/stop"),
        Request::new("DELETE", "/eth/v1/keystores"),
        Request { kind: Kind::Rpc, ..Request::new("", "restart") },
    ] {
        assert_eq!(app.open(now, request), Err(OpenError::KeyMissing));
    }
}

#[test]
fn a_request_with_a_key_runs_once_and_is_answered_each_time() {
    let mut world = World::calm();
    let first = world.open(post());
    let (stream, request) = world.requested();
    assert!(request.key == Some(KEY));
    // The second comes while it runs, the third afterwards.
    let second = world.open(post());
    world.run(Duration::from_secs(5));
    world.answer(stream, b"stopped");
    assert!(world.read_all(APP, first) == (b"stopped".to_vec(), Ok(())));
    assert!(world.read_all(APP, second) == (b"stopped".to_vec(), Ok(())));
    let third = world.open(post());
    assert!(world.read_all(APP, third) == (b"stopped".to_vec(), Ok(())));
    // And so after a restart.
    world.restart(MANAGER);
    world.renew();
    let fourth = world.open(post());
    assert!(world.read_all(APP, fourth) == (b"stopped".to_vec(), Ok(())));
}

#[test]
fn a_key_of_another_request_is_refused() {
    let mut world = World::calm();
    let first = world.open(post());
    let (stream, _) = world.requested();
    world.answer(stream, b"stopped");
    assert_eq!(world.read_all(APP, first).1, Ok(()));
    let other = world.open(Request { key: Some(KEY), ..Request::new("POST", "/start") });
    let reused = Reason::Reset { code: Code::KeyReused, time: None };
    assert_eq!(world.ended(APP, other), Err(reused));
}

#[test]
fn after_a_crash_nobody_knows_and_it_is_not_run_again() {
    let mut world = World::calm();
    let first = world.open(post());
    world.requested();
    world.run(Duration::from_secs(5));
    world.restart(MANAGER);
    world.renew();
    let second = world.open(post());
    assert_eq!(world.ended(APP, first), Err(Reason::Restarted));
    let indeterminate = Reason::Reset { code: Code::Indeterminate, time: None };
    assert_eq!(world.ended(APP, second), Err(indeterminate));
}

#[test]
fn a_request_to_an_earlier_process_costs_one_more_round_trip_and_no_more() {
    let mut world = World::calm();
    let first = world.open(Request::new("GET", "/first"));
    let (stream, _) = world.requested();
    world.answer(stream, b"first");
    assert!(world.read_all(APP, first).1.is_ok());
    world.restart(MANAGER);
    world.renew();
    let begun = world.now;
    let second = world.open(Request::new("GET", "/second"));
    let (stream, _) = world.requested();
    world.answer(stream, b"second");
    assert!(world.read_all(APP, second) == (b"second".to_vec(), Ok(())));
    // Half a second each way.
    assert_eq!(world.now.saturating_sub(begun), Duration::from_secs(2));
}

#[test]
fn an_answer_is_kept_although_nobody_waits_any_more() {
    let mut world = World::calm();
    let first = world.open(post());
    let (stream, _) = world.requested();
    world.nodes[APP].tunnel.cancel(first);
    assert!(world.ended(MANAGER, stream).is_err());
    world.answer(stream, b"stopped");
    let second = world.open(post());
    assert!(world.read_all(APP, second) == (b"stopped".to_vec(), Ok(())));
}

#[test]
fn what_was_refused_may_be_sent_again() {
    let mut world = World::calm();
    let first = world.open(post());
    let (stream, _) = world.requested();
    world.nodes[MANAGER].tunnel.reject(stream, Code::Busy);
    assert_eq!(world.ended(APP, first), Err(Reason::Reset { code: Code::Busy, time: None }));
    let second = world.open(post());
    let (stream, _) = world.requested();
    world.answer(stream, b"stopped");
    assert_eq!(world.read_all(APP, second).1, Ok(()));
    assert_eq!(world.nodes[MANAGER].disk.len(), 1);
}

#[test]
fn what_was_answered_without_being_carried_out_may_be_sent_again() {
    let mut world = World::calm();
    let first = world.open(post());
    let (stream, _) = world.requested();
    let now = world.instant();
    let busy = Answer { ran: false, ..Answer::new(503) };
    world.nodes[MANAGER].tunnel.answer_whole(now, stream, busy, b"busy").unwrap();
    assert!(world.read_all(APP, first) == (b"busy".to_vec(), Ok(())));
    assert_eq!(world.nodes[MANAGER].disk.len(), 0);
    let second = world.open(post());
    let (stream, _) = world.requested();
    world.answer(stream, b"stopped");
    assert!(world.read_all(APP, second) == (b"stopped".to_vec(), Ok(())));
}

#[test]
fn a_clock_that_is_put_right_makes_nothing_run_again() {
    const DAY: i64 = 24 * 60 * 60;
    for (then, later) in [(-3650 * DAY, 0), (0, -DAY), (0, -3650 * DAY)] {
        let mut world = World::calm();
        world.nodes[MANAGER].clock = then;
        let not_after = Some(world.now(APP).unix + Duration::from_secs(300));
        let first = world.open(Request { not_after, ..post() });
        let (stream, _) = world.requested();
        world.answer(stream, b"stopped");
        assert!(world.read_all(APP, first) == (b"stopped".to_vec(), Ok(())));
        world.nodes[MANAGER].clock = later;
        world.restart(MANAGER);
        world.renew();
        let second = world.open(Request { not_after, ..post() });
        assert!(world.read_all(APP, second) == (b"stopped".to_vec(), Ok(())), "{then} {later}");
    }
}

#[test]
fn what_cannot_be_written_down_is_not_begun() {
    let mut world = World::calm();
    world.weather.disk_fails = 100;
    let handle = world.open(post());
    assert_eq!(world.ended(APP, handle), Err(Reason::Reset { code: Code::Busy, time: None }));
    world.weather.disk_fails = 0;
    world.open(post());
    let (stream, _) = world.requested();
    // From here on a restart would not know the answer, but there is none.
    world.weather.disk_fails = 100;
    world.answer(stream, b"stopped");
    assert_eq!(world.ended(MANAGER, stream), Ok(()));
}

#[test]
fn what_comes_too_late_is_refused_and_tells_the_clock() {
    let mut world = World::calm();
    let not_after = Some(world.now(APP).unix + MINUTE);
    world.nodes[MANAGER].clock = 79;
    let handle = world.open(Request { not_after, ..post() });
    let (stream, _) = world.requested();
    world.answer(stream, b"in time, as far as clocks go");
    assert_eq!(world.read_all(APP, handle).1, Ok(()));

    world.nodes[MANAGER].clock = 100;
    let late = world.open(Request { not_after, key: Some(Key([8; 16])), ..post() });
    let outcome = world.ended(APP, late);
    let Err(Reason::Reset { code: Code::Expired, time: Some(time) }) = outcome else {
        panic!("it is to be refused as late, and not: {outcome:?}")
    };
    assert!(time.abs_diff(world.now(MANAGER).unix) <= Duration::from_secs(2));
    assert_eq!(world.nodes[MANAGER].disk.len(), 1, "nothing of it is kept");
    let again = world.open(Request { not_after, ..post() });
    assert_eq!(world.read_all(APP, again).1, Ok(()), "what ran in its time is answered at any time");
}

#[test]
fn a_restarted_app_is_told_nothing_of_its_earlier_streams() {
    let mut world = World::calm();
    world.open(Request::new("GET", "/old"));
    let (old, _) = world.requested();
    world.restart(APP);
    world.renew();
    let handle = world.open(Request::new("GET", "/new"));
    // The answer to the old stream is on its way under the same number.
    world.answer(old, b"old");
    let (new, request) = world.requested();
    assert!(request.path == "/new" && new != old && new.id() == old.id());
    world.answer(new, b"new");
    assert!(world.read_all(APP, handle) == (b"new".to_vec(), Ok(())));
}

#[test]
fn events_are_told_at_their_pace_with_their_gaps() {
    let mut world = World::calm();
    let pace = Pace { min_interval_ms: 10_000, coalesce: true };
    let handle = world.open(Request::subscribe("/eth/v1/events?topics=head", pace));
    let (stream, request) = world.requested();
    assert!(request.kind == Kind::Subscribe && request.pace == pace);
    let now = world.instant();
    world.nodes[MANAGER].tunnel.answer(now, stream, Answer::new(200)).unwrap();
    let (mut heard, mut missed, before) = (Vec::new(), 0, world.nodes[MANAGER].messages);
    for n in 0..60_u8 {
        world.nodes[MANAGER].tunnel.notify(stream, 0, Bytes::copy_from_slice(&[n])).unwrap();
        let until = world.now + Duration::from_secs(1);
        while world.now < until {
            world.run(until.saturating_sub(world.now));
            while let Some(notice) = world.nodes[APP].tunnel.notice(handle) {
                missed += notice.missed;
                heard.push(notice.bytes[0]);
                assert_eq!(u64::from(notice.bytes[0]) + 1, heard.len() as u64 + missed);
            }
        }
    }
    assert!((6..=7).contains(&heard.len()), "heard {heard:?}");
    assert!(world.nodes[MANAGER].messages - before <= 8);
    world.nodes[MANAGER].tunnel.reject(stream, Code::Ended);
    assert_eq!(world.ended(APP, handle), Err(Reason::Reset { code: Code::Ended, time: None }));
}

#[test]
fn closing_ends_the_streams_of_both() {
    let mut world = World::calm();
    let handle = world.open(Request::new("GET", "/"));
    let (stream, _) = world.requested();
    world.nodes[APP].tunnel.close();
    assert_eq!(world.ended(APP, handle), Err(Reason::Closed));
    assert_eq!(world.ended(MANAGER, stream), Err(Reason::Closed));
}

#[test]
fn what_is_urgent_overtakes_what_is_large() {
    let mut world = World::new(1, Weather::fine(), (20, Duration::from_secs(120)));
    world.renew();
    world.open(Request::new("GET", "/large"));
    let (large, _) = world.requested();
    let now = world.instant();
    let bulk = Answer { priority: waku_tunnel::request::Priority::Bulk, ..Answer::new(200) };
    world.nodes[MANAGER].tunnel.answer(now, large, bulk).unwrap();
    for _ in 0..20 {
        let now = world.instant();
        world.nodes[MANAGER].tunnel.write(now, large, &vec![1; 200_000]).unwrap();
        world.run(Duration::from_secs(10));
    }
    let handle = world.open(Request::new("GET", "/small"));
    let asked = world.now;
    let (small, _) = world.requested();
    world.answer(small, b"here");
    assert!(world.read_all(APP, handle) == (b"here".to_vec(), Ok(())));
    assert!(world.now.saturating_sub(asked) < Duration::from_secs(15));
}

#[test]
fn more_frames_than_a_message_has_go_in_the_next() {
    let mut world = World::calm();
    let mut streams = Vec::new();
    for _ in 0..4 {
        world.open(Request::subscribe("/events", Pace::default()));
    }
    while streams.len() < 4 {
        streams.extend(world.run(MINUTE).into_iter().filter_map(|(_, event)| match event {
            Event::Requested { stream, .. } => Some(stream),
            _ => None,
        }));
    }
    for &stream in &streams {
        let now = world.instant();
        world.nodes[MANAGER].tunnel.answer(now, stream, Answer::new(200)).unwrap();
        for _ in 0..200 {
            world.nodes[MANAGER].tunnel.notify(stream, 0, Bytes::new()).unwrap();
        }
    }
    let mut heard = 0;
    while heard < 800 {
        let happened = world.run(MINUTE);
        assert!(!happened.is_empty(), "only {heard} of 800 events came");
        for (which, event) in happened {
            if let Event::Readable(stream) = event {
                let tunnel = &mut world.nodes[which].tunnel;
                heard += std::iter::from_fn(|| tunnel.notice(stream)).count();
            }
        }
    }
    for &stream in &streams {
        world.nodes[MANAGER].tunnel.reject(stream, Code::Ended);
    }
    assert!(world.nodes[MANAGER].messages <= 6);
}

#[test]
fn requests_that_nobody_answers_are_bounded_over_restarts_of_the_other_side() {
    let mut world = World::calm();
    let mut handed_out = 0;
    for round in 0..8_u8 {
        for n in 0..30_u8 {
            let key = Some(Key([round * 30 + n; 16]));
            world.open(Request { key, timeout: Some(HOUR), ..Request::new("POST", "/wait") });
        }
        for _ in 0..20 {
            let requested = |(_, event): &(usize, Event)| matches!(event, Event::Requested { .. });
            handed_out += world.run(Duration::from_secs(1)).iter().filter(|event| requested(event)).count();
        }
        world.restart(APP);
        world.renew();
    }
    assert_eq!(handed_out, waku_tunnel::connection::MAX_RUNNING);
}

#[test]
fn a_body_can_be_written_by_and_by() {
    let mut world = World::calm();
    let handle = world.open(Request { body: Body::Streamed(None), timeout: Some(HOUR), ..post() });
    let now = world.instant();
    assert_eq!(world.nodes[APP].tunnel.write(now, handle, b"too early"), Ok(0));
    let (mut written, mut read, mut server) = (0, 0, None);
    while read < 1_000_000 {
        let happened = world.run(MINUTE);
        assert!(!happened.is_empty(), "it stopped at {read} of {written} bytes");
        for (which, event) in happened {
            match event {
                Event::Writable(stream) if which == APP => {
                    let now = world.instant();
                    let app = &mut world.nodes[APP].tunnel;
                    written += app.write(now, stream, &vec![1; 1_000_000 - written]).unwrap();
                    if written == 1_000_000 {
                        app.finish(stream).unwrap();
                        assert_eq!(app.write(now, stream, b"more"), Err(StreamError::OutOfTurn));
                    }
                }
                Event::Requested { stream, .. } => server = Some(stream),
                Event::Readable(stream) if which == MANAGER => {
                    while let Read::Bytes(bytes) = world.nodes[MANAGER].tunnel.read(stream) {
                        read += bytes.len();
                    }
                }
                _ => {}
            }
        }
    }
    let stream = server.expect("it was handed out before its body was there");
    assert!(world.nodes[MANAGER].tunnel.read(stream) == Read::End);
    world.answer(stream, b"");
    assert_eq!(world.ended(APP, handle), Ok(()));
}

/// Says something to the app that an honest manager would not.
fn say(world: &mut World, frames: Vec<Frame>) {
    let now = world.now(APP);
    let plaintext = Envelope { frames, ack: None, epoch: 2, to: 0 }.encode();
    let session = world.nodes[APP].session.unwrap();
    world.nodes[APP].tunnel.handle_plaintext(now, session, 100, &plaintext).unwrap();
}

#[test]
fn an_answer_that_cannot_be_decoded_ends_its_request_alone() {
    let mut world = World::calm();
    let bad = world.open(Request::new("GET", "/bad"));
    let good = world.open(Request::new("GET", "/good"));
    world.run(MINUTE);
    let head = Head { stream: bad.id(), status: 200, headers: Vec::new(), encoding: Encoding::Zstd };
    let bytes = Bytes::from_static(&[4, 0, 0, 0, 1, 2, 3, 4]);
    let data = Data { stream: bad.id(), offset: 0, bytes, fin: true };
    say(&mut world, vec![Frame::Head(head), Frame::Data(data)]);
    assert!(world.nodes[APP].tunnel.read(bad) == Read::End);
    assert_eq!(world.ended(APP, bad), Err(Reason::BadBody));
    let head = Head { stream: good.id(), status: 204, headers: Vec::new(), encoding: Encoding::Identity };
    let data = Data { stream: good.id(), offset: 0, bytes: Bytes::new(), fin: true };
    say(&mut world, vec![Frame::Head(head), Frame::Data(data)]);
    assert_eq!(world.ended(APP, good), Ok(()));
}

#[test]
fn a_peer_that_sends_more_than_it_may_loses_the_stream() {
    let mut world = World::calm();
    let handle = world.open(Request::new("GET", "/"));
    world.run(MINUTE);
    let bytes = Bytes::from_static(b"far ahead");
    let data = Data { stream: handle.id(), offset: 10_000_000, bytes, fin: false };
    say(&mut world, vec![Frame::Data(data)]);
    assert_eq!(world.ended(APP, handle), Err(Reason::Protocol));
}

#[test]
fn what_cannot_be_read_is_counted_and_not_acknowledged() {
    let mut world = World::calm();
    let now = world.now(APP);
    let app = &mut world.nodes[APP].tunnel;
    assert!(app.handle_plaintext(now, 1, 0, &[0xff; 9]).is_err());
    assert_eq!(app.counters().malformed, 1);
    assert!(world.run(MINUTE).is_empty());
    assert_eq!(world.messages(), [0, 0]);
}
