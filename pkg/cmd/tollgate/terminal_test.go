package main

import (
	"strings"
	"testing"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// steering would recolor a terminal, set its title, reverse text and forge lines.
const steering = "x\x1b[31m\x1b]0;t\a\u009b2J\u202e\u2028\r\n\ty"

func steers(s string) bool { return strings.ContainsAny(s, "\x1b\a\u009b\u202e\u2028\r\t") }

// TestShownItemsDoNotSteerTheTerminal: the owner of a connected account chooses ids of products.
func TestShownItemsDoNotSteerTheTerminal(t *testing.T) {
	s := newSystem(t)
	s.done("evt_1", "invoice.paid", idempotency.Applied, dispatch.Effects{dispatch.Insert("FACT#test#-#"+steering, dispatch.Fields{
		"kind": "payment", "object_id": steering, "currency": steering, "lst": "CUS#test#-#cus_1", "at": "2023-11-14T22:13:10Z",
	})})
	for _, args := range [][]string{{"events", "show", "evt_1"}, {"ledger", "show", "cus_1"}} {
		a := s.tollgate(args...).ok(t)
		if steers(a.out) || !strings.Contains(a.out, "x") {
			t.Errorf("%v prints %q", args, a.out)
		}
	}
}
