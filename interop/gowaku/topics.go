package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/enr"
)

func hashOf(asks messageAsks) (any, error) {
	return hashReply{hash(asks.Message.toWaku().Hash(asks.PubsubTopic))}, nil
}

type shardAsks struct {
	ContentTopic    string `json:"content_topic"`
	Cluster         uint16 `json:"cluster"`
	ShardsInCluster int    `json:"shards_in_cluster"`
}

type topicReply struct {
	PubsubTopic string `json:"pubsub_topic"`
}

func shardOf(asks shardAsks) (any, error) {
	topic, err := protocol.StringToContentTopic(asks.ContentTopic)
	if err != nil {
		return nil, err
	}
	if err := canAutoshard(asks.Cluster); err != nil {
		return nil, err
	}
	if asks.ShardsInCluster < 1 {
		return nil, errors.New("a cluster has one shard at least")
	}
	return topicReply{protocol.GetShardFromContentTopic(topic, asks.ShardsInCluster).String()}, nil
}

func canAutoshard(cluster uint16) error {
	if cluster != protocol.ClusterIndex {
		return unsupported(fmt.Sprintf("go-waku autoshards in cluster %d alone", protocol.ClusterIndex))
	}
	return nil
}

type recordAsks struct {
	Record string `json:"record"`
}

type recordReply struct {
	PeerID    peer.ID  `json:"peer_id"`
	Cluster   *uint16  `json:"cluster,omitempty"`
	Shards    []uint16 `json:"shards"`
	Addresses []string `json:"addresses"`
	Waku2     uint8    `json:"waku2"`
}

func readRecord(asks recordAsks) (any, error) {
	record, err := enode.Parse(enode.ValidSchemes, asks.Record)
	if err != nil {
		return nil, err
	}
	reply := recordReply{Shards: []uint16{}, Addresses: []string{}}
	if reply.Waku2, err = enr.GetWakuEnrBitField(record); err != nil {
		return nil, err
	}
	sharding, err := enr.RelaySharding(record.Record())
	if err != nil {
		return nil, err
	}
	if sharding != nil {
		reply.Cluster, reply.Shards = &sharding.ClusterID, sharding.ShardIDs
		slices.Sort(reply.Shards)
	}
	id, addresses, err := enr.Multiaddress(record)
	if err != nil {
		return nil, err
	}
	reply.PeerID = id
	for _, address := range addresses {
		reply.Addresses = append(reply.Addresses, address.String())
	}
	return reply, nil
}
