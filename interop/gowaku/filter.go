package main

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/filter"
	"github.com/waku-org/go-waku/waku/v2/protocol/subscription"
)

type filterAsks struct {
	Peer          peer.ID  `json:"peer"`
	PubsubTopic   string   `json:"pubsub_topic"`
	ContentTopics []string `json:"content_topics"`
}

func (asks filterAsks) contentFilter() protocol.ContentFilter {
	return protocol.NewContentFilter(asks.PubsubTopic, asks.ContentTopics...)
}

func (w *wakuNode) filterSubscribe(ctx context.Context, asks filterAsks) (any, error) {
	before := w.filtered(asks)
	subscriptions, err := w.FilterLightnode().Subscribe(ctx, asks.contentFilter(), filter.WithPeer(asks.Peer))
	for _, subscription := range subscriptions {
		// Each subscription gets its own copy of a message, also where an older one has the topic already.
		subscription.Remove(before...)
		go w.tell("filter", pushes(subscription))
	}
	return done{}, err
}

// filtered are the content topics of the pubsub topic that the peer pushes already.
func (w *wakuNode) filtered(asks filterAsks) []string {
	var topics []string
	for _, subscription := range w.FilterLightnode().Subscriptions() {
		if subscription.PeerID == asks.Peer && subscription.ContentFilter.PubsubTopic == asks.PubsubTopic {
			subscription.RLock()
			topics = append(topics, subscription.ContentFilter.ContentTopicsList()...)
			subscription.RUnlock()
		}
	}
	return topics
}

// pushes are what comes until the subscription ends. The library gives one up when its peer does not answer pings, and
// waits until somebody has heard that.
func pushes(subscription *subscription.SubscriptionDetails) <-chan *protocol.Envelope {
	messages := make(chan *protocol.Envelope)
	go func() {
		defer close(messages)
		for {
			select {
			case envelope, ok := <-subscription.C:
				if !ok {
					return
				}
				messages <- envelope
			case <-subscription.Closing:
				return
			}
		}
	}()
	return messages
}

func (w *wakuNode) filterPing(ctx context.Context, asks askPeer) (any, error) {
	return done{}, w.FilterLightnode().Ping(ctx, asks.Peer)
}

func (w *wakuNode) filterUnsubscribe(ctx context.Context, asks filterAsks) (any, error) {
	result, err := w.FilterLightnode().Unsubscribe(ctx, asks.contentFilter(), filter.WithPeer(asks.Peer))
	return done{}, failure(result, err)
}

func (w *wakuNode) filterUnsubscribeAll(ctx context.Context, asks askPeer) (any, error) {
	result, err := w.FilterLightnode().UnsubscribeAll(ctx, filter.WithPeer(asks.Peer))
	return done{}, failure(result, err)
}

func failure(result *filter.WakuFilterPushResult, err error) error {
	if err != nil {
		return err
	}
	var failed []error
	for _, outcome := range result.Errors() {
		failed = append(failed, outcome.Err)
	}
	return errors.Join(failed...)
}
