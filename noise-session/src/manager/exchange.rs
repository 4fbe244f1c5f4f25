//! The handshakes under way with a peer: initiations of ours that wait for a reply, replies of ours that wait for the
//! third message.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::initiation::{Initiation, Reply, Stamp, capability, decode_finish, encode_finish};
use super::link::{Link, live_days};
use crate::handshake::Handshake;
use crate::handshake_state::{HandshakeKey, Setup};
use crate::key::{KeyPair, PublicKey};
use crate::message_nametag::MessageNametag;
use crate::padding::unpad;
use crate::pattern::{Pattern, Role};
use crate::payload::{PayloadV2, ProtocolId};
use crate::session::Session;
use crate::time::{Instant, Now};

/// Messages under an expected nametag, which anyone can copy, that are tried before an exchange is deaf: each costs a
/// Diffie-Hellman or two.
const MAX_TRIES: u32 = 32;

/// What this crate can do, for the capability fields.
const CAPABILITIES: u32 = capability::REKEY;

/// An initiation of ours.
pub(super) struct Attempt {
    handshake: Handshake,
    ephemeral: PublicKey,
    stamp: Stamp,
    knew: [u8; 32],
    tries: u32,
    pub(super) started: Instant,
}

/// A reply of ours.
pub(super) struct Answer {
    handshake: Handshake,
    initiation: Initiation,
    tries: u32,
}

/// A handshake that came to its end, with the facts both parties know.
pub(super) struct Outcome {
    pub(super) session: Session,
    pub(super) role: Role,
    /// The initiation's.
    pub(super) stamp: Stamp,
    /// The session its initiator had before, as the initiation names it.
    pub(super) knew: [u8; 32],
    /// The other party's process.
    pub(super) peer_boot: [u8; 16],
    /// The third message, which its sender repeats until it is answered.
    pub(super) third: Vec<u8>,
    /// What the initiator's application said in it.
    pub(super) data: Zeroizing<Vec<u8>>,
}

/// Who we are in this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boot {
    pub(super) id: [u8; 16],
    pub(super) last_session: [u8; 32],
}

fn setup<'a>(link: &Link, role: Role, prologue: &'a [u8]) -> Setup<'a> {
    let mut setup = Setup::new(&Pattern::K1K1, role, prologue);
    setup.local_static = Some(link.local.clone());
    setup.remote_static = Some(link.remote);
    setup
}

impl Attempt {
    /// Makes the first message.
    pub(super) fn start(
        link: &Link,
        now: Now,
        rng: &mut dyn CryptoRng,
        boot: &Boot,
        stamp: Stamp,
    ) -> (Self, Vec<u8>) {
        let ephemeral = KeyPair::generate(rng);
        let public = ephemeral.public();
        let initiation = Initiation {
            stamp,
            boot_id: boot.id,
            capabilities: CAPABILITIES,
            last_session: boot.last_session,
        };
        let prologue = link.prologue();
        let mut setup = setup(link, Role::Initiator, &prologue);
        setup.local_ephemeral = Some(ephemeral);
        let mut handshake = Handshake::new(setup).expect("K1K1 needs the two static keys, and has them");
        let nametag = link.initiation_tag(link.local_part, now.unix.day());
        let sealed = initiation.seal(link, rng, &public);
        let payload =
            handshake.write(rng, nametag, &sealed).expect("the first message of K1K1 uses no key of theirs");
        let attempt = Self {
            handshake,
            ephemeral: public,
            stamp,
            knew: boot.last_session,
            tries: 0,
            started: now.instant,
        };
        (attempt, payload)
    }

    pub(super) fn expects(&self, nametag: MessageNametag) -> bool {
        self.tries < MAX_TRIES && self.handshake.next_nametag() == nametag
    }

    pub(super) fn is_of(&self, ephemeral: &PublicKey) -> bool {
        self.ephemeral == *ephemeral
    }

    /// Reads the second message and makes the third. `None` when the second is not authentic; the attempt still waits.
    pub(super) fn finish(
        &mut self,
        rng: &mut dyn CryptoRng,
        payload: &PayloadV2<'_>,
        data: &[u8],
    ) -> Option<Outcome> {
        self.tries += 1;
        let mut handshake = self.handshake.clone();
        let reply = Reply::decode(&handshake.read(payload).ok()?)?;
        let nametag = handshake.next_nametag();
        let third = handshake.write(rng, nametag, &encode_finish(data)).ok()?;
        let session = Session::new(handshake.finish().ok()?, rekeys(reply.capabilities));
        Some(Outcome {
            session,
            role: Role::Initiator,
            stamp: self.stamp,
            knew: self.knew,
            peer_boot: reply.boot_id,
            third,
            data: Zeroizing::default(),
        })
    }
}

impl Answer {
    /// Makes the second message. `None` when the initiator's ephemeral is unusable.
    pub(super) fn start(
        link: &Link,
        rng: &mut dyn CryptoRng,
        boot: &Boot,
        initiation: Initiation,
        payload: &PayloadV2<'_>,
    ) -> Option<(Self, Vec<u8>)> {
        let prologue = link.prologue();
        let mut handshake = Handshake::new(setup(link, Role::Responder, &prologue)).ok()?;
        handshake.read(payload).ok()?;
        let nametag = handshake.next_nametag();
        let reply = Reply { capabilities: CAPABILITIES, boot_id: boot.id };
        let second = handshake.write(rng, nametag, &reply.encode()).ok()?;
        Some((Self { handshake, initiation, tries: 0 }, second))
    }

    pub(super) fn expects(&self, nametag: MessageNametag) -> bool {
        self.tries < MAX_TRIES && self.handshake.next_nametag() == nametag
    }

    /// Reads the third message. `None` when it is not authentic; the answer still waits.
    pub(super) fn finish(&mut self, payload: &PayloadV2<'_>) -> Option<Outcome> {
        self.tries += 1;
        let mut handshake = self.handshake.clone();
        let plaintext = handshake.read(payload).ok()?;
        let data = Zeroizing::new(decode_finish(&plaintext)?.to_vec());
        let Initiation { stamp, boot_id, capabilities, last_session } = self.initiation;
        let session = Session::new(handshake.finish().ok()?, rekeys(capabilities));
        Some(Outcome {
            session,
            role: Role::Responder,
            stamp,
            knew: last_session,
            peer_boot: boot_id,
            third: payload.encode().ok()?,
            data,
        })
    }
}

fn rekeys(theirs: u32) -> bool {
    CAPABILITIES & theirs & capability::REKEY != 0
}

/// The content of an authentic first message of the other party, and its ephemeral.
pub(super) fn open_initiation(
    link: &Link,
    now: Now,
    payload: &PayloadV2<'_>,
) -> Option<(Initiation, PublicKey)> {
    let [HandshakeKey::Clear(ephemeral)] = payload.handshake_keys.as_slice() else { return None };
    if payload.protocol_id != ProtocolId::K1K1 {
        return None;
    }
    let is_tag = |day| link.initiation_tag(link.remote_part, day) == payload.nametag;
    live_days(now.unix.day()).into_iter().find(|day| is_tag(*day))?;
    let sealed = unpad(payload.transport_message).ok()?;
    Some((Initiation::open(link, ephemeral, sealed)?, *ephemeral))
}
