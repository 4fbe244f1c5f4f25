//! The manager against a party that writes its handshake messages itself, from what the module documentation says, and
//! so can say what a manager never says.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use waku_noise_session::cipher_state::{DecryptError, chachapoly_seal};
use waku_noise_session::handshake::{Handshake, HandshakeReadError};
use waku_noise_session::handshake_state::{ReadError, Setup};
use waku_noise_session::key::KeyPair;
use waku_noise_session::manager::{Event, Link, Stamps};
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::session::{Content, Session};
use waku_noise_session::time::Instant;

use crate::world::{START, Side, at, links};

const VERSION: u8 = 1;
/// The capability bit of keys renewed by index.
const REKEY: u32 = 1;
/// More messages than one key serves.
const BEYOND_ONE_KEY: u64 = 1100;

/// One handshake by hand with a manager.
struct ByHand {
    link: Link,
    prologue: Vec<u8>,
    capabilities: u32,
    rng: ChaCha20Rng,
    peer: Side,
}

impl ByHand {
    /// The manager is the link's other end.
    fn new(capabilities: u32) -> Self {
        let [link, peer] = links();
        let secret = link.root.expand::<32>(link.profile.prologue_label);
        Self {
            prologue: [link.profile.prologue, secret.as_ref()].concat(),
            link,
            capabilities,
            rng: ChaCha20Rng::seed_from_u64(8),
            peer: Side::new(peer, Stamps::default(), 1),
        }
    }

    fn handshake(&mut self, role: Role) -> (Handshake, KeyPair) {
        let ephemeral = KeyPair::generate(&mut self.rng);
        let mut setup = Setup::new(&Pattern::K1K1, role, &self.prologue);
        setup.local_static = Some(self.link.local.clone());
        setup.remote_static = Some(self.link.remote);
        setup.local_ephemeral = Some(ephemeral.clone());
        (Handshake::new(setup).unwrap(), ephemeral)
    }

    fn tell_peer(&mut self, payload: &[u8]) {
        self.peer.hear(at(Duration::ZERO), &mut self.rng, payload);
    }

    fn peer_says(&mut self) -> Vec<u8> {
        self.peer.said.pop_front().unwrap()
    }

    /// The first message.
    fn call(&mut self) -> (Handshake, Vec<u8>) {
        let (mut handshake, ephemeral) = self.handshake(Role::Initiator);
        let Link { profile, root, local_part, .. } = &self.link;
        let day = START.as_secs() / 86_400;
        let tag_info = [profile.initiation_tag_label, &[*local_part], &day.to_be_bytes()].concat();
        let tag = root.expand::<16>(&tag_info);
        let (time, counter, boot, last_session) = (7_u64, 1_u64, [2; 16], [0; 32]);
        let initiation = [
            &[VERSION][..],
            &time.to_be_bytes(),
            &counter.to_be_bytes(),
            &boot,
            &self.capabilities.to_be_bytes(),
            &last_session,
        ]
        .concat();
        let nonce = [3; 12];
        let key = root.expand::<32>(profile.initiation_label);
        let sealed = chachapoly_seal(&key, &nonce, ephemeral.public().as_bytes(), &initiation);
        let payload = [&nonce[..], &sealed].concat();
        let wire = handshake.write(&mut self.rng, MessageNametag::from(*tag), &payload).unwrap();
        (handshake, wire)
    }

    /// Calls the manager, hears its reply and says `third` in the third message.
    fn shake_hands(&mut self, third: &[u8]) -> Handshake {
        let (mut handshake, call) = self.call();
        self.tell_peer(&call);
        let reply = self.peer_says();
        let said = handshake.read(&PayloadV2::decode(&reply).unwrap()).unwrap();
        assert_eq!(*said, [&[VERSION][..], &REKEY.to_be_bytes(), &[1; 16]].concat());
        let nametag = handshake.next_nametag();
        let third = handshake.write(&mut self.rng, nametag, third).unwrap();
        self.tell_peer(&third);
        handshake
    }

