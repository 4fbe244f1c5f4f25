package main

import (
	"context"
	"reflect"
	"sync"
	"unsafe"

	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/waku-org/go-waku/waku/v2/protocol/peer_exchange"
	"github.com/waku-org/go-waku/waku/v2/service"
	"golang.org/x/time/rate"
)

type exchangeAsks struct {
	Peer  peer.ID `json:"peer"`
	Count int     `json:"count"`
}

type exchangeReply struct {
	Records []string `json:"records"`
}

// collector takes the peers that an answer holds, where go-waku's node has its dialler.
type collector struct {
	taking  sync.WaitGroup
	records []string
}

func (c *collector) Subscribe(ctx context.Context, found <-chan service.PeerData) {
	c.taking.Add(1)
	go func() {
		defer c.taking.Done()
		for {
			select {
			case data, ok := <-found:
				if !ok {
					return
				}
				c.records = append(c.records, data.ENR.String())
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (w *wakuNode) newExchange(found *collector) (*peer_exchange.WakuPeerExchange, error) {
	exchange, err := peer_exchange.NewWakuPeerExchange(nil, w.cluster, found, nil, prometheus.NewRegistry(), w.log,
		peer_exchange.WithRateLimiter(rate.Limit(plenty), plenty))
	if err != nil {
		return nil, err
	}
	exchange.SetHost(w.Host())
	return exchange, nil
}

func (w *wakuNode) exchangePeers(ctx context.Context, asks exchangeAsks) (any, error) {
	found := &collector{records: []string{}}
	exchange, err := w.newExchange(found)
	if err != nil {
		return nil, err
	}
	if err := exchange.Request(ctx, asks.Count, peer_exchange.WithPeer(asks.Peer)); err != nil {
		return nil, err
	}
	// First all of the answer is handed over, then all of it is taken.
	exchange.WaitGroup().Wait()
	found.taking.Wait()
	return exchangeReply{found.records}, nil
}

// serveExchange answers others with the given records.
func (w *wakuNode) serveExchange(records []string) error {
	server, err := w.newExchange(&collector{})
	if err != nil {
		return err
	}
	for _, text := range records {
		record, err := enode.Parse(enode.ValidSchemes, text)
		if err != nil {
			return err
		}
		if err := know(server, record); err != nil {
			return err
		}
	}
	return server.Start(context.Background())
}

// know puts a record into the server's cache. The library fills it from discv5 alone, which listens on all interfaces
// of the machine; these tests stay on loopback, and so go around the package's door.
func know(server *peer_exchange.WakuPeerExchange, record *enode.Node) error {
	field := reflect.ValueOf(server).Elem().FieldByName("enrCache").Elem().FieldByName("data")
	cache := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	err, _ := cache.MethodByName("Add").Call([]reflect.Value{reflect.ValueOf(record)})[0].Interface().(error)
	return err
}
