package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// story is what `events show --json` says of an event.
type story struct {
	ID      string           `json:"id"`
	Type    string           `json:"type"`
	Status  string           `json:"status"`
	Attempt int              `json:"attempt"`
	Fails   int              `json:"fails"`
	Reason  string           `json:"reason"`
	Error   string           `json:"error"`
	Outcome string           `json:"outcome"`
	Effects []map[string]any `json:"effects"`
}

func (s *system) story(id string) (st story, ok bool) {
	s.t.Helper()
	out, _, code := s.tollgate("events", "show", id, "--json")
	if code != 0 {
		return story{}, false
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		s.t.Fatalf("events show says %q: %v", out, err)
	}
	return st, true
}

// ends waits until an event's status is the wanted one.
func (s *system) ends(id, status string, bound time.Duration) (st story) {
	s.t.Helper()
	eventually(s.t, bound, func() (bool, string) {
		var ok bool
		st, ok = s.story(id)
		return ok && st.Status == status, fmt.Sprintf("%s is %+v (known: %v)", id, st, ok)
	})
	return st
}

func TestOneEventBecomesOneFact(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	out, errOut, code := s.tollgate("send", "invoice.paid", "--id", "evt_journey", "--json")
	if code != 0 || !strings.Contains(out, `"status":200`) {
		t.Fatalf("send: exit %d, %s%s", code, out, errOut)
	}
	st := s.ends("evt_journey", "done", 20*time.Second)
	if st.Attempt != 1 || st.Outcome != "applied" || len(st.Effects) != 1 || st.Type != "invoice.paid" {
		t.Errorf("story %+v, want done at attempt 1 with one effect", st)
	}
	s.stop()
	if _, err := os.Stat(s.infoFile()); !os.IsNotExist(err) {
		t.Errorf("dev.json after the end: %v, want it gone", err)
	}
}

// TestOneEventFiftyTimesAtOnce: five processes send the same bytes ten times each.
func TestOneEventFiftyTimesAtOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data)
	file := filepath.Join(data, "event.json")
	if err := os.WriteFile(file, event("fifty", "invoice.paid"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			out, errOut, code := s.tollgate("send", file, "--dup", "10", "--parallel", "10", "--json")
			if n := strings.Count(out, `"status":200`); code != 0 || n != 10 {
				t.Errorf("send: exit %d, %d answers 200 of 10\n%s", code, n, errOut)
			}
		})
	}
	wg.Wait()
	s.ends("evt_fifty", "done", 20*time.Second)
	s.drained(20 * time.Second)
	all := s.items()
	if n, done := count(all, "EVT#", "DONE"); n != 1 || done != 1 {
		t.Errorf("%d records, %d done; want one done record", n, done)
	}
	if n, _ := count(all, "FACT#", ""); n != 1 {
		t.Errorf("%d facts, want one", n)
	}
}

// TestFailuresAndTheirEnds runs handlers that misbehave, beside nine that do not.
func TestFailuresAndTheirEnds(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--functions", filepath.Join(binaries, "trials"), "--time-scale", "60", "--max-receives", "4")
	post := func(name, id string) {
		t.Helper()
		if status, body := s.post(trial(id, "trial."+name)); status != 200 {
			t.Fatalf("%s: %d %s", name, status, body)
		}
	}
	for i := range 9 {
		post("works", fmt.Sprint("neighbour", i))
	}
	for _, name := range []string{"fails_twice", "fails", "refuses", "panics", "exits", "hangs"} {
		post(name, name)
	}

	st := s.ends("evt_fails_twice", "done", 60*time.Second)
	if st.Attempt != 3 || st.Fails != 2 || len(st.Effects) != 1 {
		t.Errorf("fails twice: %+v, want done at attempt 3 after 2 failures, one effect", st)
	}
	for i := range 9 {
		s.ends(fmt.Sprint("evt_neighbour", i), "done", 60*time.Second)
	}
	refused := s.ends("evt_refuses", "dead", 60*time.Second)
	if refused.Attempt != 1 || refused.Reason != "handler" {
		t.Errorf("refuses: %+v, want dead at once with the handler's reason", refused)
	}
	for _, name := range []string{"fails", "panics", "exits", "hangs"} {
		s.ends("evt_"+name, "dead", 120*time.Second)
	}
	s.inDLQ(5, 120*time.Second)
	s.checkDLQList()
}

// checkDLQList reads the dead letters as an operator does.
func (s *system) checkDLQList() {
	s.t.Helper()
	out, errOut, code := s.tollgate("dlq", "list", "--events", "--json")
	if code != 0 {
		s.t.Fatalf("dlq list: exit %d, %s", code, errOut)
	}
	type letter struct {
		EventID  string `json:"event_id"`
		Type     string `json:"type"`
		Error    string `json:"error"`
		Attempts int    `json:"attempts"`
	}
	letters := map[string]letter{}
	for line := range strings.Lines(out) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatalf("dlq list says %q: %v", line, err)
		}
		letters[l.EventID] = l
	}
	for id, want := range map[string]letter{
		"evt_fails":   {Type: "trial.fails", Error: "the ledger says no", Attempts: 4},
		"evt_panics":  {Type: "trial.panics", Error: "handler panicked: out of cheese", Attempts: 4},
		"evt_refuses": {Type: "trial.refuses", Error: "this invoice is in no currency", Attempts: 1},
	} {
		got := letters[id]
		if got.Type != want.Type || !strings.Contains(got.Error, want.Error) || got.Attempts != want.Attempts {
			s.t.Errorf("dead letter of %s: %+v, want %+v", id, got, want)
		}
	}
	if len(letters) != 5 {
		s.t.Errorf("%d dead letters %v, want 5", len(letters), letters)
	}
}
