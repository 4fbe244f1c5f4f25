// Asking the program on this computer, and through it the hosts.

import { failure, type Failure } from "../wire/app.js";
import type { Read } from "../wire/read.js";

/** A request that did not lead to what was asked for. */
export class Refused extends Error {
  constructor(
    /** The status; 0 when there was no answer. */
    readonly status: number,
    /** Why nothing came from the host, in a word; `null` when the host itself answered. */
    readonly reason: string | null,
    readonly failure: Failure,
  ) {
    super(failure.message);
  }
}

export type Method = "GET" | "POST" | "DELETE";

/** How long an answer may take, in milliseconds: from this computer, and over the network from a host. */
const PATIENCE = { here: 20_000, host: 90_000 };

/** Asks for `path`, relative to the page, and reads the JSON that is answered. */
export async function ask<T>(read: Read<T>, method: Method, path: string, body?: unknown): Promise<T> {
  const answer = await send(method, path, body);
  let json: unknown;
  try {
    json = await answer.json();
    return read(json, "answer");
  } catch (error) {
    throw new Refused(answer.status, null, {
      message: "The answer makes no sense to this page.",
      hint: `The two programs may be of different versions. ${error instanceof Error ? error.message : ""}`.trim(),
    });
  }
}

/** Asks for something whose answer is empty. */
export async function tell(method: Method, path: string, body?: unknown): Promise<void> {
  await send(method, path, body);
}

async function send(method: Method, path: string, body: unknown): Promise<Response> {
  const throughHost = path.includes("/http/");
  const headers: Record<string, string> = {};
  if (method !== "GET") headers["x-node-manager"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(throughHost ? PATIENCE.host : PATIENCE.here),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    throw new Refused(0, null, isLate && throughHost ? TOO_LATE : NOT_HERE);
  }
  if (!answer.ok) throw await refusal(answer, throughHost);
  return answer;
}

export const NOT_HERE: Failure = {
  message: "The node manager on this computer does not answer.",
  hint: "Check that `node-manager app run --web` still runs.",
};

const TOO_LATE: Failure = { message: "The host took too long to answer.", hint: "Try again in a minute." };

async function refusal(answer: Response, throughHost: boolean): Promise<Refused> {
  const reason = answer.headers.get("x-node-manager-reason");
  let told: Failure | null = null;
  try {
    told = failure(await answer.json(), "answer");
  } catch {
    // No words of its own; the status has to do.
  }
  return new Refused(answer.status, reason, explain(answer.status, throughHost && reason === null, told));
}

/** What a status means. `byHost` tells whether the host itself answered. */
export function explain(status: number, byHost: boolean, told: Failure | null): Failure {
  if (byHost && (status === 404 || status === 501)) {
    return { message: "This host does not offer this.", hint: "Its node manager may be older, or not set up for it." };
  }
  if (told !== null) return told;
  if (byHost && status === 403) {
    return { message: "The host does not allow this computer to do that.", hint: "What it allows is set on the host." };
  }
  if (byHost && status === 503) return { message: "The service on the host is not ready.", hint: "Try again in a minute." };
  if (byHost) return { message: `The host answered with an error (status ${status}).`, hint: null };
  return status === 502
    ? { message: "The host could not be reached over the network.", hint: "Try again in a minute." }
    : { message: `The node manager on this computer answered with an error (status ${status}).`, hint: null };
}

/** Whether asking again will not help for a while. */
export function isLasting(refused: Refused): boolean {
  return refused.reason === null && [400, 403, 404, 405, 501].includes(refused.status);
}

/** The path of something at a host. */
export function atHost(pairing: string, target: string): string {
  return `api/hosts/${encodeURIComponent(pairing)}/http/${target}`;
}
