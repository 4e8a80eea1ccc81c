package stripe

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is a failure on request, for tests and drills.
type Fault struct {
	Status     int           // for example 429 or 500
	Times      int           // how many requests to Stripe's paths it hits
	RetryAfter time.Duration // sent as Retry-After in whole seconds, when positive
}

// Inject makes the next requests to Stripe's paths fail, after the faults injected before.
func (s *StandIn) Inject(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.pending = append(s.faults.pending, f)
}

// DelayVisibility makes each event that is given from now on invisible for d, as
// Stripe's list shows some events late. Zero ends that for the events that follow.
func (s *StandIn) DelayVisibility(d time.Duration) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.delay = d
}

type faults struct {
	mu      sync.Mutex
	pending []Fault
	delay   time.Duration
}

// visibleAt is when an event that is given now may be seen, zero for at once.
func (f *faults) visibleAt(now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.delay <= 0 {
		return time.Time{}
	}
	return now.Add(f.delay)
}

// next takes one hit off the first fault that is left.
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

// hit answers a request with the fault that is due, if any.
func (f *faults) hit(w http.ResponseWriter) bool {
	fault, due := f.next()
	if !due {
		return false
	}
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter.Seconds())))
	}
	e := apiError{status: fault.Status, Type: "api_error", Message: "Injected fault."}
	if fault.Status == http.StatusTooManyRequests {
		e.Type, e.Code = "invalid_request_error", "rate_limit"
		w.Header().Set("Stripe-Rate-Limited-Reason", "global-rate")
	}
	e.write(w)
	return true
}
