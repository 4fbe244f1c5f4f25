//! The labels of this protocol's sessions.

use waku_noise_session::key::PublicKey;
use waku_noise_session::manager::{Link, PairRoot, Profile};

use crate::identity::Identity;
use crate::part::Part;

/// Sessions of the Status Node Manager, version 1.
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

/// Our end of a pairing. `None` when the peer's key is of low order.
pub(crate) fn link(
    part: Part,
    identity: &Identity,
    remote: &PublicKey,
    transcript: &[u8; 32],
) -> Option<Link> {
    Some(Link {
        profile: &PROFILE,
        root: PairRoot::new(identity.noise(), remote, transcript).ok()?,
        local: identity.noise().clone(),
        remote: *remote,
        local_part: part.byte(),
        remote_part: part.other().byte(),
    })
}
