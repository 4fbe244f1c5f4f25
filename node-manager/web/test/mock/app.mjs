// `node-manager app run --web` as far as the page can tell, with hosts that do not exist.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const DIST = join(import.meta.dirname, "../../dist");
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:";
const TYPES = { "index.html": "text/html; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8" };
const DIGITS = "570605";

/** Looks like a QR code, and is none. */
function pretendedQr() {
  const size = 29;
  const isFinder = (x, y) => {
    const ring = Math.max(Math.abs(x - 3), Math.abs(y - 3));
    return ring !== 2 && ring <= 3;
  };
  const module = (x, y) => {
    const corners = [[x, y], [size - 1 - x, y], [x, size - 1 - y]];
    const corner = corners.find(([x, y]) => x < 8 && y < 8);
    return corner === undefined ? (x * 7 + y * 13 + ((x * y) % 5) * 3) % 11 < 5 : isFinder(...corner);
  };
  return Array.from({ length: size }, (_, y) => Array.from({ length: size }, (_, x) => (module(x, y) ? "1" : "0")).join(""));
}

export class MockApp {
  #server;
  #sockets = new Set();
  #listeners = new Set();
  #port = 0;

  constructor({ hosts = [], newHost = () => null, token = "5f2c9e0a7b" } = {}) {
    this.hosts = hosts;
    this.newHost = newHost;
    this.names = new Map();
    this.token = token;
    this.pairing = null;
    this.codes = 0;
    /** Requests that came, as `METHOD target`, for tests to look at. */
    this.requests = [];
    /** Static nodes, as the state tells them. */
    this.staticNodes = [{ address: "/ip4/127.0.0.1/tcp/60001/p2p/16Uiu2HAmExample", connected: true, problem: null }];
  }

