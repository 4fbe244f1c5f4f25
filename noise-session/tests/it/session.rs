//! Transport messages under loss, reordering, duplication and forgery.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use waku_noise_session::handshake::Handshake;
use waku_noise_session::handshake_state::Setup;
use waku_noise_session::key::KeyPair;
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::session::{
    Content, MAX_PLAINTEXT, MAX_REMEMBERED, MAX_SKIPPED, OpenError, Opened, SKIPPED_LIFETIME, SealError,
    Sealed, Session, WINDOW,
};
use waku_noise_session::time::Instant;

fn pair(rekey: bool) -> [Session; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut parties = [Role::Initiator, Role::Responder].map(|role| {
        let mut setup = Setup::new(&Pattern::XX, role, b"");
        setup.local_static = Some(KeyPair::generate(&mut rng));
        Handshake::new(setup).unwrap()
    });
    for turn in 0..3 {
        let wire = parties[turn % 2].write(&mut rng, MessageNametag::default(), b"").unwrap();
        parties[1 - turn % 2].read(&PayloadV2::decode(&wire).unwrap()).unwrap();
    }
    parties.map(|party| Session::new(party.finish().unwrap(), rekey))
}

fn open_at(session: &mut Session, at: Duration, sealed: &Sealed) -> Result<Opened, OpenError> {
    session.open(Instant::from_origin(at), &PayloadV2::decode(&sealed.payload).unwrap())
}

fn open(session: &mut Session, sealed: &Sealed) -> Result<Opened, OpenError> {
    open_at(session, Duration::ZERO, sealed)
}

fn seal_many(session: &mut Session, count: u64) -> Vec<Sealed> {
    (0..count).map(|n| session.seal(&n.to_be_bytes()).unwrap()).collect()
}

fn assert_opens(session: &mut Session, sealed: &Sealed) {
    let opened = open(session, sealed).unwrap();
    assert_eq!(opened.index, sealed.index);
    assert_eq!(opened.content, Content::Data(sealed.index.to_be_bytes().to_vec().into()));
}

#[test]
fn both_sides_know_the_session_by_the_same_id() {
    let [a, b] = pair(true);
    assert_eq!(a.id(), b.id());
    assert_eq!(a.id().ct_id(), b.id().ct_id());
    assert_ne!(a.id().as_bytes(), &a.id().termination());
}

#[test]
fn opens_messages_in_reverse_order() {
    let [mut a, mut b] = pair(true);
    let messages = seal_many(&mut a, WINDOW);
    for sealed in messages.iter().rev() {
        assert_opens(&mut b, sealed);
    }
}

#[test]
fn a_duplicate_is_refused_however_late_and_told_for_a_while() {
    let [mut a, mut b] = pair(true);
    let messages = seal_many(&mut a, 2500);
    for sealed in &messages {
        assert_opens(&mut b, sealed);
    }
    let (old, remembered) = messages.split_at(messages.len() - MAX_REMEMBERED);
    for sealed in old {
        assert_eq!(open(&mut b, sealed), Err(OpenError::UnknownNametag));
    }
    for sealed in remembered {
        assert_eq!(open(&mut b, sealed), Err(OpenError::Repeated { index: sealed.index }));
    }
}

#[test]
fn a_message_that_was_not_opened_yet_is_no_repetition() {
    let [mut a, mut b] = pair(true);
    let messages = seal_many(&mut a, 3);
    let repeated = |session: &Session| -> Vec<_> {
        let payloads = messages.iter().map(|sealed| PayloadV2::decode(&sealed.payload).unwrap());
        payloads.map(|payload| session.repeated(&payload)).collect()
    };
    assert_eq!(repeated(&b), [None, None, None]);
    assert_opens(&mut b, &messages[1]);
    assert_eq!(repeated(&b), [None, Some(1), None]);
}

#[test]
fn only_the_very_same_bytes_are_a_repetition() {
    let [mut a, mut b] = pair(true);
    let sealed = a.seal(b"word").unwrap();
    assert!(open(&mut b, &sealed).is_ok());
    for at in 26..sealed.payload.len() {
        let mut changed = sealed.clone();
        changed.payload[at] ^= 1;
        assert_eq!(open(&mut b, &changed), Err(OpenError::UnknownNametag), "byte {at}");
    }
    let mut other_kind = PayloadV2::decode(&sealed.payload).unwrap();
    other_kind.protocol_id = ProtocolId::ChaChaPoly;
    assert_eq!(b.repeated(&other_kind), None);
    assert_eq!(open(&mut b, &sealed), Err(OpenError::Repeated { index: 0 }));
}

#[test]
fn the_repetition_of_an_empty_message_is_not_told() {
    let [mut a, mut b] = pair(true);
    let sealed = a.seal(b"").unwrap();
    assert!(open(&mut b, &sealed).is_ok());
    assert_eq!(open(&mut b, &sealed), Err(OpenError::UnknownNametag));
}

