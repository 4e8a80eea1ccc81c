package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// cold measures the time from the start of a function's process to its first request for an
// invocation. The functions alternate, so that a busy moment of the machine hits all of them.
func cold(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cold", flag.ContinueOnError)
	dir := flags.String("dir", ".build/host", "folder of the functions")
	starts := flags.Int("starts", 200, "starts of each function")
	path := flags.String("results", "", "append the figures to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := newResults(*path)
	if err != nil {
		return err
	}
	server, err := newRuntime()
	if err != nil {
		return err
	}
	defer server.http.Close()
	names := []string{"hello", "ingest", "consumer"}
	times := map[string][]time.Duration{}
	for i := range *starts + 1 {
		for _, name := range names {
			took, err := server.start(ctx, filepath.Join(*dir, name))
			if err != nil {
				return err
			}
			if i > 0 { // the first reads the binary from disk
				times[name] = append(times[name], took)
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(times[name])
		return float64(times[name][len(times[name])/2].Microseconds()) / 1000
	}
	for _, name := range names {
		r.add("cold start of "+name, median(name), "ms")
	}
	for _, name := range names[1:] {
		r.add("cold start of "+name+" ÷ hello", median(name)/median("hello"), "×")
	}
	return nil
}

// runtimeAPI is Lambda's Runtime API up to the first request for an invocation.
type runtimeAPI struct {
	address string
	http    *http.Server
	next    chan time.Time
}

func newRuntime() (*runtimeAPI, error) {
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &runtimeAPI{address: l.Addr().String(), next: make(chan time.Time, 1)}
	s.http = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) == "next" {
			s.next <- time.Now()
			<-r.Context().Done() // until the process ends
		}
	})}
	go s.http.Serve(l)
	return s, nil
}

// start starts a function, waits for its first request and kills it.
func (s *runtimeAPI) start(ctx context.Context, binary string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + s.address, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"TOLLGATE_QUEUE_URL=https://sqs.us-east-1.amazonaws.com/000000000000/q", "TOLLGATE_DLQ_URL=https://sqs.us-east-1.amazonaws.com/000000000000/d",
		"TOLLGATE_TABLE=tollgate", "TOLLGATE_WEBHOOK_SECRET_ID=webhook", "TOLLGATE_API_KEY_SECRET_ID=key",
	}
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", binary, err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	select {
	case at := <-s.next:
		return at.Sub(began), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(10 * time.Second):
		return 0, fmt.Errorf("%s made no request in 10 s", binary)
	}
}