  async start(port = this.#port) {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error) => {
        console.error(error);
        response.destroy();
      });
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    await new Promise((resolve, reject) => this.#server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.#port}/${this.token}/`;
    return this;
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** A notice to every page. */
  notice(notice) {
    for (const listener of this.#listeners) listener("notice", notice);
  }

  /** A host types the code in and gets as far as the digits, which are returned. */
  async hostTypes(code, { name = "beacon-01" } = {}) {
    if (this.pairing === null || code !== this.pairing.code) throw new Error("nobody waits on this code");
    const peer = { pairing: `c0ffee012345678${this.codes % 10}`, name, fingerprint: "k3v9-2mtx-77qd-hz4p", again: false, namesake: null };
    this.notice({ event: "hello_app_received" });
    this.pairing.step = "found";
    this.notice({ event: "hello_node_manager_sent" });
    this.notice({ event: "something_newer_than_the_page", of: [1, 2] });
    this.notice({ event: "keyed" });
    Object.assign(this.pairing, { step: "digits", peer });
    this.notice({ event: "ask_digits", peer });
    return DIGITS;
  }

  sessionDown(host) {
    host.up = false;
    host.lastSeen = Math.floor(Date.now() / 1000);
    this.notice({ event: "session_down", pairing: host.pairing });
  }

  sessionUp(host) {
    host.up = true;
    this.notice({ event: "session_up", pairing: host.pairing, session: "5e55" });
  }

  #state() {
    return {
      version: "0.1.0",
      label: "laptop",
      network: { connected: this.staticNodes.filter((node) => node.connected).length, static_nodes: this.staticNodes },
      pairing: this.pairing,
      hosts: this.hosts.map((host) => this.#host(host)),
    };
  }

  #host(host) {
    return {
      pairing: host.pairing,
      name: this.names.get(host.pairing) ?? host.name,
      label: host.name,
      fingerprint: "k3v9-2mtx-77qd-hz4p",
      stage: "confirmed",
      compared: true,
      digits: DIGITS,
      paired_at: 1_760_000_000,
      last_seen: host.lastSeen ?? Math.floor(Date.now() / 1000) - (host.up ? 2 : 3 * 3600),
      session: host.up ? { id: "5e55", silent_for_ms: 2000, round_trip_ms: 184.2 } : null,
      endpoint: `http://127.0.0.1:${17_001 + this.hosts.indexOf(host)}`,
    };
  }

  async #handle(request, response) {
    const [, token, ...rest] = request.url.split("/");
    const path = rest.join("/");
    response.setHeader("content-security-policy", CSP);
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    if (token !== this.token) return reply(response, 404, { message: "nothing here", hint: null });
    if (!path.startsWith("api/")) return file(response, path === "" ? "index.html" : path);
    this.requests.push(`${request.method} ${path}`);
    if (request.method !== "GET" && request.headers["x-node-manager"] !== "1") {
      return reply(response, 403, { message: "this did not come from the page", hint: null });
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    const json = body === "" ? null : JSON.parse(body);
    const through = /^api\/hosts\/([0-9a-f]+)\/http\/(.+)$/.exec(path);
    if (through !== null) return this.#through(request.method, through[1], through[2], response);
    return this.#own(request.method, path, json, response);
  }

  #own(method, path, json, response) {
    const [, pairing, rename] = /^api\/hosts\/([0-9a-f]+)(\/name)?$/.exec(path) ?? [];
    const host = this.hosts.find((host) => host.pairing === pairing);
    switch (`${method} ${path}`) {
      case "GET api/state":
        return reply(response, 200, this.#state());
      case "GET api/events":
        return stream(response, this.#listeners);
      case "POST api/pair": {
        this.codes += 1;
        const code = `4821-9037-5562-1087-331${this.codes % 10}-42`;
        this.pairing = { code, expires_in_s: 600, step: "waiting", peer: null };
        return reply(response, 200, { code, expires_in_s: 600, qr: pretendedQr() });
      }
      case "DELETE api/pair":
        this.pairing = null;
        this.notice({ event: "pairing_failed", pairing: null, failure: { kind: "rejected", message: "this side cancelled the pairing", hint: "make a fresh code in the app and start over" } });
        return reply(response, 204);
      case "POST api/digits":
        return this.#digits(json, response);
    }
    if (host === undefined) return reply(response, 404, { message: "no such host", hint: null });
    if (method === "POST" && rename !== undefined) {
      if (json.name === null) this.names.delete(pairing);
      else this.names.set(pairing, json.name);
      return reply(response, 200, this.#host(host));
    }
    if (method === "DELETE" && rename === undefined) {
      this.hosts = this.hosts.filter((known) => known !== host);
      this.notice({ event: "unpaired", peer: { pairing, name: host.name, fingerprint: "k3v9" }, by_peer: false });
      return reply(response, 204);
    }
    return reply(response, 405, { message: "this cannot be done", hint: null });
  }

  #digits({ pairing, digits }, response) {
    const peer = this.pairing?.peer;
    if (peer?.pairing !== pairing) return reply(response, 409, { message: "nobody waits for digits", hint: null });
    this.pairing = null;
    if (digits !== DIGITS) {
      const failure = { message: "the six digits differ; nothing was paired", hint: "if they were typed as shown, somebody sits between the two machines; otherwise make a fresh code" };
      this.notice({ event: "pairing_failed", pairing, failure });
      return reply(response, 403, failure);
    }
    const host = this.newHost(peer);
    this.hosts.push(host);
    this.notice({ event: "confirmed", peer, compared: true });
    this.notice({ event: "acknowledged", pairing });
    this.sessionUp(host);
    return reply(response, 204);
  }

  #through(method, pairing, target, response) {
    const host = this.hosts.find((host) => host.pairing === pairing);
    if (host === undefined || !host.up) {
      response.setHeader("x-node-manager-reason", "no-session");
      return reply(response, 502, { message: "there is no session with this host", hint: "wait until it is connected" });
    }
    if (target === "node-manager/v1/events") return stream(response, host.listeners);
    const [status, json, reason] = host.answer(method, target);
    if (reason !== undefined) response.setHeader("x-node-manager-reason", reason);
    return reply(response, status, json);
  }
}

async function file(response, name) {
  if (!Object.hasOwn(TYPES, name)) return reply(response, 404, { message: "nothing here", hint: null });
  response.writeHead(200, { "content-type": TYPES[name] });
  response.end(await readFile(join(DIST, name)));
}

function reply(response, status, json) {
  response.writeHead(status, json === undefined ? {} : { "content-type": "application/json" });
  response.end(json === undefined ? undefined : JSON.stringify(json));
}

function stream(response, listeners) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": hello\n\n");
  const listener = (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  listeners.add(listener);
  response.on("close", () => listeners.delete(listener));
}
