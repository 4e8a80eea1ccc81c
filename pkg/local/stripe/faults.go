package stripe

import (
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Fault is a failure that a test asks for.
type Fault struct {
	Status     int           // for example 429 or 500
	Times      int           // how many requests to Stripe's paths it hits
	RetryAfter time.Duration // sent as Retry-After in whole seconds, when positive
}

// Inject makes the next requests to Stripe's paths fail, after the faults injected earlier.
func (s *Fake) Inject(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.pending = append(s.faults.pending, f)
}

// BreakItem makes lists show one event with a string as its created, which strict readers
// reject. Fetched alone the event is correct. "" ends that.
func (s *Fake) BreakItem(id string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.broken = id
}

// LimitRate makes Stripe's paths answer 429 to more than n requests within a second to one
// resource of one account. 0 ends that.
func (s *Fake) LimitRate(n int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rate, s.faults.served = n, map[string][]time.Time{}
}

type faults struct {
	mu      sync.Mutex
	rate    int                    // requests a second, 0: no limit
	served  map[string][]time.Time // by account and resource, within the last second
	pending []Fault
	delay   time.Duration
	share   RandomFaults
	broken  string // the id of an event
}

// visibleAt is when an event that is given now may be seen, in nanoseconds, zero for at once.
func (f *faults) visibleAt(now time.Time) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.delay <= 0 {
		return 0
	}
	return now.Add(f.delay).UnixNano()
}

// random reports whether an event is withheld, or else how late it is.
func (f *faults) random(id string) (withheld bool, late time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := fnv.New64a()
	h.Write([]byte(id)) // never fails
	draw := rand.New(rand.NewPCG(f.share.Seed, h.Sum64()))
	withheld = draw.IntN(100) < f.share.WithholdPercent
	if draw.IntN(100) < f.share.LatePercent {
		late = time.Duration(f.share.Late) * time.Millisecond
	}
	return withheld, late
}

// isBroken reports whether lists show an event broken.
func (f *faults) isBroken(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken == id
}

// next uses up one hit of the first fault that is left.
func (f *faults) next() (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.pending) > 0 {
		if f.pending[0].Times > 0 {
			f.pending[0].Times--
			return f.pending[0], true
		}
		f.pending = f.pending[1:]
	}
	return Fault{}, false
}

// limited reports whether a request is over the rate, and counts it otherwise.
func (f *faults) limited(r *http.Request, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rate == 0 {
		return false
	}
	key := account(r) + " " + r.Pattern
	served := slices.DeleteFunc(f.served[key], func(at time.Time) bool { return now.Sub(at) >= time.Second })
	over := len(served) >= f.rate
	if !over {
		served = append(served, now)
	}
	f.served[key] = served
	return over
}

// hit answers a request with the fault that is due, if any.
func (f *faults) hit(w http.ResponseWriter, r *http.Request, now time.Time) bool {
	fault, due := f.next()
	reason := "global-rate"
	if !due {
		if !f.limited(r, now) {
			return false
		}
		fault, reason = Fault{Status: http.StatusTooManyRequests, RetryAfter: time.Second}, "endpoint-rate"
	}
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter.Seconds())))
	}
	e := apiError{status: fault.Status, Type: "api_error", Message: "Injected fault."}
	if fault.Status == http.StatusTooManyRequests {
		e.Type, e.Code, e.Message = "invalid_request_error", "rate_limit", "Too many requests."
		w.Header().Set("Stripe-Rate-Limited-Reason", reason)
	}
	e.write(w)
	return true
}
