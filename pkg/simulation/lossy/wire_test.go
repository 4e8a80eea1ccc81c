package lossy_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// fate is what becomes of one request.
type fate string

const (
	passed       fate = "passed"
	lostRequest  fate = "request lost"
	lostResponse fate = "response lost"
	cutResponse  fate = "response cut"        // in the middle of its body
	slow         fate = "slow"                // but in time
	late         fate = "applied late"        // after its caller gave up on it
	twice        fate = "sent twice"          // at once; the second answer is given
	echoed       fate = "repeated late"       // after its answer was given
	unavailable  fate = "server error"        // not applied
	throttled    fate = "throttled"           // not applied
	conflicted   fate = "in conflict"         // not applied
	unanswered   fate = "never answered"      // nor applied
	expired      fate = "signed too long ago" // not applied
	broken       fate = "upstream failed"     // counted, not drawn
)

// odds are how many of a hundred requests meet each fate; the others pass.
type odds []struct {
	fate    fate
	percent int
}

// harsh are the odds on the way to the table: a third of the requests goes wrong.
func harsh() odds {
	return odds{
		{lostRequest, 4}, {lostResponse, 12}, {cutResponse, 1}, {slow, 3}, {late, 1}, {twice, 2}, {echoed, 2},
		{unavailable, 2}, {throttled, 2}, {conflicted, 2}, {unanswered, 2}, {expired, 2},
	}
}

// mild are the odds on the way to the queue.
func mild() odds {
	return odds{
		{lostRequest, 3}, {lostResponse, 4}, {cutResponse, 1}, {slow, 2}, {late, 1}, {twice, 1}, {echoed, 1},
		{unavailable, 1}, {throttled, 1}, {unanswered, 1}, {expired, 1},
	}
}

// wire stands on a socket of its own between clients and a service, and treats each
// request by chance.
type wire struct {
	url      string
	upstream *url.URL
	odds     odds
	patience time.Duration // the longest that a late or repeated request is held back
	onLate   sync.WaitGroup
	client   *http.Client
	one      sync.Locker // held while the service works, nil for any number at a time

	mu     sync.Mutex
	rng    *rand.Rand
	counts map[fate]int
}

// newWire serves a wire to a service until the test ends.
func newWire(t testing.TB, upstream string, o odds, seed uint64, patience time.Duration) *wire {
	t.Helper()
	to, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 10 * time.Second}
	w := &wire{
		upstream: to, odds: o, patience: patience, client: &http.Client{Transport: transport},
		rng: rand.New(rand.NewPCG(seed, seed)), counts: map[fate]int{},
	}
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		server.Close()
		w.settle()
		transport.CloseIdleConnections()
	})
	w.url = server.URL
	return w
}

// settle waits until no request is held back any more.
func (w *wire) settle() { w.onLate.Wait() }

// draw picks a fate and a moment for it, from 0 to 1.
func (w *wire) draw() (fate, float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, n := passed, w.rng.IntN(100)
	for _, o := range w.odds {
		if n < o.percent {
			f = o.fate
			break
		}
		n -= o.percent
	}
	w.counts[f]++
	return f, w.rng.Float64()
}

func (w *wire) count(f fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[f]++
}

// met returns how many requests met each fate.
func (w *wire) met() map[fate]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// ServeHTTP reads a request whole, then lets its fate come true.
func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		hangUp(rw)
		return
	}
	f, moment := w.draw()
	q := request{target: r.Header.Get("X-Amz-Target"), header: r.Header.Clone(), path: r.URL.Path, host: r.Host, body: body}
	switch f {
	case lostRequest:
		hangUp(rw)
	case lostResponse:
		w.forward(q)
		hangUp(rw)
	case cutResponse:
		cut(rw, w.forward(q))
	case slow:
		pause(r.Context(), time.Duration(moment*float64(w.patience)/20))
		give(rw, w.forward(q))
	case late:
		pause(r.Context(), w.patience) // until the caller is gone
		w.later(q, time.Duration(moment*float64(w.patience)))
		hangUp(rw)
	case twice:
		w.forward(q)
		give(rw, w.forward(q))
	case echoed:
		give(rw, w.forward(q))
		w.later(q, time.Duration(moment*float64(w.patience)))
	case unanswered:
		<-r.Context().Done()
	case unavailable, throttled, conflicted, expired:
		give(rw, refusal(f, q))
	default:
		give(rw, w.forward(q))
	}
}

// request is one request as it came.
type request struct {
	target, path, host string
	header             http.Header
	body               []byte
}

// answer is a response, nil for none.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// forward sends a request on, whether anybody still waits for its answer or not.
func (w *wire) forward(q request) *answer {
	if w.one != nil {
		w.one.Lock()
		defer w.one.Unlock()
	}
	to := *w.upstream
	to.Path = q.path
	r, err := http.NewRequest(http.MethodPost, to.String(), bytes.NewReader(q.body))
	if err != nil {
		w.count(broken)
		return nil
	}
	r.Header, r.Host = q.header.Clone(), q.host
	res, err := w.client.Do(r)
	if err != nil {
		w.count(broken)
		return nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.count(broken)
		return nil
	}
	return &answer{status: res.StatusCode, header: res.Header, body: body}
}

// later sends a copy of a request after d.
func (w *wire) later(q request, d time.Duration) {
	w.onLate.Go(func() {
		pause(context.Background(), d)
		w.forward(q)
	})
}

func give(rw http.ResponseWriter, a *answer) {
	if a == nil {
		hangUp(rw)
		return
	}
	for name, values := range a.header {
		rw.Header()[name] = values
	}
	rw.WriteHeader(a.status)
	rw.Write(a.body)
}

// cut gives half of an answer that says how long it is.
func cut(rw http.ResponseWriter, a *answer) {
	if a == nil {
		hangUp(rw)
		return
	}
	for name, values := range a.header {
		rw.Header()[name] = values
	}
	rw.Header().Set("Content-Length", strconv.Itoa(len(a.body)+1))
	rw.WriteHeader(a.status)
	rw.Write(a.body[:len(a.body)/2])
	http.NewResponseController(rw).Flush()
	hangUp(rw)
}

// hangUp ends the connection with a reset, as a lost peer does.
func hangUp(rw http.ResponseWriter) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return // it is gone already
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// pause waits, at most until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
