import { messageHashStr } from "@waku/core";

import { encoderOf } from "../encoder.mjs";
import { Unsupported } from "../unsupported.mjs";
import { toProto } from "../values.mjs";

/** The relay, if it is on the topic. */
function relayOn({ node }, pubsubTopic) {
  if (!node.relay) throw new Unsupported("this node was started without relay");
  if (!node.relay.pubsubTopics.has(pubsubTopic)) {
    throw new Unsupported("js-waku's relay has the topics of its start only");
  }
  return node.relay;
}

export const relay = {
  async relay_subscribe(driver, { pubsub_topic }) {
    relayOn(driver, pubsub_topic).gossipSub.subscribe(pubsub_topic);
    driver.node.relayed.add(pubsub_topic);
    return {};
  },

  async relay_unsubscribe(driver, { pubsub_topic }) {
    relayOn(driver, pubsub_topic).gossipSub.unsubscribe(pubsub_topic);
    driver.node.relayed.delete(pubsub_topic);
    return {};
  },

  async relay_peers(driver, { pubsub_topic }) {
    const { gossipSub } = relayOn(driver, pubsub_topic);
    const known = gossipSub.getSubscribers(pubsub_topic).map(String);
    return { peers: [...new Set([...gossipSub.getMeshPeers(pubsub_topic), ...known])] };
  },

  async relay_publish(driver, { pubsub_topic, message }) {
    const relay = relayOn(driver, pubsub_topic);
    const proto = toProto(message);
    const { failures } = await relay.send(encoderOf(proto, pubsub_topic), proto);
    if (failures.length > 0) throw new Error(failures[0].error);
    return { hash: messageHashStr(pubsub_topic, proto) };
  },
};
