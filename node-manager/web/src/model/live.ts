// What moves: samples and alerts as they come in.

import type { Alert, AlertChange, AlertEntry, Alerts, Column, History, Sample } from "../wire/host.js";
import type { Point } from "../chart/shape.js";
import type { HostData, Remote } from "./model.js";

const DAY = 24 * 60;
/** Longest log of alerts that is kept. */
const MAX_LOG = 500;

/** Takes a sample in; what is older than a day goes. Without a history there is nothing to add it to. */
export function withSample(history: Remote<History>, sample: Sample): Remote<History> {
  if (history.value === null) return history;
  // A host whose clock was put back begins anew there.
  const earlier = history.value.samples.filter(
    (known) => known.minute < sample.minute && known.minute > sample.minute - DAY,
  );
  return { ...history, value: { ...history.value, samples: [...earlier, sample] } };
}

/** Whether two alerts are about the same thing. */
export function isSame(one: Alert, other: Alert): boolean {
  return one.kind === other.kind && one.name === other.name;
}

export function withAlert(alerts: Remote<Alerts>, change: AlertChange, minute: number): Remote<Alerts> {
  if (alerts.value === null) return alerts;
  const about = change.raised ?? change.cleared;
  if (about === null) return alerts;
  const others = alerts.value.raised.filter((known) => !isSame(known, about));
  const raised = change.raised === null ? others : [...others, change.raised];
  const log = [{ ...change, at: minute }, ...newestFirst(alerts.value.log)].slice(0, MAX_LOG);
  return { ...alerts, value: { raised, log } };
}

/** A log of alerts, newest first whatever order it came in. */
export function newestFirst(log: Alerts["log"]): Alerts["log"] {
  const [first, last] = [log[0], log.at(-1)];
  return first !== undefined && last !== undefined && first.at < last.at ? [...log].reverse() : log;
}

/** How far apart in minutes the host's note and this page's of one and the same change may be. */
const SAME_CHANGE = 2;

/**
 * The alerts of a host, as far as they are known. Those of a host that cannot be reached are what it said last, with
 * what it wrote since.
 */
export function alertsView(data: HostData, reachable: boolean): Alerts | null {
  const { alerts, told } = data;
  if (reachable || told.value === null) return alerts.value;
  const entries: (AlertEntry & { about: Alert })[] = [];
  for (const entry of [...newestFirst(alerts.value?.log ?? []), ...newestFirst(told.value)]) {
    const about = entry.raised ?? entry.cleared;
    const isKnown = entries.some(
      (known) =>
        about !== null &&
        isSame(known.about, about) &&
        (known.raised === null) === (entry.raised === null) &&
        Math.abs(known.at - entry.at) <= SAME_CHANGE,
    );
    if (about !== null && !isKnown) entries.push({ ...entry, about });
  }
  const log = entries.sort((one, other) => other.at - one.at);
  // The newest word on each: what was raised and is not over.
  const last = log.filter(({ about }, at) => log.findIndex((entry) => isSame(entry.about, about)) === at);
  return { raised: last.flatMap((entry) => entry.raised ?? []), log };
}

export function newestSample(data: HostData): Sample | null {
  const kept = data.history.value?.samples.at(-1) ?? null;
  return data.latest !== null && (kept === null || data.latest.minute > kept.minute) ? data.latest : kept;
}

/** How old a sample may be and still be called the present, in milliseconds. */
const FRESH = 150_000;

/** The newest sample, if it tells of the present. `now` is in Unix milliseconds. */
export function freshSample(data: HostData, now: number): Sample | null {
  const sample = newestSample(data);
  return sample !== null && Math.abs(now - sample.minute * 60_000) < FRESH + 60_000 ? sample : null;
}

/** One column from a minute on, oldest first. */
export function points(samples: readonly Sample[], column: Column, from: number): Point[] {
  const result: Point[] = [];
  for (const { minute, values } of samples) {
    const value = values[column];
    if (minute >= from && value !== undefined) result.push([minute, value]);
  }
  return result;
}

/** Slots behind that are still called in sync: the newest block may be on its way. */
const IN_SYNC = 2;

export interface SyncView {
  tone: "good" | "warn" | "bad";
  /** In two or three words. */
  title: string;
  /** The newest slot, where it is known. */
  headSlot: number | null;
  distance: number;
}

/** How far the node is, by what came last: an answer, or a sample. */
export function syncView(data: HostData): SyncView | null {
  const answer = data.syncing.value;
  const sample = newestSample(data);
  const distance = sample?.values.sync_distance;
  const sampleIsNewer = sample !== null && distance !== undefined && sample.minute * 60_000 >= data.syncing.at - 60_000;
  if (!sampleIsNewer && answer === null) return null;
  const behind = sampleIsNewer ? distance : (answer?.sync_distance ?? 0);
  const headSlot = (sampleIsNewer ? sample.values.head_slot : answer?.head_slot) ?? null;
  const rest = { headSlot, distance: behind };
  if (answer?.el_offline) return { tone: "bad", title: "Execution client offline", ...rest };
  if (behind > IN_SYNC) return { tone: "warn", title: "Catching up", ...rest };
  if (answer?.is_optimistic) return { tone: "warn", title: "Execution catching up", ...rest };
  return { tone: "good", title: "In sync", ...rest };
}

/** Connected peers of the beacon node, by what came last. */
export function peersView(data: HostData): number | null {
  const sample = newestSample(data);
  const peers = sample?.values.peers;
  if (sample !== null && peers !== undefined && sample.minute * 60_000 >= data.peerCount.at - 60_000) return peers;
  return data.peerCount.value ?? peers ?? null;
}
