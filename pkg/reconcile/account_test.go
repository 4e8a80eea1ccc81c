package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/policy"
)

// inContext is one of Stripe's events, whose context names an account.
func inContext(id, context string) event.Envelope {
	e := anEvent(id, noon().Add(-2*time.Hour))
	e.Account, e.AccountFrom = event.ContextAccount(context), event.FromContext
	return e
}

// recordedBefore is a record that a release which ignored context made of an event.
func recordedBefore(e event.Envelope, state idempotency.State) idempotency.Record {
	e.Account, e.AccountFrom = "", event.FromAccount
	return idempotency.Record{ID: e.ID, State: state, Identity: idempotency.Identity(e), Updated: noon().Add(-100 * time.Minute), ReceivesLeft: 3}
}

// TestContextOfListedEvents: an event is sent under the account that its context names, once,
// and compared with a record that an earlier release made under none. What the consumer would
// make a dead letter of is sent at no pass, and no pass finds a mismatch in it.
func TestContextOfListedEvents(t *testing.T) {
	accounts := map[string]string{"": "default", "acct_1": "connect"}
	for _, c := range []struct {
		name     string
		listed   string // the account that it is listed for
		event    event.Envelope
		record   idempotency.State
		policies map[string]policy.Policy
		sent     string // the account, "-" for nothing
		want     Counts // of a weekly pass
	}{
		{name: "no record", listed: "acct_1", event: inContext("evt_1", "org_1/acct_1"), sent: "acct_1", want: Counts{Unrecorded: 1}},
		{name: "done without an account", listed: "acct_1", event: inContext("evt_1", "acct_1"), record: idempotency.Done, sent: "-", want: Counts{Known: 1}},
		{name: "failed without an account", listed: "acct_1", event: inContext("evt_1", "acct_1"), record: idempotency.Failed, sent: "acct_1", want: Counts{Unfinished: 1}},
		{name: "another account's", listed: "acct_1", event: inContext("evt_1", "acct_2"), sent: "-", want: Counts{Mismatched: 1}},
		{name: "the key's own", listed: "", event: inContext("evt_1", "acct_own"), sent: "acct_own", want: Counts{Unrecorded: 1}},
		{name: "the key's own, done without an account", listed: "", event: inContext("evt_1", "acct_own"), record: idempotency.Done, sent: "-", want: Counts{Known: 1}},
		{name: "the key's own, under a policy that does not take its id", listed: "", event: inContext("evt_1", "acct_own"),
			policies: map[string]policy.Policy{"default": {Accounts: []string{""}}}, sent: "-", want: Counts{Ignored: 1}},
		{name: "an organisation", listed: "acct_1", event: inContext("evt_1", "org_1"), sent: "-", want: Counts{Ignored: 1}},
		{name: "an organisation, the key's own list", listed: "", event: inContext("evt_1", "org_1"), sent: "-", want: Counts{Ignored: 1}},
		{name: "a connected account's, recorded as the platform's", listed: "acct_1", event: anEvent("evt_1", noon().Add(-2*time.Hour)), record: idempotency.Failed,
			sent: "-", want: Counts{Mismatched: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(noon())
			w.stripe = []*listed{{Item{Event: c.event}, c.listed, noon().Add(-time.Hour)}}
			if c.record != "" {
				w.records[c.event.ID] = recordedBefore(c.event, c.record)
			}
			w.stopped = true
			r := w.reconciler(t, func(cfg *Config) { cfg.Accounts, cfg.Policies = accounts, c.policies })
			report, err := r.Run(t.Context(), Weekly)
			c.want.Listed = 1
			if d := cmp.Diff(c.want, report.Counts); d != "" || err != nil || !report.Complete() {
				t.Errorf("%v, complete %v, counts (-want +got):\n%s", err, report.Complete(), d)
			}
			var sent []string
			for _, e := range w.taken {
				sent = append(sent, e.Account)
			}
			if c.sent == "-" && len(sent) > 0 || c.sent != "-" && (len(sent) != 1 || sent[0] != c.sent) {
				t.Errorf("sent under %q, want %q", sent, c.sent)
			}
			if x := report.Excluded; (len(x) == 1 && x[0].Events == 1 && x[0].Reason == policy.ReasonAccount && x[0].Text != "") != (c.want.Ignored == 1) {
				t.Errorf("excluded %+v", x)
			}
		})
	}
}
