package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

func TestRule(t *testing.T) {
	now := noon()
	e := anEvent("evt_1", now.Add(-time.Hour))
	ident := idempotency.Identity(e)
	old, young := now.Add(-91*time.Minute), now.Add(-89*time.Minute)
	for _, c := range []struct {
		name     string
		rec      *idempotency.Record
		unread   bool
		want     verdict
		wantWeek verdict
	}{
		{"no record", nil, false, unrecorded, unrecorded},
		{"done", &idempotency.Record{Identity: ident, State: idempotency.Done, Updated: old}, false, known, known},
		{"done, another event", &idempotency.Record{Identity: "x", State: idempotency.Done, Updated: old}, false, mismatched, mismatched},
		{"another event, unread", &idempotency.Record{Identity: "x", State: idempotency.Done, Updated: old}, true, known, known},
		{"failed, another event", &idempotency.Record{Identity: "x", State: idempotency.Failed, Updated: old, ReceivesLeft: 3}, false, mismatched, mismatched},
		{"runs without lease", &idempotency.Record{Identity: ident, State: idempotency.Running, Updated: old, ReceivesLeft: 3}, false, mismatched, mismatched},
		{"failed and waits", &idempotency.Record{Identity: ident, State: idempotency.Failed, Updated: young, ReceivesLeft: 3}, false, known, unfinished},
		{"failed long ago", &idempotency.Record{Identity: ident, State: idempotency.Failed, Updated: old, ReceivesLeft: 3}, false, stuck, unfinished},
		{"dead", &idempotency.Record{Identity: ident, State: idempotency.Failed, Updated: old}, false, known, unfinished},
		{"replayed, never sent", &idempotency.Record{Identity: ident, State: idempotency.Failed, Updated: old, ReceivesLeft: -1}, false, stuck, unfinished},
		{"runs", &idempotency.Record{Identity: ident, State: idempotency.Running, Updated: old, Lease: now.Add(time.Second), ReceivesLeft: 3}, false, known, unfinished},
		{"ran, lease just over", &idempotency.Record{Identity: ident, State: idempotency.Running, Updated: old, Lease: now.Add(-4 * time.Second), ReceivesLeft: 3}, false, known, unfinished},
		{"ran, lease over", &idempotency.Record{Identity: ident, State: idempotency.Running, Updated: old.Add(-32 * time.Second), Lease: old, ReceivesLeft: 3}, false, stuck, unfinished},
		{"died at its last receive", &idempotency.Record{Identity: ident, State: idempotency.Running, Updated: old, Lease: old}, false, known, unfinished},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rule{limits: limits.AWS(), now: now}
			if got := r.judge(e, c.unread, c.rec); got != c.want {
				t.Errorf("a frequent tier: %s, want %s", got, c.want)
			}
			r.sweep = true
			if got := r.judge(e, c.unread, c.rec); got != c.wantWeek {
				t.Errorf("the net: %s, want %s", got, c.wantWeek)
			}
		})
	}
}

// TestCutTiles: slices meet without a hole and without a second in two of them.
func TestCutTiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(1_700_000_000, 1_700_100_000).Draw(t, "from"), 0).UTC()
		to := from.Add(time.Duration(rapid.Int64Range(0, 50_000).Draw(t, "length")) * time.Second)
		slice := time.Duration(rapid.Int64Range(1, 7200).Draw(t, "slice")) * time.Second
		all := cut(from, to, slice)
		next := to
		for i, w := range all {
			if !w.To.Equal(next) || w.To.Before(w.From) || w.To.Sub(w.From) >= slice {
				t.Fatalf("slice %d is %v, want its end at %v", i, w, next)
			}
			next = w.From.Add(-time.Second)
		}
		if !next.Equal(from.Add(-time.Second)) {
			t.Fatalf("the oldest begins at %v, not at %v", next.Add(time.Second), from)
		}
	})
	if got := cut(noon(), noon().Add(-time.Second), time.Hour); got != nil {
		t.Errorf("a time that ends before it begins: %v", got)
	}
}

