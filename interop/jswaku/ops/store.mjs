import { StoreCore } from "@waku/core";
import { proto_store } from "@waku/proto";

import { Exchange } from "../exchange.mjs";
import { Unsupported } from "../unsupported.mjs";
import { fromHex, fromProto, toHex } from "../values.mjs";

const NANOSECONDS_A_MILLISECOND = 1_000_000n;

export const store = {
  async store({ node }, { peer, ...question }) {
    const exchange = new Exchange(node.libp2p);
    const query = queryOf(question);
    const decoders = new Map(query.contentTopics?.map((topic) => [topic, undefined]));
    const pages = new StoreCore(exchange.libp2p).queryPerPage(query, decoders, node.connected(peer));
    try {
      // One page: the generator would go on to the next ones by itself.
      await pages.next();
    } catch (error) {
      if (!exchange.protocol) throw new Unsupported(`js-waku does not ask: ${error.message}`);
      if (!exchange.response) throw error;
      // A status that js-waku throws as an error is read below.
    }
    if (!exchange.response) throw new Error("no response");
    return pageOf(proto_store.StoreQueryResponse.decode(exchange.response));
  },
};

/** js-waku's query. What is left out is what its sdk takes. */
function queryOf({ include_data, pubsub_topic, content_topics, time_start, time_end, hashes, forward, limit, cursor }) {
  return {
    includeData: include_data ?? true,
    pubsubTopic: pubsub_topic,
    contentTopics: content_topics,
    timeStart: dateOf(time_start),
    timeEnd: dateOf(time_end),
    messageHashes: hashes?.map(fromHex),
    paginationForward: forward ?? true,
    paginationLimit: limit,
    paginationCursor: cursor && fromHex(cursor),
  };
}

/** js-waku takes times in milliseconds. */
function dateOf(time) {
  return time && new Date(Number(BigInt(time) / NANOSECONDS_A_MILLISECOND));
}

function pageOf({ statusCode, statusDesc, messages, paginationCursor }) {
  return {
    status: statusCode,
    info: statusDesc,
    messages: messages.map(({ messageHash, pubsubTopic, message }) => ({
      hash: messageHash && toHex(messageHash),
      pubsub_topic: pubsubTopic,
      message: message && fromProto(message),
    })),
    cursor: paginationCursor && toHex(paginationCursor),
  };
}
