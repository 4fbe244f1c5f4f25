import { LightPushCodecV2, LightPushCore } from "@waku/core";
import { proto_lightpush } from "@waku/proto";

import { encoderOf } from "../encoder.mjs";
import { Exchange } from "../exchange.mjs";
import { Unsupported } from "../unsupported.mjs";
import { toProto } from "../values.mjs";

export const lightpush = {
  async lightpush({ node }, { peer, pubsub_topic, message, version }) {
    const exchange = new Exchange(node.libp2p);
    const core = new LightPushCore(exchange.libp2p);
    const proto = toProto(message);
    // js-waku names the shard always: it knows no other autosharding than its own.
    const encoder = encoderOf(proto, pubsub_topic ?? node.pubsubTopicOf(proto.contentTopic));
    const { failure } = await core.send(encoder, proto, node.connected(peer), version === 2);
    if (exchange.response) return { accepted: !failure, ...read(exchange) };
    if (exchange.protocol) throw new Error(failure.error);
    throw new Unsupported(`js-waku does not ask: ${failure.error}`);
  },
};

function read({ protocol, response }) {
  if (protocol === LightPushCodecV2) return { info: proto_lightpush.PushRpc.decode(response).response?.info };
  const { statusCode, statusDesc, relayPeerCount } = proto_lightpush.LightPushResponseV3.decode(response);
  return { status: statusCode, info: statusDesc, relay_peers: relayPeerCount };
}
