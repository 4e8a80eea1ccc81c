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

	DelayVisibility *int64 `json:"delay_visibility_ms"`

	WithholdPercent *int   `json:"withhold_percent"`
	LatePercent     *int   `json:"late_percent"`
	Late            int64  `json:"late_ms"`
	Seed            uint64 `json:"seed"`

	BreakItem *string `json:"break_item"`
}

// setFault sets one kind of fault.
func (s *Fake) setFault(r *http.Request) ([]byte, *apiError) {
	var o faultPlan
	if err := readControl(r, &o); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	switch {
	case o.Status != 0:
		s.Inject(Fault{Status: o.Status, Times: max(o.Times, 1), RetryAfter: time.Duration(o.RetryAfter) * time.Second})
	case o.DelayVisibility != nil:
		s.DelayVisibility(time.Duration(*o.DelayVisibility) * time.Millisecond)
	case o.BreakItem != nil:
		s.BreakItem(*o.BreakItem)
	default:
		s.SetRandomFaults(RandomFaults{WithholdPercent: orZero(o.WithholdPercent), LatePercent: orZero(o.LatePercent), Late: time.Duration(o.Late) * time.Millisecond, Seed: o.Seed})
	}
	return control(struct{}{})
}

// check rejects a plan with no fault or several, or with a value out of bounds.
func (o faultPlan) check() *apiError {
	kinds := 0
	for _, given := range []bool{
		o.Status != 0 || o.Times != 0 || o.RetryAfter != 0,
		o.DelayVisibility != nil,
		o.WithholdPercent != nil || o.LatePercent != nil || o.Late != 0 || o.Seed != 0,
		o.BreakItem != nil,
	} {
		if given {
			kinds++
		}
	}
	const day = 24 * 3600
	percent := func(p *int) bool { return p == nil || *p >= 0 && *p <= 100 }
	between := func(n, most int64) bool { return n >= 0 && n <= most }
	switch {
	case kinds != 1:
		return invalid(http.StatusBadRequest, "", "", "Give one fault: {status, times, retry_after_s}, {delay_visibility_ms}, {withhold_percent, late_percent, late_ms, seed} or {break_item}.")
	case o.Status != 0 && (o.Status < 400 || o.Status > 599) || o.Status == 0 && (o.Times != 0 || o.RetryAfter != 0):
		return invalid(http.StatusBadRequest, "", "status", "status is from 400 to 599.")
	case !between(int64(o.Times), 1_000_000) || !between(int64(o.RetryAfter), day):
		return invalid(http.StatusBadRequest, "", "times", "times is from 1 to 1000000, retry_after_s at most %d.", day)
	case o.DelayVisibility != nil && !between(*o.DelayVisibility, 30*day*1000) || !between(o.Late, 30*day*1000):
		return invalid(http.StatusBadRequest, "", "", "A delay is from 0 to %d ms.", 30*day*1000)
	case !percent(o.WithholdPercent) || !percent(o.LatePercent):
		return invalid(http.StatusBadRequest, "", "", "A percentage is from 0 to 100.")
	}
	return nil
}

func orZero(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}
