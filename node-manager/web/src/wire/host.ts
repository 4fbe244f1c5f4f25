// What a host answers: its node manager, and its beacon node.

import { Unreadable, decimal, fields, list, maybe, number, or, text, truth, word, type Read } from "./read.js";

export interface Info {
  label: string;
  version: string;
  grants: string[];
  services: { name: string; mount: string }[];
}

export interface Syncing {
  /** The newest slot that the node knows. */
  head_slot: number;
  /** Slots that it is behind. */
  sync_distance: number;
  is_syncing: boolean;
  /** Whether the node takes blocks on trust until the execution client has caught up. */
  is_optimistic: boolean;
  /** Whether the node does not reach its execution client. */
  el_offline: boolean;
}

/** What is measured, as the host's `gateway/src/watch/sample.rs` orders it. */
export const COLUMNS = [
  "cpu",
  "memory",
  "load",
  "disk_free",
  "clock_offset",
  "sync_distance",
  "peers",
  "head_slot",
  "finalized_epoch",
  "missed",
  "down",
] as const;

export type Column = (typeof COLUMNS)[number];

export interface Sample {
  /** Minutes since 1970. */
  minute: number;
  values: Partial<Record<Column, number>>;
}

/** A day of samples, oldest first, and the order of the values in those that follow. */
export interface History {
  columns: string[];
  samples: Sample[];
}

export interface Alert {
  kind: string;
  /** The service, of those that concern one. */
  name: string | null;
  text: string;
  runbook: string;
  /** Minutes since 1970. */
  since: number;
}

export interface AlertChange {
  raised: Alert | null;
  cleared: Alert | null;
}

/** A change, and when it was told. */
export interface AlertEntry extends AlertChange {
  /** Minutes since 1970. */
  at: number;
}

export interface Alerts {
  raised: Alert[];
  log: AlertEntry[];
}

export interface AuditEntry {
  /** Milliseconds since 1970. */
  at: number;
  phase: "begun" | "done" | "refused";
  pairing: string;
  name: string;
  method: string;
  service: string;
  path: string;
  grant: string;
  status: number;
  bytes: number;
}

export const SERVICE_STATES = ["starting", "running", "stopping", "stopped", "failed", "unknown"] as const;

export interface Service {
  name: string;
  kind: "unit" | "process";
  state: (typeof SERVICE_STATES)[number];
  /** Unix milliseconds. */
  since: number | null;
  pid: number | null;
  restarts: number;
  exit: string | null;
  description: string;
  /** Why nothing is known of it. */
  problem: string | null;
}

export interface LogLine {
  /** Unix milliseconds. */
  at: number | null;
  text: string;
}

export const info: Read<Info> = fields<Info>({
  label: text,
  version: text,
  grants: list(text, 16),
  services: list(fields<{ name: string; mount: string }>({ name: text, mount: text }), 64),
});

export const syncing: Read<Syncing> = (json, where) =>
  fields<{ data: Syncing }>({
    data: fields<Syncing>({
      head_slot: decimal,
      sync_distance: decimal,
      is_syncing: truth,
      is_optimistic: or(truth, false),
      el_offline: or(truth, false),
    }),
  })(json, where).data;

export const version: Read<string> = (json, where) =>
  fields<{ data: { version: string } }>({ data: fields<{ version: string }>({ version: text }) })(json, where).data.version;

export const peerCount: Read<number> = (json, where) =>
  fields<{ data: { connected: number } }>({ data: fields<{ connected: number }>({ connected: decimal }) })(json, where).data
    .connected;

const value = maybe(number);

/** Values in the order of `columns`. Columns that this page does not know are left out. */
function values(columns: readonly string[], row: readonly unknown[], where: string): Sample["values"] {
  const result: Sample["values"] = {};
  columns.forEach((name, at) => {
    const column = COLUMNS.find((known) => known === name);
    const measured = value(row[at], `${where}[${at}]`);
    if (column !== undefined && measured !== null) result[column] = measured;
  });
  return result;
}

/** Samples of a day, and some more. */
const MAX_SAMPLES = 24 * 60 + 60;

export const history: Read<History> = (json, where) => {
  const { columns, samples } = fields<{ columns: string[]; samples: unknown[][] }>({
    columns: list(text, 64),
    samples: list(list((item) => item, 64), MAX_SAMPLES),
  })(json, where);
  const [first, ...rest] = columns;
  if (first !== "minute") throw new Unreadable(`${where}.columns`, "the minute first");
  return {
    columns: rest,
    samples: samples.map((row, at) => {
      const place = `${where}.samples[${at}]`;
      return { minute: number(row[0], place), values: values(rest, row.slice(1), place) };
    }),
  };
};

/** A sample on its own, whose values are in the order of `columns`. */
export function sample(columns: readonly string[]): Read<Sample> {
  return (json, where) => {
    const row = fields<{ minute: number; values: unknown[] }>({ minute: number, values: list((item) => item, 64) })(json, where);
    return { minute: row.minute, values: values(columns, row.values, where) };
  };
}

const alert: Read<Alert> = fields<Alert>({ kind: text, name: maybe(text), text, runbook: or(text, ""), since: number });

const change = { raised: maybe(alert), cleared: maybe(alert) };

export const alertChange: Read<AlertChange> = fields<AlertChange>(change);

const alertEntries: Read<AlertEntry[]> = list(fields<AlertEntry>({ at: number, ...change }), 500);

export const alerts: Read<Alerts> = fields<Alerts>({ raised: list(alert, 64), log: alertEntries });

export const told: Read<AlertEntry[]> = (json, where) =>
  fields<{ alerts: AlertEntry[] }>({ alerts: alertEntries })(json, where).alerts;

const auditEntry: Read<AuditEntry> = fields<AuditEntry>({
  at: number,
  phase: word("begun", "done", "refused"),
  pairing: text,
  name: text,
  method: text,
  service: or(text, ""),
  path: or(text, ""),
  grant: or(text, ""),
  status: number,
  bytes: number,
});

export const audit: Read<AuditEntry[]> = (json, where) =>
  fields<{ entries: AuditEntry[] }>({ entries: list(auditEntry, 500) })(json, where).entries;

export const service: Read<Service> = fields<Service>({
  name: text,
  kind: word("unit", "process"),
  state: word(...SERVICE_STATES),
  since: maybe(number),
  pid: maybe(number),
  restarts: number,
  exit: maybe(text),
  description: or(text, ""),
  problem: maybe(text),
});

export const services: Read<Service[]> = (json, where) =>
  fields<{ services: Service[] }>({ services: list(service, 64) })(json, where).services;

export const log: Read<LogLine[]> = (json, where) =>
  fields<{ lines: LogLine[] }>({ lines: list(fields<LogLine>({ at: maybe(number), text }), 1000) })(json, where).lines;
