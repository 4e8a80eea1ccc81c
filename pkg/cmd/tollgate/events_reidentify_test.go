package main

import (
	"strings"
	"testing"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/local/stripe"
)

// withFakeStripe gives a system the fake Stripe, with events.
func withFakeStripe(t *testing.T, s *system, bodies ...string) {
	t.Helper()
	events := make([][]byte, len(bodies))
	for i, b := range bodies {
		events[i] = []byte(b)
	}
	_, s.info.StripeURL = localtest.Stripe(t, events...)
	s.writeInfo()
}

// TestEventsReidentify: reconcile named the platform's account by its id, so that the record
// has an account which the webhook's message has not.
func TestEventsReidentify(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := paid("evt_1", "in_1")
	withFakeStripe(t, s, body)
	c := s.claimed(body, stripe.OwnAccount)
	right, err := event.Parse([]byte(body))
	check(t, err)
	right.Source, right.Endpoint = event.Webhook, "default"
	s.deadLetter(right, "corrupt", "one id, two identities", 0)

	if text := s.tollgate("dlq", "show", "evt_1").ok(t).out; !strings.Contains(text, "record of this id, with another identity") {
		t.Errorf("%s", text)
	}
	s.keyed("events", "reidentify", "evt_1", "--account="+stripe.OwnAccount, "--note=x").refused(t, verb.ExitUsage, "is the key's own account")
	s.keyed("events", "reidentify", "evt_1", "--account=acct_other", "--note=x").refused(t, verb.ExitFailed, "cannot be fetched")
	_, err = s.store.Fail(t.Context(), c, idempotency.Failure{Now: after(1), Err: "no plan", Reason: "handler"})
	check(t, err)
	got := s.keyed("events", "reidentify", "evt_1", "--note=the platform was named", "--json").ok(t)
	if v := lines[changedLine](t, got.out)[0]; v != (changedLine{"evt_1", "reidentified"}) {
		t.Errorf("%+v", v)
	}
	s.handle(never)
	s.tollgate("redrive", "--id=evt_1", "--wait").ok(t)
	if got := s.status("evt_1"); got != "done" {
		t.Errorf("status %s after the redrive", got)
	}
	s.keyed("events", "reidentify", "evt_1", "--note=x").refused(t, verb.ExitFailed, "it is done", "tollgate events replay evt_1")
	if trail := s.tollgate("audit", "list", "--json").ok(t).out; !strings.Contains(trail, `"why":"the platform was named"`) || !strings.Contains(trail, `"outcome":"reidentified"`) {
		t.Errorf("the audit trail is %s", trail)
	}
}

func TestEventsReidentifyOfTheSame(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := paid("evt_1", "in_1")
	withFakeStripe(t, s, body)
	s.claimed(body, "")
	if got := s.keyed("events", "reidentify", "evt_1", "--note=x").ok(t); !strings.Contains(got.out, "Nothing to do") {
		t.Errorf("%+v", got)
	}
	// A record that was done under its identity keeps it, also while it runs again.
	other := paid("evt_2", "in_2")
	withFakeStripe(t, s, other)
	s.ended(other, "acct_x", idempotency.Applied)
	check(t, s.writer.Replay(t.Context(), idempotency.ReplayRequest{EventID: "evt_2", Generation: 1, Now: after(9), By: "ann", Why: "x"}))
	s.keyed("events", "reidentify", "evt_2", "--note=x").failed(t, "it was done under the identity that its record has")
}
