package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
)

// policies is a platform endpoint that takes the platform's events, and a Connect
// endpoint under test.
func policies(connect policy.Policy) func(*Config) {
	return func(c *Config) {
		c.Accounts = map[string]string{"": "default", "acct_1": "connect"}
		c.Policies = map[string]policy.Policy{"default": {Accounts: []string{""}}, "connect": connect}
	}
}

// closed are policies that exclude acct_1 in test mode, each with the reason.
func closed() map[string]policy.Policy {
	return map[string]policy.Policy{
		"another account, ignored": {Accounts: []string{"acct_2"}, OnMismatch: policy.Ignore},
		"another account, parked":  {Accounts: []string{"acct_2"}, OnMismatch: policy.Park},
		"the other mode":           {Livemode: []bool{true}},
	}
}

// TestExcludedAccountIsNotListed in any tier, caught up or by hand; the other account is.
func TestExcludedAccountIsNotListed(t *testing.T) {
	for name, closed := range closed() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(noon())
			w.history("")
			w.history("acct_1")
			for _, tier := range []string{Nightly, Weekly} { // both have begun
				w.begun(t, tier, "")
				w.begun(t, tier, "acct_1")
			}
			r := w.reconciler(t, policies(closed))
			w.runAll(t, r)
			report, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-20 * day), Until: noon()})
			if err != nil || len(report.Excluded) != 1 {
				t.Errorf("backfill: %+v, %v", report, err)
			}
			for _, q := range w.lists {
				if q.Account != "" {
					t.Fatalf("listed %+v", q)
				}
			}
			for _, e := range w.taken {
				if e.Account != "" {
					t.Fatalf("sent %s", e.ID)
				}
			}
			if len(w.sentOnce()) != 29 {
				t.Errorf("sent %v of the platform's own, want all 29", w.sentOnce())
			}
		})
	}
}

// TestReportOfAnExcludedAccount: the account is counted, has no gap, and a note records why.
func TestReportOfAnExcludedAccount(t *testing.T) {
	w := newWorld(noon())
	r := w.reconciler(t, policies(policy.Policy{Livemode: []bool{true}}))
	report, err := r.Run(t.Context(), Frequent)
	want := []Exclusion{{
		Stream: Stream{Account: "acct_1"}, Endpoint: "connect", Reason: policy.ReasonLivemode, Text: report.Excluded[0].Text,
	}}
	if d := cmp.Diff(want, report.Excluded); d != "" || err != nil || !report.Complete() || report.Excluded[0].Text == "" {
		t.Errorf("%v, complete %v, excluded (-want +got):\n%s", err, report.Complete(), d)
	}
	w.runAll(t, r)
	p := Prove(w.allNotes(), limits.AWS().Reconcile, noon(), day)
	if len(p.Excluded) != 1 || p.Excluded[0].Account != "acct_1" || p.Excluded[0].Excluded != policy.ReasonLivemode || p.Excluded[0].Endpoint != "connect" || !p.Whole() {
		t.Errorf("%+v", p)
	}
	// In the mode that the endpoint takes it is compared.
	w.live = true
	if report, err := r.Run(t.Context(), Frequent); err != nil || len(report.Excluded) != 0 || report.Slices != 2*3 {
		t.Errorf("the other mode: %+v, %v", report, err)
	}
}

// TestNothingButExcludedAccounts: the pass is incomplete and a backfill fails, as the key may
// be of the other mode.
func TestNothingButExcludedAccounts(t *testing.T) {
	w := newWorld(noon())
	w.history("")
	r := w.reconciler(t, func(c *Config) { c.Policies = map[string]policy.Policy{"default": {Livemode: []bool{true}}} })
	report, err := r.Run(t.Context(), Frequent)
	if err != nil || report.Complete() || len(report.Excluded) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if p := Prove(w.allNotes(), limits.AWS().Reconcile, noon(), day); p.Whole() || len(p.Gaps) != 0 {
		t.Errorf("%+v", p)
	}
	backfilled, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-day), Until: noon()})
	if err == nil || backfilled.Complete() || len(w.lists) != 0 || len(w.taken) != 0 {
		t.Errorf("backfill: %+v, %v", backfilled, err)
	}
}

