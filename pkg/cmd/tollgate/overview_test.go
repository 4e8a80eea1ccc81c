package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/pkg/cmd/tollgate/console/overview"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
)

// TestOverviewNeedsOnlyReader: who has the policy Reader sees all of the overview, and reading it
// hides no dead letter.
func TestOverviewNeedsOnlyReader(t *testing.T) {
	s := newSystem(t)
	s.failed("evt_1", "invoice.paid", "handler", "no row", 0)
	s.deadLetter(envelope("evt_1", "invoice.paid"), "handler", "no row", 1)
	s.done("evt_2", "invoice.paid", idempotency.Applied, nil)
	s.as("Reader")
	page, shown := overview.Pages((&verb.App{Data: s.data}).Caching())[0], ""
	for range 300 { // of patience: parts are read in the background
		v, err := page.Load(t.Context(), httptest.NewRequest("GET", "/", nil))
		check(t, err)
		if shown = fmt.Sprintf("%+v", v); strings.Contains(shown, "1 event fails") && strings.Contains(shown, "its dead letter is kept for") {
			break
		}
	}
	for _, want := range []string{"1 event fails: no row", "1 of them dead", "its dead letter is kept for", "does tollgate dev run?"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %s", want, shown)
		}
	}
	if refused := s.rights.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	s.allVisible(1)
}
