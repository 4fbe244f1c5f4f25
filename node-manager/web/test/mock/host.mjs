// A host that does not exist: a node manager with a day behind it, a beacon node and two services.

const MINUTE = 60_000;
const COLUMNS = ["minute", "cpu", "memory", "load", "disk_free", "clock_offset", "sync_distance", "peers", "head_slot", "finalized_epoch", "missed", "down"];

/** A wave with some noise that is the same in every run. */
function wave(minute, period, low, high) {
  const noise = Math.abs(Math.sin(minute * 12.9898) * 43758.5453) % 1;
  const share = 0.5 + 0.4 * Math.sin((minute / period) * 2 * Math.PI) + 0.1 * (noise - 0.5) * 2;
  return Math.round(low + share * (high - low));
}

export class MockHost {
  constructor({ name, pairing, grants = ["monitor", "operate"], up = true, alerts = [] }) {
    this.name = name;
    this.pairing = pairing;
    this.grants = grants;
    this.up = up;
    this.label = name;
    this.listeners = new Set();
    /** Answers that replace the right ones, by target. */
    this.failures = new Map();
    const newest = Math.floor(Date.now() / MINUTE) - 2;
    // An hour in the morning is missing: the host was off.
    const off = [newest - 300, newest - 262];
    this.samples = [];
    for (let minute = newest - 1439; minute <= newest; minute += 1) {
      if (minute < off[0] || minute > off[1]) this.samples.push(this.sample(minute, off[1]));
    }
    this.raised = alerts.map((alert) => ({ ...alert, since: newest - 12 }));
    this.log = [
      ...this.raised.map((alert) => ({ at: newest - 7, raised: alert })),
      { at: newest - 240, cleared: OUT_OF_SYNC(newest - 262) },
      { at: newest - 259, raised: OUT_OF_SYNC(newest - 262) },
    ];
    /** What it wrote to this computer, oldest first. */
    this.told = [];
    const hour = Date.now() - 60 * MINUTE;
    this.services = [
      service("beacon", "unit", "running", hour * 1 - 300 * MINUTE, "Nimbus beacon node"),
      service("validator", "unit", "running", hour, "Nimbus validator client"),
      { ...service("execution", "process", "failed", hour + 50 * MINUTE, ""), pid: null, restarts: 3, exit: "status 1" },
    ];
  }

  sample(minute, offUntil) {
    const behind = minute > offUntil && minute - offUntil < 12 ? Math.round(110 - (minute - offUntil) * 9) : 0;
    const noisy = wave(minute, 7, 0, 100) > 88 ? 1 : 0;
    return [
      minute,
      wave(minute, 95, 6, 34) + (behind > 0 ? 40 : 0),
      wave(minute, 700, 52, 61),
      wave(minute, 95, 4, 22),
      412_000 - (minute % 1440) * 3,
      wave(minute, 180, -60, 90),
      Math.max(behind, noisy),
      wave(minute, 240, 61, 97),
      (minute - 26_776_000) * 5,
      Math.floor(((minute - 26_776_000) * 5) / 32) - 2,
      4,
      0,
    ];
  }

  /** A minute goes by. */
  tick() {
    const sample = this.sample(this.samples.at(-1)[0] + 1, 0);
    this.samples.push(sample);
    this.samples = this.samples.slice(-1440);
    const [minute, ...values] = sample;
    this.send("sample", { minute, values });
  }

  raise(alert) {
    const raised = { ...alert, since: this.samples.at(-1)[0] };
    this.raised.push(raised);
    this.send("alert", { raised });
  }

  clear(kind) {
    const cleared = this.raised.find((alert) => alert.kind === kind);
    this.raised = this.raised.filter((alert) => alert !== cleared);
    this.send("alert", { cleared });
  }

  send(event, data) {
    for (const listener of this.listeners) listener(event, data);
  }