#[test]
fn survives_the_loss_of_as_many_messages_as_the_window_holds() {
    let [mut a, mut b] = pair(true);
    let messages = seal_many(&mut a, 2 * WINDOW);
    let beyond = usize::try_from(WINDOW).unwrap();
    assert_eq!(open(&mut b, &messages[beyond]), Err(OpenError::UnknownNametag));
    assert_opens(&mut b, &messages[beyond - 1]);
    assert_opens(&mut b, &messages[beyond]);
}

#[test]
fn keeps_the_newest_of_the_messages_that_were_overtaken() {
    let [mut a, mut b] = pair(true);
    let messages = seal_many(&mut a, 3000);
    // Every second message is lost for now: 1,500 are overtaken.
    for sealed in messages.iter().skip(1).step_by(2) {
        assert_opens(&mut b, sealed);
    }
    let late: Vec<_> = messages.iter().step_by(2).map(|sealed| open(&mut b, sealed)).collect();
    let kept = late.iter().filter(|opened| opened.is_ok()).count();
    assert_eq!(kept, MAX_SKIPPED);
    assert!(late[..late.len() - kept].iter().all(|opened| *opened == Err(OpenError::UnknownNametag)));
}

#[test]
fn forgets_overtaken_messages_after_a_day() {
    let [mut a, mut b] = pair(true);
    let messages = seal_many(&mut a, 5);
    assert!(open_at(&mut b, Duration::ZERO, &messages[2]).is_ok());
    assert!(open_at(&mut b, SKIPPED_LIFETIME, &messages[1]).is_ok());
    assert!(open_at(&mut b, SKIPPED_LIFETIME + Duration::from_secs(1), &messages[3]).is_ok());
    let forgotten = open_at(&mut b, SKIPPED_LIFETIME + Duration::from_secs(1), &messages[0]);
    assert_eq!(forgotten, Err(OpenError::UnknownNametag));
}

#[test]
fn rekeying_by_index_survives_reordering_across_the_change() {
    let [mut a, mut b] = pair(true);
    let [mut plain, _] = pair(false);
    let messages = seal_many(&mut a, 2500);
    let same_keys = seal_many(&mut plain, 2500);
    // Under the same first key the ciphertexts are the same until the key changes, and never again.
    assert_eq!(messages[1023], same_keys[1023]);
    assert_ne!(messages[1024], same_keys[1024]);
    for sealed in &messages[..1000] {
        assert_opens(&mut b, sealed);
    }
    for sealed in messages[1000..1100].iter().rev() {
        assert_opens(&mut b, sealed);
    }
    for sealed in messages[1100..].chunks(200).flat_map(|chunk| chunk.iter().rev()) {
        assert_opens(&mut b, sealed);
    }
}

#[test]
fn what_is_forged_or_damaged_changes_nothing() {
    let [mut a, mut b] = pair(true);
    let sealed = a.seal(b"word").unwrap();
    for at in 26..sealed.payload.len() {
        let mut damaged = sealed.clone();
        damaged.payload[at] ^= 0x40;
        assert!(matches!(open(&mut b, &damaged), Err(OpenError::Decrypt(_))), "byte {at}");
    }
    assert_eq!(open(&mut b, &sealed).unwrap().content, Content::Data(b"word".to_vec().into()));
}

#[test]
fn only_transport_messages_are_opened() {
    let [mut a, mut b] = pair(true);
    let sealed = a.seal(b"word").unwrap();
    let mut payload = PayloadV2::decode(&sealed.payload).unwrap();
    payload.protocol_id = ProtocolId::ChaChaPoly;
    assert_eq!(b.open(Instant::default(), &payload), Err(OpenError::NotTransport));
}

#[test]
fn a_message_is_at_most_what_a_waku_message_carries() {
    let [mut a, mut b] = pair(true);
    let refused = a.seal(&vec![0; MAX_PLAINTEXT + 1]);
    assert_eq!(refused, Err(SealError::TooLong { len: MAX_PLAINTEXT + 1 }));
    let sealed = a.seal(&vec![7; MAX_PLAINTEXT]).unwrap();
    assert_eq!(sealed.index, 0, "what was refused consumed no index");
    assert!(sealed.payload.len() < 150_000, "{}", sealed.payload.len());
    assert!(open(&mut b, &sealed).is_ok());
}

#[test]
fn termination_is_told_from_data() {
    let [mut a, mut b] = pair(true);
    let sealed = a.seal_termination().unwrap();
    assert_eq!(open(&mut b, &sealed).unwrap().content, Content::Termination);
    let other = a.seal(&[0; 32]).unwrap();
    assert!(matches!(open(&mut b, &other).unwrap().content, Content::Data(_)));
}
