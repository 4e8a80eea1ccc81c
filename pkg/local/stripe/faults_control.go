package stripe

import (
	"net/http"
	"time"
)

// faultPlan is the body of a request for a fault: the members of one kind of fault.
type faultPlan struct {
	Status     int `json:"status"`
	Times      int `json:"times"`
	RetryAfter int `json:"retry_after_s"`

	DelayVisibility *int64  `json:"delay_visibility_ms"`
	BreakItem       *string `json:"break_item"`
	Rate            *int    `json:"rate_per_s"`
	*RandomFaults
}

// RandomFaults makes deliveries fail silently: a share of the events is not delivered, another
// share is delivered late. The same seed picks the same events.
type RandomFaults struct {
	WithholdPercent int    `json:"withhold_percent"`
	LatePercent     int    `json:"late_percent"`
	Late            int64  `json:"late_ms"` // not divided by the scale of deliveries
	Seed            uint64 `json:"seed"`
}

// setFault sets one kind of fault: the next requests to Stripe's paths fail, each event given
// from now on is invisible for a time, lists show one event with a string as its created,
// requests over a rate fail, or deliveries of events given from now on fail at random.
func (s *Fake) setFault(r *http.Request) ([]byte, *apiError) {
	var o faultPlan
	if err := readControl(r, &o); err != nil {
		return nil, err
	}
	failing := o.Status != 0 || o.Times != 0 || o.RetryAfter != 0
	kinds := 0
	for _, given := range []bool{failing, o.DelayVisibility != nil, o.BreakItem != nil, o.Rate != nil, o.RandomFaults != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return nil, invalid(http.StatusBadRequest, "", "", "Give one fault: {status, times, retry_after_s}, {delay_visibility_ms}, {withhold_percent, late_percent, late_ms, seed}, {rate_per_s} or {break_item}.")
	case failing && (o.Status < 400 || o.Status > 599):
		return nil, invalid(http.StatusBadRequest, "", "status", "status is from 400 to 599.")
	case failing:
		s.Inject(Fault{Status: o.Status, Times: max(o.Times, 1), RetryAfter: time.Duration(o.RetryAfter) * time.Second})
	case o.Rate != nil && *o.Rate < 0:
		return nil, invalid(http.StatusBadRequest, "", "rate_per_s", "rate_per_s is 0 or more.")
	case o.Rate != nil:
		s.LimitRate(*o.Rate)
	case o.BreakItem != nil:
		s.BreakItem(*o.BreakItem)
	default:
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		if o.DelayVisibility != nil {
			s.faults.delay = time.Duration(*o.DelayVisibility) * time.Millisecond
		} else {
			s.faults.share = *o.RandomFaults
		}
	}
	return control(struct{}{})
}
