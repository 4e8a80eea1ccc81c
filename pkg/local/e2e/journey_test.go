//go:build unix

package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// sent is a line of `send --json`.
type sent struct {
	EventID string `json:"event_id"`
	Status  int    `json:"status"`
}

func TestOneEventBecomesOneFact(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for _, d := range jsonLines[sent](s, "send", "invoice.paid", "--id", "evt_journey") {
		if d.EventID != "evt_journey" || d.Status != 200 {
			t.Fatalf("send prints %+v", d)
		}
	}
	s.becomesDone("journey")
	st := s.story("journey")
	if st.Status != "done" || st.Attempt != 1 || st.Fails != 0 || st.Outcome != "applied" || len(st.Effects) != 3 || st.Type != "invoice.paid" {
		t.Fatalf("story %+v, want done at attempt 1 with the invoice's row, its fact and its receipt", st)
	}
	facts := s.items("FACT#")
	if len(facts) != 1 || facts[st.Effects[1]["pk"].(string)]["event_id"] != "evt_journey" {
		t.Errorf("facts %v, want the one that the story names", facts)
	}
}

// TestTheSameEventFiftyTimesAtOnce: five processes send the same bytes ten times each.
// The time scale only shortens the wait of a copy that met a running one.
func TestTheSameEventFiftyTimesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "10")
	file := filepath.Join(s.data, "event.json")
	must(t, os.WriteFile(file, event("fifty", "invoice.paid"), 0o600))
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			out, errOut, code := s.tollgate("send", file, "--dup", "10", "--parallel", "10", "--json")
			if n := bytes.Count([]byte(out), []byte(`"status":200`)); code != 0 || n != 10 {
				t.Errorf("send: exit %d, %d answers 200 of 10\n%s", code, n, errOut)
			}
		})
	}
	wg.Wait()
	s.becomesDone("fifty")
	s.drained()
	if records := s.items("EVT#"); len(records) != 1 || records["EVT#evt_fifty"]["st"] != "DONE" {
		t.Errorf("records %v, want one, done", records)
	}
	if facts := s.items("FACT#"); len(facts) != 1 {
		t.Errorf("%d facts %v, want one", len(facts), facts)
	}
	if n := len(s.log.lines("event_id=evt_fifty", "outcome=applied")); n != 1 {
		t.Errorf("%d attempts were applied, want one", n)
	}
	if n := s.depth(s.info.DLQURL); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
}

// TestTwoEventsForOneFact: Stripe may report one fact in two events; the first one counts.
func TestTwoEventsForOneFact(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	first := event("first", "invoice.paid")
	second := bytes.Replace(first, []byte("evt_first"), []byte("evt_second"), 1)
	s.enqueue(first)
	s.becomesDone("first")
	before := s.items("FACT#")
	s.enqueue(second)
	if r := s.becomesDone("second"); r["outcome"] != "applied" { // it keeps the invoice's row anew
		t.Errorf("outcome %q of the second event, want applied", r["outcome"])
	}
	after := s.items("FACT#")
	if len(after) != 1 || len(before) != 1 || after["FACT#test#-#in_first#paid#none"]["event_id"] != "evt_first" {
		t.Errorf("facts %v, then %v; want one, of the first event", before, after)
	}
}
