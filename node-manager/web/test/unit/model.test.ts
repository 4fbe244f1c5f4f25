import assert from "node:assert/strict";
import { test } from "node:test";
import { alertsView, freshSample, newestFirst, peersView, points, syncView } from "../../src/model/live.js";
import { START, hostData, type Model } from "../../src/model/model.js";
import { listenTo, wishes } from "../../src/model/plan.js";
import { reduce, type Action } from "../../src/model/reduce.js";
import { hrefOf, parseRoute, type Route } from "../../src/model/route.js";
import type { AppState, Host, PairingState, Who } from "../../src/wire/app.js";
import type { Alert, Sample } from "../../src/wire/host.js";

const NOW = 1_790_000_000_000;
const MINUTE = NOW / 60_000 | 0;

function host(pairing: string, more: Partial<Host> = {}): Host {
  return {
    pairing,
    name: `host ${pairing}`,
    label: pairing,
    fingerprint: "f",
    stage: "confirmed",
    compared: true,
    digits: null,
    paired_at: 0,
    last_seen: null,
    session: { id: "s", silent_for_ms: 0, round_trip_ms: null },
    endpoint: null,
    ...more,
  };
}

function state(hosts: Host[], pairing: AppState["pairing"] = null): Action {
  const app = { version: "0", label: "l", network: { connected: 1, static_nodes: [] }, pairing, hosts };
  return { type: "state", app, now: NOW };
}

function after(...actions: Action[]): Model {
  return actions.reduce(reduce, START);
}

const peer: Who = { pairing: "aa", name: "beacon-01", fingerprint: "f", again: false, namesake: null };
const offered: Action = { type: "offered", offer: { code: "1234-5678", expires_in_s: 600, qr: ["1"] }, now: NOW };
const asksDigits: Action = { type: "notice", notice: { event: "ask_digits", peer } };
const failed: Action = { type: "notice", notice: { event: "pairing_failed", pairing: null, failure: { message: "m", hint: null } } };

test("a pairing goes from step to step and never back", () => {
  const found: Action = { type: "notice", notice: { event: "hello_app_received" } };
  const keyed: Action = { type: "notice", notice: { event: "keyed" } };
  assert.equal(after(offered).pairing?.stage, "waiting");
  assert.equal(after(offered, found).pairing?.stage, "found");
  assert.equal(after(offered, found, keyed).pairing?.stage, "keyed");
  const asked = after(offered, found, keyed, asksDigits, found, keyed);
  assert.equal(asked.pairing?.stage, "digits");
  assert.deepEqual(asked.pairing?.peer, peer);
  const stands = [
    { type: "checking" },
    { type: "notice", notice: { event: "confirmed", peer, compared: true } },
    { type: "notice", notice: { event: "acknowledged", pairing: "aa" } },
    failed,
  ] as Action[];
  const paired = stands.reduce(reduce, asked).pairing;
  assert.equal(paired?.stage, "paired");
  assert.equal(paired?.acknowledged, true);
});

test("wrong digits end a pairing, whichever word of it comes first", () => {
  const refused: Action = { type: "digits problem", problem: { message: "they differ", hint: null }, isOver: true };
  for (const words of [[refused, failed], [failed, refused]]) {
    const model: Model = words.reduce(reduce, after(offered, asksDigits, { type: "checking" }));
    assert.equal(model.pairing?.stage, "failed");
    assert.notEqual(model.pairing?.problem, null);
  }
});

test("digits that did not get through may be typed again", () => {
  const lost: Action = { type: "digits problem", problem: { message: "no answer", hint: null }, isOver: false };
  const { pairing } = after(offered, asksDigits, { type: "checking" }, lost);
  assert.equal(pairing?.stage, "digits");
  assert.equal(pairing?.problem?.message, "no answer");
});

test("what the reader cancels is no failure", () => {
  assert.equal(after(offered, { type: "cancelling" }, failed).pairing, null);
  assert.equal(after(offered, failed).pairing?.stage, "failed");
});

