// What needs no node: hashes, shards, records.

import { messageHashStr } from "@waku/core";
import { encodeWaku2, EnrDecoder } from "@waku/enr";
import { contentTopicToPubsubTopic } from "@waku/utils";

import { toProto } from "../values.mjs";

export const values = {
  async hash(_, { pubsub_topic, message }) {
    return { hash: messageHashStr(pubsub_topic, toProto(message)) };
  },

  async shard(_, { content_topic, cluster, shards_in_cluster }) {
    return { pubsub_topic: contentTopicToPubsubTopic(content_topic, cluster, shards_in_cluster) };
  },

  async enr(_, { record }) {
    const enr = await EnrDecoder.fromString(record);
    return {
      peer_id: enr.peerId?.toString(),
      cluster: enr.shardInfo?.clusterId,
      shards: enr.shardInfo?.shards,
      addresses: enr.getAllLocationMultiaddrs().map(String),
      waku2: enr.waku2 && encodeWaku2(enr.waku2),
    };
  },
};
