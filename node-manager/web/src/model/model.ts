// Everything that the page knows.

import type { AppState, Failure, Who } from "../wire/app.js";
import type { AlertEntry, Alerts, AuditEntry, History, Info, LogLine, Sample, Service, Syncing } from "../wire/host.js";

/** Something that is asked of somebody else. The last answer stays while it is asked again, or when that fails. */
export interface Remote<T> {
  value: T | null;
  /** When the value came, in Unix milliseconds. */
  at: number;
  loading: boolean;
  problem: Failure | null;
  /** When it may be asked again by itself after a failure, in Unix milliseconds. */
  retryAt: number;
}

export function blank<T>(): Remote<T> {
  return { value: null, at: 0, loading: false, problem: null, retryAt: 0 };
}

export function answered<T>(value: T, now: number): Remote<T> {
  return { ...blank<T>(), value, at: now };
}

/** What is asked of a host. */
export interface Answers {
  info: Info;
  syncing: Syncing;
  version: string;
  peerCount: number;
  history: History;
  alerts: Alerts;
  /** What the host wrote of alerts, oldest first. The program on this computer has it. */
  told: AlertEntry[];
  audit: AuditEntry[];
  services: Service[];
}

export type Question = keyof Answers;

/** What one can do with a service. */
export type Verb = "start" | "stop" | "restart";

export type HostData = { [Key in Question]: Remote<Answers[Key]> } & {
  /** The newest sample that came by itself. */
  latest: Sample | null;
  /** Logs of services, by their names. */
  logs: Record<string, Remote<LogLine[]>>;
  /** What is under way with services, by their names. */
  orders: Record<string, { verb: Verb; busy: boolean; problem: Failure | null }>;
};

export function blankHost(): HostData {
  return {
    info: blank(),
    syncing: blank(),
    version: blank(),
    peerCount: blank(),
    history: blank(),
    alerts: blank(),
    told: blank(),
    audit: blank(),
    services: blank(),
    latest: null,
    logs: {},
    orders: {},
  };
}

/** Nothing known of a host; one for all, as nobody writes into it. */
const NOTHING = blankHost();

export function hostData(model: Model, pairing: string): HostData {
  return model.data[pairing] ?? NOTHING;
}

/** How the page reaches the program on this computer. */
export type Link =
  | { state: "opening" }
  | { state: "live" }
  /** It did not answer; it is tried again. */
  | { state: "lost"; problem: Failure }
  /** It answered that this address is not, or no longer, good. */
  | { state: "refused" };

export type PairingStage = "waiting" | "found" | "keyed" | "digits" | "checking" | "cancelling" | "paired" | "failed";

/** A pairing under way, or how the last one ended. */
export interface Pairing {
  stage: PairingStage;
  code: string;
  /** When the code expires, in Unix milliseconds. */
  deadline: number;
  /** Rows of the QR code, where the program gives them. */
  qr: string[] | null;
  peer: Who | null;
  /** Whether the digits were compared. */
  compared: boolean;
  /** Whether the host has the pairing on disk. */
  acknowledged: boolean;
  /** How far the clocks are apart, in seconds, when that is too much. */
  skew: number | null;
  /** Why it failed. */
  problem: Failure | null;
}

/** A short word on what has just happened. */
export interface Note {
  id: number;
  tone: "good" | "bad" | "plain";
  text: string;
}

export interface Model {
  link: Link;
  app: AppState | null;
  /** A code is being asked for. */
  offering: boolean;
  /** Why there is no code. */
  offerProblem: Failure | null;
  pairing: Pairing | null;
  data: Record<string, HostData>;
  notes: Note[];
  /** What stays until the reader puts it away. */
  warnings: string[];
  nextNote: number;
}

export const START: Model = {
  link: { state: "opening" },
  app: null,
  offering: false,
  offerProblem: null,
  pairing: null,
  data: {},
  notes: [],
  warnings: [],
  nextNote: 1,
};