  /** The answer to a request: a status and JSON. */
  answer(method, target) {
    const failure = this.failures.get(target);
    if (failure !== undefined) return failure;
    const newest = this.samples.at(-1);
    const [, name, verb] = /^node-manager\/v1\/services\/([^/]+)\/(start|stop|restart|log\?lines=200)$/.exec(target) ?? [];
    if (name !== undefined) return this.serve(method, name, verb);
    if (method !== "GET") return [405, { message: "this is only to be looked at", hint: null }];
    switch (target) {
      case "eth/v1/node/syncing":
        return [200, { data: { head_slot: String(newest[8]), sync_distance: String(newest[6]), is_syncing: newest[6] > 1, is_optimistic: false, el_offline: false } }];
      case "eth/v1/node/version":
        return [200, { data: { version: "Nimbus/v25.9.2-stateofus" } }];
      case "eth/v1/node/peer_count":
        return [200, { data: { disconnected: "12", connecting: "1", connected: String(newest[7]), disconnecting: "0" } }];
      case "node-manager/v1/info":
        return [200, { label: this.label, version: "0.1.0", grants: this.grants, services: [{ name: "beacon", mount: "" }] }];
      case "node-manager/v1/history":
        return [200, { columns: COLUMNS, samples: this.samples }];
      case "node-manager/v1/alerts":
        return [200, { raised: this.raised, log: this.log }];
      case "node-manager/v1/audit?limit=100":
        return [200, { entries: this.audit() }];
      case "node-manager/v1/services":
        for (const service of this.services) settle(service);
        return [200, { services: this.services }];
      default:
        return [404, { code: 404, message: "nothing here" }];
    }
  }

  serve(method, name, verb) {
    const service = this.services.find((service) => service.name === name);
    if (service === undefined) return [404, { message: "no such service", hint: null }];
    if (!this.grants.includes("operate")) return [403, { message: "this needs the grant `operate`", hint: null }];
    if (verb.startsWith("log")) return method === "GET" ? [200, { lines: this.lines(name) }] : [405, {}];
    if (method !== "POST") return [405, { message: "this is an order", hint: null }];
    Object.assign(service, { state: verb === "stop" ? "stopping" : "starting", since: Date.now(), exit: null });
    return [200, { ...service }];
  }

  lines(name) {
    const at = Date.now() - 200 * 12_000;
    return Array.from({ length: 200 }, (_, nth) => ({
      at: at + nth * 12_000,
      text: `\u001b[32mNTC\u001b[0m Slot end topics="${name}" slot=${this.samples.at(-1)[8] - 200 + nth} nextActionWait=n/a nextAttestationSlot=-1 sync=synced peers=${70 + (nth % 9)}`,
    }));
  }

  audit() {
    const now = Date.now();
    const entry = (nth, fields) => ({ at: now - nth * 7 * MINUTE, phase: "done", pairing: this.pairing, name: "laptop", method: "GET", service: "beacon", path: "/eth/v1/node/syncing", grant: "monitor", status: 200, bytes: 131, ...fields });
    const some = [
      entry(0, {}),
      entry(1, { path: "/eth/v1/node/peer_count", bytes: 96 }),
      entry(2, { method: "POST", service: "node-manager", path: "/node-manager/v1/services/{name}/restart", grant: "operate", bytes: 148 }),
      entry(2.01, { phase: "begun", method: "POST", service: "node-manager", path: "/node-manager/v1/services/{name}/restart", grant: "operate", status: 0, bytes: 0 }),
      entry(3, { phase: "refused", method: "GET", path: "/eth/v1/keystores", service: "", grant: "keys", status: 403, bytes: 0 }),
      entry(4, { path: "/eth/v1/beacon/states/{state_id}/validators", status: 504, bytes: 0 }),
    ];
    return [...some, ...Array.from({ length: 40 }, (_, nth) => entry(nth + 5, {}))];
  }
}

function service(name, kind, state, since, description) {
  return { name, kind, state, since, pid: 4711, restarts: 0, exit: null, description, problem: null };
}

function settle(service) {
  if (service.state === "stopping") Object.assign(service, { state: "stopped", pid: null, exit: "status 0" });
  if (service.state === "starting") Object.assign(service, { state: "running", pid: 4800 });
}

const OUT_OF_SYNC = (since) => ({
  kind: "out_of_sync",
  text: "the node is 110 slots behind",
  runbook: "Look at the node's log and peers, and whether the execution client is in sync.",
  since,
});

export const CLOCK_DRIFT = {
  kind: "clock_drift",
  text: "the host's clock is at least 1800 ms behind",
  runbook: "Check that a time service runs: `timedatectl status`, `chronyc tracking`.",
};

export const SERVICE_DOWN = {
  kind: "service_down",
  name: "execution",
  text: "the service `execution` does not answer",
  runbook: "Look at it on the host: `systemctl status`, `journalctl -u`; then at memory and disk.",
};
