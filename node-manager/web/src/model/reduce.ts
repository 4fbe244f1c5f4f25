// What becomes of the model when something happens. Nothing here asks for time or talks to anybody.

import type { AppState, Failure, Host, Notice, Offer } from "../wire/app.js";
import type { AlertChange, LogLine, Sample, Service } from "../wire/host.js";
import { withAlert, withSample } from "./live.js";
import { answered, blank, blankHost, type Answers, type HostData, type Link, type Model, type Note, type Question, type Remote, type Verb } from "./model.js";
import { adoptPairing, offered, pairingNotice } from "./pairing.js";

export type Action =
  | { type: "link"; link: Link }
  | { type: "state"; app: AppState; now: number }
  | { type: "notice"; notice: Notice }
  | { type: "offering" }
  | { type: "offered"; offer: Offer; now: number }
  | { type: "not offered"; problem: Failure }
  | { type: "cancelling" }
  | { type: "pairing over" }
  | { type: "checking" }
  | { type: "digits problem"; problem: Failure; isOver: boolean }
  | { type: "host"; host: Host }
  | { type: "host gone"; pairing: string }
  | { type: "asked"; pairing: string; question: Question }
  | { [Key in Question]: { type: "answered"; pairing: string; question: Key; value: Answers[Key]; now: number } }[Question]
  | { type: "unanswered"; pairing: string; question: Question; problem: Failure; retryAt: number }
  | { type: "sample"; pairing: string; sample: Sample }
  | { type: "alert"; pairing: string; change: AlertChange; minute: number }
  | { type: "log asked"; pairing: string; service: string }
  | { type: "log"; pairing: string; service: string; lines: LogLine[]; now: number }
  | { type: "no log"; pairing: string; service: string; problem: Failure }
  | { type: "ordered"; pairing: string; service: string; verb: Verb }
  | { type: "order done"; pairing: string; service: Service }
  | { type: "order failed"; pairing: string; service: string; verb: Verb; problem: Failure }
  | { type: "note"; tone: Note["tone"]; text: string }
  | { type: "note gone"; id: number }
  | { type: "warning gone"; text: string };

export function reduce(model: Model, action: Action): Model {
  switch (action.type) {
    case "link":
      return { ...model, link: action.link };
    case "state":
      return {
        ...model,
        link: { state: "live" },
        app: action.app,
        pairing: adoptPairing(model.pairing, action.app.pairing, action.now),
        data: onlyOf(model.data, action.app.hosts),
      };
    case "notice":
      return heard(model, action.notice);
    case "offering":
      return { ...model, offering: true, offerProblem: null };
    case "offered":
      return { ...model, offering: false, pairing: offered(action.offer, action.now) };
    case "not offered":
      return { ...model, offering: false, offerProblem: action.problem };
    case "cancelling":
      return model.pairing === null ? model : { ...model, pairing: { ...model.pairing, stage: "cancelling" } };
    case "pairing over":
      return { ...model, pairing: null, offerProblem: null };
    case "checking":
      return model.pairing === null
        ? model
        : { ...model, pairing: { ...model.pairing, stage: "checking", problem: null } };
    case "digits problem":
      // The notice may have come first, and the pairing may be over for a better reason.
      return model.pairing?.stage !== "checking"
        ? model
        : {
            ...model,
            pairing: { ...model.pairing, stage: action.isOver ? "failed" : "digits", problem: action.problem },
          };
    case "host":
      return withHosts(model, (hosts) => hosts.map((host) => (host.pairing === action.host.pairing ? action.host : host)));
    case "host gone":
      return withoutHost(model, action.pairing);
    case "asked":
      return withData(model, action.pairing, (data) => ({
        [action.question]: { ...data[action.question], loading: true },
      }));
    case "answered":
      return withData(model, action.pairing, () => ({ [action.question]: answered(action.value, action.now) }));
    case "unanswered":
      return withData(model, action.pairing, (data) => ({
        [action.question]: {
          ...data[action.question],
          loading: false,
          problem: action.problem,
          retryAt: action.retryAt,
        },
      }));
    case "sample":
      return withData(model, action.pairing, (data) => ({
        latest: action.sample,
        history: withSample(data.history, action.sample),
      }));
    case "alert":
      return withData(model, action.pairing, (data) => ({
        alerts: withAlert(data.alerts, action.change, action.minute),
      }));
    case "log asked":
      return withLog(model, action, (log) => ({ ...log, loading: true }));
    case "log":
      return withLog(model, action, () => answered(action.lines, action.now));
    case "no log":
      return withLog(model, action, (log) => ({ ...log, loading: false, problem: action.problem }));
    case "ordered":
      return withData(model, action.pairing, (data) => ({
        orders: { ...data.orders, [action.service]: { verb: action.verb, busy: true, problem: null } },
      }));
    case "order done":
      return withData(model, action.pairing, (data) => {
        const { [action.service.name]: _done, ...orders } = data.orders;
        const known = data.services.value;
        const services = known?.map((one) => (one.name === action.service.name ? action.service : one)) ?? null;
        return { orders, services: { ...data.services, value: services } };
      });
    case "order failed":
      return withData(model, action.pairing, (data) => ({
        orders: { ...data.orders, [action.service]: { verb: action.verb, busy: false, problem: action.problem } },
      }));
    case "note":
      return noted(model, action.tone, action.text);
    case "note gone":
      return { ...model, notes: model.notes.filter((note) => note.id !== action.id) };
    case "warning gone":
      return { ...model, warnings: model.warnings.filter((warning) => warning !== action.text) };
  }
}

