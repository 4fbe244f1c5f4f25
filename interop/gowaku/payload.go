package main

import (
	"fmt"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/waku-org/go-waku/waku/v2/payload"
	"github.com/waku-org/go-waku/waku/v2/protocol/pb"
)

type sealAsks struct {
	Key     []byte `json:"key"`
	Sign    []byte `json:"sign"`
	Payload []byte `json:"payload"`
}

type payloadReply struct {
	Payload []byte `json:"payload"`
	Signer  []byte `json:"signer,omitempty"`
}

func sealPayload(asks sealAsks) (any, error) {
	key := &payload.KeyInfo{Kind: payload.Symmetric, SymKey: asks.Key}
	if len(asks.Key) == 65 {
		recipient, err := crypto.UnmarshalPubkey(asks.Key)
		if err != nil {
			return nil, err
		}
		key = &payload.KeyInfo{Kind: payload.Asymmetric, PubKey: *recipient}
	}
	if asks.Sign != nil {
		signer, err := crypto.ToECDSA(asks.Sign)
		if err != nil {
			return nil, err
		}
		key.PrivKey = signer
	}
	sealed, err := payload.Payload{Data: asks.Payload, Key: key}.Encode(payload.V1Encryption)
	if err != nil {
		return nil, err
	}
	return payloadReply{Payload: sealed}, nil
}

type openAsks struct {
	Key     []byte `json:"key"`
	Kind    string `json:"kind"`
	Payload []byte `json:"payload"`
}

func openPayload(asks openAsks) (any, error) {
	var key payload.KeyInfo
	switch asks.Kind {
	case "symmetric":
		key = payload.KeyInfo{Kind: payload.Symmetric, SymKey: asks.Key}
	case "asymmetric":
		secret, err := crypto.ToECDSA(asks.Key)
		if err != nil {
			return nil, err
		}
		key = payload.KeyInfo{Kind: payload.Asymmetric, PrivKey: secret}
	default:
		return nil, fmt.Errorf("no kind of key: %q", asks.Kind)
	}
	version := uint32(payload.V1Encryption)
	opened, err := payload.DecodePayload(&pb.WakuMessage{Payload: asks.Payload, Version: &version}, &key)
	if err != nil {
		return nil, err
	}
	reply := payloadReply{Payload: bytes(opened.Data)}
	if opened.PubKey != nil {
		reply.Signer = crypto.FromECDSAPub(opened.PubKey)
	}
	return reply, nil
}
