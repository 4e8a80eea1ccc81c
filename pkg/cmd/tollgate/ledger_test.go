package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/ledger"
)

// billed leaves a customer with a payment and its receipt.
func (s *system) billed(place, list string) {
	s.t.Helper()
	s.done("evt_"+list, "payment_intent.succeeded", idempotency.Applied, dispatch.Effects{
		dispatch.Insert("FACT#"+place+"pi_1#succeeded", dispatch.Fields{
			"kind": "payment", "fact": "succeeded", "object_id": "pi_1", "amount": int64(4900), "currency": "jpy", "occurred": int64(1_699_999_990),
			"event_id": "evt_1", "lst": list, "at": "2023-11-14T22:13:10Z", "outbox": []any{"OUT#FACT#" + place + "pi_1#succeeded#receipt"},
		}),
		dispatch.Insert("OUT#FACT#"+place+"pi_1#succeeded#receipt", dispatch.Fields{
			"kind": "outbox", "name": "receipt", "to": "cus_1", "object_id": "pi_1", "amount": int64(4900), "currency": "jpy",
			"lst": "OUT#1", "at": "2023-11-14T22:13:10Z", "event_id": "evt_1",
		}),
	})
}

func TestLedgerShow(t *testing.T) {
	s := newSystem(t)
	s.billed("test#-#", "CUS#test#-#cus_1")
	s.billed("live#acct_1#", "CUS#live#acct_1#cus_1")

	for _, args := range [][]string{{}, {"--live", "--account", "acct_1"}} {
		a := s.tollgate(append([]string{"ledger", "show", "cus_1", "--json"}, args...)...).ok(t)
		var got ledger.Ledger
		check(t, json.Unmarshal([]byte(a.out), &got))
		want := []ledger.Payment{{Kind: "payment", ObjectID: "pi_1", Fact: "succeeded", Amount: 4900, Currency: "jpy", Occurred: 1_699_999_990, Event: "evt_1"}}
		if diff := cmp.Diff(want, got.Payments); diff != "" || len(got.Outbox) != 1 || len(got.Subscriptions) != 0 {
			t.Errorf("%v: %s\n%s", args, diff, a.out)
		}
		if (got.Mode == "live") != (len(args) > 0) || (got.Account == "acct_1") != (len(args) > 0) {
			t.Errorf("%v shows mode %q, account %q", args, got.Mode, got.Account)
		}
	}

	people := s.tollgate("ledger", "show", "cus_1").ok(t)
	for _, part := range []string{"customer  cus_1", "payments\nWHAT", "pi_1    4900 jpy", "outbox\nMESSAGE", "receipt"} {
		if !strings.Contains(people.out, part) {
			t.Errorf("%q is not in\n%s", part, people.out)
		}
	}
	if strings.Contains(people.out, "disputes") {
		t.Errorf("an empty table is shown:\n%s", people.out)
	}

	s.tollgate("ledger", "show", "cus_2").refused(t, verb.ExitFailed, "cus_2 is not known in test mode", "--live")
	s.tollgate("ledger", "show", "cus_1", "--live").refused(t, verb.ExitFailed, "not known in live mode")
	s.tollgate("ledger", "show").refused(t, verb.ExitUsage, "customer")
}
