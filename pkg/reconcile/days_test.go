package reconcile_test

import (
	"testing"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

// TestDaysAddUpToTheProof: each second of each account and mode is compared, a gap, or before the
// begin, on one day.
func TestDaysAddUpToTheProof(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	midnight := now.Truncate(day)
	covered := func(live bool, from, to time.Time) reconcile.Covered {
		return reconcile.Covered{Livemode: live, Tier: reconcile.Weekly, From: from, To: to.Add(-time.Second), DoneAt: now}
	}
	notes := []reconcile.Covered{
		covered(true, midnight.Add(-3*day), midnight.Add(-day)), covered(true, midnight.Add(-18*time.Hour), now),
		covered(false, midnight.Add(-day), now),
		{Livemode: false, Tier: reconcile.Configured, Since: midnight.Add(-day), DoneAt: now, From: now, To: now},
		{Account: "acct_1", Tier: reconcile.Configured, Excluded: "livemode", DoneAt: now, From: now, To: now},
	}
	p := reconcile.Prove(notes, limits.AWS().Reconcile, now, 60*time.Hour)
	days := p.Days()
	var sum time.Duration
	got := map[string]reconcile.Day{}
	for _, d := range days {
		sum += d.Compared + d.Gap + d.Before
		got[d.Date.Format("02")] = d
	}
	if want := 2 * (p.To.Sub(p.From) + time.Second); sum != want {
		t.Errorf("the days have %s, want %s of two that are compared", sum, want)
	}
	if d := got["08"]; d.Compared != day || d.Gap != 0 || d.Before != day {
		t.Errorf("8 March: %+v, want one compared and one before its begin", d)
	}
	if d := got["09"]; d.Compared != 42*time.Hour || d.Gap != 6*time.Hour || d.Before != 0 {
		t.Errorf("9 March: %+v, want a gap of six hours", d)
	}
	if len(days) != 3 {
		t.Errorf("days %+v", days)
	}
	if none := reconcile.Prove(notes[4:], limits.AWS().Reconcile, now, day).Days(); none != nil {
		t.Errorf("%+v without an account that is compared", none)
	}
}
