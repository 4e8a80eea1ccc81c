package queue_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// ofOrganisation is an event of an organisation's account as ingest parses it.
func ofOrganisation(t *testing.T) event.Envelope {
	t.Helper()
	body := []byte(`{"id":"evt_1","object":"event","type":"invoice.paid","context":"org_1/acct_1","livemode":true,"api_version":"2023-10-16","created":1700000000,"data":{"object":{"id":"in_1"}}}`)
	e, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	like := envelope(body)
	e.Body, e.Endpoint, e.Source, e.ReceivedAt = body, like.Endpoint, like.Source, like.ReceivedAt
	return e
}

// byOlderRelease returns the message that a release which ignored context makes of an event.
func byOlderRelease(t *testing.T, e event.Envelope) string {
	t.Helper()
	e.Account, e.AccountFrom = "", event.FromAccount
	return encode(t, e)
}

func TestContextRoundTrip(t *testing.T) {
	for name, account := range map[string]string{"an account": "acct_1", "none": "org_1"} {
		for _, body := range [][]byte{ofOrganisation(t).Body, nil} {
			e := ofOrganisation(t)
			e.Account, e.Body = account, body
			if diff := cmp.Diff(e, decode(t, encode(t, e))); diff != "" {
				t.Errorf("%s, with a body %t (-sent +got):\n%s", name, body != nil, diff)
			}
		}
	}
}

// TestOlderReleasesMessage: its header has no account, its body does. The record that this
// release makes of it has the identity that the older one gives it after a rollback.
func TestOlderReleasesMessage(t *testing.T) {
	want := ofOrganisation(t)
	want.AccountFrom = event.FromBody
	got := decode(t, byOlderRelease(t, want))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	older := want
	older.Account, older.AccountFrom = "", event.FromAccount
	if idempotency.Identity(got) != idempotency.Identity(older) {
		t.Error("the older release would take the record for another event's")
	}
	if !idempotency.IdentitiesOf(got).Has(idempotency.Identity(ofOrganisation(t))) {
		t.Error("a record that this release's own message made is taken for another event's")
	}
}

// TestOlderReconcilesMessage: its header has the account that was asked as.
func TestOlderReconcilesMessage(t *testing.T) {
	for account, from := range map[string]event.AccountFrom{"acct_1": event.FromContext, "acct_2": event.FromAccount} {
		e := ofOrganisation(t)
		e.Account, e.AccountFrom = account, event.FromAccount
		if got := decode(t, encode(t, e)); got.Account != account || got.AccountFrom != from {
			t.Errorf("account %q from %d, want %q from %d", got.Account, got.AccountFrom, account, from)
		}
	}
}

// TestOlderReleasesMessageWithoutContext stays one of the platform's own, as does one without a
// body, or with one that is no event or has an account of its own.
func TestOlderReleasesMessageWithoutContext(t *testing.T) {
	for name, change := range map[string]func(string) []byte{
		"no context":  func(s string) []byte { return []byte(strings.Replace(s, "context", "request", 1)) },
		"null":        func(s string) []byte { return []byte(strings.Replace(s, `"org_1/acct_1"`, "null", 1)) },
		"no body":     func(string) []byte { return nil },
		"no event":    func(s string) []byte { return []byte(s[1:]) },
		"account too": func(s string) []byte { return []byte(strings.Replace(s, "{", `{"account":"acct_2",`, 1)) },
		"context deep": func(s string) []byte {
			return []byte(strings.Replace(s, `"context":"org_1/acct_1"`, `"request":{"context":"acct_1"}`, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := ofOrganisation(t)
			e.Body = change(string(e.Body))
			if got := decode(t, byOlderRelease(t, e)); got.Account != "" || got.AccountFrom != event.FromAccount {
				t.Errorf("account %q from %d", got.Account, got.AccountFrom)
			}
		})
	}
}

// TestOlderReleaseReadsTheMessage: it knows all members but the new one, ignores that, and
// gives the event the identity that this release gives it.
func TestOlderReleaseReadsTheMessage(t *testing.T) {
	var all map[string]any
	e := ofOrganisation(t)
	if err := json.Unmarshal([]byte(encode(t, e)), &all); err != nil {
		t.Fatal(err)
	}
	if all["v"] != 1. || all["context"] != true {
		t.Errorf("version %v, context %v", all["v"], all["context"])
	}
	delete(all, "context")
	older, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := queue.Decode(string(older))
	if err != nil || got.Account != "acct_1" || idempotency.Identity(got) != idempotency.Identity(e) {
		t.Errorf("account %q, %v", got.Account, err)
	}
}
