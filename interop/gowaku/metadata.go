package main

import (
	"context"
	"crypto/ecdsa"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/enr"
	"github.com/waku-org/go-waku/waku/v2/protocol/metadata"
)

// newMetadata is the protocol's client on the node's host. The node has one of its own, which asks on each connection
// and shows nobody the answers.
func newMetadata(w *wakuNode, key *ecdsa.PrivateKey, shards []uint16) (*metadata.WakuMetadata, error) {
	local, err := enr.NewLocalnode(key)
	if err != nil {
		return nil, err
	}
	sharding := enr.WithWakuRelaySharding(protocol.RelayShards{ClusterID: w.cluster, ShardIDs: shards})
	if err := enr.Update(w.log, local, sharding); err != nil {
		return nil, err
	}
	client := metadata.NewWakuMetadata(w.cluster, local, w.log)
	client.SetHost(w.Host())
	return client, nil
}

type askPeer struct {
	Peer peer.ID `json:"peer"`
}

type metadataReply struct {
	Cluster *uint32  `json:"cluster,omitempty"`
	Shards  []uint32 `json:"shards"`
}

func (w *wakuNode) askMetadata(ctx context.Context, asks askPeer) (any, error) {
	told, err := w.metadata.Request(ctx, asks.Peer)
	if err != nil {
		return nil, err
	}
	return metadataReply{told.ClusterId, append([]uint32{}, told.Shards...)}, nil
}
