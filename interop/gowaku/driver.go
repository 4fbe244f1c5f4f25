package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// patience is how long an operation may take. The page gives an answer 30 seconds.
const patience = 25 * time.Second

// operation answers one question, whose whole line it gets.
type operation func(ctx context.Context, line []byte) (any, error)

// driver answers the runner's questions.
type driver struct {
	lines      *lines
	operations map[string]operation
	underWay   sync.WaitGroup

	mu   sync.Mutex
	node *wakuNode
}

func newDriver(lines *lines) *driver {
	d := &driver{lines: lines}
	noise := newHandshakes()
	d.operations = map[string]operation{
		"start": d.start,

		"connect":  onNode(d, (*wakuNode).connect),
		"peers":    onNode(d, (*wakuNode).peers),
		"metadata": onNode(d, (*wakuNode).askMetadata),

		"relay_subscribe":   onNode(d, (*wakuNode).relaySubscribe),
		"relay_unsubscribe": onNode(d, (*wakuNode).relayUnsubscribe),
		"relay_peers":       onNode(d, (*wakuNode).relayPeers),
		"relay_publish":     onNode(d, (*wakuNode).relayPublish),

		"filter_subscribe":       onNode(d, (*wakuNode).filterSubscribe),
		"filter_ping":            onNode(d, (*wakuNode).filterPing),
		"filter_unsubscribe":     onNode(d, (*wakuNode).filterUnsubscribe),
		"filter_unsubscribe_all": onNode(d, (*wakuNode).filterUnsubscribeAll),

		"lightpush":     onNode(d, (*wakuNode).lightpush),
		"store":         onNode(d, (*wakuNode).queryStore),
		"peer_exchange": onNode(d, (*wakuNode).exchangePeers),

		"hash":  anytime(hashOf),
		"shard": anytime(shardOf),
		"enr":   anytime(readRecord),

		"payload_seal": anytime(sealPayload),
		"payload_open": anytime(openPayload),

		"noise_begin":  anytime(noise.begin),
		"noise_write":  anytime(noise.write),
		"noise_read":   anytime(noise.read),
		"noise_finish": anytime(noise.finish),
		"noise_seal":   anytime(noise.seal),
		"noise_open":   anytime(noise.open),
	}
	return d
}

// anytime is an operation that needs no node.
func anytime[Asks any](do func(Asks) (any, error)) operation {
	return func(_ context.Context, line []byte) (any, error) {
		var asks Asks
		if err := json.Unmarshal(line, &asks); err != nil {
			return nil, err
		}
		return do(asks)
	}
}

// onNode is an operation of the started node.
func onNode[Asks any](d *driver, do func(*wakuNode, context.Context, Asks) (any, error)) operation {
	return func(ctx context.Context, line []byte) (any, error) {
		d.mu.Lock()
		node := d.node
		d.mu.Unlock()
		if node == nil {
			return nil, errors.New("not started")
		}
		var asks Asks
		if err := json.Unmarshal(line, &asks); err != nil {
			return nil, err
		}
		return do(node, ctx, asks)
	}
}

func (d *driver) start(ctx context.Context, line []byte) (any, error) {
	var asks startAsks
	if err := json.Unmarshal(line, &asks); err != nil {
		return nil, err
	}
	node, err := d.startOnce(asks)
	if err != nil {
		return nil, err
	}
	return node.introduce(ctx, asks)
}

func (d *driver) startOnce(asks startAsks) (*wakuNode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node != nil {
		return nil, errors.New("started already")
	}
	node, err := startNode(asks, d.lines)
	if err != nil {
		return nil, err
	}
	d.node = node
	return node, nil
}

// serve answers until the input ends.
func (d *driver) serve(input io.Reader) error {
	scanner := bufio.NewScanner(input)
	scanner.Buffer(nil, longest+1)
	for scanner.Scan() {
		line := append([]byte(nil), scanner.Bytes()...)
		d.underWay.Add(1)
		go func() {
			defer d.underWay.Done()
			d.answer(line)
		}()
	}
	return scanner.Err()
}

func (d *driver) answer(line []byte) {
	var q question
	if err := json.Unmarshal(line, &q); err != nil || q.ID == nil {
		fmt.Fprintf(os.Stderr, "no question: %.100s\n", line)
		return
	}
	a := answer{ID: q.ID}
	ok, err := d.try(q.Op, line)
	var why unsupported
	switch {
	case errors.As(err, &why):
		a.Unsupported = why.Error()
	case err != nil:
		a.Error = err.Error()
	default:
		a.OK = ok
	}
	if err := d.lines.write(a); err != nil {
		_ = d.lines.write(answer{ID: q.ID, Error: err.Error()})
	}
}

// try does an operation, in bounded time whatever the library does: it panics on some answers of strangers, and loops
// for ever on some records.
func (d *driver) try(op string, line []byte) (any, error) {
	do, known := d.operations[op]
	if !known {
		return nil, unsupported("no such operation")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	type outcome struct {
		ok  any
		err error
	}
	finished := make(chan outcome, 1)
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				finished <- outcome{err: fmt.Errorf("go-waku panicked: %v", cause)}
			}
		}()
		ok, err := do(ctx, line)
		finished <- outcome{ok, err}
	}()
	select {
	case o := <-finished:
		return o.ok, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("nothing within %v", patience)
	}
}

// stop lets what is under way have its answer, and stops the node, but waits for neither for ever.
func (d *driver) stop() {
	within(time.Second, d.underWay.Wait)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node != nil && !within(5*time.Second, d.node.Stop) {
		os.Stderr.WriteString("the node does not stop\n")
	}
}

// within is whether something is done in time.
func within(limit time.Duration, do func()) bool {
	finished := make(chan done)
	go func() {
		defer close(finished)
		do()
	}()
	select {
	case <-finished:
		return true
	case <-time.After(limit):
		return false
	}
}
