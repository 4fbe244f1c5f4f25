// The page's one actor: it keeps the model, asks, listens, and does what the reader wants.

import { listenTo, wishes } from "../model/plan.js";
import { hostData, START, type Answers, type Model, type Question, type Verb } from "../model/model.js";
import { isOver } from "../model/pairing.js";
import { reduce, type Action } from "../model/reduce.js";
import { parseRoute, type Route } from "../model/route.js";
import { appState, host as readHost, notice as readNotice, offer as readOffer, type Failure } from "../wire/app.js";
import * as wire from "../wire/host.js";
import type { Read } from "../wire/read.js";
import { Refused, ask, atHost, isLasting, tell } from "./client.js";
import { Lanes } from "./lanes.js";
import { Stream } from "./stream.js";

/** How often is looked whether something is to be asked, and how old the state of this computer may get, in milliseconds. */
const TICK = 5_000;
const STATE_AGE = 15_000;

/** When a host is asked again what it did not answer, and what it does not offer, in milliseconds. */
const RETRY = { soon: 2 * 60_000, late: 30 * 60_000 };

/** When a service that starts or stops is looked at again, in milliseconds. */
const LOOK_AGAIN = [3_000, 6_000, 12_000, 30_000];

/** How long a note is shown, in milliseconds. */
const NOTE_TIME = 6_000;

const HERE = { first: 1_000, most: 10_000 };
const HOST = { first: 15_000, most: 5 * 60_000 };

const TARGETS: { [Key in Question]: readonly [target: string, read: Read<Answers[Key]>] } = {
  info: ["node-manager/v1/info", wire.info],
  syncing: ["eth/v1/node/syncing", wire.syncing],
  version: ["eth/v1/node/version", wire.version],
  peerCount: ["eth/v1/node/peer_count", wire.peerCount],
  history: ["node-manager/v1/history", wire.history],
  alerts: ["node-manager/v1/alerts", wire.alerts],
  told: ["node-manager/v1/told", wire.told],
  audit: ["node-manager/v1/audit?limit=100", wire.audit],
  services: ["node-manager/v1/services", wire.services],
};

/** Where a service's orders and log are. */
function serviceTarget(service: string, rest: string): string {
  return `node-manager/v1/services/${encodeURIComponent(service)}/${rest}`;
}

export class App {
  model: Model = START;
  route: Route = parseRoute(location.hash);
  readonly #watchers = new Set<() => void>();
  readonly #streams = new Map<string, Stream>();
  /** Requests through a host: a browser opens six connections to one server, and the streams have some of them. */
  readonly #lanes = new Lanes(2);
  #here: Stream | null = null;
  #stateAt = 0;
  #stateAgain = false;
  #stateLoading = false;

  start(): void {
    addEventListener("hashchange", () => {
      this.route = parseRoute(location.hash);
      this.#changed();
      this.#look();
    });
    document.addEventListener("visibilitychange", () => this.#look());
    window.setInterval(() => this.#look(), TICK);
    this.#here = new Stream("api/events", HERE, {
      onOpen: () => void this.loadState(),
      onEnd: () => void this.loadState(),
      on: {
        notice: (json) => this.#notice(json),
      },
    });
    void this.loadState();
  }

  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  do(action: Action): void {
    const before = this.model;
    this.model = reduce(before, action);
    for (const note of this.model.notes.filter((note) => !before.notes.includes(note))) {
      window.setTimeout(() => this.do({ type: "note gone", id: note.id }), NOTE_TIME);
    }
    if (this.model !== before) this.#changed();
  }

  note(text: string, tone: "good" | "bad" | "plain" = "plain"): void {
    this.do({ type: "note", tone, text });
  }

  /** Asks the program on this computer for everything it knows. */
  async loadState(): Promise<void> {
    if (this.#stateLoading) {
      this.#stateAgain = true;
      return;
    }
    this.#stateLoading = true;
    try {
      const app = await ask(appState, "GET", "api/state");
      const wasLost = this.model.link.state !== "live";
      this.do({ type: "state", app, now: Date.now() });
      if (wasLost) this.#here?.hurry();
    } catch (error) {
      const { status, failure } = described(error);
      const isRefused = [401, 403, 404].includes(status);
      this.do({ type: "link", link: isRefused ? { state: "refused" } : { state: "lost", problem: failure } });
    }
    this.#stateAt = Date.now();
    this.#stateLoading = false;
    this.#look();
    if (this.#stateAgain) {
      this.#stateAgain = false;
      void this.loadState();
    }
  }

  async pair(): Promise<void> {
    this.do({ type: "offering" });
    try {
      const offer = await ask(readOffer, "POST", "api/pair", {});
      this.do({ type: "offered", offer, now: Date.now() });
    } catch (error) {
      this.do({ type: "not offered", problem: described(error).failure });
    }
  }

  async cancelPairing(): Promise<void> {
    this.do({ type: "cancelling" });
    try {
      await tell("DELETE", "api/pair");
      // It may have come about meanwhile.
      if (this.model.pairing !== null && !isOver(this.model.pairing.stage)) this.do({ type: "pairing over" });
    } catch (error) {
      this.note(described(error).failure.message, "bad");
    }
    await this.loadState();
  }

  /** Puts away how the last pairing ended. */
  closePairing(): void {
    this.do({ type: "pairing over" });
  }

  async compareDigits(pairing: string, digits: string): Promise<void> {
    this.do({ type: "checking" });
    try {
      await tell("POST", "api/digits", { pairing, digits });
    } catch (error) {
      const { status, failure } = described(error);
      this.do({ type: "digits problem", problem: failure, isOver: status === 403 });
    }
    await this.loadState();
  }

