// What is asked of which host, and when. Each request costs messages in a network that has few to give, so a host that
// nobody looks at is not asked, and one that tells by itself is not asked again.

import { freshSample } from "./live.js";
import { hostData, type Model, type Question } from "./model.js";
import type { Route } from "./route.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Hosts that are listened to at once: a browser opens six connections to one server, and some must stay free. */
export const MAX_STREAMS = 2;

/** A hole in the history that is worth asking for it again. */
const HOLE = 10 * MINUTE;

/** The paired hosts that can be asked anything, or those that cannot. */
function hosts(model: Model, areReachable: boolean): string[] {
  if (model.link.state !== "live" || model.app === null) return [];
  const some = model.app.hosts.filter((host) => host.stage === "confirmed" && (host.session !== null) === areReachable);
  return some.map((host) => host.pairing);
}

/** The hosts whose events are listened to. */
export function listenTo(model: Model, route: Route, visible: boolean): string[] {
  if (!visible) return [];
  const known = hosts(model, true);
  if (route.page === "host") return known.filter((pairing) => pairing === route.pairing);
  return route.page === "hosts" ? known.slice(0, MAX_STREAMS) : [];
}

export interface Wish {
  pairing: string;
  question: Question;
}

/** How old an answer may get, for each question that a place asks. */
type Ages = Partial<Record<Question, number>>;

const NEVER_AGAIN = Number.POSITIVE_INFINITY;

const ON_HOST_PAGE: Record<"overview" | "alerts" | "services" | "activity" | "settings", Ages> = {
  overview: { info: NEVER_AGAIN, history: NEVER_AGAIN, alerts: NEVER_AGAIN, version: NEVER_AGAIN },
  alerts: { alerts: NEVER_AGAIN },
  services: { info: 5 * MINUTE, services: 5 * MINUTE },
  activity: { audit: 5 * MINUTE },
  settings: { info: 5 * MINUTE },
};

/** The questions whose answers have become old. */
function due(model: Model, pairing: string, ages: Ages, now: number): Wish[] {
  const data = hostData(model, pairing);
  const isDue = ([question, age]: [Question, number]) => {
    const { value, at, loading, retryAt } = data[question];
    return !loading && now >= retryAt && (value === null || now - at >= age);
  };
  return (Object.entries(ages) as [Question, number][]).filter(isDue).map(([question]) => ({ pairing, question }));
}

/** What is to be asked now. `now` is in Unix milliseconds. */
export function wishes(model: Model, route: Route, visible: boolean, now: number): Wish[] {
  if (!visible || route.page === "pair") return [];
  const heardFrom = listenTo(model, route, visible);
  const result: Wish[] = [];
  for (const pairing of hosts(model, true)) {
    if (route.page === "host" && route.pairing !== pairing) continue;
    const data = hostData(model, pairing);
    const listening = heardFrom.includes(pairing);
    const fresh = freshSample(data, now);
    const ages: Ages = route.page === "host" ? { ...ON_HOST_PAGE[route.tab] } : { alerts: listening ? NEVER_AGAIN : 10 * MINUTE };
    if (route.page === "hosts" || route.tab === "overview") {
      // The samples of a host that is listened to tell the same; once is still asked what only the node knows.
      ages.syncing = listening && fresh?.values.sync_distance !== undefined ? 15 * MINUTE : MINUTE;
      if (fresh?.values.peers === undefined && !data.history.loading) ages.peerCount = 5 * MINUTE;
    }
    const last = data.history.value?.samples.at(-1);
    if (ages.history !== undefined && last !== undefined && now - last.minute * MINUTE > HOLE) ages.history = HOLE;
    result.push(...due(model, pairing, ages, now));
  }
  // What hosts that have gone wrote costs no message: this computer has it.
  if (route.page === "host" && hosts(model, false).includes(route.pairing)) {
    result.push(...due(model, route.pairing, { told: MINUTE }, now));
  }
  return result;
}
