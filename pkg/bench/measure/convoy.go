package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"tollgate/pkg/bench"
	"tollgate/pkg/local"
)

// compare sends the same load to a Convoy that runs, whose source takes it at an address and
// whose endpoint is this program's sink. Without an address it does nothing.
func (m *measurement) compare(ctx context.Context) error {
	if m.convoy == "" {
		return nil
	}
	listener, err := net.Listen("tcp", m.sink)
	if err != nil {
		return fmt.Errorf("listen for Convoy: %w", err)
	}
	var delivered, lastAt atomic.Int64
	sink := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		delivered.Add(1)
		lastAt.Store(time.Now().UnixNano())
	})}
	go sink.Serve(listener)
	defer sink.Close()
	fmt.Println("Convoy delivers to", listener.Addr())
	began := time.Now()
	l, took, err := m.closedLoop(ctx, &process{Info: local.Info{URL: m.convoy, Secret: bench.Secret}}, bench.Ignored)
	if err != nil {
		return fmt.Errorf("convoy: %w", err)
	}
	for idle := began.Add(took); delivered.Load() < int64(l.accepted) && time.Since(idle) < quiet && ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
		if at := time.Unix(0, lastAt.Load()); at.After(idle) {
			idle = at
		}
	}
	m.add("Convoy: accepted", float64(l.accepted)/took.Seconds(), "/s")
	m.add("Convoy: delivered", float64(delivered.Load())/time.Unix(0, lastAt.Load()).Sub(began).Seconds(), "/s")
	return nil
}
