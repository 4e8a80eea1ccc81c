//go:build unix

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/pkg/causes"
	"tollgate/pkg/cmd/tollgate/events"
)

// causeOf waits until the command shows a cause of a type's events.
func (s *system) causeOf(typ string, is func(causes.Cause) bool, flags ...string) (found causes.Cause) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		list := jsonLines[causes.Cause](s, append([]string{"causes"}, flags...)...)
		for _, c := range list {
			if c.Type == typ && c.Error != "" && is(c) {
				found = c
				return true, ""
			}
		}
		return false, fmt.Sprintf("no such cause of %s: %+v", typ, list)
	})
	return found
}

// TestCausesBeforeAndAfterTheyAreDead: a handler's fault is a cause from its first failure on, with
// where it failed; it keeps its fingerprint when its events are dead letters, and their attempts
// are in the record until the event is done.
func TestCausesBeforeAndAfterTheyAreDead(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	data, folder := t.TempDir(), newFunctionFolder(t)
	run := func() *system {
		return start(t, data, "--functions", folder.path, "--time-scale", "10", "--max-receives", "3")
	}
	s := run()
	s.enqueue(trial("cause1", "ledger"))
	s.enqueue(trial("cause2", "ledger"))
	s.enqueue(trial("panic", "panics"))
	early := s.causeOf("trial.ledger", func(c causes.Cause) bool { return c.Retrying == 2 }, "--records")
	if early.Dead != 0 || early.LeftMax < 1 || early.NextFirst.IsZero() || early.First.IsZero() || len(early.IDs) != 2 || early.Alarm != "consumer-failures" {
		t.Errorf("before it is dead: %+v", early)
	}
	if p := s.causeOf("trial.panics", func(causes.Cause) bool { return true }, "--records"); !strings.Contains(p.Error, "out of cheese") || !strings.Contains(p.Frame, "main.go:") {
		t.Errorf("a panic: %+v", p)
	}
	folder.build("fixed") // during the back-off
	s.inDLQ(3)
	late := s.causeOf("trial.ledger", func(c causes.Cause) bool { return c.Dead == 2 && c.Letters >= 2 })
	if late.Fingerprint != early.Fingerprint || late.Events != 2 || !late.First.Equal(early.First) || late.Reason != "max_receives" || late.Alarm != "dead-letters" {
		t.Errorf("after it is dead: %+v, before %+v", late, early)
	}
	attempts := jsonLines[events.View](s, "events", "show", "evt_cause1")[0].History.Failed
	if len(attempts) == 0 || attempts[0].Fingerprint != early.Fingerprint || attempts[len(attempts)-1].Number > 3 {
		t.Errorf("attempts %+v", attempts)
	}
	for n, a := range attempts[1:] {
		if before := attempts[n]; a.Number <= before.Number || !a.Start.After(before.Start) {
			t.Errorf("attempt %+v after %+v", a, before)
		}
	}

	s.interrupt()
	folder.deploy("fixed")
	s = run()
	if out, errOut, code := s.tollgate("redrive", "--error", early.Fingerprint, "--wait", "--json"); code != 0 {
		t.Errorf("redrive by the cause's fingerprint: exit %d\n%s%s", code, out, errOut)
	}
	for _, id := range []string{"cause1", "cause2"} {
		if row := s.becomesDone(id); row["hist"] != "" {
			t.Errorf("done with the history %s", row["hist"])
		}
	}
	if left := jsonLines[causes.Cause](s, "causes"); len(left) != 1 || left[0].Type != "trial.panics" {
		t.Errorf("causes left: %+v", left)
	}
}
