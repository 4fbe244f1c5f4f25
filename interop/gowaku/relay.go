package main

import (
	"context"
	"errors"

	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/relay"
)

type topicAsks struct {
	PubsubTopic string `json:"pubsub_topic"`
}

var errRelayOff = errors.New("relay is off")

func (w *wakuNode) relayOff() bool {
	return w.Relay().PubSub() == nil
}

// join relays a topic without telling the runner of it.
func (w *wakuNode) join(topic string) error {
	_, err := w.Relay().Subscribe(context.Background(), protocol.NewContentFilter(topic), relay.WithoutConsumer())
	return err
}

func (w *wakuNode) relaySubscribe(ctx context.Context, asks topicAsks) (any, error) {
	if w.relayOff() {
		return nil, errRelayOff
	}
	if _, err := w.Relay().GetSubscriptionWithPubsubTopic(asks.PubsubTopic, ""); err == nil {
		return done{}, nil
	}
	subscriptions, err := w.Relay().Subscribe(ctx, protocol.NewContentFilter(asks.PubsubTopic))
	if err != nil {
		return nil, err
	}
	for _, subscription := range subscriptions {
		go w.tell("relay", subscription.Ch)
	}
	return done{}, nil
}

// tell tells the runner of all that comes, until there is no more.
func (w *wakuNode) tell(via string, messages <-chan *protocol.Envelope) {
	for envelope := range messages {
		if err := w.lines.tell(via, envelope); err != nil {
			w.log.Error("a message was not told: " + err.Error())
		}
	}
}

func (w *wakuNode) relayUnsubscribe(ctx context.Context, asks topicAsks) (any, error) {
	if w.relayOff() {
		return nil, errRelayOff
	}
	return done{}, w.Relay().Unsubscribe(ctx, protocol.NewContentFilter(asks.PubsubTopic))
}

func (w *wakuNode) relayPeers(_ context.Context, asks topicAsks) (any, error) {
	if w.relayOff() {
		return nil, errRelayOff
	}
	return peersOf(w.Relay().PubSub().ListPeers(asks.PubsubTopic)), nil
}

type messageAsks struct {
	PubsubTopic string  `json:"pubsub_topic"`
	Message     message `json:"message"`
}

type hashReply struct {
	Hash hash `json:"hash"`
}

func (w *wakuNode) relayPublish(ctx context.Context, asks messageAsks) (any, error) {
	if w.relayOff() {
		return nil, errRelayOff
	}
	published, err := w.Relay().Publish(ctx, asks.Message.toWaku(), relay.WithPubSubTopic(asks.PubsubTopic))
	if err != nil {
		return nil, err
	}
	return hashReply{hash(published)}, nil
}