// TestPolicyThatOpens: without from, passes bring what the policy excluded, back to the
// begin; with from, no older event, in any tier.
func TestPolicyThatOpens(t *testing.T) {
	from := noon().Add(-2 * day)
	for _, c := range []struct {
		name string
		open policy.Policy
		sent []string
	}{
		{"without from", policy.Policy{}, []string{"evt_acct_1_1", "evt_acct_1_2", "evt_acct_1_3", "evt_acct_1_4", "evt_acct_1_5"}},
		{"with from", policy.Policy{From: from}, []string{"evt_acct_1_1", "evt_acct_1_2"}},
		{"with a from within a second", policy.Policy{From: from.Add(time.Millisecond)}, []string{"evt_acct_1_1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStage(noon())
			w.history("acct_1")
			w.begins[Stream{}], w.begins[Stream{Account: "acct_1"}] = noon().Add(-5*day), noon().Add(-5*day)
			for name, closed := range closed() {
				w.runAll(t, w.reconciler(t, policies(closed)))
				if len(w.taken) != 0 {
					t.Fatalf("%s: sent %v", name, w.ids())
				}
			}
			w.begun(t, Weekly, "acct_1") // what is old enough is caught up
			open := w.reconciler(t, policies(c.open))
			w.runAll(t, open)
			if d := cmp.Diff(c.sent, w.sentOnce()); d != "" {
				t.Errorf("sent (-want +got):\n%s", d)
			}
			p := Prove(w.allNotes(), limits.AWS().Reconcile, noon(), 10*day)
			begin := seconds(later(noon().Add(-5*day), c.open.From))
			if len(p.Excluded) != 0 || len(p.Gaps) != 0 || len(p.Before) != 2 || !p.Before[1].To.Equal(begin.Add(-time.Second)) {
				t.Errorf("%+v, want no gap, and nothing compared before %v", p, begin)
			}
			for _, q := range w.lists {
				if q.Account != "" && q.From.Before(begin) {
					t.Fatalf("a pass listed from %v, before %v", q.From, begin)
				}
			}
			report, err := open.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-20 * day), Until: noon()})
			if err != nil || report.Ignored != map[bool]int{true: 0, false: 20 - len(c.sent)}[c.open.From.IsZero()] || report.Requeued()+report.Ignored != 20 {
				t.Errorf("backfill: %+v, %v", report, err)
			}
			if older := report.Excluded; !c.open.From.IsZero() && (len(older) != 1 || older[0].Reason != ReasonFrom || older[0].Events != report.Ignored || older[0].Endpoint != "connect") {
				t.Errorf("backfill excluded %+v", older)
			}
		})
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// TestNewestNoteSaysHowAnAccountIsTreated, of several days and in any order.
func TestNewestNoteSaysHowAnAccountIsTreated(t *testing.T) {
	note := func(ago time.Duration, excluded string) Covered {
		at := noon().Add(-ago)
		return Covered{Tier: Configured, From: at, To: at.Add(-time.Second), DoneAt: at, Excluded: excluded}
	}
	for _, c := range []struct {
		name     string
		notes    []Covered
		excluded bool
	}{
		{"closed yesterday, open today", []Covered{note(day, "account"), note(0, "")}, false},
		{"open yesterday, closed today", []Covered{note(day, ""), note(0, "account")}, true},
		{"closed today, open yesterday", []Covered{note(0, "account"), note(day, "")}, true},
		{"a finished slice is later", []Covered{note(0, "account"), {Tier: Frequent, From: noon(), DoneAt: noon().Add(time.Hour)}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ExcludedBy(c.notes); (len(got) == 1) != c.excluded {
				t.Errorf("excluded: %+v", got)
			}
		})
	}
}

// TestExcludedAccountBeginsWhenItIsTaken: while its endpoint excludes an account it has no
// history, and opening the policy brings none.
func TestExcludedAccountBeginsWhenItIsTaken(t *testing.T) {
	w := newStage(noon())
	w.history("acct_1")
	w.runAll(t, w.reconciler(t, policies(policy.Policy{Livemode: []bool{true}})))
	if _, put := w.begins[Stream{Account: "acct_1"}]; put || len(w.begins) != 1 {
		t.Fatalf("begins %v", w.begins)
	}
	w.now = noon().Add(day)
	w.runAll(t, w.reconciler(t, policies(policy.Policy{})))
	if got := w.begins[Stream{Account: "acct_1"}]; !got.Equal(w.now) || len(w.taken) != 0 {
		t.Errorf("begins at %v, sent %v", got, w.ids())
	}
}
