package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// longest is the most bytes that a line may have.
const longest = 4 << 20

// lines writes to the runner, one JSON object a line.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) write(object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	if len(text) > longest {
		return fmt.Errorf("%d bytes do not fit a line", len(text))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.out.Write(append(text, '\n'))
	return err
}

type question struct {
	ID json.RawMessage `json:"id"`
	Op string          `json:"op"`
}

// answer has exactly one of its last three fields.
type answer struct {
	ID          json.RawMessage `json:"id"`
	OK          any             `json:"ok,omitempty"`
	Error       string          `json:"error,omitempty"`
	Unsupported string          `json:"unsupported,omitempty"`
}

// unsupported is the error of an operation that the implementation does not have; it says why.
type unsupported string

func (why unsupported) Error() string { return string(why) }

// done is the reply that says nothing more.
type done struct{}
