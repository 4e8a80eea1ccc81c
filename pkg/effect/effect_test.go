package effect_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

func TestID(t *testing.T) {
	if got := effect.ID((*stripe.Customer)(nil)); got != "" {
		t.Errorf("nil has id %q", got)
	}
	if got := effect.ID(&stripe.PayoutDestination{ID: "ba_1"}); got != "ba_1" {
		t.Errorf("id %q, want ba_1", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a type without the field ID was accepted")
		}
	}()
	effect.ID(&struct{ ID int }{7})
}

func TestFact(t *testing.T) {
	in := dispatch.Input{Envelope: event.Envelope{ID: "evt_1", Account: "acct_1", Livemode: true}}
	f := effect.Fact{Kind: "payout", Object: "payout", ID: "po_1", Name: "paid", Amount: 7, Currency: "eur", Occurred: 60, Extra: dispatch.Fields{"bank": "ba_1"}}
	got, err := f.Effects(in, f.Message(in, "payout_paid"))
	if err != nil {
		t.Fatal(err)
	}
	const key = "FACT#live#acct_1#po_1#paid"
	if len(got) != 2 || got[1].Key != "OUT#"+key+"#payout_paid" || got[1].Since.Unix() != 60 {
		t.Fatalf("effects %v", got)
	}
	want := dispatch.Insert(key, dispatch.Fields{
		"kind": "payout", "mode": "live", "account": "acct_1", "customer": "", "event_id": "evt_1", "fact": "paid", "object": "payout", "object_id": "po_1",
		"amount": int64(7), "currency": "eur", "occurred": int64(60), "bank": "ba_1", "outbox": []any{got[1].Key},
	})
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("fact (-want +got):\n%s", diff)
	}
	for name, broken := range map[string]effect.Fact{"no id": {Currency: "eur"}, "no currency": {ID: "po_1"}} {
		_, err := broken.Effects(in)
		if _, permanent := errors.AsType[*dispatch.PermanentError](err); !permanent {
			t.Errorf("%s: error %v, want a permanent one", name, err)
		}
	}
}

func TestCustomerOf(t *testing.T) {
	for object, want := range map[string]string{
		`{"customer": "cus_1"}`: "cus_1",
		`{"customer": {"id": "cus_2", "object": "customer", "deleted": true}}`: "cus_2",
		`{"customer": null, "customer_account": "acct_1"}`:                     "acct_1",
		`{"customer_account": "acct_1"}`:                                       "acct_1",
		`{"customer": "", "customer_account": {"id": "acct_2"}}`:               "acct_2",
		`{"customer": "cus_1", "customer_account": "acct_1"}`:                  "cus_1",
		`{"customer": 7, "customer_account": ["acct_1"]}`:                      "",
		`{"customer": null, "customer_account": null}`:                         "",
		`{}`: "", `null`: "", `[]`: "", `"cus_1"`: "", `{"customer"`: "", ``: "",
	} {
		if got := effect.CustomerOf(json.RawMessage(object)); got != want {
			t.Errorf("%s: customer %q, want %q", object, got, want)
		}
	}
	if got := effect.CustomerOf(nil); got != "" {
		t.Errorf("nil: customer %q", got)
	}
}

// A fact without a customer is in the list that it names, else in none.
func TestListOfAFact(t *testing.T) {
	in := dispatch.Input{Envelope: event.Envelope{ID: "evt_1"}}
	for name, c := range map[string]struct {
		customer, payment string
		want              any // nil: in no list
	}{
		"customer":                {"cus_1", "pi_1", "CUS#test#-#cus_1"},
		"a guest's":               {"", "pi_1", "PAY#test#-#pi_1"},
		"no customer, no payment": {"", "", nil},
	} {
		f := effect.Fact{ID: "x_1", Currency: "eur", Customer: c.customer, List: effect.ListOf(in.Envelope, c.customer, c.payment)}
		got, err := f.Insert(in)
		if err != nil || got.Fields["lst"] != c.want {
			t.Errorf("%s: list %v, %v; want %v", name, got.Fields["lst"], err, c.want)
		}
	}
}
