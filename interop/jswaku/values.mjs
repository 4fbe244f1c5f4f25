// The protocol's values as JSON and as js-waku has them.

import { fromString } from "uint8arrays/from-string";
import { toString } from "uint8arrays/to-string";

export const fromBase64 = (text) => fromString(text, "base64pad");
export const toBase64 = (bytes) => toString(bytes, "base64pad");
export const fromHex = (text) => fromString(text, "base16");
export const toHex = (bytes) => toString(bytes, "base16");

const maybe = (value, convert) => (value === undefined ? undefined : convert(value));

/** A message of a question, as js-waku's protobuf codec takes it. */
export function toProto({ payload, content_topic, version, timestamp, meta, ephemeral }) {
  return {
    payload: fromBase64(payload ?? ""),
    contentTopic: content_topic ?? "",
    version,
    timestamp: maybe(timestamp, BigInt),
    meta: maybe(meta, fromBase64),
    rateLimitProof: undefined,
    ephemeral,
  };
}

/** A decoded message, as answers and events carry it. */
export function fromProto({ payload, contentTopic, version, timestamp, meta, ephemeral }) {
  return {
    payload: toBase64(payload),
    content_topic: contentTopic,
    version,
    timestamp: maybe(timestamp, String),
    meta: maybe(meta, toBase64),
    ephemeral,
  };
}
