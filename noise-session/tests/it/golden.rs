//! The manager's own messages and the session's identifiers against `vectors/session-manager.json`, byte for byte.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use waku_noise_session::key::{KeyPair, PublicKey};
use waku_noise_session::letter;
use waku_noise_session::manager::{
    Event, Link, Manager, Output, PairRoot, Place, Profile, Stamp, Stamps, refuse,
};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now, UnixTime};

use crate::support::FixedRng;
use crate::vectors::{Hex, vectors};

/// The labels the vectors were made with.
static PROFILE: Profile = Profile {
    prologue: b"status-node-manager/session/1",
    prologue_label: b"snm/1 prologue",
    initiation_label: b"snm/1 hs1",
    initiation_tag_label: b"snm/1 hs1-tag",
    refusal_label: b"snm/1 refusal",
    refusal_tag_label: b"snm/1 refusal-tag",
    letter_label: b"snm/1 letter",
    letter_tag_label: b"snm/1 letter-tag",
};

#[derive(Deserialize)]
struct Golden {
    pair_root: Hex,
    unix_seconds: u64,
    initiation: InitiationVector,
    refusal: RefusalVector,
    letter: LetterVector,
    session: SessionVector,
}

#[derive(Deserialize)]
struct InitiationVector {
    local_part: u8,
    boot_id: Hex,
    ephemeral: Hex,
    nonce: Hex,
    payload: Hex,
}

#[derive(Deserialize)]
struct RefusalVector {
    local_part: u8,
    reason: u8,
    nonce: Hex,
    payload: Hex,
}

#[derive(Deserialize)]
struct LetterVector {
    part: u8,
    day: u64,
    ephemeral: Hex,
    nonce: Hex,
    plaintext: Hex,
    payload: Hex,
}

#[derive(Deserialize)]
struct SessionVector {
    handshake_hash: Hex,
    id: Hex,
    termination: Hex,
    ct_id: Hex,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../vectors/session-manager.json")).unwrap()
}

impl Golden {
    fn now(&self) -> Now {
        Now { instant: Instant::default(), unix: UnixTime::from_secs(self.unix_seconds) }
    }

    fn link(&self, local_part: u8, remote_part: u8, local: [u8; 32], remote: PublicKey) -> Link {
        let root = PairRoot::from(self.pair_root.array());
        Link { profile: &PROFILE, root, local: KeyPair::from_secret(&local), remote, local_part, remote_part }
    }

    /// Both ends of the pairing: who calls, and who answers or refuses.
    fn links(&self) -> [Link; 2] {
        let (caller, refuser) = (self.initiation.local_part, self.refusal.local_part);
        let public = |secret| KeyPair::from_secret(&secret).public();
        [
            self.link(caller, refuser, [0x11; 32], public([0x22; 32])),
            self.link(refuser, caller, [0x22; 32], public([0x11; 32])),
        ]
    }

    /// The caller with its first call, and what it wanted done.
    fn call(&self) -> (Manager, Vec<Output>) {
        let [link, _] = self.links();
        let mut manager = Manager::new(link, Stamps::default(), self.initiation.boot_id.array());
        let until_the_next_call = [0; 4];
        let chance =
            [&self.initiation.ephemeral.0[..], &self.initiation.nonce.0, &until_the_next_call].concat();
        manager.connect(self.now());
        manager.handle_timeout(self.now(), &mut FixedRng::new(&chance));
        let outputs = std::iter::from_fn(|| manager.poll_output()).collect();
        (manager, outputs)
    }
}

#[test]
fn the_first_message_equals_the_independent_implementations() {
    let golden = golden();
    let (_, outputs) = golden.call();
    let sent = Stamp { time: golden.unix_seconds * 1_000_000_000, counter: 1 };
    let [Output::Save(saved), Output::Transmit { place: Place::Rendezvous, payload }] = outputs.as_slice()
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(*saved, Stamps { sent, ..Stamps::default() });
    assert_eq!(HEXLOWER.encode(payload), HEXLOWER.encode(&golden.initiation.payload.0));
}

#[test]
fn the_independent_implementations_first_message_is_answered() {
    let golden = golden();
    let [_, link] = golden.links();
    let mut manager = Manager::new(link, Stamps::default(), [0; 16]);
    let call = PayloadV2::decode(&golden.initiation.payload.0).unwrap();
    manager.handle_payload(golden.now(), &mut FixedRng::new(&[0x44; 32]), &call);
    let seen = Stamp { time: golden.unix_seconds * 1_000_000_000, counter: 1 };
    assert_eq!(manager.poll_output(), Some(Output::Save(Stamps { seen, ..Stamps::default() })));
    assert!(matches!(manager.poll_output(), Some(Output::Transmit { place: Place::Rendezvous, .. })));
}

#[test]
fn a_refusal_equals_the_independent_implementations() {
    let golden = golden();
    let [_, link] = golden.links();
    let call = PayloadV2::decode(&golden.initiation.payload.0).unwrap();
    let mut chance = FixedRng::new(&golden.refusal.nonce.0);
    let (refusal, _) = refuse(&link, golden.now(), &mut chance, &call, golden.refusal.reason).unwrap();
    assert_eq!(HEXLOWER.encode(&refusal), HEXLOWER.encode(&golden.refusal.payload.0));
}

#[test]
fn the_independent_implementations_refusal_is_understood() {
    let golden = golden();
    let (mut caller, _) = golden.call();
    let refusal = PayloadV2::decode(&golden.refusal.payload.0).unwrap();
    caller.handle_payload(golden.now(), &mut FixedRng::unused(), &refusal);
    let reason = golden.refusal.reason;
    assert_eq!(caller.poll_output(), Some(Output::Event(Event::Refused { reason })));
}

#[test]
fn a_letter_equals_the_independent_implementations() {
    let golden = golden();
    let [writer, reader] = golden.links();
    let LetterVector { part, day, ephemeral, nonce, plaintext, payload } = &golden.letter;
    assert_eq!(writer.local_part, *part);
    let mut chance = FixedRng::new(&[&ephemeral.0[..], &nonce.0].concat());
    let sealed = letter::seal(&writer, &mut chance, *day, &plaintext.0).unwrap();
    assert_eq!(HEXLOWER.encode(&sealed), HEXLOWER.encode(&payload.0));
    let opened = letter::open(&reader, *day, &PayloadV2::decode(&payload.0).unwrap());
    assert_eq!(*opened.unwrap(), plaintext.0);
}

#[test]
fn a_sessions_identifiers_equal_the_independent_implementations() {
    let golden = golden();
    let vectors = vectors();
    assert_eq!(vectors.handshake_hash("K1K1"), golden.session.handshake_hash.0);
    for session in vectors.run("K1K1") {
        assert_eq!(session.id().as_bytes(), &golden.session.id.array());
        assert_eq!(session.id().termination(), golden.session.termination.array());
        assert_eq!(session.id().ct_id(), golden.session.ct_id.array());
    }
}