    /// Is called by the manager and answers; returns the handshake once the third message has come.
    fn answer(&mut self) -> Option<Handshake> {
        let (mut handshake, _) = self.handshake(Role::Responder);
        let now = at(Duration::ZERO);
        self.peer.manager.connect(now);
        self.peer.manager.handle_timeout(now, &mut self.rng);
        self.peer.drain();
        let call = self.peer_says();
        handshake.read(&PayloadV2::decode(&call).unwrap()).unwrap();
        let reply = [&[VERSION][..], &self.capabilities.to_be_bytes(), &[2; 16]].concat();
        let nametag = handshake.next_nametag();
        let second = handshake.write(&mut self.rng, nametag, &reply).unwrap();
        self.tell_peer(&second);
        let third = self.peer.said.pop_front()?;
        handshake.read(&PayloadV2::decode(&third).unwrap()).unwrap();
        Some(handshake)
    }

    /// The call itself is authentic and answered; that is all that comes of it.
    fn assert_cannot_read_the_reply(&mut self) {
        let (mut handshake, call) = self.call();
        self.tell_peer(&call);
        let reply = self.peer_says();
        let read = handshake.read(&PayloadV2::decode(&reply).unwrap());
        assert_eq!(read.unwrap_err(), HandshakeReadError::Noise(ReadError::Decrypt(DecryptError)));
    }

    /// Both directions for longer than one key serves.
    fn assert_talks(&mut self, mut session: Session) {
        for _ in 0..BEYOND_ONE_KEY {
            let sealed = session.seal(b"word").unwrap();
            self.tell_peer(&sealed.payload);
            let event = self.peer.events.pop().unwrap();
            assert!(matches!(event, Event::Received { index, .. } if index == sealed.index), "{event:?}");
        }
        for _ in 0..BEYOND_ONE_KEY {
            self.peer.manager.send(at(Duration::ZERO), b"word", false).unwrap();
            self.peer.drain();
        }
        let mut last = None;
        for payload in self.peer.said.drain(..) {
            let opened = session.open(Instant::default(), &PayloadV2::decode(&payload).unwrap()).unwrap();
            last = Some(opened.content);
        }
        assert_eq!(last, Some(Content::Data(b"word".to_vec().into())));
    }
}

/// What a party says it can, and whether keys are renewed then.
const CAPABILITIES: [(u32, bool); 4] = [(0, false), (REKEY, true), (!REKEY, false), (u32::MAX, true)];

#[test]
fn keys_are_renewed_by_index_only_if_the_caller_can() {
    for (capabilities, rekeys) in CAPABILITIES {
        let mut party = ByHand::new(capabilities);
        let handshake = party.shake_hands(&[VERSION]);
        party.assert_talks(Session::new(handshake.finish().unwrap(), rekeys));
    }
}

#[test]
fn keys_are_renewed_by_index_only_if_the_answerer_can() {
    for (capabilities, rekeys) in CAPABILITIES {
        let mut party = ByHand::new(capabilities);
        let handshake = party.answer().unwrap();
        let mut session = Session::new(handshake.finish().unwrap(), rekeys);
        let confirmation = session.seal(&[]).unwrap();
        party.tell_peer(&confirmation.payload);
        assert_eq!(party.peer.established().map(|(id, _)| id), Some(session.id()));
        party.assert_talks(session);
    }
}

#[test]
fn a_third_message_of_another_version_makes_no_session() {
    for third in [&[][..], &[VERSION + 1], &[0]] {
        let mut party = ByHand::new(REKEY);
        party.shake_hands(third);
        assert_eq!(party.peer.manager.session(), None, "{third:?}");
        assert!(party.peer.said.is_empty());
    }
}

#[test]
fn who_lacks_the_callers_static_key_cannot_read_the_reply() {
    let mut thief = ByHand::new(REKEY);
    // The pairing's root got out, the key did not.
    thief.link.local = KeyPair::from_secret(&[0x55; 32]);
    thief.assert_cannot_read_the_reply();
}

#[test]
fn who_calls_under_another_prologue_cannot_read_the_reply() {
    let mut party = ByHand::new(REKEY);
    party.prologue.push(0);
    party.assert_cannot_read_the_reply();
}

#[test]
fn a_reply_under_another_prologue_or_static_key_is_not_believed() {
    let mut other_prologue = ByHand::new(REKEY);
    other_prologue.prologue.push(0);
    let mut other_key = ByHand::new(REKEY);
    other_key.link.local = KeyPair::from_secret(&[0x55; 32]);
    for mut party in [other_prologue, other_key] {
        assert!(party.answer().is_none());
        assert!(party.peer.events.is_empty(), "{:?}", party.peer.events);
    }
}
