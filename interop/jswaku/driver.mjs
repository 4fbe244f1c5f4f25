import manifest from "./package.json" with { type: "json" };
import { filter } from "./ops/filter.mjs";
import { lightpush } from "./ops/lightpush.mjs";
import { network } from "./ops/network.mjs";
import { noise } from "./ops/noise.mjs";
import { payload } from "./ops/payload.mjs";
import { relay } from "./ops/relay.mjs";
import { store } from "./ops/store.mjs";
import { values } from "./ops/values.mjs";
import { Unsupported } from "./unsupported.mjs";

const OPERATIONS = new Map(
  [network, relay, filter, lightpush, store, values, payload, noise].flatMap(Object.entries),
);

/** Below the 30 seconds that the protocol allows: js-waku waits for ever where a peer keeps a stream open. */
const PATIENCE_MS = 29_000;

/** Answers questions of the line protocol by js-waku. It is the same in Node.js and in a browser. */
export class Driver {
  #node;
  #started;
  /** Noise handshakes, by their numbers. */
  handshakes = new Map();

  /** `host` is what js-waku runs in, `tell` takes events. */
  constructor(host, tell) {
    this.implementation = `js-waku ${manifest.dependencies["@waku/sdk"]} (${host})`;
    this.tell = tell;
  }

  /** The node; an error before `start`. */
  get node() {
    if (!this.#node) throw new Error("start comes first");
    return this.#node;
  }

  /** Takes the promise of the node. */
  async begin(starting) {
    if (this.#started) throw new Error("start comes once");
    this.#started = starting;
    this.#node = await starting;
  }

  async ask({ id, op, ...question }) {
    const operation = OPERATIONS.get(op);
    if (!operation) return { id, unsupported: `there is no operation ${op}` };
    try {
      return { id, ok: await patiently(operation(this, question)) };
    } catch (error) {
      const why = error?.message ?? String(error);
      return error instanceof Unsupported ? { id, unsupported: why } : { id, error: why };
    }
  }

  async stop() {
    await this.#started?.catch(() => {});
    await this.#node?.stop();
  }
}

async function patiently(answer) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
