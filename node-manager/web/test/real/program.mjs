// A program under test: it is started, listened to, and ended whatever happens.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

/** How long something may take that takes a second or two on an idle machine, in milliseconds. */
export const PATIENCE = 60_000;
/** Lines of a program that are shown when something went wrong. */
const LAST_LINES = 150;

const all = [];

// Nothing is left behind, even if the test itself is told to end.
process.on("exit", () => all.forEach((program) => program.kill("SIGKILL")));
for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]]) process.once(signal, () => process.exit(status));

export class Program {
  lines = [];
  /** How it ended, in words; `null` while it runs. */
  end = null;
  #child;
  #listeners = new Set();

  constructor(name, file, args) {
    this.name = name;
    // Nothing of the tester's own settings.
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("NODE_MANAGER_")));
    this.#child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.lines.push(line);
        this.#changed();
      });
    }
    const ended = (how) => {
      this.end ??= how;
      this.#changed();
    };
    this.#child.once("error", (error) => ended(`could not be started: ${error.message}`));
    this.#child.once("close", (code, signal) => ended(code === null ? `ended by ${signal}` : `ended with status ${code}`));
    all.push(this);
  }

  #changed() {
    for (const listener of this.#listeners) listener();
  }

  /** Waits for a line that fits, among those that came already, too. */
  line(pattern) {
    return this.#until(`a line like ${pattern}`, () => this.lines.map((line) => pattern.exec(line)).find((found) => found !== null));
  }

  /** Waits until it has ended, and wants it to have ended well. Gives back what it wrote. */
  async done() {
    await this.#until("the end", () => this.end !== null);
    if (this.end !== "ended with status 0") throw new Error(`${this.name}: ${this.end}`);
    return this.lines.join("\n");
  }

  /** Tells it to stop, and waits until it has. */
  async stop() {
    this.kill("SIGTERM");
    return this.done();
  }

  kill(signal) {
    if (this.end === null) this.#child.kill(signal);
  }

  async #until(what, look) {
    const late = new AbortController();
    try {
      return await Promise.race([
        new Promise((resolve, reject) => {
          const listener = () => {
            const found = look();
            if (!found && this.end === null) return;
            this.#listeners.delete(listener);
            if (found) resolve(found);
            else reject(new Error(`${this.name}: ${what} never came; it ${this.end}`));
          };
          this.#listeners.add(listener);
          listener();
        }),
        setTimeout(PATIENCE, null, { signal: late.signal }).then(() => {
          throw new Error(`${this.name}: ${what} did not come in ${PATIENCE / 1000} s`);
        }),
      ]);
    } finally {
      late.abort();
    }
  }
}

/** Ends every program that was started. */
export async function endAll() {
  for (const program of all) program.kill("SIGTERM");
  await Promise.allSettled(all.map((program) => program.done()));
  for (const program of all) program.kill("SIGKILL");
}

/** What the programs have written, for whoever looks for what went wrong. */
export function logs() {
  return all.map(({ name, end, lines }) => `--- ${name} (${end ?? "runs"})\n${lines.slice(-LAST_LINES).join("\n")}\n`).join("\n");
}
