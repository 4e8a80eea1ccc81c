package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// A bucket that makes requests wait doubles its rate in about 1/growth × 0.7 s.
	growth = 0.1
	// calm is how long after a 429 a bucket grows at full speed again: slowly at first, as
	// processes that grow together would find the limit together.
	calm = 2 * time.Minute
	// rest is how long a bucket keeps what it learnt without need. Processes that idle must not
	// all come back at the rates that they once had alone.
	rest = time.Minute
	// slowest is the least part of its first rate that a bucket falls to.
	slowest = 1.0 / 16
	// maxPause bounds a Retry-After, and what a clock that was set back makes of one.
	maxPause = time.Hour
	// maxBuckets bounds the accounts and resources that are remembered.
	maxBuckets = 1000
)

// errTurn: no turn came within the context's time.
var errTurn = errors.New("no turn under the rate limit of Stripe's account in time")

// limiter holds the requests for an account, and those to each of its resources, under
// Stripe's rates, which all processes share. A process starts at its part of them, takes more
// while no 429 comes, half after one, and never more than the whole.
type limiter struct {
	all, resource float64 // a second; all is 0 for Stripe's own limit in the key's mode
	processes     float64
	unlimited     bool // for a test key

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
}

// bucketKey names the requests that share a rate: those to a resource of an account, or all
// of the account's if resource is "".
type bucketKey struct {
	account, resource string
	live              bool
}

type bucket struct {
	tokens      *rate.Limiter
	start, most float64

	used    time.Time // the last request
	full    time.Time // the last request that had to wait
	refused time.Time // the last 429 that halved the rate
	until   time.Time // what Retry-After asked for; without the monotonic clock, which stops while a process is frozen
}

// turn is the permission for one request; its answer goes back to the limiter.
type turn struct {
	limiter *limiter
	at      time.Time
	held    []hold // none without a limit
}

type hold struct {
	*bucket
	reservation *rate.Reservation
	all, waits  bool
}

