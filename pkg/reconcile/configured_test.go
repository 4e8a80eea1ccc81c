package reconcile

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/policy"
)

// TestAccountsAreNotedOnceADay by whatever pass comes first, in the mode that it lists.
func TestAccountsAreNotedOnceADay(t *testing.T) {
	w := newWorld(noon())
	w.fail = goneAccount(errBad)
	r := w.reconciler(t, func(c *Config) { c.Accounts = map[string]string{"": "default", "acct_gone": "connect"} })
	note := func(account string, live bool, daysLater, hour int) Covered {
		day := time.Date(2026, 11, 21+daysLater, 0, 0, 0, 0, time.UTC)
		return Covered{
			Livemode: live, Account: account, Tier: Configured, From: day, To: day.Add(-time.Second),
			DoneAt: day.Add(time.Duration(hour) * time.Hour),
			Since:  noon().Add(-60 * 24 * time.Hour), Endpoint: map[string]string{"": "default", "acct_gone": "connect"}[account],
		}
	}
	for _, tier := range []string{Frequent, Nightly, Weekly, Frequent} {
		if _, err := r.Run(t.Context(), tier); !errors.Is(err, errBad) {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(11 * time.Hour)
	_, _ = r.Run(t.Context(), Frequent)
	w.now = w.now.Add(time.Hour)
	_, _ = r.Run(t.Context(), Weekly)
	w.live = true
	w.now = w.now.Add(time.Hour)
	_, _ = r.Run(t.Context(), Frequent)
	want := []Covered{
		note("", false, 0, 12), note("acct_gone", false, 0, 12), note("", false, 1, 0), note("acct_gone", false, 1, 0),
		note("", true, 1, 1), note("acct_gone", true, 1, 1),
	}
	if d := cmp.Diff(want, w.theirs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNoteFollowsTheConfiguration within the day, in each of its parts.
func TestNoteFollowsTheConfiguration(t *testing.T) {
	w := newWorld(noon())
	for _, c := range []struct {
		name   string
		change func(*Config)
	}{
		{"as it is", nil},
		{"another begin", func(c *Config) { c.Begin = noon().Add(-day) }},
		{"another endpoint", func(c *Config) { c.Begin, c.Accounts = noon().Add(-day), map[string]string{"": "other"} }},
		{"excluded for its account", func(c *Config) {
			c.Policies = map[string]policy.Policy{"default": {Accounts: []string{"acct_1"}}}
		}},
		{"excluded for its mode", func(c *Config) { c.Policies = map[string]policy.Policy{"default": {Livemode: []bool{true}}} }},
		{"as it was", nil},
	} {
		before := slices.Clone(w.theirs)
		for range 2 {
			if _, err := w.reconciler(t, c.change).Run(t.Context(), Frequent); err != nil {
				t.Fatal(err)
			}
			if c.name == "as it was" {
				continue
			}
			if len(w.theirs) != 1 || cmp.Equal(before, w.theirs) {
				t.Errorf("%s: noted %+v", c.name, w.theirs)
			}
		}
	}
	if len(w.theirs) != 1 || w.theirs[0].Excluded != "" || w.theirs[0].Endpoint != "default" || !w.theirs[0].Since.Equal(noon().Add(-60*day)) {
		t.Errorf("noted %+v", w.theirs)
	}
}

// TestAccountThatNeverFinishedIsAGap in what the notes prove; one that a backfill was for
// is not for passes to compare.
func TestAccountThatNeverFinishedIsAGap(t *testing.T) {
	w := newWorld(noon())
	w.fail = goneAccount(errBad)
	r := w.reconciler(t, func(c *Config) { c.Accounts = map[string]string{"": "default", "acct_gone": "connect"} })
	_, _ = r.Run(t.Context(), Nightly)
	notes, _, _ := w.Covered(t.Context(), noon().Add(-80*time.Hour), noon())
	l := r.cfg.Limits.Reconcile
	p := Prove(notes, l, noon(), 24*time.Hour)
	want := Proof{
		From: noon().Add(-24 * time.Hour), To: noon().Add(-35 * time.Minute), Streams: []Stream{{}, {Account: "acct_gone"}},
		Gaps: []Gap{{Account: "acct_gone", From: noon().Add(-24 * time.Hour), To: noon().Add(-35 * time.Minute)}},
	}
	if d := cmp.Diff(want, p); d != "" || p.Whole() {
		t.Errorf("whole %v, (-want +got):\n%s", p.Whole(), d)
	}
	noted := len(w.theirs)
	other := w.reconciler(t, func(c *Config) { c.Accounts = map[string]string{"acct_1": "connect"} })
	if _, err := other.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-time.Hour), Until: noon()}); err != nil || len(w.theirs) != noted {
		t.Errorf("a backfill noted %v, %v", w.theirs[noted:], err)
	}
}

// TestPassWithoutItsAccountsNoted does its work and reports the failed note.
func TestPassWithoutItsAccountsNoted(t *testing.T) {
	w := newWorld(noon())
	w.arises(anEvent("evt_1", noon().Add(-time.Hour)), noon())
	w.noteErr = errDown
	report, err := w.reconciler(t, nil).Run(t.Context(), Frequent)
	if !errors.Is(err, errDown) || report.Complete() || report.Unrecorded != 1 || len(w.theirs) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
