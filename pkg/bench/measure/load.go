package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tollgate/pkg/bench"
)

// load posts events. Each is distinct: the bytes of a template with ids of its own.
type load struct {
	url, secret string
	template    []byte
	mark        []byte // in the template, where each event has its number
	client      *http.Client
	number      *atomic.Int64 // shared, so that no two loads send one event

	mu       sync.Mutex
	accepted int
	failures map[string]int
	latency  *hdrhistogram.Histogram // µs
	sent     map[string]time.Time    // by number
}

const numberDigits = 8

// newLoad makes a load of events of a type: with a golden event of that, else of 3 KB.
func newLoad(p *process, typ string, number *atomic.Int64) (*load, error) {
	body, err := bench.Golden(typ, 0, time.Now())
	mark := []byte("T0000000")
	if err != nil {
		body, mark = bench.Event(typ, "N0000000", 3<<10), []byte("N0000000")
	}
	if !bytes.Contains(body, mark) {
		return nil, fmt.Errorf("the event of %s has no id to replace", typ)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, MaxIdleConns: 1024}
	return &load{
		url: p.URL, secret: p.Secret, template: body, mark: mark, number: number,
		client:  &http.Client{Timeout: 40 * time.Second, Transport: transport},
		latency: histogram(), failures: map[string]int{}, sent: map[string]time.Time{},
	}, nil
}

// histogram counts µs up to two minutes with three digits.
func histogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 120_000_000, 3) }

// closed keeps so many deliveries under way for a time: it finds how many are accepted at most.
func (l *load) closed(ctx context.Context, workers int, d time.Duration) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for time.Since(began) < d && ctx.Err() == nil {
				l.post(time.Now())
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// open sends at a fixed rate whatever the answers do, and measures each from the moment at
// which it was due: a slow answer delays no other, and a late start counts as latency.
func (l *load) open(ctx context.Context, perSecond float64, d time.Duration) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for i := 0; ; i++ {
		after := time.Duration(float64(i) / perSecond * float64(time.Second))
		if after >= d || ctx.Err() != nil {
			break
		}
		due := began.Add(after)
		time.Sleep(time.Until(due))
		wg.Go(func() { l.post(due) })
	}
	wg.Wait()
	return time.Since(began)
}

func (l *load) post(due time.Time) {
	number := fmt.Sprintf("%c%07s", l.mark[0], strconv.FormatInt(l.number.Add(1), 36))
	body := bytes.ReplaceAll(l.template, l.mark, []byte(number))
	l.mu.Lock()
	l.sent[number] = due
	l.mu.Unlock()
	err := l.deliver(body)
	took := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.latency.RecordValue(max(1, took.Microseconds())) // over two minutes a client has timed out
	if err != nil {
		l.failures[err.Error()]++
		delete(l.sent, number)
		return
	}
	l.accepted++
}

func (l *load) deliver(body []byte) error {
	req, err := http.NewRequest(http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", bench.Sign(body, l.secret))
	res, err := l.client.Do(req)
	if err != nil {
		return errors.New("no answer")
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}

// check fails if deliveries were not accepted: figures of a broken system mean nothing.
func (l *load) check() error {
	if len(l.failures) > 0 || l.accepted == 0 {
		return fmt.Errorf("%d deliveries were accepted, others failed: %v", l.accepted, l.failures)
	}
	return nil
}
