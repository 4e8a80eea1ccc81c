package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/limits"
)

// history makes one event a day of an account, the oldest 29 days old, that no delivery
// brought. Their names are evt_<account>_<days ago>.
func (w *world) history(account string) {
	for ago := 29; ago >= 1; ago-- {
		e := anEvent(fmt.Sprintf("evt_%s_%d", account, ago), noon().Add(-time.Duration(ago)*day))
		e.Account = account
		w.arises(e, noon())
	}
}

// runAll makes a pass of each tier.
func (w *world) runAll(t *testing.T, r *Reconciler) {
	t.Helper()
	for _, tier := range []string{Frequent, Nightly, Weekly} {
		if report, err := r.Run(t.Context(), tier); err != nil || !report.Complete() {
			t.Fatalf("%s: %+v, %v", tier, report, err)
		}
	}
}

// sentOnce are the ids of what was sent, each once, in order.
func (w *world) sentOnce() []string { return slices.Compact(slices.Sorted(slices.Values(w.ids()))) }

// TestNewStageSendsNoHistory: neither does a new table, a stage that is deployed again, or
// one next to another system, in any tier. What is created later is compared.
func TestNewStageSendsNoHistory(t *testing.T) {
	w := newStage(noon())
	w.history("")
	r := w.reconciler(t, nil)
	for range 3 {
		w.runAll(t, r)
		w.now = w.now.Add(day)
	}
	if len(w.taken) != 0 {
		t.Errorf("sent %v of the time before the begin", w.ids())
	}
	for _, q := range w.lists {
		if q.From.Before(noon()) {
			t.Fatalf("listed from %v, before the begin", q.From)
		}
	}
	w.arises(anEvent("evt_same_second", noon()), noon())
	w.arises(anEvent("evt_before", noon().Add(-time.Second)), noon())
	w.runAll(t, r)
	if d := cmp.Diff([]string{"evt_same_second"}, w.sentOnce()); d != "" {
		t.Errorf("sent later (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[Stream]time.Time{{}: noon()}, w.begins); d != "" {
		t.Errorf("begins (-want +got):\n%s", d)
	}
}

// lagging is a table whose index never shows a begin.
type lagging struct{ *world }

func (lagging) Begins(context.Context) (map[Stream]time.Time, error) {
	return map[Stream]time.Time{}, nil
}

// TestBeginIsTheFirstOne, whatever the index shows and however much later a pass asks.
func TestBeginIsTheFirstOne(t *testing.T) {
	w := newStage(noon())
	r := w.reconciler(t, func(c *Config) { c.Begins = lagging{w} })
	w.runAll(t, r)
	w.arises(anEvent("evt_1", noon().Add(time.Hour)), noon())
	w.now = noon().Add(3 * time.Hour)
	w.runAll(t, r)
	if len(w.sentOnce()) != 1 || !w.begins[Stream{}].Equal(noon()) {
		t.Errorf("sent %v, begins %v", w.ids(), w.begins)
	}
}

// TestUpgradedStageKeepsItsNet: history begins with the oldest note of a scheduled pass; a
// backfill's note is of what an operator named, and does not count.
func TestUpgradedStageKeepsItsNet(t *testing.T) {
	for _, c := range []struct {
		name  string
		notes []Covered
		want  time.Time
		sent  int
	}{
		{"passes of three weeks", []Covered{{Tier: Weekly, From: noon().Add(-21 * day)}, {Tier: Frequent, From: noon().Add(-day)}}, noon().Add(-21 * day), 21},
		{"an account that never finished", []Covered{{Tier: Configured, From: noon().Add(-10 * day)}}, noon().Add(-10 * day), 10},
		{"a backfill of a day", []Covered{{Tier: Backfill, From: noon().Add(-20 * day)}}, noon(), 0},
		{"the other mode", []Covered{{Livemode: true, Tier: Weekly, From: noon().Add(-20 * day)}}, noon(), 0},
		{"another account", []Covered{{Account: "acct_1", Tier: Weekly, From: noon().Add(-20 * day)}}, noon(), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStage(noon())
			w.history("")
			for _, n := range c.notes {
				n.To, n.DoneAt = n.From, noon().Add(-day)
				if err := w.Cover(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			w.runAll(t, w.reconciler(t, nil))
			if got := w.begins[Stream{}]; !got.Equal(c.want) || len(w.sentOnce()) != c.sent {
				t.Errorf("begins at %v, want %v; sent %v, want %d", got, c.want, w.sentOnce(), c.sent)
			}
		})
	}
}

// TestConfiguredBegin decides what is listed, and leaves the item as it is.
func TestConfiguredBegin(t *testing.T) {
	for _, c := range []struct {
		name     string
		put, set time.Duration // ago
		sent     int
	}{
		{"earlier than the item", 0, 12 * day, 12},
		{"later than the item", 20 * day, 5 * day, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStage(noon())
			w.history("")
			if c.put > 0 {
				w.begins[Stream{}] = noon().Add(-c.put)
			}
			w.runAll(t, w.reconciler(t, func(cfg *Config) { cfg.Begin = noon().Add(-c.set) }))
			if got := w.begins[Stream{}]; !got.Equal(noon().Add(-c.put)) || len(w.sentOnce()) != c.sent {
				t.Errorf("the item says %v, want %v; sent %v, want %d", got, noon().Add(-c.put), w.sentOnce(), c.sent)
			}
		})
	}
}

// TestAccountAddedLater begins when it is added, and the others stay as they are.
func TestAccountAddedLater(t *testing.T) {
	w := newStage(noon())
	w.runAll(t, w.reconciler(t, nil))
	w.now = noon().Add(7 * day)
	w.history("acct_1")
	own := anEvent("evt_own", noon().Add(day))
	w.arises(own, w.now)
	young := anEvent("evt_young", w.now.Add(time.Hour))
	young.Account = "acct_1"
	w.arises(young, w.now)
	r := w.reconciler(t, func(c *Config) { c.Accounts = map[string]string{"": "default", "acct_1": "connect"} })
	w.runAll(t, r)
	w.now = w.now.Add(2 * time.Hour)
	w.runAll(t, r)
	if d := cmp.Diff([]string{"evt_own", "evt_young"}, w.sentOnce()); d != "" {
		t.Errorf("sent (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[Stream]time.Time{{}: noon(), {Account: "acct_1"}: noon().Add(7 * day)}, w.begins); d != "" {
		t.Errorf("begins (-want +got):\n%s", d)
	}
}

// TestAccountWithoutBegin is not compared, and delays no other.
func TestAccountWithoutBegin(t *testing.T) {
	w := newWorld(noon())
	w.history("")
	w.history("acct_1")
	w.beginErr = func(account string) error {
		if account == "acct_1" {
			return errDown
		}
		return nil
	}
	accounts := func(c *Config) { c.Accounts = map[string]string{"": "default", "acct_1": "connect"} }
	report, err := w.reconciler(t, accounts).Run(t.Context(), Weekly)
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "acct_1") || report.Complete() || report.Unrecorded != 29 {
		t.Errorf("%+v, %v", report, err)
	}
	for _, e := range w.taken {
		if e.Account != "" {
			t.Fatalf("sent %s of the account without a begin", e.ID)
		}
	}
	if len(w.theirs) != 1 || w.theirs[0].Account != "" {
		t.Errorf("noted %+v: a note of an account without a begin would become its begin", w.theirs)
	}
	// A configured begin needs no item.
	w.taken = nil
	report, err = w.reconciler(t, func(c *Config) { accounts(c); c.Begin = noon().Add(-3 * day) }).Run(t.Context(), Nightly)
	if !errors.Is(err, errDown) || report.Complete() || len(w.sentOnce()) != 6 {
		t.Errorf("with a configured begin: %+v, %v, sent %v", report, err, w.ids())
	}
	stopped := w.reconciler(t, func(c *Config) { c.Begins = &noBegins{w} })
	if report, err := stopped.Run(t.Context(), Frequent); !errors.Is(err, errDown) || report.Complete() || report.Listed != 0 {
		t.Errorf("begins that cannot be read: %+v, %v", report, err)
	}
}

type noBegins struct{ *world }

func (*noBegins) Oldest(_ context.Context, _ []Stream, _, _ time.Time) (map[Stream]time.Time, error) {
	return nil, errDown
}

func (*noBegins) Begins(context.Context) (map[Stream]time.Time, error) { return nil, errDown }

// TestCatchUpEndsAtTheBegin: the long tiers have finished slices after it, and leave none
// before it.
func TestCatchUpEndsAtTheBegin(t *testing.T) {
	w := newStage(noon())
	w.history("")
	w.begins[Stream{}] = noon().Add(-10*day - 30*time.Minute)
	w.begun(t, Weekly, "")
	w.begun(t, Nightly, "")
	report, err := w.reconciler(t, nil).Run(t.Context(), Frequent)
	// What is younger than a week and a quarter of it waits for the weekly pass; the night before last is the nightly pass's.
	if err != nil || !report.Complete() || report.CaughtUp == 0 || !slices.Equal(w.sentOnce(), []string{"evt__10", "evt__2", "evt__3", "evt__9"}) {
		t.Errorf("%+v, %v, sent %v", report, err, w.sentOnce())
	}
	again, err := w.reconciler(t, nil).Run(t.Context(), Frequent)
	if err != nil || again.CaughtUp != 0 {
		t.Errorf("a second run: %+v, %v", again, err)
	}
	for _, q := range w.lists {
		if q.From.Before(w.begins[Stream{}]) {
			t.Fatalf("listed from %v", q.From)
		}
	}
}

// TestBackfillGoesBeforeTheBegin at an operator's request, and writes no begin.
func TestBackfillGoesBeforeTheBegin(t *testing.T) {
	w := newStage(noon())
	w.history("")
	r := w.reconciler(t, func(c *Config) { c.Begin = noon() })
	report, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-20 * day), Until: noon()})
	if err != nil || report.Unrecorded != 20 || len(w.begins) != 0 {
		t.Errorf("%+v, %v, begins %v", report, err, w.begins)
	}
}

