use super::*;

const START: u64 = 1_800_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// So many seconds after the start, by both clocks.
fn at(secs: u64) -> Now {
    Now { instant: Instant::from_origin(Duration::from_secs(secs)), unix: UnixTime::from_secs(START + secs) }
}

fn topics(names: &[&str]) -> BTreeSet<ContentTopic> {
    names.iter().map(|name| topic(name)).collect()
}

fn topic(name: &str) -> ContentTopic {
    format!("/gaps/1/{name}/proto").parse().unwrap()
}

/// What is asked, as topics with the seconds after the start from which on.
fn asked(ask: Option<&Ask>) -> Vec<(ContentTopic, i64)> {
    let since = |time: UnixTime| i64::try_from(time.as_secs()).unwrap() - i64::try_from(START).unwrap();
    ask.into_iter().flat_map(|ask| &ask.topics).map(|(topic, time)| (topic.clone(), since(*time))).collect()
}

/// Gaps of a channel that hears two topics, and to which nothing is due.
fn at_rest() -> Gaps {
    let mut gaps = Gaps::new(at(0), None);
    gaps.set_topics(at(0), &topics(&["a", "b"]), false);
    gaps.set_hearing(at(0), true);
    for secs in [0, 15] {
        let ask = gaps.next_ask(at(secs)).unwrap();
        gaps.handle_answer(at(secs), &ask, true);
    }
    assert!(!gaps.wants_to_ask(at(1000)));
    gaps
}

#[test]
fn what_was_said_before_the_process_began_is_asked_for_when_something_can_be_heard() {
    let mut gaps = Gaps::new(at(0), Some(UnixTime::from_secs(START - 1000)));
    gaps.set_topics(at(0), &topics(&["a"]), false);
    assert_eq!(gaps.next_ask(at(0)), None);
    gaps.set_hearing(at(3), true);
    let ask = gaps.next_ask(at(3)).unwrap();
    assert_eq!(asked(Some(&ask)), [(topic("a"), -1060)]);
    assert_eq!(gaps.next_ask(at(100)), None, "one at a time");
    gaps.handle_answer(at(4), &ask, true);
    // Stores keep a message a moment after it was relayed.
    assert_eq!((gaps.next_ask(at(18)), gaps.poll_timeout()), (None, at(10).instant));
    gaps.handle_timeout(at(10));
    assert_eq!(gaps.poll_timeout(), at(19).instant);
    let second = gaps.next_ask(at(19)).unwrap();
    assert_eq!(asked(Some(&second)), [(topic("a"), 3 - 60)]);
    gaps.handle_answer(at(19), &second, true);
    assert!(!gaps.wants_to_ask(at(1000)));
}

#[test]
fn nothing_older_than_seven_days_is_asked_for() {
    let week = 7 * 24 * 60 * 60;
    for since in [0, START - week, START - week + 1] {
        let mut gaps = Gaps::new(at(0), Some(UnixTime::from_secs(since)));
        gaps.set_topics(at(0), &topics(&["a"]), false);
        gaps.set_hearing(at(0), true);
        let week = i64::try_from(week).unwrap();
        assert_eq!(asked(gaps.next_ask(at(0)).as_ref()), [(topic("a"), -week)]);
    }
}

#[test]
fn a_clock_that_was_set_back_asks_for_the_last_minute() {
    let mut gaps = Gaps::new(at(0), Some(UnixTime::from_secs(START + 5000)));
    gaps.set_topics(at(0), &topics(&["a"]), false);
    gaps.set_hearing(at(0), true);
    assert_eq!(asked(gaps.next_ask(at(0)).as_ref()), [(topic("a"), -60)]);
}

#[test]
fn a_connection_that_comes_back_is_asked_what_was_missed() {
    let mut gaps = at_rest();
    gaps.set_hearing(at(100), false);
    gaps.set_hearing(at(150), false);
    assert!(!gaps.wants_to_ask(at(190)));
    gaps.set_hearing(at(200), true);
    gaps.set_hearing(at(201), true);
    assert_eq!(asked(gaps.next_ask(at(201)).as_ref()), [(topic("a"), 40), (topic("b"), 40)]);
}

#[test]
fn a_topic_that_is_heard_late_is_asked_for_and_one_that_is_gone_is_not() {
    let mut gaps = at_rest();
    gaps.set_topics(at(100), &topics(&["a", "c"]), true);
    assert_eq!(asked(gaps.next_ask(at(100)).as_ref()), [(topic("c"), 40)]);
    let mut gaps = at_rest();
    gaps.set_topics(at(100), &topics(&["a", "c"]), false);
    assert_eq!(gaps.next_ask(at(100)), None, "relays hear it at once");
    gaps.open(at(100), &topics(&["b"]), at(50).unix);
    assert_eq!(gaps.next_ask(at(100)), None);
}

#[test]
fn a_machine_that_slept_asks_for_the_night() {
    let mut gaps = at_rest();
    for secs in (20..=100).step_by(10) {
        gaps.handle_timeout(at(secs));
    }
    assert!(!gaps.wants_to_ask(at(100)), "an ordinary tick");
    // Timers stand still in a sleep; the calendar does not.
    let woken = Now { unix: at(8 * 60 * 60).unix, ..at(110) };
    gaps.handle_timeout(woken);
    assert_eq!(asked(gaps.next_ask(woken).as_ref()), [(topic("a"), 40), (topic("b"), 40)]);
}

#[test]
fn a_gap_that_shows_while_stores_are_asked_is_asked_for_after() {
    let mut gaps = at_rest();
    gaps.open(at(100), &topics(&["a"]), at(90).unix);
    let ask = gaps.next_ask(at(100)).unwrap();
    gaps.open(at(101), &topics(&["a"]), at(95).unix);
    gaps.handle_answer(at(102), &ask, true);
    assert_eq!(gaps.next_ask(at(102)), None, "not too often");
    assert_eq!(gaps.poll_timeout(), gaps.next_tick().min(at(105).instant));
    assert_eq!(asked(gaps.next_ask(at(105)).as_ref()), [(topic("a"), 30)]);
}

#[test]
fn what_failed_is_tried_again_more_and_more_rarely_or_as_soon_as_somebody_else_is_there() {
    let mut gaps = at_rest();
    gaps.open(at(100), &topics(&["a"]), at(90).unix);
    let mut now = 100;
    for wait in [30, 60, 120, 240, 480, 600, 600] {
        let ask = gaps.next_ask(at(now)).unwrap();
        gaps.handle_answer(at(now), &ask, false);
        assert_eq!(gaps.next_ask(at(now + wait - 1)), None);
        now += wait;
    }
    let ask = gaps.next_ask(at(now)).unwrap();
    gaps.handle_answer(at(now), &ask, false);
    gaps.hurry(at(now + 1));
    let due = at(now + 1).instant + 5 * SECOND;
    assert_eq!(gaps.not_before, due);
    let ask = gaps.next_ask(at(now + 6)).unwrap();
    assert_eq!(asked(Some(&ask)), [(topic("a"), 30)], "nothing was forgotten");
    gaps.handle_answer(at(now + 6), &ask, true);
    assert_eq!(gaps.failures, 0);
}
