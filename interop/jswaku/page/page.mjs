// The page: the driver, and what it did, for people to see.

import { Driver } from "../driver.mjs";
import { fromBase64 } from "../values.mjs";

const PUBLISHES = new Set(["relay_publish", "lightpush"]);
/** Rows a table shows, the newest first. */
const MAX_ROWS = 12;
const MAX_TEXT = 60;

const driver = new Driver(new URLSearchParams(location.search).get("host"), (event) => {
  show("received", event.via, event.pubsub_topic, event.message);
  globalThis.tell(event);
});
set("implementation", driver.implementation);
set("agent", navigator.userAgent);

// What the process around the browser calls.
globalThis.peer = {
  async ask(question) {
    const answer = await driver.ask(question);
    if (answer.ok) await showAnswer(question, answer.ok);
    return answer;
  },
  stop: () => driver.stop(),
};

async function showAnswer({ op, ...question }, reply) {
  if (op === "start") {
    set("peer-id", reply.peer_id);
    set("network", networkOf(question));
  }
  if (PUBLISHES.has(op) && reply.accepted !== false) show("published", op, question.pubsub_topic, question.message);
  for (const { pubsub_topic, message } of (op === "store" && reply.messages) || []) {
    if (message) show("received", op, pubsub_topic, message);
  }
  await showPeers();
}

async function showPeers() {
  const { ok } = await driver.ask({ op: "peers" });
  if (ok) set("peers", ok.peers.join("\n") || "nobody");
}

function networkOf({ cluster, shards = [], shards_in_cluster, relay }) {
  const listed = `shards ${shards.join(", ")}`;
  const sharding = shards_in_cluster ? `${shards_in_cluster} shards, chosen by content topic` : listed;
  return `cluster ${cluster}, ${sharding}, ${relay ? "relay" : "light client"}`;
}

function show(table, via, pubsubTopic, message) {
  const body = document.querySelector(`#${table} tbody`);
  const row = body.insertRow(0);
  if (body.rows.length > MAX_ROWS) body.deleteRow(-1);
  const cells = [new Date().toISOString().slice(11, 23), via, pubsubTopic ?? "by content topic", message.content_topic];
  for (const text of [...cells, readable(message.payload ?? "")]) row.insertCell().textContent = text;
  const count = document.getElementById(`${table}-count`);
  count.textContent = Number(count.textContent) + 1;
}

function readable(payload) {
  const bytes = fromBase64(payload);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.length <= MAX_TEXT && !/\p{Control}/u.test(text)) return text;
  } catch {
    // No text.
  }
  return `${bytes.length} bytes`;
}

function set(id, text) {
  document.getElementById(id).textContent = text;
}
