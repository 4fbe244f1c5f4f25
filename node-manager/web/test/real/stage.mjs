// A host with a stand-in for its beacon node, and an app with its page, on the loopback address.

import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Program } from "./program.mjs";

/** What the only service of the host that can be operated says when it starts. */
export const UP = "the validator is up";

export class Stage {
  /** Where the host can be reached, with its port and its identity in the network. */
  #address = null;
  #webPort = 0;

  constructor({ binaries, directory }) {
    this.binaries = binaries;
    this.hostDir = join(directory, "host");
    this.appDir = join(directory, "app");
  }

  /** Starts the stand-in and the host. `history` is a file of figures of the last hours, for a host that has none yet. */
  async open(history) {
    const standIn = new Program("stand-in-beacon", join(this.binaries, "stand-in-beacon"), ["0", "12"]);
    const [, url] = await standIn.line(/^(http:\S+)/);
    await mkdir(this.hostDir, { mode: 0o700 });
    const service = (name, url) => `[[service]]\nname = "${name}"\nurl = "${url}"\n`;
    const config = ["beacon", "metrics"].map((name) => service(name, url)).join("");
    // Nobody is there: the host raises an alert after two minutes.
    const execution = service("execution", `http://127.0.0.1:${await freePort()}`);
    await writeFile(join(this.hostDir, "config.toml"), `profile = "nimbus"\n${config}${execution}`);
    const command = ["/bin/sh", "-c", `echo ${UP}; exec sleep 600`];
    const validator = `name = "validator"\ndescription = "Pretends to validate"\ncommand = ${JSON.stringify(command)}`;
    await writeFile(join(this.hostDir, "services.toml"), `[[service]]\n${validator}\nautostart = true\nstop_seconds = 1\n`);
    if (history !== undefined) await copyFile(history, join(this.hostDir, "history.bin"));
    await this.startHost();
  }

  #manager(name, words, dataDir) {
    return new Program(name, join(this.binaries, "node-manager"), [...words, "--data-dir", dataDir]);
  }

  /** Starts the host, the second time on the port that it had before. */
  async startHost() {
    const port = this.#address === null ? "0" : /\/tcp\/(\d+)/.exec(this.#address)[1];
    const files = ["--config", join(this.hostDir, "config.toml"), "--services", join(this.hostDir, "services.toml")];
    const words = ["run", "--label=beacon-01", "--listen-address=127.0.0.1", `--tcp-port=${port}`, ...files];
    this.host = this.#manager("node-manager run", words, this.hostDir);
    await this.host.line(/ running /);
    const { network } = JSON.parse(await this.onHost("status", "--json"));
    [this.#address] = network.listening;
  }

  /** Starts the app, the second time with the page on the port that it had before. Gives back the page's address. */
  async startApp() {
    const words = ["app", "run", "--label=laptop", `--web=${this.#webPort}`, `--staticnode=${this.#address}`];
    this.app = this.#manager("node-manager app run", words, this.appDir);
    const [, url] = await this.app.line(/^The page: (http:\S+)$/);
    this.#webPort = Number(new URL(url).port);
    return url;
  }

  /** A command on the host, to its end. */
  onHost(...words) {
    return this.#manager(`node-manager ${words[0]}`, words, this.hostDir).done();
  }

  /** Types a code in on the host. Gives back the digits that it shows, and what ends when the host is done. */
  async typeCode(code) {
    const pair = this.#manager("node-manager pair", ["pair", code, "--json"], this.hostDir);
    const [line] = await pair.line(/^.*"show_digits".*$/);
    return { digits: JSON.parse(line).digits, done: pair.done() };
  }
}

/** A port on which nobody listens. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
