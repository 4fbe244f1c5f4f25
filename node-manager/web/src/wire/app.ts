// What `node-manager app run --web` on this computer says.

import { fields, list, maybe, number, or, text, truth, word, type Read } from "./read.js";

export interface StaticNode {
  address: string;
  connected: boolean;
  /** Why it is not connected. */
  problem: string | null;
}

export interface Network {
  /** Connected Waku nodes. */
  connected: number;
  static_nodes: StaticNode[];
}

/** A peer, by name. */
export interface Who {
  pairing: string;
  name: string;
  fingerprint: string;
  /** Whether this identity was paired before. */
  again: boolean;
  /** The fingerprint of another identity that goes by the same name. */
  namesake: string | null;
}

export interface Session {
  id: string;
  silent_for_ms: number;
  round_trip_ms: number | null;
}

export type Stage = "pending" | "keyed" | "confirmed";

export interface Host {
  pairing: string;
  /** What to call it. */
  name: string;
  /** What it calls itself. */
  label: string;
  fingerprint: string;
  stage: Stage;
  /** Whether a person compared the six digits. */
  compared: boolean;
  digits: string | null;
  /** Unix seconds. */
  paired_at: number;
  /** Unix seconds. */
  last_seen: number | null;
  session: Session | null;
  /** Where programs on this computer reach the host's services. */
  endpoint: string | null;
}

export type PairingStep = "waiting" | "found" | "digits";

export interface PairingState {
  code: string;
  expires_in_s: number;
  /** The rows of the code's QR code, 1 for dark. */
  qr: string[] | null;
  step: PairingStep;
  peer: Who | null;
}

export interface AppState {
  version: string;
  label: string;
  network: Network;
  pairing: PairingState | null;
  hosts: Host[];
}

/** A code that was made: its digits, its life in seconds, and the rows of its QR code, 1 for dark. */
export interface Offer {
  code: string;
  expires_in_s: number;
  qr: string[];
}

/** What went wrong, and what to do. */
export interface Failure {
  message: string;
  hint: string | null;
}

/** Largest QR code there is, in modules. */
const MAX_QR = 177;

const staticNode: Read<StaticNode> = fields<StaticNode>({ address: text, connected: truth, problem: maybe(text) });

const network: Read<Network> = fields<Network>({ connected: number, static_nodes: list(staticNode, 64) });

const who: Read<Who> = fields<Who>({
  pairing: text,
  name: text,
  fingerprint: text,
  again: or(truth, false),
  namesake: maybe(text),
});

const session: Read<Session> = fields<Session>({ id: text, silent_for_ms: number, round_trip_ms: maybe(number) });

export const host: Read<Host> = fields<Host>({
  pairing: text,
  name: text,
  label: text,
  fingerprint: text,
  stage: word("pending", "keyed", "confirmed"),
  compared: truth,
  digits: maybe(text),
  paired_at: number,
  last_seen: maybe(number),
  session: maybe(session),
  endpoint: maybe(text),
});

export const appState: Read<AppState> = fields<AppState>({
  version: text,
  label: text,
  network,
  pairing: maybe(
    fields<PairingState>({
      code: text,
      expires_in_s: number,
      qr: maybe(list(text, MAX_QR)),
      step: word("waiting", "found", "digits"),
      peer: maybe(who),
    }),
  ),
  hosts: list(host, 1000),
});

export const offer: Read<Offer> = fields<Offer>({ code: text, expires_in_s: number, qr: list(text, MAX_QR) });

export const failure: Read<Failure> = fields<Failure>({ message: text, hint: maybe(text) });

/** Something that happened, of those that this page shows. */
export type Notice =
  | ({ event: "network" } & Network)
  | { event: "hello_app_received" }
  | { event: "hello_node_manager_sent" }
  | { event: "keyed" }
  | { event: "ask_digits"; peer: Who }
  | { event: "confirmed"; peer: Who; compared: boolean }
  | { event: "acknowledged"; pairing: string }
  | { event: "pairing_failed"; pairing: string | null; failure: Failure }
  | { event: "clock_skew"; apart_s: number }
  | { event: "session_up"; pairing: string; session: string }
  | { event: "session_down"; pairing: string }
  | { event: "pong"; pairing: string; round_trip_ms: number }
  | { event: "unpaired"; peer: Who; by_peer: boolean; alarm: string | null }
  | { event: "store_failed" }
  | { event: "missed"; count: number };

type Named<Name extends Notice["event"]> = Extract<Notice, { event: Name }>;

function named<Name extends Notice["event"]>(
  name: Name,
  rest: { [Key in Exclude<keyof Named<Name>, "event">]: Read<Named<Name>[Key]> },
): Read<Notice> {
  return fields({ event: word(name), ...rest } as never) as Read<Notice>;
}

const notices: { [Name in Notice["event"]]: Read<Notice> } = {
  network: named("network", { connected: number, static_nodes: list(staticNode, 64) }),
  hello_app_received: named("hello_app_received", {}),
  hello_node_manager_sent: named("hello_node_manager_sent", {}),
  keyed: named("keyed", {}),
  ask_digits: named("ask_digits", { peer: who }),
  confirmed: named("confirmed", { peer: who, compared: truth }),
  acknowledged: named("acknowledged", { pairing: text }),
  pairing_failed: named("pairing_failed", { pairing: maybe(text), failure }),
  clock_skew: named("clock_skew", { apart_s: number }),
  session_up: named("session_up", { pairing: text, session: text }),
  session_down: named("session_down", { pairing: text }),
  pong: named("pong", { pairing: text, round_trip_ms: number }),
  unpaired: named("unpaired", { peer: who, by_peer: truth, alarm: maybe(text) }),
  store_failed: named("store_failed", {}),
  missed: named("missed", { count: number }),
};

/** A notice, or `null` for one that is newer than this page. */
export const notice: Read<Notice | null> = (json, where) => {
  const { event } = fields<{ event: string }>({ event: text })(json, where);
  return Object.hasOwn(notices, event) ? notices[event as Notice["event"]](json, where) : null;
};
