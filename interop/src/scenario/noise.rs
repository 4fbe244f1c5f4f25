//! 35/WAKU2-NOISE: a handshake, and the first messages of its session, with either side as initiator.

use anyhow::{Context, Result, ensure};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use sha2::{Digest as _, Sha256};
use waku_noise_session::handshake::Handshake;
use waku_noise_session::handshake_state::Setup;
use waku_noise_session::kdf::hkdf;
use waku_noise_session::key::{KeyPair, PublicKey};
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::session::{Content, Session};
use waku_noise_session::time::Instant;
use waku_pairing::device::{AuthcodeOrder, authcode};

use super::{CLUSTER, Scene};
use crate::line::{NoiseBegin, NoiseEnd, NoiseKeys, Op, Payload, Sealed, Start, base64, unbase64};
use crate::matrix::Deviation;
use crate::peer::Peer;

const PROLOGUE: &[u8] = b"interop";
const PSK: [u8; 32] = [0x42; 32];
/// Of the first message, when both know it beforehand.
const NAMETAG: [u8; 16] = [7; 16];
/// The index that go-noise gives the nametag of its second message: its list of fifty turns the wrong way.
const WRONG_INDEX: u64 = 49;

pub(super) async fn k1k1(scene: &Scene<'_>) -> Result<()> {
    both_roles(scene, &Pattern::K1K1, "K1K1").await
}

pub(super) async fn xk1(scene: &Scene<'_>) -> Result<()> {
    both_roles(scene, &Pattern::XK1, "XK1").await
}

pub(super) async fn xx(scene: &Scene<'_>) -> Result<()> {
    both_roles(scene, &Pattern::XX, "XX").await
}

pub(super) async fn xxpsk0(scene: &Scene<'_>) -> Result<()> {
    both_roles(scene, &Pattern::XXPSK0, "XXpsk0").await
}

pub(super) async fn waku_pairing(scene: &Scene<'_>) -> Result<()> {
    both_roles(scene, &Pattern::WAKU_PAIRING, "WakuPairing").await
}

async fn both_roles(scene: &Scene<'_>, pattern: &'static Pattern, name: &str) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER)).await?;
    let mut deviation = None;
    for (handshake, role) in [(1, Role::Initiator), (2, Role::Responder)] {
        let mut both = begin(&mut peer, pattern, name, handshake, role).await?;
        both.shake().await?;
        deviation = both.talk().await?.or(deviation);
    }
    peer.stop().await?;
    deviation.map_or(Ok(()), |deviation| Err(deviation.into()))
}

/// Our side and theirs.
struct Both<'a> {
    ours: Handshake,
    role: Role,
    peer: &'a mut Peer,
    handshake: u32,
}

async fn begin<'a>(
    peer: &'a mut Peer,
    pattern: &'static Pattern,
    name: &str,
    handshake: u32,
    role: Role,
) -> Result<Both<'a>> {
    let mut rng = UnwrapErr(SysRng);
    let (own, ephemeral) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
    let is_known = |whose: Role| match whose {
        Role::Initiator => pattern.initiator_pre_message,
        Role::Responder => pattern.responder_pre_message,
    };
    let knows = |whose: Role, token| is_known(whose).contains(&token);
    let (statics, ephemerals) =
        (waku_noise_session::pattern::Token::S, waku_noise_session::pattern::Token::E);
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let key = |pair: &KeyPair| Some(base64(pair.public().as_bytes()));
    let has_psk = name.contains("psk");
    let question = NoiseBegin {
        handshake,
        pattern: name.to_owned(),
        initiator: role == Role::Responder,
        own_static: base64(&secret),
        prologue: base64(PROLOGUE),
        psk: has_psk.then(|| base64(&PSK)),
        remote_static: if knows(role, statics) { key(&own) } else { None },
        remote_ephemeral: if knows(role, ephemerals) { key(&ephemeral) } else { None },
        nametag: Some(base64(&NAMETAG)),
        ..NoiseBegin::default()
    };
    let theirs: NoiseKeys = peer.ask(Op::NoiseBegin(question)).await?;
    let mut setup = Setup::new(pattern, role, PROLOGUE);
    setup.local_static = Some(own);
    setup.psk = has_psk.then(|| PSK.into());
    if knows(role, ephemerals) {
        setup.local_ephemeral = Some(ephemeral);
    }
    if knows(role.other(), statics) {
        setup.remote_static = Some(public(&theirs.own_static)?);
    }
    if knows(role.other(), ephemerals) {
        setup.remote_ephemeral = Some(public(&theirs.ephemeral.context("it shows no ephemeral key")?)?);
    }
    Ok(Both { ours: Handshake::new(setup)?, role, peer, handshake })
}

fn public(key: &str) -> Result<PublicKey> {
    let bytes: [u8; 32] = unbase64(key)?.as_ref().try_into().context("the key has not 32 bytes")?;
    Ok(bytes.into())
}

