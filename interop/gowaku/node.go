package main

import (
	"context"
	"crypto/ecdsa"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"
	"github.com/waku-org/go-waku/waku/v2/node"
	"github.com/waku-org/go-waku/waku/v2/peermanager"
	"github.com/waku-org/go-waku/waku/v2/protocol"
	"github.com/waku-org/go-waku/waku/v2/protocol/filter"
	"github.com/waku-org/go-waku/waku/v2/protocol/lightpush"
	"github.com/waku-org/go-waku/waku/v2/protocol/metadata"
	"github.com/waku-org/go-waku/waku/v2/utils"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"
)

// plenty is the rate limit of the services, in requests a second and peer. go-waku's own limit is one.
const plenty = 1000

type startAsks struct {
	Cluster         uint16   `json:"cluster"`
	Shards          []uint16 `json:"shards"`
	ShardsInCluster int      `json:"shards_in_cluster"`
	Relay           bool     `json:"relay"`
	Filter          bool     `json:"filter"`
	Lightpush       bool     `json:"lightpush"`
	FilterTimeoutMs int64    `json:"filter_timeout_ms"`
	Port            int      `json:"port"`
	Key             string   `json:"key"`
	Peers           []string `json:"peers"`
	PeerExchange    []string `json:"peer_exchange"`
	Discv5          []string `json:"discv5"`
}

type startReply struct {
	Implementation string   `json:"implementation"`
	PeerID         peer.ID  `json:"peer_id"`
	Addresses      []string `json:"addresses"`
	ENR            string   `json:"enr"`
}

// wakuNode is go-waku's node and what it needs beside itself to be asked all the page's questions.
type wakuNode struct {
	*node.WakuNode
	lines           *lines
	log             *zap.Logger
	cluster         uint16
	shardsInCluster int
	metadata        *metadata.WakuMetadata
}

func startNode(asks startAsks, lines *lines) (*wakuNode, error) {
	key, err := nodeKey(asks.Key)
	if err != nil {
		return nil, err
	}
	// The library fills its map of loggers when it needs one, from several goroutines and without a lock.
	for _, name := range []string{"relay", "filter", "lightpush"} {
		utils.MessagesLogger(name)
	}
	log := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig()),
		zapcore.Lock(os.Stderr), zapcore.InfoLevel))
	chosen := options(asks, key, log)
	if asks.Discv5 != nil {
		discovery, err := discoveryOption(asks.Discv5)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, discovery)
	}
	started, err := node.New(chosen...)
	if err != nil {
		return nil, err
	}
	if err := started.Start(context.Background()); err != nil {
		return nil, err
	}
	if asks.Discv5 != nil {
		if err := started.DiscV5().Start(context.Background()); err != nil {
			return nil, err
		}
	}
	w := &wakuNode{WakuNode: started, lines: lines, log: log, cluster: asks.Cluster, shardsInCluster: asks.ShardsInCluster}
	if w.metadata, err = newMetadata(w, key, asks.Shards); err != nil {
		return nil, err
	}
	if asks.PeerExchange != nil {
		if err := w.serveExchange(asks.PeerExchange); err != nil {
			return nil, err
		}
	}
	if asks.Relay {
		for _, shard := range asks.Shards {
			if err := w.join(protocol.NewStaticShardingPubsubTopic(asks.Cluster, shard).String()); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

func options(asks startAsks, key *ecdsa.PrivateKey, log *zap.Logger) []node.WakuNodeOption {
	// The peer manager stands still at the first change of a topic's health if nobody takes what it says of it.
	health := make(chan peermanager.TopicHealthStatus)
	go func() {
		for range health {
		}
	}()
	options := []node.WakuNodeOption{
		node.WithLogger(log),
		node.WithPrivateKey(key),
		node.WithHostAddress(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: asks.Port}),
		node.WithClusterID(asks.Cluster),
		node.WithShards(asks.Shards),
		// All peers of a test have the same address.
		node.WithMaxConnectionsPerIP(0),
		node.WithTopicHealthStatusChannel(health),
		node.WithWakuFilterLightNode(),
	}
	if asks.Relay {
		// One peer at least, as go-waku's command has it: with the library's none a message to nobody is a success.
		options = append(options, node.WithWakuRelayAndMinPeers(1))
	}
	if asks.Filter {
		serve := []filter.Option{filter.WithFullNodeRateLimiter(rate.Limit(plenty), plenty)}
		if asks.FilterTimeoutMs != 0 {
			serve = append(serve, filter.WithTimeout(time.Duration(asks.FilterTimeoutMs)*time.Millisecond))
		}
		options = append(options, node.WithWakuFilterFullNode(serve...))
	}
	if asks.Lightpush {
		options = append(options, node.WithLightPush(lightpush.WithRateLimiter(rate.Limit(plenty), plenty)))
	}
	return options
}

// discoveryOption has the node take part in discovery, on a UDP port that is free now.
func discoveryOption(records []string) (node.WakuNodeOption, error) {
	known := []*enode.Node{}
	for _, record := range records {
		parsed, err := enode.Parse(enode.ValidSchemes, record)
		if err != nil {
			return nil, err
		}
		known = append(known, parsed)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	return node.WithDiscoveryV5(uint(socket.LocalAddr().(*net.UDPAddr).Port), known, false), nil
}

func nodeKey(hex string) (*ecdsa.PrivateKey, error) {
	if hex == "" {
		return crypto.GenerateKey()
	}
	return crypto.HexToECDSA(hex)
}

// introduce connects to the peers asked for, and says who the node is.
func (w *wakuNode) introduce(ctx context.Context, asks startAsks) (any, error) {
	for _, address := range asks.Peers {
		if _, err := w.connect(ctx, connectAsks{address}); err != nil {
			return nil, err
		}
	}
	reply := startReply{Implementation: version(), PeerID: w.Host().ID(), ENR: w.ENR().String()}
	for _, address := range w.ListenAddresses() {
		reply.Addresses = append(reply.Addresses, address.String())
	}
	return reply, nil
}

// version is go-waku's name and version, as this program was built with it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/waku-org/go-waku" {
				return "go-waku " + strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "go-waku"
}

type connectAsks struct {
	Address string `json:"address"`
}

func (w *wakuNode) connect(ctx context.Context, asks connectAsks) (any, error) {
	address, err := multiaddr.NewMultiaddr(asks.Address)
	if err != nil {
		return nil, err
	}
	info, err := peer.AddrInfoFromP2pAddr(address)
	if err != nil {
		return nil, err
	}
	// A peer that was away is dialled now, not when libp2p thinks that its time has come.
	if network, ok := w.Host().Network().(*swarm.Swarm); ok {
		network.Backoff().Clear(info.ID)
	}
	return done{}, w.DialPeerWithInfo(ctx, *info)
}

type peersReply struct {
	Peers []peer.ID `json:"peers"`
}

func (w *wakuNode) peers(context.Context, done) (any, error) {
	return peersOf(w.Host().Network().Peers()), nil
}

func peersOf(ids []peer.ID) peersReply {
	return peersReply{append([]peer.ID{}, ids...)}
}
