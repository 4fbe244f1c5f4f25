// The line protocol on this process' standard input and output.

import { createInterface } from "node:readline";

// What js-waku and its libraries say must not come between the answers.
console.log = console.info = console.debug = console.error;

const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** How long stopping may take before the process ends without it. */
const STOP_MS = 5_000;

export function tell(value) {
  const line = JSON.stringify(value);
  if (Buffer.byteLength(line) <= MAX_LINE_BYTES) process.stdout.write(`${line}\n`);
  else if (value.id !== undefined) tell({ id: value.id, error: "the answer is longer than a line may be" });
  else console.error("an event is longer than a line may be");
}

/** Answers by `ask` until the input ends; then ends the process. */
export function serve({ ask, stop }) {
  const input = createInterface({ input: process.stdin });
  input.on("line", async (line) => {
    const question = parse(line);
    if (question) tell(await ask(question));
  });
  input.on("close", async () => {
    const late = setTimeout(() => process.exit(1), STOP_MS);
    await stop();
    clearTimeout(late);
    process.stdout.write("", () => process.exit(0));
  });
  // Nobody reads any more.
  process.stdout.on("error", () => process.exit(1));
}

function parse(line) {
  try {
    const question = JSON.parse(line);
    if (typeof question?.op === "string") return question;
  } catch {
    // Said below.
  }
  console.error(`not a question: ${line.slice(0, 200)}`);
  return undefined;
}
