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

/** The hosts that can be asked anything. */
function reachable(model: Model): string[] {
  if (model.link.state !== "live" || model.app === null) return [];
  const hosts = model.app.hosts.filter((host) => host.stage === "confirmed" && host.session !== null);
  return hosts.map((host) => host.pairing);
}

/** The hosts whose events are listened to. */
export function listenTo(model: Model, route: Route, visible: boolean): string[] {
  if (!visible) return [];
  const hosts = reachable(model);
  if (route.page === "host") return hosts.filter((pairing) => pairing === route.pairing);
  return route.page === "hosts" ? hosts.slice(0, MAX_STREAMS) : [];
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
  services: { info: NEVER_AGAIN, services: 5 * MINUTE },
  activity: { audit: 5 * MINUTE },
  settings: { info: NEVER_AGAIN },
};

/** What is to be asked now. `now` is in Unix milliseconds. */
export function wishes(model: Model, route: Route, visible: boolean, now: number): Wish[] {
  if (!visible || route.page === "pair") return [];
  const heardFrom = listenTo(model, route, visible);
  const result: Wish[] = [];
  for (const pairing of reachable(model)) {
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
    for (const [question, age] of Object.entries(ages) as [Question, number][]) {
      const { value, at, loading, retryAt } = data[question];
      if (!loading && now >= retryAt && (value === null || now - at >= age)) result.push({ pairing, question });
    }
  }
  return result;
}
