//! 17/WAKU2-RLN-RELAY: the layout of the proof in [`WakuMessage::rate_limit_proof`].
//!
//! [`WakuMessage::rate_limit_proof`]: crate::WakuMessage::rate_limit_proof

use bytes::Bytes;

use crate::wire::fixed;
use crate::{Wire, WireError, generated};

/// A proof that its sender is a member and within its rate. Numbers and field elements are little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitProof {
    /// Compressed Groth16 proof.
    pub proof: [u8; 128],
    /// Root of the membership tree.
    pub merkle_root: [u8; 32],
    /// Epoch number.
    pub epoch: [u8; 32],
    /// Shamir share, x.
    pub share_x: [u8; 32],
    /// Shamir share, y.
    pub share_y: [u8; 32],
    /// Nullifier of the membership in this epoch.
    pub nullifier: [u8; 32],
    /// Identifier of the RLN application; not in the specification, but needed by deployed nodes.
    pub rln_identifier: [u8; 32],
}

impl Wire for RateLimitProof {
    type Generated = generated::RateLimitProof;

    /// Stricter than nwaku, which fills short fields with zeros: such a proof can never verify.
    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            proof: fixed(&generated.proof, "proof")?,
            merkle_root: fixed(&generated.merkle_root, "merkle_root")?,
            epoch: fixed(&generated.epoch, "epoch")?,
            share_x: fixed(&generated.share_x, "share_x")?,
            share_y: fixed(&generated.share_y, "share_y")?,
            nullifier: fixed(&generated.nullifier, "nullifier")?,
            rln_identifier: fixed(&generated.rln_identifier, "rln_identifier")?,
        })
    }
}

impl From<RateLimitProof> for generated::RateLimitProof {
    fn from(proof: RateLimitProof) -> Self {
        Self {
            proof: Bytes::copy_from_slice(&proof.proof),
            merkle_root: Bytes::copy_from_slice(&proof.merkle_root),
            epoch: Bytes::copy_from_slice(&proof.epoch),
            share_x: Bytes::copy_from_slice(&proof.share_x),
            share_y: Bytes::copy_from_slice(&proof.share_y),
            nullifier: Bytes::copy_from_slice(&proof.nullifier),
            rln_identifier: Bytes::copy_from_slice(&proof.rln_identifier),
        }
    }
}
