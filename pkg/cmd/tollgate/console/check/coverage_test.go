package check

import (
	"slices"
	"testing"
	"time"

	"tollgate/pkg/reconcile"
)

// TestDaysOfCoverage: a day is whole only if nothing of it is missing, of this account and mode.
func TestDaysOfCoverage(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }
	own, live, other := reconcile.Stream{}, reconcile.Stream{Livemode: true}, reconcile.Stream{Account: "acct_1"}
	gap := func(s reconcile.Stream, from, to time.Time) reconcile.Gap {
		return reconcile.Gap{Account: s.Account, Livemode: s.Livemode, From: from, To: to.Add(-time.Second)}
	}
	p := reconcile.Proof{
		From: at(1, 6), To: at(6, 12), Streams: []reconcile.Stream{own, live, other},
		Gaps:     []reconcile.Gap{gap(own, at(2, 22), at(4, 0)), gap(live, at(5, 1), at(5, 2)), gap(own, at(6, 0), at(6, 12))},
		Before:   []reconcile.Gap{gap(own, at(1, 6), at(1, 7))},
		Faulty:   []reconcile.Covered{{From: at(5, 3), To: at(5, 4), Errors: 2}},
		Excluded: []reconcile.Covered{{Account: "acct_1", Excluded: "account", Endpoint: "eu"}},
	}
	for _, tt := range []struct {
		of     reconcile.Stream
		states []string
		gap    time.Duration
	}{
		{own, []string{"before", "partial", "gap", "covered", "partial", "gap"}, 2*time.Hour + 24*time.Hour + 12*time.Hour},
		{live, []string{"covered", "covered", "covered", "covered", "partial", "covered"}, time.Hour},
		{other, slices.Repeat([]string{"excluded"}, 6), 0},
	} {
		s := streamOf(p, tt.of)
		var states []string
		var sum time.Duration
		for i, c := range s.Cells {
			states, sum = append(states, c.State), sum+c.Gap
			if !c.Day.Equal(at(1+i, 0)) {
				t.Errorf("%v: cell %d is of %v", tt.of, i, c.Day)
			}
		}
		if !slices.Equal(states, tt.states) || sum != tt.gap {
			t.Errorf("%+v: %v with gaps of %v, want %v with %v", tt.of, states, sum, tt.states, tt.gap)
		}
	}
}
