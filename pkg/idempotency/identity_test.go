package idempotency

import (
	"testing"

	"tollgate/pkg/event"
)

// TestIdentities: only an event whose account earlier releases did not read may have been
// recorded without it.
func TestIdentities(t *testing.T) {
	e := func(account string, from event.AccountFrom) event.Envelope {
		return event.Envelope{ID: "evt_1", Type: "invoice.paid", Created: 1, ObjectID: "in_1", Account: account, AccountFrom: from}
	}
	none, one, two := Identity(e("", event.FromAccount)), Identity(e("acct_1", event.FromAccount)), Identity(e("acct_2", event.FromAccount))
	for _, tt := range []struct {
		name string
		of   event.Envelope
		made string
		is   []string
		not  []string
	}{
		{"the platform's own", e("", event.FromAccount), none, nil, []string{one, two, ""}},
		{"a connected account's", e("acct_1", event.FromAccount), one, nil, []string{none, two, ""}},
		{"an organisation's account's", e("acct_1", event.FromContext), one, []string{none}, []string{two, ""}},
		{"the same in an older release's message", e("acct_1", event.FromBody), none, []string{one}, []string{two, ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if Identity(tt.of) != tt.made {
				t.Error("a new record gets another identity")
			}
			for _, i := range append(tt.is, tt.made) {
				if !IdentitiesOf(tt.of).Has(i) {
					t.Errorf("a record with the identity %.6s is another event's", i)
				}
			}
			for _, i := range tt.not {
				if IdentitiesOf(tt.of).Has(i) {
					t.Errorf("a record with the identity %.6s is this event's", i)
				}
			}
			other := tt.of
			other.ObjectID = "in_2"
			for _, i := range IdentitiesOf(other) {
				if IdentitiesOf(tt.of).Has(i) {
					t.Error("an event of another object is this event")
				}
			}
		})
	}
}
