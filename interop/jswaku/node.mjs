import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { FilterCore } from "@waku/core";
import { proto_message } from "@waku/proto";
import { wakuGossipSub, wakuRelay } from "@waku/relay";
import { createLibp2pAndUpdateOptions, WakuNode } from "@waku/sdk";
import { createRoutingInfo } from "@waku/utils";

import { fromHex, fromProto } from "./values.mjs";

/** A node of js-waku, with what the protocol's operations keep beside it. */
export class Node {
  #waku;
  #identified = new Set();
  /** Undefined on a light client. */
  relay;
  /** Topics of whose messages we tell: js-waku's relay is on all of its topics from its start. */
  relayed = new Set();
  /** Peer id to the pubsub topic last subscribed to there. */
  filtered = new Map();

  /** `tell` takes events. */
  static async start({ network, shards, relay, key }, tell) {
    const options = {
      networkConfig: network,
      libp2p: {
        ...(key && { privateKey: privateKeyFromRaw(fromHex(key)) }),
        ...(relay && { services: { pubsub: wakuGossipSub() } }),
        // It would go to standard output.
        hideWebSocketInfo: true,
        // Both would let only public secure WebSockets through, and we are on loopback.
        filterMultiaddrs: false,
        connectionGater: { denyDialMultiaddr: () => false },
      },
    };
    const node = new Node();
    node.network = network;
    // What `createLightNode` does, but for the filter: there the sdk chooses the peers.
    const libp2p = await createLibp2pAndUpdateOptions(options);
    node.#waku = new WakuNode(options, libp2p, { store: true, lightpush: true });
    await node.#waku.start();
    libp2p.addEventListener("peer:identify", ({ detail }) => node.#identified.add(detail.connection.id));
    if (relay) node.#startRelay(shards, tell);
    await node.#startFilter(tell);
    return node;
  }

  get libp2p() {
    return this.#waku.libp2p;
  }

  /** Resolves when the peer has told its protocols too: without them js-waku asks it for nothing. */
  async connect(address) {
    const connection = await this.libp2p.dial(multiaddr(address));
    while (!this.#identified.has(connection.id)) {
      if (connection.status !== "open") throw new Error("the peer closed the connection");
      await either(this.libp2p, "peer:identify", "connection:close");
    }
  }

  /** The id, if we are connected to it: a named peer must not be replaced by another, nor be dialled for an answer. */
  connected(peer) {
    const id = peerIdFromString(peer);
    if (this.libp2p.getConnections(id).length === 0) throw new Error(`not connected to ${peer}`);
    return id;
  }

  pubsubTopicOf(contentTopic) {
    return createRoutingInfo(this.network, { contentTopic }).pubsubTopic;
  }

  async stop() {
    await this.filter.stop();
    await this.#waku.stop();
  }

  #startRelay(shards, tell) {
    const { clusterId } = this.network;
    const topics = shards.map((shardId) => createRoutingInfo({ clusterId }, { shardId }).pubsubTopic);
    this.relay = wakuRelay(topics)(this.libp2p);
    this.relay.gossipSub.addEventListener("gossipsub:message", ({ detail: { msg } }) => {
      if (this.relayed.has(msg.topic)) tell(event("relay", msg.topic, proto_message.WakuMessage.decode(msg.data)));
    });
  }

  async #startFilter(tell) {
    const push = async (pubsubTopic, message) => tell(event("filter", pubsubTopic, message));
    this.filter = new FilterCore(push, this.libp2p);
    await this.filter.start();
  }
}

const event = (via, pubsubTopic, message) => ({
  event: "message",
  via,
  pubsub_topic: pubsubTopic,
  message: fromProto(message),
});

function either(target, ...events) {
  const listening = new AbortController();
  return new Promise((resolve) => {
    for (const name of events) target.addEventListener(name, resolve, { signal: listening.signal });
  }).finally(() => listening.abort());
}