  /** Gives a host a name, or with `null` its own. Throws a `Refused`. */
  async rename(pairing: string, name: string | null): Promise<void> {
    const host = await ask(readHost, "POST", `api/hosts/${pairing}/name`, { name });
    this.do({ type: "host", host });
  }

  /** Throws a `Refused`. */
  async unpair(pairing: string): Promise<void> {
    await tell("DELETE", `api/hosts/${pairing}`);
    this.do({ type: "host gone", pairing });
  }

  /** Has the way to a host measured. What comes of it is told by notice. */
  async ping(pairing: string): Promise<void> {
    // A host that does not answer is seen not to.
    await tell("POST", `api/hosts/${pairing}/ping`).catch(() => {});
  }

  /** Asks a host now, however fresh the last answer is. */
  async ask(pairing: string, question: Question): Promise<void> {
    if (hostData(this.model, pairing)[question].loading) return;
    this.do({ type: "asked", pairing, question });
    const [target, read] = TARGETS[question];
    try {
      const work = () => ask<Answers[Question]>(read, "GET", atHost(pairing, target));
      // What this computer answers itself need not wait for a host that has gone.
      const value = await (question === "told" ? work() : this.#lanes.run(work));
      this.do({ type: "answered", pairing, question, value, now: Date.now() } as Action);
    } catch (error) {
      const problem = described(error);
      const retryAt = Date.now() + (problem.isLasting ? RETRY.late : RETRY.soon);
      this.do({ type: "unanswered", pairing, question, problem: problem.failure, retryAt });
    }
  }

  async loadLog(pairing: string, service: string): Promise<void> {
    if (hostData(this.model, pairing).logs[service]?.loading) return;
    this.do({ type: "log asked", pairing, service });
    try {
      const target = atHost(pairing, serviceTarget(service, "log?lines=200"));
      const lines = await this.#lanes.run(() => ask(wire.log, "GET", target));
      this.do({ type: "log", pairing, service, lines, now: Date.now() });
    } catch (error) {
      this.do({ type: "no log", pairing, service, problem: described(error).failure });
    }
  }

  async order(pairing: string, name: string, verb: Verb): Promise<void> {
    this.do({ type: "ordered", pairing, service: name, verb });
    try {
      const target = atHost(pairing, serviceTarget(name, verb));
      const service = await this.#lanes.run(() => ask(wire.service, "POST", target));
      this.do({ type: "order done", pairing, service });
      this.#lookAgain(pairing, name, 0);
    } catch (error) {
      this.do({ type: "order failed", pairing, service: name, verb, problem: described(error).failure });
    }
  }

  /** Looks at a service until it has started or stopped. */
  #lookAgain(pairing: string, name: string, nth: number): void {
    const state = hostData(this.model, pairing).services.value?.find((service) => service.name === name)?.state;
    const delay = LOOK_AGAIN[nth];
    if (delay === undefined || (state !== "starting" && state !== "stopping")) return;
    window.setTimeout(async () => {
      const isSeen = !document.hidden && this.route.page === "host" && this.route.pairing === pairing;
      if (isSeen) await this.ask(pairing, "services");
      this.#lookAgain(pairing, name, nth + 1);
    }, delay);
  }

  /** Opens and closes streams, and asks what has become old. */
  #look(): void {
    const now = Date.now();
    const visible = !document.hidden;
    const wanted = listenTo(this.model, this.route, visible);
    for (const [pairing, stream] of this.#streams) {
      if (wanted.includes(pairing)) continue;
      stream.close();
      this.#streams.delete(pairing);
    }
    for (const pairing of wanted) {
      if (!this.#streams.has(pairing)) this.#streams.set(pairing, this.#listen(pairing));
    }
    if (visible && now - this.#stateAt >= STATE_AGE) void this.loadState();
    for (const { pairing, question } of wishes(this.model, this.route, visible, now)) void this.ask(pairing, question);
  }

  #listen(pairing: string): Stream {
    return new Stream(atHost(pairing, "node-manager/v1/events"), HOST, {
      onOpen: () => {},
      onEnd: () => {},
      on: {
        sample: (json) => {
          const columns = hostData(this.model, pairing).history.value?.columns ?? wire.COLUMNS;
          const sample = understood(wire.sample(columns), json);
          if (sample !== null) this.do({ type: "sample", pairing, sample });
        },
        alert: (json) => {
          const change = understood(wire.alertChange, json);
          if (change === null) return;
          this.do({ type: "alert", pairing, change, minute: Math.floor(Date.now() / 60_000) });
          const name = this.model.app?.hosts.find((host) => host.pairing === pairing)?.name ?? "A host";
          if (change.raised !== null) this.note(`${name}: ${change.raised.text}.`, "bad");
          else if (change.cleared !== null) this.note(`${name}: all right again. It was: ${change.cleared.text}.`, "good");
        },
      },
    });
  }

  #notice(json: unknown): void {
    const notice = understood(readNotice, json);
    if (notice === null) return;
    this.do({ type: "notice", notice });
    // What only the state tells: the endpoint, when a host was seen last, and what was missed.
    if (["session_up", "session_down", "confirmed", "unpaired", "missed", "pairing_failed"].includes(notice.event)) {
      void this.loadState();
    }
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** What was said, or `null` when this page does not understand it. */
function understood<T>(read: Read<T>, json: unknown): T | null {
  try {
    return read(json, "event");
  } catch {
    return null;
  }
}

/** An error in words. */
export function described(error: unknown): { status: number; failure: Failure; isLasting: boolean } {
  if (error instanceof Refused) return { status: error.status, failure: error.failure, isLasting: isLasting(error) };
  return { status: 0, failure: { message: "Something went wrong in this page.", hint: String(error) }, isLasting: false };
}
