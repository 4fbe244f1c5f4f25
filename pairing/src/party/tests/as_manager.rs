//! The manager against a stranger who plays the app.

use super::*;
use crate::record::Stage;

const N_APP: [u8; 32] = [0xbb; 32];

impl Stranger {
    /// Hears the manager's HELLO_APP and answers as it should be.
    fn answer(&mut self, manager: &mut Tested, requires_sas: bool) -> Sessions {
        let (hello, plaintext) = manager.hellos(&self.keys).pop().expect("the manager says HELLO_APP");
        assert!(matches!(hello.kind, Kind::HelloApp { .. }));
        self.attempt = hello.attempt;
        let answer = self.hello(answer(requires_sas, hello::digest(&plaintext)));
        self.say(manager, &answer);
        self.sessions(manager, &hello::transcript(&plaintext, &answer))
    }
}

fn answer(requires_sas: bool, answers: [u8; 32]) -> Kind {
    Kind::HelloNodeManager { requires_sas, n_app: N_APP, answers }
}

#[test]
fn only_an_answer_to_its_own_hello_counts() {
    let mut manager = Tested::manager(Terms::default());
    let (hello, plaintext) = manager.hellos(&keys(0)).remove(0);
    let mut stranger = Stranger::new(2);
    stranger.attempt = hello.attempt;
    let of_another = stranger.hello(answer(true, [7; 32]));
    stranger.say(&mut manager, &of_another);
    stranger.attempt = [9; 16];
    let of_another_attempt = stranger.hello(answer(true, hello::digest(&plaintext)));
    stranger.say(&mut manager, &of_another_attempt);
    let mut mirror = Stranger::new(1);
    mirror.attempt = hello.attempt;
    let its_own = mirror.hello(answer(true, hello::digest(&plaintext)));
    mirror.say(&mut manager, &its_own);
    assert!(manager.records().is_empty() && manager.failures().is_empty());
    manager.wait(2);
    stranger.answer(&mut manager, true);
    assert_eq!(manager.records().len(), 1);
}

/// Either side's wish that digits be compared binds the manager.
#[test]
fn a_confirmation_without_digits_is_refused_where_they_are_required() {
    for (terms, requires_sas) in [(Terms::default(), false), (RELAXED, true)] {
        let mut manager = Tested::manager(terms);
        let mut sessions = Stranger::new(2).answer(&mut manager, requires_sas);
        sessions.exchange(&mut manager);
        assert!(matches!(manager.records()[0].stage, Stage::Keyed(_)));
        sessions.say(&mut manager, Frame::Confirm { compared: false });
        assert_eq!(manager.rejected(), [(Reason::NotCompared, false)]);
        assert!(manager.records().is_empty());
    }
    let mut manager = Tested::manager(RELAXED);
    let mut sessions = Stranger::new(2).answer(&mut manager, false);
    sessions.exchange(&mut manager);
    sessions.say(&mut manager, Frame::Confirm { compared: false });
    assert!(manager.records()[0].is_confirmed());
    assert_eq!(sessions.heard.last(), Some(&Frame::Confirmed));
}

#[test]
fn nothing_but_a_confirmation_confirms() {
    let mut manager = Tested::manager(RELAXED);
    let mut sessions = Stranger::new(2).answer(&mut manager, false);
    sessions.exchange(&mut manager);
    for frame in [Frame::Ping(1), Frame::Pong(1), Frame::Confirmed] {
        sessions.say(&mut manager, frame);
        assert!(matches!(manager.records()[0].stage, Stage::Keyed(_)));
    }
}

#[test]
fn an_app_whose_clock_is_off_is_told_so() {
    for off in [16 * 60, -16 * 60] {
        let mut manager = Tested::manager(Terms::default());
        let mut stranger = Stranger::new(2);
        stranger.time = START.saturating_add_signed(off);
        stranger.answer(&mut manager, true);
        assert_eq!(manager.failures(), [Failure::ClockSkew { apart: Duration::from_secs(16 * 60) }]);
        assert!(manager.records().is_empty());
        let [(refusal, _)] = &manager.hellos(&keys(0))[..] else { panic!() };
        assert!(matches!(refusal.kind, Kind::Reject { reason: Reason::ClockSkew, .. }));
    }
}

