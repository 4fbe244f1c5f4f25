package main

import (
	"encoding/hex"
	"fmt"

	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/pb"
)

// message is a WakuMessage in JSON. What is nil the message does not carry.
type message struct {
	Payload      []byte  `json:"payload"`
	ContentTopic string  `json:"content_topic"`
	Version      *uint32 `json:"version,omitempty"`
	Timestamp    *int64  `json:"timestamp,string,omitempty"`
	Meta         *[]byte `json:"meta,omitempty"`
	Ephemeral    *bool   `json:"ephemeral,omitempty"`
}

func (m message) toWaku() *pb.WakuMessage {
	waku := &pb.WakuMessage{
		Payload:      m.Payload,
		ContentTopic: m.ContentTopic,
		Version:      m.Version,
		Timestamp:    m.Timestamp,
		Ephemeral:    m.Ephemeral,
	}
	if m.Meta != nil {
		waku.Meta = bytes(*m.Meta)
	}
	return waku
}

func fromWaku(waku *pb.WakuMessage) *message {
	m := &message{
		Payload:      bytes(waku.Payload),
		ContentTopic: waku.ContentTopic,
		Version:      waku.Version,
		Timestamp:    waku.Timestamp,
		Ephemeral:    waku.Ephemeral,
	}
	if waku.Meta != nil {
		m.Meta = &waku.Meta
	}
	return m
}

// bytes are never nil: JSON would show null, and protobuf nothing.
func bytes(b []byte) []byte {
	return append([]byte{}, b...)
}

// messageEvent tells of a message that came.
type messageEvent struct {
	Event       string   `json:"event"`
	Via         string   `json:"via"`
	PubsubTopic string   `json:"pubsub_topic"`
	Message     *message `json:"message"`
}

func (l *lines) tell(via string, envelope *protocol.Envelope) error {
	return l.write(messageEvent{"message", via, envelope.PubsubTopic(), fromWaku(envelope.Message())})
}

// hash is a message's hash in JSON.
type hash pb.MessageHash

func (h hash) MarshalText() ([]byte, error) {
	return []byte(hex.EncodeToString(h[:])), nil
}

func (h *hash) UnmarshalText(text []byte) error {
	decoded, err := hex.DecodeString(string(text))
	if err != nil {
		return err
	}
	if len(decoded) != len(h) {
		return fmt.Errorf("a hash has %d bytes, not %d", len(h), len(decoded))
	}
	copy(h[:], decoded)
	return nil
}
