//! Who is paired. Names are in no finding: apps read them too, and an app sees nothing of the others.

use waku_pairing::party::{PeerView, StageView};

use super::report::Finding;

/// A pairing, as far as an examination needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pairing {
    pub(super) stands: bool,
    /// Whether somebody compared the six digits.
    pub(super) compared: bool,
    pub(super) in_session: bool,
}

impl From<&PeerView> for Pairing {
    fn from(peer: &PeerView) -> Self {
        Self {
            stands: matches!(peer.stage, StageView::Confirmed { .. }),
            compared: peer.stage == StageView::Confirmed { compared: true },
            in_session: peer.session.is_some(),
        }
    }
}

/// Judges; nothing is known of them where the vault cannot be opened.
pub(super) fn check(pairings: Option<&[Pairing]>, is_running: bool) -> Vec<Finding> {
    let check = "paired apps";
    let Some(pairings) = pairings else {
        let fix = "see what is said of the vault";
        return vec![Finding::not_checked(check, "the vault is not open", fix)];
    };
    let standing = pairings.iter().filter(|pairing| pairing.stands);
    let (count, with_session) =
        (standing.clone().count(), standing.clone().filter(|known| known.in_session).count());
    if count == 0 {
        return vec![Finding::warning(check, "none yet", "pair one: node-manager pair")];
    }
    let seen = if is_running {
        format!("{count}, of which {with_session} have a session now")
    } else {
        format!("{count}; none has a session while the service does not run")
    };
    let mut findings = vec![Finding::ok(check, seen)];
    let unconfirmed = standing.filter(|pairing| !pairing.compared).count();
    if unconfirmed > 0 {
        findings.push(Finding::warning(
            "unconfirmed pairings",
            format!(
                "{unconfirmed} without comparing the six digits (--no-confirm): a stranger may sit in between"
            ),
            "compare the digits that `node-manager peers show` has on both sides, or revoke and pair again",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn pairings_that_nobody_compared_are_pointed_out() {
        let pairing = Pairing { stands: true, compared: true, in_session: true };
        let quiet = Pairing { in_session: false, ..pairing };
        let findings = check(Some(&[pairing, quiet]), true);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].seen, "2, of which 1 have a session now");
        let findings = check(Some(&[pairing, Pairing { compared: false, ..pairing }]), false);
        assert_eq!(
            findings.iter().map(|finding| finding.state).collect::<Vec<_>>(),
            [State::Ok, State::Warning]
        );
    }

    #[test]
    fn nobody_paired_and_nothing_known_are_told_apart() {
        let pending = Pairing { stands: false, compared: false, in_session: false };
        assert_eq!(check(Some(&[pending]), true)[0].state, State::Warning);
        assert_eq!(check(None, false)[0].state, State::NotChecked);
    }
}
