package lossy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/local/faultproxy"
)

// result is what happens to one request.
type result string

const (
	passed       result = "passed"
	lostRequest  result = "request lost"
	lostResponse result = "response lost"
	cutResponse  result = "response cut"        // in the middle of its body
	slow         result = "slow"                // but in time
	late         result = "applied late"        // after its caller timed out
	twice        result = "sent twice"          // at once; the second answer is given
	echoed       result = "repeated late"       // after its answer was given
	unavailable  result = "server error"        // not applied
	throttled    result = "throttled"           // not applied
	conflicted   result = "in conflict"         // not applied
	unanswered   result = "never answered"      // nor applied
	expired      result = "signed too long ago" // not applied
)

// odds are how many of a hundred requests end in each result; the others pass.
type odds []struct {
	result  result
	percent int
}

// harsh are the odds on the way to the table: a third of the requests fails.
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

// proxy is between clients and a service, and treats each request by chance.
type proxy struct {
	url      string
	odds     odds
	patience time.Duration // the longest that a late or repeated request is held back
	delayed  sync.WaitGroup
	one      sync.Locker // held while the service works, nil for any number at a time

	mu     sync.Mutex
	rng    *rand.Rand
	counts map[result]int
}

// newProxy serves a proxy to a service until the test ends.
func newProxy(t testing.TB, upstream string, o odds, seed uint64, patience time.Duration) *proxy {
	t.Helper()
	real, err := faultproxy.Start(upstream)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: real.URL, odds: o, patience: patience, rng: rand.New(rand.NewPCG(seed, seed)), counts: map[result]int{}}
	real.Add(faultproxy.Fault{Do: p.treat})
	t.Cleanup(func() {
		real.Close()
		p.settle()
	})
	return p
}

// settle waits until no request is held back any more.
func (p *proxy) settle() { p.delayed.Wait() }

// draw picks a result and a moment for it, from 0 to 1.
func (p *proxy) draw() (result, float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, n := passed, p.rng.IntN(100)
	for _, o := range p.odds {
		if n < o.percent {
			r = o.result
			break
		}
		n -= o.percent
	}
	p.counts[r]++
	return r, p.rng.Float64()
}

// met returns how many requests ended in each result.
func (p *proxy) met() map[result]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// treat is the action on every request.
func (p *proxy) treat(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	drawn, moment := p.draw()
	delay := time.Duration(moment * float64(p.patience))
	send := func(to http.ResponseWriter) { // the caller may be gone
		if p.one != nil {
			p.one.Lock()
			defer p.one.Unlock()
		}
		c := r.Clone(context.WithoutCancel(r.Context()))
		c.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(to, c)
	}
	switch drawn {
	case lostRequest:
		faultproxy.Reset(w, r, next)
	case lostResponse:
		send(httptest.NewRecorder())
		faultproxy.Reset(w, r, next)
	case cutResponse:
		cut(w, send)
	case slow:
		pause(r.Context(), delay/20)
		send(w)
	case late:
		pause(r.Context(), p.patience) // until the caller is gone
		p.later(send, delay)
		faultproxy.Reset(w, r, next)
	case twice:
		send(httptest.NewRecorder())
		send(w)
	case echoed:
		send(w)
		p.later(send, delay)
	case unanswered:
		faultproxy.Never(w, r, next)
	case unavailable:
		faultproxy.Answer(http.StatusInternalServerError, `{"__type":"com.amazonaws#InternalServerError"}`)(w, r, next)
	case throttled:
		faultproxy.Throttle(w, r, next)
	case expired:
		faultproxy.Expire(w, r, next)
	case conflicted:
		conflict(r.Header.Get("X-Amz-Target"), body)(w, r, next)
	default:
		send(w)
	}
}

// later sends a copy of a request after d.
func (p *proxy) later(send func(http.ResponseWriter), d time.Duration) {
	p.delayed.Go(func() {
		defer func() { _ = recover() }() // the service has ended
		pause(context.Background(), d)
		send(httptest.NewRecorder())
	})
}

// cut gives half of an answer that states its length.
func cut(w http.ResponseWriter, send func(http.ResponseWriter)) {
	whole := httptest.NewRecorder()
	send(whole)
	maps.Copy(w.Header(), whole.Header())
	w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()+1))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// conflict is the answer while another transaction has the item, or the last one of several.
func conflict(target string, body []byte) faultproxy.Action {
	switch _, operation, _ := strings.Cut(target, "."); operation {
	case "UpdateItem":
		return faultproxy.Refuse("TransactionConflictException", "Transaction is ongoing for the item")
	case "TransactWriteItems":
		var in struct{ TransactItems []json.RawMessage }
		if err := json.Unmarshal(body, &in); err != nil || len(in.TransactItems) == 0 {
			panic("a transaction without items")
		}
		reasons := strings.Repeat(`{"Code":"None"},`, len(in.TransactItems)-1) + `{"Code":"TransactionConflict"}`
		return faultproxy.Answer(http.StatusBadRequest, `{"__type":"com.amazonaws#TransactionCanceledException","CancellationReasons":[`+reasons+`]}`)
	default:
		return faultproxy.Throttle
	}
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
