package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/lightpush"
)

type lightpushAsks struct {
	Peer        peer.ID `json:"peer"`
	PubsubTopic string  `json:"pubsub_topic"`
	Message     message `json:"message"`
}

// lightpushReply has what version 2 of the protocol has, and of that what the library shows.
type lightpushReply struct {
	Accepted bool   `json:"accepted"`
	Info     string `json:"info,omitempty"`
}

// refused begins the library's error when the message was not accepted; the peer's info follows it. Alone it may also
// mean that there was no answer.
const refused = "lightpush error"

func (w *wakuNode) lightpush(ctx context.Context, asks lightpushAsks) (any, error) {
	options := []lightpush.RequestOption{lightpush.WithPeer(asks.Peer)}
	if asks.PubsubTopic != "" {
		options = append(options, lightpush.WithPubSubTopic(asks.PubsubTopic))
	} else if err := w.canAutoshard(); err != nil {
		return nil, err
	}
	_, err := w.Lightpush().Publish(ctx, asks.Message.toWaku(), options...)
	if err == nil {
		return lightpushReply{Accepted: true}, nil
	}
	if info, found := strings.CutPrefix(err.Error(), refused); found && info != "" {
		return lightpushReply{Info: info}, nil
	}
	return nil, err
}

// canAutoshard is whether the library derives the topic that the network means: it cannot be told of another number of
// shards.
func (w *wakuNode) canAutoshard() error {
	if w.shardsInCluster != protocol.GenerationZeroShardsCount {
		return unsupported(fmt.Sprintf("go-waku autoshards %d shards alone", protocol.GenerationZeroShardsCount))
	}
	return canAutoshard(w.cluster)
}
