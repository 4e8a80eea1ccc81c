package main

import (
	"strings"
	"testing"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// TestIDsAreWhole: what an operator must be able to copy is not cut in a table.
func TestIDsAreWhole(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	checkout := "cs_live_" + strings.Repeat("b2T", 20)
	s.done("evt_1", "checkout.session.completed", idempotency.Applied, dispatch.Effects{dispatch.Swap("OBJ#test#-#"+checkout, 0, dispatch.Fields{
		"kind": "checkout", "status": "complete", "payment_status": "paid", "mode_of": "payment", "amount_total": int64(5), "currency": "jpy",
		"lst": "CUS#test#-#cus_1", "at": "2023-11-14T22:13:10Z",
	})})
	if text := s.tollgate("ledger", "show", "cus_1").ok(t).out; !strings.Contains(text, checkout+" ") {
		t.Errorf("%s", text)
	}
	thin := "evt_test_" + strings.Repeat("65R9Jf8gNb", 6)
	s.dead(thin, "invoice.paid", "no plan")
	for _, args := range [][]string{{"dlq", "list"}, {"dlq", "list", "--events"}, {"events", "list"}} {
		if text := s.tollgate(args...).ok(t).out; !strings.Contains(text, thin) {
			t.Errorf("%v:\n%s", args, text)
		}
	}
}