// TestWindows: each reaches over the ones before, up to the settle lag, within what
// Stripe lists, and slices keep their names from pass to pass.
func TestWindows(t *testing.T) {
	for _, scale := range []int{1, 7, 60, limits.MaxTimeScale} {
		for _, tier := range Tiers(limits.Scaled(scale).Reconcile) {
			names := map[time.Time]bool{}
			for _, w := range tier.windows(noon()) {
				names[w.From] = true
			}
			later := tier.windows(noon().Add(tier.Every))
			newest, oldest := later[0], later[len(later)-1]
			if lag := noon().Add(tier.Every).Sub(newest.To); lag < tier.Lag || lag > tier.Lag+time.Second {
				t.Errorf("%s at scale %d ends %v ago", tier.Name, scale, lag)
			}
			span := noon().Add(tier.Every).Sub(oldest.From)
			if span < tier.Span || span > tier.Span+max(tier.Slice, tier.Every)+time.Second || scale == 1 && span > 30*24*time.Hour {
				t.Errorf("%s at scale %d begins %v ago", tier.Name, scale, span)
			}
			if tier.Slice == 0 {
				continue
			}
			for _, w := range later {
				if w.From.Before(noon().Add(-tier.Lag)) && !w.From.Equal(newest.From) && !names[w.From] {
					t.Fatalf("%s at scale %d: the slice at %v has another name than in the pass before", tier.Name, scale, w.From)
				}
			}
		}
	}
}

func TestProve(t *testing.T) {
	l := limits.AWS().Reconcile
	now := noon()
	end := now.Add(-35 * time.Minute)
	from := now.Add(-24 * time.Hour)
	at := func(tier string, a, b time.Duration) Covered {
		return Covered{Tier: tier, From: now.Add(-a), To: now.Add(-b).Add(-time.Second), DoneAt: now}
	}
	with := func(c Covered, change func(*Covered)) Covered { change(&c); return c }
	for _, c := range []struct {
		name  string
		notes []Covered
		want  []Gap
		whole bool
	}{
		{"nothing", nil, nil, false},
		{"one window over all", []Covered{at(Frequent, 25*time.Hour, 5*time.Minute)}, nil, true},
		{"windows that touch, in any order", []Covered{at(Nightly, 12*time.Hour, 5*time.Minute), at(Weekly, 30*time.Hour, 12*time.Hour)}, nil, true},
		{"a second lacks", []Covered{at(Nightly, 12*time.Hour-time.Second, 5*time.Minute), at(Weekly, 30*time.Hour, 12*time.Hour)},
			[]Gap{{From: now.Add(-12 * time.Hour), To: now.Add(-12 * time.Hour)}}, false},
		{"a short window within a long one hides nothing", []Covered{at(Weekly, 30*time.Hour, 10*time.Hour), at(Frequent, 20*time.Hour, 18*time.Hour), at(Frequent, 10*time.Hour, 5*time.Minute)}, nil, true},
		{"the beginning", []Covered{at(Frequent, 20*time.Hour, 5*time.Minute)},
			[]Gap{{From: from, To: now.Add(-20 * time.Hour).Add(-time.Second)}}, false},
		{"the end", []Covered{at(Frequent, 30*time.Hour, 3*time.Hour)},
			[]Gap{{From: now.Add(-3 * time.Hour), To: end}}, false},
		{"the last second", []Covered{at(Frequent, 30*time.Hour, 35*time.Minute)}, []Gap{{From: end, To: end}}, false},
		{"the last moments are not due", []Covered{at(Frequent, 30*time.Hour, 34*time.Minute)}, nil, true},
		{"each account and mode separately", []Covered{
			at(Frequent, 30*time.Hour, 0),
			with(at(Frequent, 30*time.Hour, 12*time.Hour), func(c *Covered) { c.Account = "acct_1" }),
			with(at(Frequent, 12*time.Hour, 0), func(c *Covered) { c.Livemode = true }),
		}, []Gap{
			{Livemode: true, From: from, To: now.Add(-12 * time.Hour).Add(-time.Second)},
			{Account: "acct_1", From: now.Add(-12 * time.Hour), To: end},
		}, false},
		{"covered, with an event that cannot be read", []Covered{with(at(Frequent, 30*time.Hour, 0), func(c *Covered) { c.Errors = 1 })}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Prove(c.notes, l, now, 24*time.Hour)
			if d := cmp.Diff(c.want, p.Gaps); d != "" || p.Whole() != c.whole {
				t.Errorf("whole %v, gaps (-want +got):\n%s", p.Whole(), d)
			}
		})
	}
}
