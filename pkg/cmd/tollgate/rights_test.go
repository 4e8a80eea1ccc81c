package main

import (
	"strings"
	"testing"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
)

// All tests of this package run the command with the rights of the stack's policy Operator.

// TestReader: who has the policy Reader runs the verbs that look, and changes nothing.
func TestReader(t *testing.T) {
	s := newSystem(t)
	s.billed("test#-#", "CUS#test#-#cus_1")
	s.failed("evt_1", "invoice.paid", "handler", "no row", 0)
	s.deadLetter(envelope("evt_1", "invoice.paid"), "handler", "no row", 1)
	s.done("evt_2", "invoice.paid", idempotency.Applied, nil)
	s.as("Reader")
	for _, line := range []string{
		"events list", "events list --type invoice.paid", "events list --group", "events show evt_1", "causes", "dlq list", "dlq list --events", "dlq show evt_1", "dlq export",
		"outbox list", "ledger show cus_1", "reconcile report", "audit list",
	} {
		a := s.tollgate(strings.Fields(line)...)
		if strings.Contains(a.out+a.err, "not authorized") || a.code == verb.ExitUsage {
			t.Errorf("%s: %+v", line, a)
		}
	}
	if refused := s.rights.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	for _, line := range []string{"events purge evt_1 --note x", "redrive --all --note x", "dlq purge --all --note x", "outbox release OUT#x --note x"} {
		if a := s.tollgate(strings.Fields(line)...); a.code == verb.ExitDone || !strings.Contains(a.err, "nothing was changed") {
			t.Errorf("%s: %+v", line, a)
		}
	}
	s.allVisible(1)
}