test("after a reload the pairing is where it was", () => {
  const theirs: PairingState = { code: "1234-5678", expires_in_s: 300, qr: ["10", "01"], step: "digits", peer };
  const fresh = after(state([], theirs)).pairing;
  assert.deepEqual([fresh?.stage, fresh?.qr, fresh?.deadline], ["digits", ["10", "01"], NOW + 300_000]);
  const kept = after(offered, state([], theirs)).pairing;
  assert.deepEqual([kept?.stage, kept?.qr], ["digits", ["1"]]);
  // While the digits are compared the answer may be older than the page.
  assert.equal(after(offered, asksDigits, { type: "checking" }, state([], theirs)).pairing?.stage, "checking");
});

test("a pairing that ended unheard is said to have ended", () => {
  assert.equal(after(offered, state([])).pairing?.stage, "failed");
  assert.equal(after(offered, { type: "cancelling" }, state([])).pairing, null);
});

test("sessions come and go by notice", () => {
  const down = after(state([host("aa")]), { type: "notice", notice: { event: "session_down", pairing: "aa" } });
  assert.equal(down.app?.hosts[0]?.session, null);
  assert.deepEqual(down.notes.map((note) => note.text), ["host aa is no longer connected."]);
  const up = reduce(down, { type: "notice", notice: { event: "session_up", pairing: "aa", session: "t" } });
  assert.equal(up.app?.hosts[0]?.session?.id, "t");
});

test("a host that is unpaired is gone, and an alarm stays", () => {
  const gone: Action = { type: "notice", notice: { event: "unpaired", peer, by_peer: true, alarm: "another app answered" } };
  const model = after(state([host("aa"), host("bb")]), { type: "asked", pairing: "aa", question: "info" }, gone);
  assert.deepEqual(model.app?.hosts.map((host) => host.pairing), ["bb"]);
  assert.equal(model.data["aa"], undefined);
  assert.equal(model.warnings.length, 1);
  assert.equal(reduce(model, { type: "warning gone", text: model.warnings[0]! }).warnings.length, 0);
});

test("notes do not pile up", () => {
  const notes = Array.from({ length: 20 }, (_, at): Action => ({ type: "note", tone: "plain", text: `note ${at}` }));
  assert.deepEqual(after(...notes).notes.map((note) => note.text), ["note 17", "note 18", "note 19"]);
});

test("an answer that fails keeps the one before", () => {
  const model = after(
    { type: "answered", pairing: "aa", question: "version", value: "v1", now: NOW },
    { type: "asked", pairing: "aa", question: "version" },
    { type: "unanswered", pairing: "aa", question: "version", problem: { message: "m", hint: null }, retryAt: NOW + 5 },
  );
  assert.deepEqual(hostData(model, "aa").version, {
    value: "v1",
    at: NOW,
    loading: false,
    problem: { message: "m", hint: null },
    retryAt: NOW + 5,
  });
});

function sample(minute: number, values: Sample["values"]): Sample {
  return { minute, values };
}

function withHistory(...samples: Sample[]): Action {
  return { type: "answered", pairing: "aa", question: "history", value: { columns: ["peers"], samples }, now: NOW };
}

test("a sample moves the history on, and what is a day old goes", () => {
  const model = after(withHistory(sample(1, { peers: 1 }), sample(2, { peers: 2 })), {
    type: "sample",
    pairing: "aa",
    sample: sample(1441, { peers: 3 }),
  });
  const { samples } = hostData(model, "aa").history.value!;
  assert.deepEqual(points(samples, "peers", 0), [[2, 2], [1441, 3]]);
  const back = reduce(model, { type: "sample", pairing: "aa", sample: sample(2, { peers: 9 }) });
  assert.deepEqual(points(hostData(back, "aa").history.value!.samples, "peers", 0), [[2, 9]]);
});

test("without a history a sample still tells how the node is", () => {
  const model = after({ type: "sample", pairing: "aa", sample: sample(MINUTE, { peers: 40, sync_distance: 12, head_slot: 7 }) });
  const data = hostData(model, "aa");
  assert.equal(peersView(data), 40);
  assert.deepEqual(syncView(data), { tone: "warn", title: "Catching up", headSlot: 7, distance: 12 });
  assert.notEqual(freshSample(data, NOW), null);
  assert.equal(freshSample(data, NOW + 600_000), null);
});

