import { proto_peer_exchange } from "@waku/proto";
import { PeerExchangeDiscovery } from "@waku/discovery";
import { toString } from "uint8arrays/to-string";

import { Exchange } from "../exchange.mjs";
import { Node } from "../node.mjs";
import { Unsupported } from "../unsupported.mjs";

/** Of `start`, what only a server can do. */
const SERVICES = ["filter", "lightpush", "peer_exchange", "discv5"];

export const network = {
  async start(driver, { cluster, shards = [], shards_in_cluster, relay, key, peers = [], ...serve }) {
    const service = SERVICES.find((name) => serve[name]);
    if (service) throw new Unsupported(`js-waku does not serve ${service}`);
    const config = { clusterId: cluster, ...(shards_in_cluster && { numShardsInCluster: shards_in_cluster }) };
    await driver.begin(Node.start({ network: config, shards, relay, key }, driver.tell));
    for (const peer of peers) await driver.node.connect(peer);
    return { implementation: driver.implementation, peer_id: driver.node.libp2p.peerId.toString(), addresses: [] };
  },

  async connect({ node }, { address }) {
    await node.connect(address);
    return {};
  },

  async peers({ node }) {
    return { peers: node.libp2p.getPeers().map(String) };
  },

  async metadata({ node }, { peer }) {
    const { shardInfo, error } = await node.libp2p.services.metadata.query(node.connected(peer));
    if (error) throw new Error(error);
    return { cluster: shardInfo.clusterId, shards: shardInfo.shards };
  },

  async peer_exchange({ node }, { peer, count }) {
    const exchange = new Exchange(node.libp2p);
    // Nothing but the discovery service, which asks for as many peers as it likes, is exported.
    const { peerExchange } = new PeerExchangeDiscovery(exchange.components);
    const { error } = await peerExchange.query({ numPeers: count, peerId: node.connected(peer) });
    if (error) throw new Error(error);
    // js-waku has read and checked the records by now; but its encoder loses sequence numbers above 255.
    const { response } = proto_peer_exchange.PeerExchangeRPC.decode(exchange.response);
    return { records: response.peerInfos.map(({ enr }) => `enr:${toString(enr, "base64url")}`) };
  },
};
