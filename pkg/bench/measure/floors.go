package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/bench"
	"tollgate/pkg/limits"
)

// anyPort is a free port on loopback.
const anyPort = "127.0.0.1:0"

// durable is the least that a receiver does which loses nothing: it verifies a delivery, drops
// an event that it has, appends it to a file and answers once the file is on disk. Deliveries
// that arrive during a sync share the next one.
func durable(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("durable", flag.ContinueOnError)
	path := flags.String("file", "", "append events to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	defer f.Close()
	return serve(ctx, &journal{file: f, seen: map[string]bool{}, synced: make(chan struct{})})
}

type journal struct {
	file *os.File

	mu      sync.Mutex
	seen    map[string]bool
	pending bytes.Buffer
	synced  chan struct{} // closed once what is pending is on disk
	waiting bool          // a delivery waits for synced
	syncing bool
	err     error
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limits.MaxBody))
	if err != nil || webhook.ValidatePayload(body, r.Header.Get("Stripe-Signature"), bench.Secret) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var e struct{ ID string }
	if json.Unmarshal(body, &e) != nil || e.ID == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := j.append(e.ID, body); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, `{"received":true}`)
}

func (j *journal) append(id string, body []byte) error {
	j.mu.Lock()
	if !j.seen[id] {
		j.seen[id] = true
		j.pending.Write(binary.AppendUvarint(nil, uint64(len(body))))
		j.pending.Write(body)
	}
	synced := j.synced // a copy waits too: the first may not be on disk yet
	j.waiting = true
	if !j.syncing {
		j.syncing = true
		go j.sync()
	}
	j.mu.Unlock()
	<-synced
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// sync writes until no delivery waits. After an error nothing is accepted any more.
func (j *journal) sync() {
	for {
		j.mu.Lock()
		data, synced := bytes.Clone(j.pending.Bytes()), j.synced
		j.pending.Reset()
		j.synced, j.waiting = make(chan struct{}), false
		j.mu.Unlock()
		_, err := j.file.Write(data)
		err = errors.Join(err, j.file.Sync())
		j.mu.Lock()
		j.err = errors.Join(j.err, err)
		close(synced)
		j.syncing = j.waiting
		more := j.syncing
		j.mu.Unlock()
		if !more {
			return
		}
	}
}

// serve prints the address as tollgate dev --json does, and serves until an interrupt.
func serve(ctx context.Context, handler http.Handler) error {
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Printf(`{"url":"http://%s/","secret":%q}`+"\n", l.Addr(), bench.Secret)
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