// TestProofKnowsTheBegin: what no pass compares is not a gap, and is named all the same.
func TestProofKnowsTheBegin(t *testing.T) {
	w := newStage(noon())
	w.begins[Stream{}] = noon().Add(-day)
	r := w.reconciler(t, nil)
	w.runAll(t, r)
	l := limits.AWS().Reconcile
	before := Gap{Endpoint: "default", From: noon().Add(-3 * day), To: noon().Add(-day).Add(-time.Second)}
	p := Prove(w.allNotes(), l, noon(), 3*day)
	if d := cmp.Diff([]Gap{before}, p.Before); d != "" || len(p.Gaps) != 0 || !p.Whole() {
		t.Errorf("%+v, before (-want +got):\n%s", p, d)
	}
	if p := Prove(w.allNotes(), l, noon(), day); len(p.Before) != 0 || !p.Whole() {
		t.Errorf("a time after the begin: %+v", p)
	}
	if _, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-2 * day), Until: noon()}); err != nil {
		t.Fatal(err)
	}
	before.To = noon().Add(-2 * day).Add(-time.Second)
	if d := cmp.Diff([]Gap{before}, Prove(w.allNotes(), l, noon(), 3*day).Before); d != "" {
		t.Errorf("after a backfill, before (-want +got):\n%s", d)
	}
	// A gap after the begin counts.
	for key, c := range w.notes {
		if c.From.After(noon().Add(-13*time.Hour)) || c.Tier == Frequent {
			delete(w.notes, key)
		}
	}
	if p := Prove(w.allNotes(), l, noon(), 3*day); len(p.Gaps) != 1 || p.Whole() {
		t.Errorf("%+v, want one gap", p)
	}
}
