package main

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/pb"
	"github.com/waku-org/go-waku/waku/v2/protocol/store"
	storepb "github.com/waku-org/go-waku/waku/v2/protocol/store/pb"
)

type storeAsks struct {
	Peer          peer.ID  `json:"peer"`
	IncludeData   *bool    `json:"include_data"`
	PubsubTopic   string   `json:"pubsub_topic"`
	ContentTopics []string `json:"content_topics"`
	TimeStart     *int64   `json:"time_start,string"`
	TimeEnd       *int64   `json:"time_end,string"`
	Hashes        []hash   `json:"hashes"`
	Forward       *bool    `json:"forward"`
	Limit         uint64   `json:"limit"`
	Cursor        string   `json:"cursor"`
}

type storeReply struct {
	Status   int            `json:"status"`
	Info     string         `json:"info,omitempty"`
	Messages []storeMessage `json:"messages"`
	Cursor   string         `json:"cursor,omitempty"`
}

type storeMessage struct {
	Hash        string   `json:"hash"`
	PubsubTopic string   `json:"pubsub_topic,omitempty"`
	Message     *message `json:"message,omitempty"`
}

// PopulateStoreRequest is the library's: criteria write themselves into the request. Both kinds together are for the
// library to refuse.
func (asks storeAsks) PopulateStoreRequest(request *storepb.StoreQueryRequest) {
	if len(asks.Hashes) == 0 || asks.PubsubTopic != "" || len(asks.ContentTopics) != 0 {
		store.FilterCriteria{
			ContentFilter: protocol.NewContentFilter(asks.PubsubTopic, asks.ContentTopics...),
		}.PopulateStoreRequest(request)
	}
	if len(asks.Hashes) != 0 {
		var hashes store.MessageHashCriteria
		for _, hash := range asks.Hashes {
			hashes.MessageHashes = append(hashes.MessageHashes, pb.MessageHash(hash))
		}
		hashes.PopulateStoreRequest(request)
	}
	request.TimeStart, request.TimeEnd = asks.TimeStart, asks.TimeEnd
}

func (asks storeAsks) options() ([]store.RequestOption, error) {
	forward := asks.Forward == nil || *asks.Forward
	options := []store.RequestOption{store.WithPeer(asks.Peer), store.WithPaging(forward, asks.Limit)}
	if asks.IncludeData != nil {
		options = append(options, store.IncludeData(*asks.IncludeData))
	}
	if asks.Cursor != "" {
		cursor, err := hex.DecodeString(asks.Cursor)
		if err != nil {
			return nil, err
		}
		options = append(options, store.WithCursor(cursor))
	}
	return options, nil
}

func (w *wakuNode) queryStore(ctx context.Context, asks storeAsks) (any, error) {
	options, err := asks.options()
	if err != nil {
		return nil, err
	}
	result, err := w.Store().Request(ctx, asks, options...)
	var refusal *store.StoreError
	if errors.As(err, &refusal) {
		return storeReply{Status: refusal.Code, Info: refusal.Message, Messages: []storeMessage{}}, nil
	}
	if err != nil {
		return nil, err
	}
	response := result.Response()
	reply := storeReply{
		Status:   int(response.GetStatusCode()),
		Info:     response.GetStatusDesc(),
		Messages: []storeMessage{},
		Cursor:   hex.EncodeToString(result.Cursor()),
	}
	for _, found := range result.Messages() {
		stored := storeMessage{Hash: hex.EncodeToString(found.MessageHash), PubsubTopic: found.GetPubsubTopic()}
		if found.Message != nil {
			stored.Message = fromWaku(found.Message)
		}
		reply.Messages = append(reply.Messages, stored)
	}
	return reply, nil
}
