//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// bridge sends an event as EventBridge's rule does.
func (s *system) bridge(body []byte, times int) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "event.json")
	must(s.t, os.WriteFile(file, body, 0o600))
	if out, errOut, code := s.tollgate("send", file, "--door", "eventbridge", "--dup", fmt.Sprint(times)); code != 0 {
		s.t.Fatalf("send: exit %d, %s %s", code, out, errOut)
	}
}

// TestBothDoors: an event that comes through webhook and EventBridge, in either order and repeated,
// is one record and one effect, also if it is dead-lettered and redriven in between.
func TestBothDoors(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "30")...)
	const events = 6
	for n := range events {
		body := trial(fmt.Sprint("doors", n), "works")
		if n%2 == 0 {
			s.enqueue(body)
		}
		s.bridge(body, 1+n%3)
		if n%2 == 1 {
			s.enqueue(body)
		}
	}
	dies := trial("doorsdead", "refuses_first")
	s.bridge(dies, 1)
	s.inDLQ(1)
	for n := range events {
		if r := s.becomesDone(fmt.Sprint("doors", n)); r["outcome"] != "applied" || r["att"] != "1" {
			t.Errorf("record %v, want applied by one attempt", r)
		}
	}
	alone := trial("doorsalone", "works")
	s.bridge(alone, 2)
	if r := s.becomesDone("doorsalone"); r["src"] != "eventbridge" {
		t.Errorf("record %v, want one by EventBridge", r)
	}
	if _, errOut, code := s.tollgate("redrive", "--all", "--wait", "--wait-hidden"); code != 0 {
		t.Errorf("redrive: exit %d, %s", code, errOut)
	}
	s.enqueue(dies)
	s.drained()
	s.inDLQ(0)
	if facts := s.items("FACT#"); len(facts) != events+2 {
		t.Errorf("%d facts, want %d", len(facts), events+2)
	}
}

// TestPolicyOfTheBus: the bus has a policy as any endpoint, and what it parks another door takes.
func TestPolicyOfTheBus(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--endpoints", `{"eventbridge":{"accounts":["acct_eu"]}}`)...)
	body := trial("parked", "works")
	s.bridge(body, 1)
	s.inDLQ(1)
	if g := s.groups()["trial.works"]; g.Reason != "account" {
		t.Errorf("dead letters %+v, want the reason account", s.groups())
	}
	s.enqueue(body)
	s.becomesDone("parked")
	s.bridge(ofAccount(trial("taken", "works"), "acct_eu"), 1)
	if r := s.becomesDone("taken"); r["src"] != "eventbridge" {
		t.Errorf("record %v, want one by EventBridge", r)
	}
	s.inDLQ(1)
}