// wait returns when a request may go, or an error with the time until it may: errTurn when the
// context leaves no time for it and a try of least, or the context's. For a turn that comes too
// late it waits as long as it can, as the caller would only begin another request for the same
// account.
func (l *limiter) wait(ctx context.Context, k bucketKey, least time.Duration) (*turn, time.Duration, error) {
	if l.unlimited && !k.live {
		return &turn{limiter: l}, 0, nil
	}
	for {
		t, pause, delay := l.take(time.Now(), k)
		wait, late := max(pause, delay), false
		if end, ok := ctx.Deadline(); ok && wait > 0 && time.Until(end)-least < wait {
			if t.cancel(); pause > 0 {
				return nil, pause, errTurn
			}
			wait, late = max(0, time.Until(end)-least), true
		}
		if err := sleep(ctx, wait); err != nil {
			t.cancel()
			return nil, 0, err
		}
		switch {
		case late:
			return nil, delay, errTurn
		case pause == 0 && !l.paused(t):
			t.at = time.Now()
			return t, 0, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// take reserves a turn after a delay, or none before the end of a pause.
func (l *limiter) take(now time.Time, k bucketKey) (t *turn, pause, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t = &turn{limiter: l, held: []hold{{bucket: l.of(k, now)}, {bucket: l.of(bucketKey{account: k.account, live: k.live}, now), all: true}}}
	for _, h := range t.held {
		pause = max(pause, h.pause(now))
	}
	if pause > 0 {
		return t, pause, 0
	}
	for i := range t.held {
		h := &t.held[i]
		h.reservation = h.tokens.ReserveN(now, 1)
		d := h.reservation.DelayFrom(now)
		if h.used, h.waits = now, d > 0; h.waits {
			h.full = now
		}
		delay = max(delay, d)
	}
	return t, 0, delay
}

// of returns a bucket, which has forgotten what it has not needed for long.
func (l *limiter) of(k bucketKey, now time.Time) *bucket {
	b := l.buckets[k]
	if b == nil {
		most := l.resource
		if k.resource == "" {
			most = l.whole(k.live)
		}
		l.makeRoom(now)
		start := most / l.processes
		b = &bucket{tokens: rate.NewLimiter(rate.Limit(start), max(int(start), 1)), start: start, most: most, used: now}
		l.buckets[k] = b
	}
	if b.rests(now) {
		b.tokens.SetLimitAt(now, rate.Limit(b.start))
	}
	return b
}

// whole is the rate of all requests of an account: in live mode Stripe allows four times as
// many as to one resource, in a sandbox as many.
func (l *limiter) whole(live bool) float64 {
	switch {
	case l.all > 0:
		return l.all
	case live:
		return 4 * l.resource
	}
	return l.resource
}

// makeRoom forgets the bucket that was not used for the longest time if there are too many.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	var oldest bucketKey
	var age time.Duration = -1
	for k, b := range l.buckets {
		if d := now.Sub(b.used); d > age && b.pause(now) == 0 {
			oldest, age = k, d
		}
	}
	if age < 0 { // all are paused
		clear(l.buckets)
	}
	delete(l.buckets, oldest)
}

// rests reports whether a bucket was neither full nor refused for long.
func (b *bucket) rests(now time.Time) bool {
	return now.Sub(b.full) > rest && now.Sub(b.refused) > rest
}

func (b *bucket) pause(now time.Time) time.Duration {
	d := b.until.Sub(now)
	if d > maxPause { // the clock was set back
		return 0
	}
	return max(d, 0)
}

// paused reports whether Stripe has asked for a pause since a turn was reserved.
func (l *limiter) paused(t *turn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, h := range t.held {
		if h.pause(now) > 0 {
			return true
		}
	}
	return false
}

// cancel gives a turn back that was not used.
func (t *turn) cancel() {
	for _, h := range t.held {
		if h.reservation != nil {
			h.reservation.Cancel()
		}
	}
}

// answered changes the rates by an answer to the turn's request.
func (t *turn) answered(a answer) {
	t.limiter.mu.Lock()
	defer t.limiter.mu.Unlock()
	now := time.Now()
	for _, h := range t.held {
		switch {
		case a.limited == "" && a.status > 0 && a.status < 500 && h.waits:
			h.grow(now)
		case a.limited != "" && h.meant(a.limited):
			h.refuse(now, t.at, a.retryAfter)
		}
	}
}

// meant reports whether a 429 for a reason is about a hold's bucket; one for an unknown reason
// is about all.
func (h hold) meant(reason string) bool {
	switch {
	case reason == limitedObject:
		return false
	case strings.HasPrefix(reason, "global"):
		return h.all
	case strings.HasPrefix(reason, "endpoint"):
		return !h.all
	}
	return true
}

func (b *bucket) grow(now time.Time) {
	quiet := min(1, float64(now.Sub(b.refused))/float64(calm))
	b.set(now, float64(b.tokens.Limit())+growth*quiet*quiet)
}

// refuse halves the rate, once for all requests that were under way together.
func (b *bucket) refuse(now, sent time.Time, retryAfter time.Duration) {
	if retryAfter > 0 {
		until := now.Add(min(retryAfter, maxPause)).Round(0)
		if until.After(b.until) || b.pause(now) == 0 {
			b.until = until
		}
	}
	if sent.Before(b.refused) {
		return
	}
	b.refused = now
	b.set(now, float64(b.tokens.Limit())/2)
}

func (b *bucket) set(now time.Time, perSecond float64) {
	b.tokens.SetLimitAt(now, rate.Limit(min(max(perSecond, b.start*slowest), b.most)))
}

// noTurn is the error of a request that got no turn.
func noTurn(tries int, after time.Duration, err error) error {
	return &UnavailableError{Tries: tries, RetryAfter: after, Err: fmt.Errorf("wait for the rate limit: %w", err)}
}
