//! A session on a network that loses, doubles, bends, invents and reorders.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_noise_session::handshake::{Handshake, HandshakeResult};
use waku_noise_session::handshake_state::Setup;
use waku_noise_session::key::KeyPair;
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::session::{Content, OpenError, Opened, Sealed, Session, WINDOW};
use waku_noise_session::time::Instant;

use super::script::Script;

/// Both ends of one finished handshake.
static ENDS: LazyLock<[HandshakeResult; 2]> = LazyLock::new(|| {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let [mut alice, mut bob] = [Role::Initiator, Role::Responder].map(|role| {
        let mut setup = Setup::new(&Pattern::XX, role, b"");
        setup.local_static = Some(KeyPair::generate(&mut rng));
        Handshake::new(setup).expect("XX needs our own key alone")
    });
    for (from, to) in [(0, 1), (1, 0), (0, 1)] {
        let ends = [&mut alice, &mut bob];
        let wire = ends[from].write(&mut rng, MessageNametag::default(), b"").expect("it is this end's turn");
        let payload = PayloadV2::decode(&wire).expect("an honest message can be read");
        [&mut alice, &mut bob][to].read(&payload).expect("an honest message is accepted");
    }
    [alice, bob].map(|end| end.finish().expect("XX has three messages"))
});

/// Every honest message is opened once, as it was sent, whatever else comes; nothing else is ever opened.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let Some(rekey) = script.byte() else { return };
    let [mut alice, bob] = ENDS.clone().map(|end| Session::new(end, rekey & 1 == 1));
    let mut reader = Reader { session: bob, opened: BTreeSet::new() };
    let mut sent: Vec<Sealed> = Vec::new();
    while let Some(step) = script.byte() {
        if sent.is_empty() || (step % 5 == 0 && (sent.len() as u64) < WINDOW) {
            sent.push(alice.seal(&text(sent.len() as u64)).expect("a short text can be sealed"));
        }
        let Some(message) = script.pick(sent.as_slice()) else { return };
        match step % 5 {
            1 => reader.honest(message),
            2 => {
                let (Some(place), Some(change)) = (script.bytes(), script.byte()) else { return };
                let mut bent = message.payload.clone();
                let place = place.iter().map(|byte| usize::from(*byte)).sum::<usize>() % bent.len();
                bent[place] ^= change.max(1);
                reader.forged(&bent);
            }
            3 => {
                let Some(invented) = script.bytes() else { return };
                reader.forged(invented);
            }
            4 => {
                let Some(transport_message) = script.bytes() else { return };
                let nametag =
                    PayloadV2::decode(&message.payload).expect("an honest message can be read").nametag;
                let (protocol_id, handshake_keys) = (ProtocolId::AfterHandshake, Vec::new());
                let forged = PayloadV2 { nametag, protocol_id, handshake_keys, transport_message };
                reader.forged(&forged.encode().expect("there are no keys"));
            }
            _ => {}
        }
    }
    for message in &sent {
        reader.honest(message);
    }
    assert_eq!(reader.opened.len(), sent.len());
}

/// What a message says.
fn text(index: u64) -> Vec<u8> {
    vec![
        u8::try_from(index % 251).expect("a remainder of 251 is small");
        usize::try_from(index).expect("it is small")
    ]
}

struct Reader {
    session: Session,
    opened: BTreeSet<u64>,
}

impl Reader {
    fn honest(&mut self, message: &Sealed) {
        let payload = PayloadV2::decode(&message.payload).expect("an honest message can be read");
        let opened = self.session.open(Instant::from_origin(Duration::ZERO), &payload);
        if self.opened.insert(message.index) {
            let content = Content::Data(text(message.index).into());
            assert_eq!(opened, Ok(Opened { index: message.index, content }));
        } else {
            // A repetition is told, unless there was nothing in it.
            let repeated = OpenError::Repeated { index: message.index };
            let refused = if message.index == 0 { OpenError::UnknownNametag } else { repeated };
            assert_eq!(opened, Err(refused), "opened twice");
        }
    }

    fn forged(&mut self, bytes: &[u8]) {
        let Ok(payload) = PayloadV2::decode(bytes) else { return };
        assert!(
            self.session.open(Instant::from_origin(Duration::ZERO), &payload).is_err(),
            "opened a forgery"
        );
    }
}
