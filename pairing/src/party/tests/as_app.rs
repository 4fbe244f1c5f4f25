//! The app against a stranger who plays the manager.

use super::*;
use crate::record::{Exchange, Stage};
use crate::sas;

const N_NM: [u8; 32] = [0xaa; 32];

fn hello_app(requires_sas: bool) -> Kind {
    Kind::HelloApp { requires_sas, commitment: sas::commitment(&N_NM) }
}

impl Stranger {
    /// Says HELLO_APP and returns what it answered: the plaintexts of both.
    fn knock(&mut self, app: &mut Tested, requires_sas: bool) -> (Vec<u8>, Vec<u8>) {
        let plaintext = self.hello(hello_app(requires_sas));
        self.say(app, &plaintext);
        let (answer, answer_plaintext) = app.hellos(&self.keys).pop().expect("the app answers");
        assert!(matches!(answer.kind, Kind::HelloNodeManager { .. }), "{answer:?}");
        (plaintext, answer_plaintext)
    }

    /// Knocks, calls and opens `n_nm`.
    fn enter(&mut self, app: &mut Tested, n_nm: [u8; 32]) -> Sessions {
        let (hello, answer) = self.knock(app, true);
        let mut sessions = self.sessions(app, &hello::transcript(&hello, &answer));
        sessions.manager.set_data(n_nm.to_vec().into());
        sessions.manager.connect(app.now());
        sessions.exchange(app);
        sessions
    }

    fn reject(&self, answers: [u8; 32]) -> Vec<u8> {
        self.hello(Kind::Reject { reason: Reason::Cancelled, answers })
    }
}

#[test]
fn a_nonce_that_was_not_committed_to_ends_the_pairing() {
    let mut app = Tested::app(Terms::default());
    Stranger::new(2).enter(&mut app, [0xab; 32]);
    assert_eq!(app.rejected(), [(Reason::WrongOpening, false)]);
    assert!(app.records().is_empty());

    let mut app = Tested::app(Terms::default());
    Stranger::new(2).enter(&mut app, N_NM);
    assert!(matches!(app.records()[..], [PeerRecord { stage: Stage::Keyed(_), sas: Some(_), .. }]));
}

#[test]
fn its_own_identity_is_not_paired_with() {
    let mut app = Tested::app(Terms::default());
    let mut mirror = Stranger::new(1);
    let plaintext = mirror.hello(hello_app(true));
    mirror.say(&mut app, &plaintext);
    assert!(app.said.is_empty() && app.records().is_empty());
}

