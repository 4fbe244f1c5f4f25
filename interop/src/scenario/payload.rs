//! 26/WAKU2-PAYLOAD, version 1.

use anyhow::{Result, ensure};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use waku_payload::{PublicKey, SecretKey, SymmetricKey};

use super::{CLUSTER, Scene};
use crate::line::{self, Encryption, Op, Start, base64, unbase64};
use crate::peer::Peer;

const PAYLOADS: [&[u8]; 3] = [b"", b"hello", &[0xa5; 1_000]];

/// Sealed to a shared key by one side, opened by the other.
pub(super) async fn symmetric(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER)).await?;
    let mut rng = UnwrapErr(SysRng);
    let (key, signer) = (SymmetricKey::generate(&mut rng), SecretKey::generate(&mut rng));
    for payload in PAYLOADS {
        for signer in [None, Some(&signer)] {
            let sealed = key.seal(payload, signer, &mut rng)?;
            let text = base64(key.as_bytes());
            let opened = open(&mut peer, text.clone(), Encryption::Symmetric, &sealed).await?;
            check(&opened, payload, signer)?;
            let sealed = seal(&mut peer, text, payload, signer).await?;
            let opened = key.open(&sealed)?;
            ensure!(opened.payload.as_slice() == payload, "another payload");
            ensure!(opened.signer == signer.map(SecretKey::public), "another signer");
        }
    }
    peer.stop().await
}

/// Sealed for one recipient by one side, opened by the other.
pub(super) async fn asymmetric(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER)).await?;
    let mut rng = UnwrapErr(SysRng);
    let (recipient, signer) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    for payload in PAYLOADS {
        for signer in [None, Some(&signer)] {
            let sealed = recipient.public().seal(payload, signer, &mut rng)?;
            let secret = base64(&*recipient.to_bytes());
            let opened = open(&mut peer, secret, Encryption::Asymmetric, &sealed).await?;
            check(&opened, payload, signer)?;
            let sealed = seal(&mut peer, base64(&recipient.public().to_bytes()), payload, signer).await?;
            let opened = recipient.open(&sealed)?;
            ensure!(opened.payload.as_slice() == payload, "another payload");
            ensure!(opened.signer == signer.map(SecretKey::public), "another signer");
        }
    }
    peer.stop().await
}

async fn open(peer: &mut Peer, key: String, kind: Encryption, sealed: &[u8]) -> Result<line::Payload> {
    peer.ask(Op::PayloadOpen { key, kind, payload: base64(sealed) }).await
}

async fn seal(
    peer: &mut Peer,
    key: String,
    payload: &[u8],
    signer: Option<&SecretKey>,
) -> Result<waku::Bytes> {
    let sign = signer.map(|signer| base64(&*signer.to_bytes()));
    let sealed: line::Payload = peer.ask(Op::PayloadSeal { key, sign, payload: base64(payload) }).await?;
    unbase64(&sealed.payload)
}

fn check(opened: &line::Payload, payload: &[u8], signer: Option<&SecretKey>) -> Result<()> {
    ensure!(unbase64(&opened.payload)? == payload, "another payload");
    let signed_by = opened.signer.as_deref().map(unbase64).transpose()?;
    let signed_by = signed_by.map(|key| PublicKey::from_bytes(&key)).transpose()?;
    ensure!(signed_by == signer.map(SecretKey::public), "another signer");
    Ok(())
}
