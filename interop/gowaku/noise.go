package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/waku-org/go-noise"
)

// handshake is one of the runner's, and the session that it becomes.
type handshake struct {
	*noise.Handshake
	// next is the nametag of the next message, unless the runner gives one.
	next    noise.MessageNametag
	session *noise.HandshakeResult
}

type handshakes struct {
	mu sync.Mutex
	of map[uint64]*handshake
}

func newHandshakes() *handshakes {
	return &handshakes{of: map[uint64]*handshake{}}
}

type beginAsks struct {
	Handshake       uint64 `json:"handshake"`
	Pattern         string `json:"pattern"`
	Initiator       bool   `json:"initiator"`
	Static          []byte `json:"static"`
	Ephemeral       []byte `json:"ephemeral"`
	Prologue        []byte `json:"prologue"`
	PSK             []byte `json:"psk"`
	RemoteStatic    []byte `json:"remote_static"`
	RemoteEphemeral []byte `json:"remote_ephemeral"`
	Nametag         []byte `json:"nametag"`
}

type beginReply struct {
	Static    []byte `json:"static"`
	Ephemeral []byte `json:"ephemeral,omitempty"`
}

func (h *handshakes) begin(asks beginAsks) (any, error) {
	static, err := noise.DH25519.GenerateKeyPairFromPrivateKey(asks.Static)
	if err != nil {
		return nil, err
	}
	ephemeral, err := asks.ephemeral()
	if err != nil {
		return nil, err
	}
	begun, err := asks.begin(static, ephemeral)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of[asks.Handshake] = &handshake{Handshake: begun, next: noise.BytesToMessageNametag(asks.Nametag)}
	return beginReply{static.Public, ephemeral.Public}, nil
}

// ephemeral is the key that the handshake has from the beginning. Only the responder of WakuPairing has one, which is
// in its QR code; go-noise draws all others when it writes them.
func (asks beginAsks) ephemeral() (noise.Keypair, error) {
	if asks.Pattern == "WakuPairing" && !asks.Initiator {
		if asks.Ephemeral == nil {
			return noise.DH25519.GenerateKeypair()
		}
		return noise.DH25519.GenerateKeyPairFromPrivateKey(asks.Ephemeral)
	}
	if asks.Ephemeral != nil {
		return noise.Keypair{}, unsupported("go-noise draws this ephemeral key itself")
	}
	return noise.Keypair{}, nil
}

func (asks beginAsks) begin(static, ephemeral noise.Keypair) (*noise.Handshake, error) {
	switch asks.Pattern {
	case "K1K1":
		return noise.NewHandshake_K1K1_25519_ChaChaPoly_SHA256(static, asks.Initiator, asks.RemoteStatic, asks.Prologue)
	case "XK1":
		return noise.NewHandshake_XK1_25519_ChaChaPoly_SHA256(static, asks.Initiator, asks.RemoteStatic, asks.Prologue)
	case "XX":
		return noise.NewHandshake_XX_25519_ChaChaPoly_SHA256(static, asks.Initiator, asks.Prologue)
	case "XXpsk0":
		return noise.NewHandshake_XXpsk0_25519_ChaChaPoly_SHA256(static, asks.Initiator, asks.PSK, asks.Prologue)
	case "WakuPairing":
		return noise.NewHandshake_WakuPairing_25519_ChaChaPoly_SHA256(
			static, ephemeral, asks.Initiator, asks.Prologue, asks.RemoteEphemeral)
	default:
		return nil, unsupported(fmt.Sprintf("go-noise has no pattern %q", asks.Pattern))
	}
}

type noiseAsks struct {
	Handshake uint64 `json:"handshake"`
	Payload   []byte `json:"payload"`
	Message   []byte `json:"message"`
	Nametag   []byte `json:"nametag"`
}

type noiseReply struct {
	Message  *[]byte `json:"message,omitempty"`
	Payload  *[]byte `json:"payload,omitempty"`
	Hash     string  `json:"hash,omitempty"`
	Authcode string  `json:"authcode,omitempty"`
}

// with does something with a handshake, one at a time.
func (h *handshakes) with(number uint64, do func(*handshake) (noiseReply, error)) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, ok := h.of[number]
	if !ok {
		return nil, errors.New("no such handshake")
	}
	return do(known)
}

func (h *handshakes) write(asks noiseAsks) (any, error) {
	return h.with(asks.Handshake, func(h *handshake) (noiseReply, error) {
		step, err := h.step(nil, asks)
		if err != nil {
			return noiseReply{}, err
		}
		message, err := step.PayloadV2.Serialize()
		return noiseReply{Message: &message, Authcode: h.authcode()}, err
	})
}

func (h *handshakes) read(asks noiseAsks) (any, error) {
	return h.with(asks.Handshake, func(h *handshake) (noiseReply, error) {
		message, err := noise.DeserializePayloadV2(asks.Message)
		if err != nil {
			return noiseReply{}, err
		}
		step, err := h.step(message, asks)
		if err != nil {
			return noiseReply{}, err
		}
		payload := bytes(step.TransportMessage)
		return noiseReply{Payload: &payload, Authcode: h.authcode()}, nil
	})
}

// step writes a message, or reads the one given.
func (h *handshake) step(read *noise.PayloadV2, asks noiseAsks) (*noise.HandshakeStepResult, error) {
	nametag := h.next
	if asks.Nametag != nil {
		nametag = noise.BytesToMessageNametag(asks.Nametag)
	}
	step, err := h.Step(read, asks.Payload, nametag)
	if err != nil {
		return nil, err
	}
	h.next, err = h.ToMessageNametag()
	return step, err
}

func (h *handshake) authcode() string {
	code, err := h.Authcode()
	if err != nil {
		return ""
	}
	return code
}

func (h *handshakes) finish(asks noiseAsks) (any, error) {
	return h.with(asks.Handshake, func(h *handshake) (noiseReply, error) {
		session, err := h.FinalizeHandshake()
		if err != nil {
			return noiseReply{}, err
		}
		h.session = session
		return noiseReply{Hash: hex.EncodeToString(h.H()), Authcode: h.authcode()}, nil
	})
}

var errUnfinished = errors.New("the handshake is not finished")

func (h *handshakes) seal(asks noiseAsks) (any, error) {
	return h.with(asks.Handshake, func(h *handshake) (noiseReply, error) {
		if h.session == nil {
			return noiseReply{}, errUnfinished
		}
		sealed, err := h.session.WriteMessage(asks.Payload, nil)
		if err != nil {
			return noiseReply{}, err
		}
		message, err := sealed.Serialize()
		return noiseReply{Message: &message}, err
	})
}

func (h *handshakes) open(asks noiseAsks) (any, error) {
	return h.with(asks.Handshake, func(h *handshake) (noiseReply, error) {
		if h.session == nil {
			return noiseReply{}, errUnfinished
		}
		message, err := noise.DeserializePayloadV2(asks.Message)
		if err != nil {
			return noiseReply{}, err
		}
		payload, err := h.session.ReadMessage(message, nil)
		if err != nil {
			return noiseReply{}, err
		}
		payload = bytes(payload)
		return noiseReply{Payload: &payload}, nil
	})
}