#[test]
fn another_key_agreement_key_under_the_same_identity_is_another_machine() {
    let mut app = Tested::app(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.identity = Identity::from_secrets(&[5; 32], &[0x22; 32]).unwrap();
    stranger.knock(&mut app, true);
    stranger.identity = Identity::from_secrets(&[5; 32], &[0x33; 32]).unwrap();
    stranger.attempt = [9; 16];
    let plaintext = stranger.hello(hello_app(true));
    stranger.say(&mut app, &plaintext);
    assert_eq!(app.rejected(), [(Reason::TwoMachines, false)]);
    assert!(app.records().is_empty());
}

#[test]
fn one_attempt_that_says_two_things_ends_the_pairing() {
    let mut app = Tested::app(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.knock(&mut app, true);
    let changed = stranger.hello(hello_app(false));
    stranger.say(&mut app, &changed);
    assert_eq!(app.rejected(), [(Reason::CodeSpent, false)]);
    assert!(app.records().is_empty());
}

#[test]
fn a_later_attempt_has_a_fresh_nonce_and_the_earlier_one_is_passed_over() {
    let mut app = Tested::app(RELAXED);
    let mut stranger = Stranger::new(2);
    let (first, first_answer) = stranger.knock(&mut app, true);
    stranger.attempt = [9; 16];
    let (_, second_answer) = stranger.knock(&mut app, false);
    assert_ne!(hello::digest(&first_answer), hello::digest(&second_answer));
    let nonce = |plaintext: &[u8]| plaintext[93..125].to_vec();
    assert_ne!(nonce(&first_answer), nonce(&second_answer));
    stranger.say(&mut app, &first);
    assert!(app.said.is_empty() && app.failures().is_empty());
    let [PeerRecord { stage: Stage::Pending(Exchange::App(exchange)), .. }] = app.records()[..] else {
        panic!()
    };
    assert!(exchange.compare, "once required, the digits stay required");
}

#[test]
fn an_attempt_after_the_codes_time_is_refused_and_the_first_one_still_stands() {
    let mut app = Tested::app(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.knock(&mut app, true);
    app.wait(601);
    stranger.attempt = [9; 16];
    let late = stranger.hello(hello_app(true));
    stranger.say(&mut app, &late);
    let [(refusal, _)] = &app.hellos(&keys(0))[..] else { panic!() };
    assert_eq!(refusal.kind, Kind::Reject { reason: Reason::CodeSpent, answers: hello::digest(&late) });
    assert_eq!(app.records().len(), 1);
}

#[test]
fn a_burnt_attempt_is_not_accepted_on_another_code() {
    let mut app = Tested::app(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.enter(&mut app, [0xab; 32]);
    app.party.offer(app.now(), keys(1), Terms::default()).unwrap();
    app.drain();
    app.said.clear();
    stranger.keys = keys(1);
    let again = stranger.hello(hello_app(true));
    stranger.say(&mut app, &again);
    assert!(app.said.is_empty() && app.records().is_empty());
    stranger.attempt = [9; 16];
    stranger.knock(&mut app, true);
}

#[test]
fn heeds_a_reject_only_of_the_newest_attempt_and_of_the_one_it_answered() {
    let mut app = Tested::app(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.knock(&mut app, true);
    let of_the_first_attempt = stranger.reject([0; 32]);
    stranger.attempt = [9; 16];
    let (_, answer) = stranger.knock(&mut app, true);
    let mut other = Stranger::new(3);
    other.attempt = stranger.attempt;
    let of_another_machine = other.reject([0; 32]);
    let of_another_answer = stranger.reject([7; 32]);
    for ignored in [of_the_first_attempt, of_another_machine, of_another_answer] {
        stranger.say(&mut app, &ignored);
        assert_eq!(app.records().len(), 1);
    }
    let heeded = stranger.reject(hello::digest(&answer));
    stranger.say(&mut app, &heeded);
    assert_eq!(app.rejected(), [(Reason::Cancelled, true)]);
    assert!(app.records().is_empty());
}

#[test]
fn a_reject_does_not_undo_what_stands_nor_does_a_late_hello_draw_one() {
    let mut app = Tested::app(RELAXED);
    let mut stranger = Stranger::new(2);
    let (hello, answer) = stranger.knock(&mut app, false);
    let mut sessions = stranger.sessions(&app, &hello::transcript(&hello, &answer));
    sessions.manager.set_data(N_NM.to_vec().into());
    sessions.manager.connect(app.now());
    sessions.exchange(&mut app);
    assert!(app.records()[0].is_confirmed());
    for late in [stranger.reject(hello::digest(&answer)), stranger.reject([0; 32]), hello] {
        stranger.say(&mut app, &late);
    }
    assert!(app.records()[0].is_confirmed());
    assert!(app.hellos(&keys(0)).is_empty(), "a HELLO_APP that was served is passed over");
    // Another one is told that the code is spent.
    let mut second = Stranger::new(3);
    let hello = second.hello(hello_app(false));
    second.say(&mut app, &hello);
    let [(refusal, _)] = &app.hellos(&keys(0))[..] else { panic!() };
    assert_eq!(refusal.kind, Kind::Reject { reason: Reason::CodeSpent, answers: hello::digest(&hello) });
    assert!(app.records()[0].is_confirmed());
}

#[test]
fn repeats_confirm_every_five_seconds_until_it_is_acknowledged() {
    let mut app = Tested::app(RELAXED);
    let mut stranger = Stranger::new(2);
    let mut sessions = {
        let (hello, answer) = stranger.knock(&mut app, false);
        let mut sessions = stranger.sessions(&app, &hello::transcript(&hello, &answer));
        sessions.manager.set_data(N_NM.to_vec().into());
        sessions.manager.connect(app.now());
        sessions
    };
    sessions.exchange(&mut app);
    let confirm = Frame::Confirm { compared: false };
    let confirms = |sessions: &Sessions| sessions.heard.iter().filter(|frame| **frame == confirm).count();
    let at_once = confirms(&sessions);
    assert!((1..=2).contains(&at_once), "{at_once}");
    for _ in 0..10 {
        app.wait(1);
        sessions.exchange(&mut app);
    }
    assert_eq!(confirms(&sessions), at_once + 2);
    sessions.say(&mut app, Frame::Confirmed);
    assert!(app.events.iter().any(|event| matches!(event, Event::Acknowledged { .. })));
    app.wait(5);
    sessions.exchange(&mut app);
    assert_eq!(confirms(&sessions), at_once + 2);
}

#[test]
fn a_clock_that_is_off_is_told_once_and_refused_at_most_once_a_second() {
    let mut app = Tested::app(Terms::default());
    let mut stranger = Stranger::new(2);
    stranger.time = START - 16 * 60;
    let hello = stranger.hello(hello_app(true));
    for _ in 0..3 {
        stranger.say(&mut app, &hello);
    }
    app.wait(1);
    stranger.say(&mut app, &hello);
    assert_eq!(app.failures().len(), 1);
    let refusals = app.hellos(&keys(0));
    assert_eq!(refusals.len(), 2);
    assert!(refusals.iter().all(|(reject, _)| {
        reject.kind == Kind::Reject { reason: Reason::ClockSkew, answers: hello::digest(&hello) }
    }));
}
