import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "../../src/io/client.js";
import { wait } from "../../src/io/stream.js";
import { appState, notice } from "../../src/wire/app.js";
import * as host from "../../src/wire/host.js";
import { Unreadable } from "../../src/wire/read.js";

test("the state is read, with what may be missing", () => {
  const peer = { pairing: "ab", name: "beacon-01", fingerprint: "f" };
  const state = appState(
    {
      version: "0.1.0",
      label: "laptop",
      network: { connected: 1, static_nodes: [{ address: "/ip4/127.0.0.1/tcp/1", connected: false }] },
      pairing: { code: "1234-5678", expires_in_s: 540, step: "digits", peer },
      hosts: [{ ...peer, label: "b", stage: "confirmed", compared: true, paired_at: 1, session: { id: "s", silent_for_ms: 0 } }],
      something_newer: [],
    },
    "state",
  );
  assert.equal(state.network.static_nodes[0]?.problem, null);
  assert.equal(state.pairing?.peer?.again, false);
  assert.equal(state.hosts[0]?.session?.round_trip_ms, null);
  assert.equal(state.hosts[0]?.endpoint, null);
  assert.equal("something_newer" in state, false);
});

test("what does not fit is refused with its place", () => {
  const read = () => appState({ version: "0.1.0", label: "x", network: { connected: "1", static_nodes: [] }, hosts: [] }, "state");
  assert.throws(read, (error) => error instanceof Unreadable && error.message.startsWith("state.network.connected"));
});

test("notices that are newer than the page are left alone", () => {
  assert.equal(notice({ event: "hello_app_sent", nth: 2 }, "notice"), null);
  assert.equal(notice({ event: "constructor" }, "notice"), null);
  assert.deepEqual(notice({ event: "keyed" }, "notice"), { event: "keyed" });
  const failed = notice({ event: "pairing_failed", failure: { kind: "timeout", message: "m" } }, "notice");
  assert.deepEqual(failed, { event: "pairing_failed", pairing: null, failure: { message: "m", hint: null } });
});

test("the Beacon API's numbers are text", () => {
  const data = { head_slot: "9123456", sync_distance: "0", is_syncing: false, is_optimistic: false };
  assert.equal(host.syncing({ data }, "answer").head_slot, 9_123_456);
  assert.equal(host.syncing({ data }, "answer").el_offline, false);
  assert.equal(host.peerCount({ data: { connected: "72" } }, "answer"), 72);
  assert.throws(() => host.syncing({ data: { ...data, head_slot: "9e3" } }, "answer"), Unreadable);
});

test("a service that could not be asked is one of the list", () => {
  const one = { name: "beacon", kind: "unit", state: "unknown", since: null, pid: null, restarts: 0, exit: null, description: "", problem: "no D-Bus" };
  assert.deepEqual(host.services({ services: [one] }, "answer"), [one]);
});

test("what was told may be nothing", () => {
  assert.deepEqual(host.told({ alerts: [] }, "answer"), []);
  const cleared = { kind: "peers_low", text: "the node has 3 peers", runbook: "r", since: 7 };
  assert.deepEqual(host.told({ alerts: [{ at: 9, cleared }] }, "answer"), [{ at: 9, raised: null, cleared: { ...cleared, name: null } }]);
});

test("a history is read by the names of its columns", () => {
  const json = { columns: ["minute", "peers", "novelty", "cpu"], samples: [[100, 70, 1, null], [101, null, 1, 12]] };
  const { columns, samples } = host.history(json, "answer");
  assert.deepEqual(samples, [{ minute: 100, values: { peers: 70 } }, { minute: 101, values: { cpu: 12 } }]);
  const one = host.sample(columns)({ minute: 102, values: [71, 2, 13] }, "event");
  assert.deepEqual(one, { minute: 102, values: { peers: 71, cpu: 13 } });
  assert.throws(() => host.history({ columns: ["cpu"], samples: [] }, "answer"), Unreadable);
});

test("a host that sends too much is cut short", () => {
  const samples = Array.from({ length: 100_000 }, (_, minute) => [minute, 1]);
  assert.equal(host.history({ columns: ["minute", "cpu"], samples }, "answer").samples.length, 1500);
  const line = { at: null, text: "x".repeat(1_000_000) };
  assert.equal(host.log({ lines: [line] }, "answer")[0]?.text.length, 8193);
});

test("the words of whoever refused are kept, and there are some without", () => {
  const told = { message: "there is no session", hint: null };
  assert.equal(explain(502, false, told), told);
  assert.match(explain(404, true, told).message, /does not offer/);
  for (const status of [400, 403, 404, 500, 502, 503]) {
    for (const byHost of [true, false]) assert.notEqual(explain(status, byHost, null).message, "");
  }
});

test("each failure doubles the wait, up to an end", () => {
  const pace = { first: 1000, most: 10_000 };
  assert.deepEqual([1, 2, 3, 4, 5, 500].map((failures) => wait(pace, failures)), [1000, 2000, 4000, 8000, 10_000, 10_000]);
});
