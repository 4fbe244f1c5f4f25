//! What a dialogue makes of notices that are not for it, and of those that it missed.

use super::Dialogue;
use crate::control::{Notice, PeerStatus, Who};
use crate::failure::Failure;

impl Dialogue<'_> {
    /// Whether a notice is about a pairing that was begun before, which may still be under way and is gone on with by
    /// `app digits`, or about somebody who did not get so far while ours has.
    pub(super) fn is_about_another(&self, notice: &Notice) -> bool {
        match notice {
            Notice::ShowDigits { peer, .. } | Notice::AskDigits { peer } | Notice::Confirmed { peer, .. } => {
                self.earlier.contains(&peer.pairing)
            }
            Notice::PairingFailed { pairing: Some(pairing), .. } => self.earlier.contains(pairing),
            Notice::PairingFailed { pairing: None, .. } => self.peer.is_some(),
            _ => false,
        }
    }

    /// Events were missed: what stands now says what they would have said.
    pub(super) async fn catch_up(&self) -> Result<Option<Notice>, Failure> {
        let ours = |peer: &PeerStatus| match &self.peer {
            Some(known) => known.pairing == peer.pairing,
            None => !self.earlier.contains(&peer.pairing),
        };
        match self.access.peers().await?.into_iter().find(ours) {
            Some(peer) => Ok(self.notice_of(peer)),
            None if self.peer.is_none() => Ok(None),
            None => Err(Failure::other("the pairing was ended").hint("the daemon's log says why")),
        }
    }

    fn notice_of(&self, peer: PeerStatus) -> Option<Notice> {
        let PeerStatus { pairing, name, fingerprint, stage, compared, digits, .. } = peer;
        let peer = Who { pairing, name, fingerprint, again: false, namesake: None };
        match (stage.as_str(), digits) {
            ("confirmed", _) => Some(Notice::Confirmed { peer, compared }),
            // Only the host has digits before the pairing stands.
            (_, Some(digits)) if self.peer.is_none() => {
                Some(Notice::ShowDigits { peer, digits, compare: true })
            }
            ("keyed", None) => Some(Notice::AskDigits { peer }),
            _ => None,
        }
    }

    pub(super) fn daemon_stopped(&self) -> Failure {
        let stopped = Failure::other("the daemon stopped");
        match &self.peer {
            Some(_) => stopped.hint(
                "the pairing is taken up when it runs again; `node-manager status` shows how far it is",
            ),
            None => stopped.hint("start it again, and then over with a fresh code"),
        }
    }
}