/** Notes that are shown at once. */
const MAX_NOTES = 3;

function noted(model: Model, tone: Note["tone"], text: string): Model {
  const others = model.notes.filter((note) => note.text !== text);
  const notes = [...others, { id: model.nextNote, tone, text }].slice(-MAX_NOTES);
  return { ...model, notes, nextNote: model.nextNote + 1 };
}

function warned(model: Model, text: string): Model {
  return model.warnings.includes(text) ? model : { ...model, warnings: [...model.warnings, text] };
}

function withHosts(model: Model, change: (hosts: Host[]) => Host[]): Model {
  return model.app === null ? model : { ...model, app: { ...model.app, hosts: change(model.app.hosts) } };
}

function withoutHost(model: Model, pairing: string): Model {
  const { [pairing]: _gone, ...data } = model.data;
  return withHosts({ ...model, data }, (hosts) => hosts.filter((host) => host.pairing !== pairing));
}

function withData(model: Model, pairing: string, change: (data: HostData) => Partial<HostData>): Model {
  const data = model.data[pairing] ?? blankHost();
  return { ...model, data: { ...model.data, [pairing]: { ...data, ...change(data) } } };
}

function withLog(
  model: Model,
  { pairing, service }: { pairing: string; service: string },
  change: (log: Remote<LogLine[]>) => Remote<LogLine[]>,
): Model {
  return withData(model, pairing, (data) => {
    const log = data.logs[service] ?? blank<LogLine[]>();
    return { logs: { ...data.logs, [service]: change(log) } };
  });
}

/** What failed may be asked again at once. */
function forgiven(data: HostData): HostData {
  const again = <T>(remote: Remote<T>): Remote<T> => ({ ...remote, retryAt: 0 });
  return {
    ...data,
    info: again(data.info),
    syncing: again(data.syncing),
    version: again(data.version),
    peerCount: again(data.peerCount),
    history: again(data.history),
    alerts: again(data.alerts),
    told: again(data.told),
    audit: again(data.audit),
    services: again(data.services),
  };
}

/** What is known of hosts that are still paired. */
function onlyOf(data: Model["data"], hosts: readonly Host[]): Model["data"] {
  return Object.fromEntries(Object.entries(data).filter(([pairing]) => hosts.some((host) => host.pairing === pairing)));
}

function heard(before: Model, notice: Notice): Model {
  const model = { ...before, pairing: pairingNotice(before.pairing, notice) };
  const nameOf = (pairing: string) => {
    // One that was paired a moment ago is not in the list yet.
    const fresh = model.pairing?.peer?.pairing === pairing ? model.pairing.peer.name : "A host";
    return model.app?.hosts.find((host) => host.pairing === pairing)?.name ?? fresh;
  };
  const withSession = (pairing: string, change: (host: Host) => Host) =>
    withHosts(model, (hosts) => hosts.map((host) => (host.pairing === pairing ? change(host) : host)));
  switch (notice.event) {
    case "network": {
      const { connected, static_nodes } = notice;
      return model.app === null ? model : { ...model, app: { ...model.app, network: { connected, static_nodes } } };
    }
    case "session_up": {
      const session = { id: notice.session, silent_for_ms: 0, round_trip_ms: null };
      const up = withSession(notice.pairing, (host) => ({ ...host, session }));
      return noted(
        withData(up, notice.pairing, forgiven),
        "good",
        `${nameOf(notice.pairing)} is connected.`,
      );
    }
    case "session_down":
      return noted(
        withSession(notice.pairing, (host) => ({ ...host, session: null })),
        "bad",
        `${nameOf(notice.pairing)} is no longer connected.`,
      );
    case "pong":
      return withSession(notice.pairing, (host) => ({
        ...host,
        session: host.session && { ...host.session, round_trip_ms: notice.round_trip_ms },
      }));
    case "unpaired": {
      const gone = withoutHost(model, notice.peer.pairing);
      const told = notice.by_peer ? noted(gone, "bad", `${notice.peer.name} ended the pairing.`) : gone;
      return notice.alarm === null ? told : warned(told, `${notice.peer.name}: ${notice.alarm}`);
    }
    case "store_failed":
      return warned(model, "Something could not be saved on this computer. Check that its disk has room.");
    default:
      return model;
  }
}