#[test]
fn heeds_a_reject_only_of_the_app_that_answered() {
    let mut manager = Tested::manager(Terms::default());
    let (hello, plaintext) = manager.hellos(&keys(0)).remove(0);
    let reject = |answers| Kind::Reject { reason: Reason::Cancelled, answers };
    manager.wait(2);
    let mut stranger = Stranger::new(2);
    stranger.answer(&mut manager, true);
    let mut other = Stranger::new(3);
    other.attempt = hello.attempt;
    let of_another = other.hello(reject(hello::digest(&plaintext)));
    let of_nothing = stranger.hello(reject([0; 32]));
    for ignored in [of_another, of_nothing] {
        stranger.say(&mut manager, &ignored);
        assert_eq!(manager.records().len(), 1);
    }
    let heeded = stranger.hello(reject(hello::digest(&plaintext)));
    stranger.say(&mut manager, &heeded);
    assert_eq!(manager.rejected(), [(Reason::Cancelled, true)]);
    assert!(manager.records().is_empty());
}

#[test]
fn a_reject_that_answers_nothing_does_not_stop_the_search() {
    let mut manager = Tested::manager(Terms::default());
    let (hello, _) = manager.hellos(&keys(0)).remove(0);
    let mut stranger = Stranger::new(2);
    stranger.attempt = hello.attempt;
    let reject = stranger.hello(Kind::Reject { reason: Reason::CodeSpent, answers: [0; 32] });
    stranger.say(&mut manager, &reject);
    assert!(manager.failures().is_empty());
    manager.wait(2);
    assert_eq!(manager.hellos(&keys(0)).len(), 1);
}

#[test]
fn another_app_that_answers_ends_even_a_pairing_that_stands() {
    let mut manager = Tested::manager(RELAXED);
    let (hello, plaintext) = manager.hellos(&keys(0)).remove(0);
    manager.wait(2);
    let mut thief = Stranger::new(2);
    let mut sessions = thief.answer(&mut manager, false);
    sessions.exchange(&mut manager);
    sessions.say(&mut manager, Frame::Confirm { compared: true });
    assert!(manager.records()[0].is_confirmed());

    let rejects = thief.hello(Kind::Reject { reason: Reason::Cancelled, answers: hello::digest(&plaintext) });
    thief.say(&mut manager, &rejects);
    let again = thief.hello(answer(true, hello::digest(&plaintext)));
    thief.say(&mut manager, &again);
    assert!(manager.records()[0].is_confirmed(), "the same app may say what it likes");

    let mut owner = Stranger::new(3);
    owner.attempt = hello.attempt;
    let late = owner.hello(answer(true, hello::digest(&plaintext)));
    owner.say(&mut manager, &late);
    assert!(manager.records().is_empty());
    let alarm =
        |event: &Event| matches!(event, Event::Unpaired { reason: Reason::TwoMachines, by_peer: false, .. });
    assert!(manager.events.iter().any(alarm));
    let told = manager.hellos(&keys(0)).into_iter().any(|(reject, _)| {
        reject.kind == Kind::Reject { reason: Reason::TwoMachines, answers: hello::digest(&late) }
    });
    assert!(told, "the other app is told as well");
}

#[test]
fn listens_for_another_app_no_longer_than_the_code_lives() {
    let mut manager = Tested::manager(RELAXED);
    let (hello, plaintext) = manager.hellos(&keys(0)).remove(0);
    manager.wait(2);
    let mut sessions = Stranger::new(2).answer(&mut manager, false);
    sessions.exchange(&mut manager);
    sessions.say(&mut manager, Frame::Confirm { compared: false });
    manager.wait(600);
    let mut owner = Stranger::new(3);
    owner.attempt = hello.attempt;
    let late = owner.hello(answer(true, hello::digest(&plaintext)));
    owner.say(&mut manager, &late);
    assert!(manager.records()[0].is_confirmed());
    assert_eq!(manager.failures(), []);
}

#[test]
fn one_exchange_at_a_time_with_each_app() {
    let mut manager = Tested::manager(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.answer(&mut manager, true);
    let first = manager.records()[0].id();
    assert_eq!(manager.party.pair(manager.now(), &mut manager.rng, keys(1), RELAXED), Err(PairError::Busy));
    manager.wait(601);
    manager.said.clear();
    manager.party.pair(manager.now(), &mut manager.rng, keys(1), RELAXED).unwrap();
    manager.drain();
    (stranger.keys, stranger.time) = (keys(1), START + 601);
    stranger.answer(&mut manager, true);
    let [second] = manager.records()[..] else { panic!("{:?}", manager.records()) };
    assert_ne!(second.id(), first);
    let dropped =
        |event: &Event| matches!(event, Event::PairingFailed { pairing, .. } if *pairing == Some(first));
    assert!(manager.events.iter().any(dropped));
}
