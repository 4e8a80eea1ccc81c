package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"tollgate/pkg/config"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/sqsqueue"
)

// sending measures how healthy destinations fare next to a dead one, a slow one and one that answers
// 429: the time from the moment at which a job is due in its queue to its arrival at the receiver.
type sending struct {
	*results
	dir, file   string
	healthy     int
	rate        float64 // messages a second for each destination
	phase, warm time.Duration
	slow        time.Duration
	work        string
}

// Destinations that are not healthy.
const (
	dead    = "refused"
	slow    = "slow"
	limited = "limited"
)

func send(ctx context.Context, args []string) error {
	s := &sending{}
	flags := flag.NewFlagSet("send", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", ".build/host", "folder of tollgate and the functions")
	flags.StringVar(&s.file, "results", "", "append the figures to this file")
	flags.IntVar(&s.healthy, "healthy", 7, "healthy destinations")
	flags.Float64Var(&s.rate, "rate", 200, "messages a second for each destination")
	flags.DurationVar(&s.phase, "for", 60*time.Second, "how long each load runs; the circuit breaker opens after 30s")
	flags.DurationVar(&s.warm, "warm", 5*time.Second, "load before it, which is not counted")
	flags.DurationVar(&s.slow, "slow", 10*time.Second, "time to answer of the slow destination")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if s.results, err = newResults(s.file); err != nil {
		return err
	}
	if s.work, err = os.MkdirTemp("", "tollgate-bench-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(s.work)
	return s.run(ctx)
}

// run finds what the machine sends, then compares the healthy destinations alone and next to others.
func (s *sending) run(ctx context.Context) error {
	most, err := s.most(ctx)
	if err != nil {
		return err
	}
	all := float64(s.healthy + 3)
	// Half of it leaves room for the receivers and the load, which run on the same machine.
	if fits := most / 2 / all; fits < s.rate {
		fmt.Printf("scaled down: this machine sends %.0f a second in all, so each of %.0f destinations gets %.0f messages a second, not %.0f\n", most, all, math.Floor(fits), s.rate)
		s.rate = math.Floor(fits)
	}
	alone, err := s.compared(ctx, "alone", nil)
	if err != nil {
		return err
	}
	others, err := s.compared(ctx, "with others", []string{dead, slow, limited})
	if err != nil {
		return err
	}
	s.add("healthy with dead, slow and 429: p99 more than alone", others-alone, "ms")
	return nil
}

// most measures how many deliveries a second the system makes to healthy destinations.
func (s *sending) most(ctx context.Context) (float64, error) {
	const messages = 300
	l, err := s.start(ctx, "most", messages+1)
	if err != nil {
		return 0, err
	}
	defer l.stop()
	if err := l.enqueue(ctx, l.healthy, 0, 1); err != nil { // starts the processes
		return 0, err
	}
	if err := l.arrived(ctx, 1); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := l.enqueue(ctx, l.healthy, 1, messages); err != nil {
		return 0, err
	}
	if err := l.arrived(ctx, messages+1); err != nil {
		return 0, err
	}
	rate := float64(messages*s.healthy) / time.Since(began).Seconds()
	s.add("healthy alone: sent at most", rate, "/s")
	return rate, nil
}

// compared measures the healthy destinations' latency while others get the same load.
func (s *sending) compared(ctx context.Context, name string, others []string) (p99 float64, err error) {
	warm, counted := int(s.rate*s.warm.Seconds()), int(s.rate*s.phase.Seconds())
	l, err := s.start(ctx, name, warm+counted)
	if err != nil {
		return 0, err
	}
	defer l.stop()
	l.first = warm
	if err := l.load(ctx, append(slices.Clone(l.healthy), others...), s.rate, warm+counted); err != nil {
		return 0, err
	}
	if err := l.arrived(ctx, warm+counted); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range []float64{50, 99} {
		s.add(fmt.Sprintf("healthy %s, %.0f/s each: due to received p%g", name, s.rate, q), float64(l.latency.ValueAtQuantile(q))/1000, "ms")
	}
	s.add(fmt.Sprintf("healthy %s: received more than once", name), float64(l.repeated), "")
	for _, other := range others {
		s.add(other+": requests received", float64(l.requests[other]), "")
	}
	return float64(l.latency.ValueAtQuantile(99)) / 1000, nil
}

// sendLoad is a system with receivers.
type sendLoad struct {
	*process
	healthy []string
	keys    []string // of the stored messages
	jobs    *sqsqueue.Jobs
	servers []*http.Server
	first   int // messages before it are not counted

	mu       sync.Mutex
	due      map[string]time.Time // by webhook-id
	number   map[string]int       // of the message, by webhook-id
	got      map[string]int       // deliveries, by destination and webhook-id
	distinct int                  // received by healthy ones, each once
	repeated int
	requests map[string]int // by destination
	latency  *hdrhistogram.Histogram
}

// start starts receivers and a system that sends to them, and stores messages for it.
func (s *sending) start(ctx context.Context, name string, messages int) (*sendLoad, error) {
	l := &sendLoad{
		due: map[string]time.Time{}, number: map[string]int{}, got: map[string]int{}, requests: map[string]int{}, latency: histogram(),
	}
	all := map[string]any{}
	for i := range s.healthy {
		l.healthy = append(l.healthy, "healthy-"+strconv.Itoa(i))
	}
	for _, to := range append(slices.Clone(l.healthy), dead, slow, limited) {
		url, err := l.receiver(to, s.slow)
		if err != nil {
			return nil, err
		}
		all[to] = map[string]any{
			"type": "http", "url": url, "secret": "bench/" + to, "messages": []string{"*"}, "rate": 1000,
			"insecure_http": true, "allow": []string{"127.0.0.0/8"},
		}
	}
	folder := filepath.Join(s.work, name)
	file := filepath.Join(folder, "destinations.json")
	text, err := json.Marshal(all)
	if err == nil {
		err = errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(file, text, 0o600))
	}
	if err != nil {
		return nil, fmt.Errorf("write destinations: %w", err)
	}
	l.process, err = start(ctx, os.Stderr, filepath.Join(s.dir, "tollgate"), "dev", "--json", "--no-reconcile", "--log-level", "error",
		"--listen", anyPort, "--aws-listen", anyPort, "--data", filepath.Join(folder, "data"), "--destinations", file)
	if err != nil {
		return nil, err
	}
	if err := l.store(ctx, messages); err != nil {
		l.stop()
		return nil, err
	}
	return l, nil
}

// store writes messages that are about no object.
func (l *sendLoad) store(ctx context.Context, messages int) error {
	to, err := config.ParseSending(l.Destinations, l.SendDLQURL, destination.Local)
	if err != nil {
		return err
	}
	rows, err := dynamostore.NewDeliveries(dynamodb.NewFromConfig(l.AWSConfig()), l.Table, dynamostore.Options{})
	if err != nil {
		return err
	}
	l.jobs = sqsqueue.NewJobs(sqs.NewFromConfig(l.AWSConfig()), to.QueueURL)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for n := range messages {
		key := fmt.Sprintf("OUT#BENCH#test#-#%08d#bench", n)
		l.keys = append(l.keys, key)
		l.number[delivery.ID(key)] = n
		group.Go(func() error {
			return rows.PutMessage(ctx, key, dispatch.Fields{"name": "bench", "amount": int64(n), "currency": "eur"}, time.Now())
		})
	}
	return group.Wait()
}

// receiver serves one destination and returns its URL. Nothing listens at the dead one's.
func (l *sendLoad) receiver(name string, delay time.Duration) (string, error) {
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	url := "http://" + listener.Addr().String()
	if name == dead {
		return url, listener.Close()
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.received(name, r.Header.Get("webhook-id"), time.Now())
		switch name {
		case slow:
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
			}
		case limited:
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	go server.Serve(listener)
	l.servers = append(l.servers, server)
	return url, nil
}

func (l *sendLoad) received(name, id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests[name]++
	if !slices.Contains(l.healthy, name) {
		return
	}
	if l.got[name+id]++; l.got[name+id] > 1 {
		l.repeated++
		return
	}
	l.distinct++
	if l.number[id] >= l.first {
		_ = l.latency.RecordValue(max(1, at.Sub(l.due[id]).Microseconds()))
	}
}

// burst is how many jobs a queue gets with one request.
const burst = 10

// load enqueues each message for all destinations at a fixed rate, whatever the answers do.
func (l *sendLoad) load(ctx context.Context, to []string, rate float64, messages int) error {
	began := time.Now()
	var group errgroup.Group
	for n := 0; n < messages && ctx.Err() == nil; n += burst {
		time.Sleep(time.Until(began.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
		group.Go(func() error { return l.enqueue(ctx, to, n, min(burst, messages-n)) })
	}
	return errors.Join(group.Wait(), ctx.Err())
}

// enqueue enqueues n messages from a number on, which are due now.
func (l *sendLoad) enqueue(ctx context.Context, to []string, from, n int) error {
	keys, now := l.keys[from:from+n], time.Now()
	l.mu.Lock()
	for _, key := range keys {
		l.due[delivery.ID(key)] = now
	}
	l.mu.Unlock()
	var group errgroup.Group
	for _, name := range to {
		group.Go(func() error {
			for some := range slices.Chunk(keys, burst) {
				var bodies []string
				for _, key := range some {
					bodies = append(bodies, delivery.Job{Message: key, Destination: name}.Encode())
				}
				if err := l.jobs.SendJobs(ctx, name, bodies); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// arrived waits until the healthy destinations have received messages, each once.
func (l *sendLoad) arrived(ctx context.Context, messages int) error {
	last, since := 0, time.Now()
	for {
		l.mu.Lock()
		n := l.distinct
		l.mu.Unlock()
		if n > last {
			last, since = n, time.Now()
		}
		switch {
		case n == messages*len(l.healthy):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(since) > quiet:
			return fmt.Errorf("%d of %d deliveries were received", n, messages*len(l.healthy))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop ends the receivers first: the sender need not wait for the slow one.
func (l *sendLoad) stop() {
	for _, server := range l.servers {
		_ = server.Close()
	}
	l.process.stop()
}