impl Both<'_> {
    /// The three messages of every pattern.
    async fn shake(&mut self) -> Result<()> {
        let handshake = self.handshake;
        for number in 0..3_u8 {
            let is_ours = (number % 2 == 0) == (self.role == Role::Initiator);
            let sent = format!("handshake message {number}");
            let nametag = if number == 0 { NAMETAG.into() } else { self.ours.next_nametag() };
            let shown = if is_ours {
                let message = self.ours.write(&mut UnwrapErr(SysRng), nametag, sent.as_bytes())?;
                let question = Op::NoiseRead { handshake, message: base64(&message), nametag: None };
                let read: Payload = self.peer.ask(question).await.with_context(|| sent.clone())?;
                ensure!(unbase64(&read.payload)? == sent.as_bytes(), "{sent}: they read {}", read.payload);
                read.authcode
            } else {
                let question = Op::NoiseWrite { handshake, payload: base64(sent.as_bytes()), nametag: None };
                let written: Sealed = self.peer.ask(question).await.with_context(|| sent.clone())?;
                let message = unbase64(&written.message)?;
                let payload = PayloadV2::decode(&message)?;
                ensure!(payload.nametag == nametag, "{sent}: they wrote it under {:?}", payload.nametag);
                let read = self.ours.read(&payload).with_context(|| sent.clone())?;
                ensure!(read.as_slice() == sent.as_bytes(), "{sent}: another payload");
                written.authcode
            };
            if let Some(shown) = shown {
                let ours = authcode(self.ours.state().handshake_hash(), AuthcodeOrder::BigEndian);
                // go-noise puts quotes around it.
                ensure!(shown.trim_matches('\'') == ours, "{sent}: their code is {shown}, ours {ours}");
            }
        }
        Ok(())
    }

    /// Two messages each way; returns how they deviate if it is as they are known to.
    async fn talk(self) -> Result<Option<Deviation>> {
        let Self { ours, role, peer, handshake } = self;
        let end: NoiseEnd = peer.ask(Op::NoiseFinish { handshake }).await?;
        let result = ours.finish()?;
        let hash = *result.handshake_hash();
        if let Some(theirs) = end.hash {
            ensure!(theirs == data_encoding::HEXLOWER.encode(&hash), "another handshake hash: {theirs}");
        }
        // No published library renews keys.
        let mut session = Session::new(result, false);
        for number in 0..2_u8 {
            let said = format!("from ours, number {number}");
            let sealed = session.seal(said.as_bytes())?;
            let question = Op::NoiseOpen { handshake, message: base64(&sealed.payload) };
            let opened = peer.ask::<Payload>(question).await;
            let has_come = match &opened {
                Ok(opened) => unbase64(&opened.payload)? == said.as_bytes(),
                Err(_) => false,
            };
            if number == 1 && !has_come {
                return wrong_rotation(peer, handshake, &mut session, role, &hash).await.map(Some);
            }
            ensure!(has_come, "{said}: {opened:?}");
            let said = format!("from theirs, number {number}");
            let question = Op::NoiseSeal { handshake, payload: base64(said.as_bytes()) };
            let sealed: Sealed = peer.ask(question).await?;
            ensure!(open(&mut session, &sealed)? == said.as_bytes(), "{said}: another payload");
        }
        Ok(None)
    }
}

fn open(session: &mut Session, sealed: &Sealed) -> Result<Vec<u8>> {
    let message = unbase64(&sealed.message)?;
    match session.open(Instant::default(), &PayloadV2::decode(&message)?)?.content {
        Content::Data(data) => Ok(data.to_vec()),
        Content::Termination => anyhow::bail!("it ended the session"),
    }
}

/// They do not know the nametag of our second message. Then theirs has the nametag that go-noise gives it.
async fn wrong_rotation(
    peer: &mut Peer,
    handshake: u32,
    session: &mut Session,
    role: Role,
    hash: &[u8; 32],
) -> Result<Deviation> {
    let sealed: Sealed = peer.ask(Op::NoiseSeal { handshake, payload: base64(b"second") }).await?;
    let message = unbase64(&sealed.message)?;
    let payload = PayloadV2::decode(&message)?;
    let secrets = hkdf::<64>(hash, &[], &[]);
    // The first secret is for what the responder writes.
    let half = if role == Role::Initiator { secrets.get(..32) } else { secrets.get(32..) };
    let digest = Sha256::new()
        .chain_update(half.context("64 bytes are two secrets")?)
        .chain_update(WRONG_INDEX.to_le_bytes())
        .finalize();
    let expected: Option<[u8; 16]> = digest.first_chunk().copied();
    ensure!(
        expected.map(MessageNametag::from) == Some(payload.nametag),
        "they do not open our second message, and theirs has neither the right nametag nor go-noise's"
    );
    ensure!(
        open(session, &sealed).is_err(),
        "our session opens a message under a nametag that is not its own"
    );
    Ok(Deviation(
        "its nametags of a session have the indices 0, 49, 50, ...: the first message each way is read, the second is not",
    ))
}
