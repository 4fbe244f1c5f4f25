import { FilterCore } from "@waku/core";
import { proto_filter_v2 } from "@waku/proto";

import { Exchange } from "../exchange.mjs";

/** Asks by a core of its own, so that the response can be told from others. */
async function ask({ node }, peer, request) {
  const exchange = new Exchange(node.libp2p);
  const core = new FilterCore(async () => {}, exchange.libp2p);
  const { failure } = await request(core, node.connected(peer));
  if (!failure) return {};
  if (!exchange.response) throw new Error(failure.error);
  const { statusCode, statusDesc } = proto_filter_v2.FilterSubscribeResponse.decode(exchange.response);
  throw new Error(`${statusCode} ${statusDesc ?? ""}`.trimEnd());
}

export const filter = {
  async filter_subscribe(driver, { peer, pubsub_topic, content_topics }) {
    driver.node.filtered.set(peer, pubsub_topic);
    return ask(driver, peer, (core, id) => core.subscribe(pubsub_topic, id, content_topics));
  },

  async filter_ping(driver, { peer }) {
    return ask(driver, peer, (core, id) => core.ping(id));
  },

  async filter_unsubscribe(driver, { peer, pubsub_topic, content_topics }) {
    return ask(driver, peer, (core, id) => core.unsubscribe(pubsub_topic, id, content_topics));
  },

  async filter_unsubscribe_all(driver, { peer }) {
    // js-waku names a topic here too, which means nothing to the protocol.
    const topic = driver.node.filtered.get(peer) ?? "";
    return ask(driver, peer, (core, id) => core.unsubscribeAll(topic, id));
  },
};