test("an answer counts more than an older sample", () => {
  const answer = { head_slot: 9, sync_distance: 0, is_syncing: false, is_optimistic: false, el_offline: false };
  const model = after(withHistory(sample(MINUTE - 30, { sync_distance: 50 })), {
    type: "answered",
    pairing: "aa",
    question: "syncing",
    value: answer,
    now: NOW,
  });
  assert.equal(syncView(hostData(model, "aa"))?.title, "In sync");
  const offline = { ...answer, el_offline: true };
  const without = reduce(model, { type: "answered", pairing: "aa", question: "syncing", value: offline, now: NOW });
  assert.equal(syncView(hostData(without, "aa"))?.tone, "bad");
});

test("alerts are raised once and cleared by what they are about", () => {
  const alert = (kind: string, name: string | null): Alert => ({ kind, name, text: "t", runbook: "r", since: 1 });
  const change = (raised: Alert | null, cleared: Alert | null): Action => ({ type: "alert", pairing: "aa", change: { raised, cleared }, minute: 5 });
  const empty: Action = { type: "answered", pairing: "aa", question: "alerts", value: { raised: [], log: [] }, now: NOW };
  const model = after(
    empty,
    change(alert("service_down", "a"), null),
    change(alert("service_down", "b"), null),
    change(alert("service_down", "b"), null),
    change(null, alert("service_down", "a")),
  );
  const { raised, log } = hostData(model, "aa").alerts.value!;
  assert.deepEqual(raised.map((one) => one.name), ["b"]);
  assert.equal(log.length, 4);
  assert.notEqual(log[0]?.cleared, null);
});

test("a log is shown newest first whichever way it comes", () => {
  const entry = (at: number) => ({ at, raised: null, cleared: null });
  assert.deepEqual(newestFirst([entry(1), entry(2)]).map((one) => one.at), [2, 1]);
  assert.deepEqual(newestFirst([entry(2), entry(1)]).map((one) => one.at), [2, 1]);
});

const overview: Route = { page: "host", pairing: "aa", tab: "overview" };

test("nobody is asked while the page is hidden, unconnected, or about something else", () => {
  const model = after(state([host("aa")]));
  assert.notEqual(wishes(model, overview, true, NOW).length, 0);
  assert.deepEqual(wishes(model, overview, false, NOW), []);
  assert.deepEqual(listenTo(model, overview, false), []);
  assert.deepEqual(wishes(model, { page: "pair" }, true, NOW), []);
  const lost = reduce(model, { type: "link", link: { state: "lost", problem: { message: "", hint: null } } });
  assert.deepEqual(wishes(lost, overview, true, NOW), []);
  assert.deepEqual(wishes(after(state([host("aa", { stage: "keyed" })])), overview, true, NOW), []);
});

test("few connections stay open, however many hosts there are", () => {
  const model = after(state(["aa", "bb", "cc", "dd"].map((pairing) => host(pairing))));
  assert.deepEqual(listenTo(model, { page: "hosts" }, true), ["aa", "bb"]);
  assert.deepEqual(listenTo(model, { ...overview, pairing: "dd" }, true), ["dd"]);
});

test("a host whose samples come is not asked for the same", () => {
  const asked = (model: Model, now: number) => wishes(model, overview, true, now).map((wish) => wish.question);
  const answer = { head_slot: 9, sync_distance: 0, is_syncing: false, is_optimistic: false, el_offline: false };
  const base = after(
    state([host("aa")]),
    withHistory(sample(MINUTE - 5, { peers: 1, sync_distance: 0 })),
    { type: "answered", pairing: "aa", question: "syncing", value: answer, now: NOW },
    { type: "answered", pairing: "aa", question: "peerCount", value: 1, now: NOW },
  );
  assert.equal(asked(base, NOW + 30_000).includes("syncing"), false);
  assert.equal(asked(base, NOW + 61_000).includes("syncing"), true);
  const fresh = reduce(base, { type: "sample", pairing: "aa", sample: sample(MINUTE + 1, { peers: 1, sync_distance: 0 }) });
  assert.equal(asked(fresh, NOW + 61_000).includes("syncing"), false);
  assert.equal(asked(fresh, NOW + 61_000).includes("peerCount"), false);
});

