// The steps of a pairing.

import type { Notice, Offer, PairingState } from "../wire/app.js";
import type { Pairing, PairingStage } from "./model.js";

export function offered(offer: Offer | PairingState, now: number): Pairing {
  return {
    stage: "waiting",
    code: offer.code,
    deadline: now + offer.expires_in_s * 1000,
    qr: offer.qr,
    peer: null,
    compared: false,
    acknowledged: false,
    skew: null,
    problem: null,
  };
}

/** Whether a pairing has ended, one way or the other. */
export function isOver(stage: PairingStage): boolean {
  return stage === "paired" || stage === "failed";
}

const ORDER: PairingStage[] = ["waiting", "found", "keyed", "digits", "checking", "cancelling", "paired", "failed"];

/** A later stage; none goes back. */
function further(now: PairingStage, next: PairingStage): PairingStage {
  return ORDER.indexOf(next) > ORDER.indexOf(now) ? next : now;
}

/** What the program says of the pairing under way, after a reload or a lost connection. */
export function adoptPairing(ours: Pairing | null, theirs: PairingState | null, now: number): Pairing | null {
  if (theirs === null) {
    // How it ended was told, and is shown until the reader goes on. If it was missed, that is said.
    if (ours === null || isOver(ours.stage)) return ours;
    if (ours.stage === "cancelling") return null;
    const problem = { message: "The pairing has ended while this page was not connected.", hint: "Look whether the host is in the list; if not, make a fresh code." };
    return { ...ours, stage: "failed", problem };
  }
  const sameCode = ours !== null && ours.code.replace(/\D/g, "") === theirs.code.replace(/\D/g, "");
  if (sameCode && isOver(ours.stage)) return ours;
  const deadline = now + theirs.expires_in_s * 1000;
  if (sameCode) return { ...ours, deadline, peer: theirs.peer ?? ours.peer, stage: further(ours.stage, theirs.step) };
  return { ...offered(theirs, now), peer: theirs.peer, stage: theirs.step };
}

export function pairingNotice(pairing: Pairing | null, notice: Notice): Pairing | null {
  if (pairing === null) return null;
  if (notice.event === "acknowledged") {
    const isOurs = pairing.stage === "paired" && pairing.peer?.pairing === notice.pairing;
    return isOurs ? { ...pairing, acknowledged: true } : pairing;
  }
  if (isOver(pairing.stage)) return pairing;
  switch (notice.event) {
    case "hello_app_received":
    case "hello_node_manager_sent":
      return { ...pairing, stage: further(pairing.stage, "found") };
    case "keyed":
      return { ...pairing, stage: further(pairing.stage, "keyed") };
    case "ask_digits":
      return { ...pairing, peer: notice.peer, stage: further(pairing.stage, "digits") };
    case "clock_skew":
      return { ...pairing, skew: notice.apart_s };
    case "confirmed":
      return { ...pairing, stage: "paired", peer: notice.peer, compared: notice.compared, problem: null };
    case "pairing_failed":
      // What the reader ended needs no reason.
      return pairing.stage === "cancelling" ? null : { ...pairing, stage: "failed", problem: notice.failure };
    default:
      return pairing;
  }
}