test("what failed is left alone for a while, and asked at once after a reconnect", () => {
  const failure: Action = { type: "unanswered", pairing: "aa", question: "info", problem: { message: "m", hint: null }, retryAt: NOW + 1000 };
  const model = after(state([host("aa")]), failure);
  const asks = (model: Model, now: number) => wishes(model, overview, true, now).some((wish) => wish.question === "info");
  assert.equal(asks(model, NOW), false);
  assert.equal(asks(model, NOW + 1000), true);
  const again = reduce(model, { type: "notice", notice: { event: "session_up", pairing: "aa", session: "s" } });
  assert.equal(asks(again, NOW), true);
});

test("a host that is away is not asked, and what it wrote is", () => {
  const away = after(state([host("aa", { session: null })]));
  const alerts: Route = { page: "host", pairing: "aa", tab: "alerts" };
  assert.deepEqual(wishes(away, alerts, true, NOW), [{ pairing: "aa", question: "told" }]);
  assert.deepEqual(wishes(away, { page: "hosts" }, true, NOW), []);
  const read = reduce(away, { type: "answered", pairing: "aa", question: "told", value: [], now: NOW });
  assert.deepEqual(wishes(read, alerts, true, NOW + 59_000), []);
  assert.equal(wishes(read, alerts, true, NOW + 60_000).length, 1);
  const there = after(state([host("aa")]));
  assert.ok(!wishes(there, alerts, true, NOW).some((wish) => wish.question === "told"));
});

test("what a host wrote before it went goes on from what it said", () => {
  const about = (kind: string): Alert => ({ kind, name: null, text: kind, runbook: "", since: 1 });
  const raised = (at: number, kind: string) => ({ at, raised: about(kind), cleared: null });
  const cleared = (at: number, kind: string) => ({ at, raised: null, cleared: about(kind) });
  const told = [raised(9, "peers_low"), raised(20, "clock_drift"), cleared(30, "clock_drift"), raised(31, "out_of_sync")];
  const known = { raised: [about("peers_low")], log: [raised(10, "peers_low")] };
  const model = after(
    state([host("aa", { session: null })]),
    { type: "answered", pairing: "aa", question: "told", value: told, now: NOW },
    { type: "answered", pairing: "aa", question: "alerts", value: known, now: NOW },
  );
  const data = hostData(model, "aa");
  const kinds = (alerts: Alert[] | undefined) => alerts?.map((alert) => alert.kind);
  assert.deepEqual(kinds(alertsView(data, false)?.raised), ["out_of_sync", "peers_low"]);
  // The host and this page do not note the same minute of one change.
  assert.deepEqual(alertsView(data, false)?.log.map((entry) => entry.at), [31, 30, 20, 10]);
  assert.deepEqual(kinds(alertsView(data, true)?.raised), ["peers_low"]);
  const closed = after(state([host("aa", { session: null })]), { type: "answered", pairing: "aa", question: "told", value: told, now: NOW });
  assert.equal(alertsView(hostData(closed, "aa"), false)?.log.length, 4);
  assert.equal(alertsView(hostData(after(state([host("aa")])), "aa"), false), null);
});

test("addresses lead where they came from, and strange ones home", () => {
  const routes: Route[] = [{ page: "hosts" }, { page: "pair" }, overview, { ...overview, tab: "services" }];
  for (const route of routes) assert.deepEqual(parseRoute(hrefOf(route)), route);
  for (const strange of ["", "#", "#/host/../x", "#/nowhere", "#/host/"]) assert.deepEqual(parseRoute(strange), { page: "hosts" });
  assert.deepEqual(parseRoute("#/host/aa/nothing"), overview);
});
