package main

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
)

// onSend calls f once, when the next message is about to be sent: its record is written then.
func (s *system) onSend(f func()) {
	var once sync.Once
	s.watch(func(operation string) {
		if operation == "AmazonSQS.SendMessage" {
			once.Do(f)
		}
	})
}

// TestReplayWait: one object for an event has what was done and its outcome.
func TestReplayWait(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := paid("evt_1", "in_1")
	withStripe(t, s, body)
	s.ended(body, "", idempotency.Applied)
	wait := func(more ...string) answer {
		return s.keyed(append([]string{"events", "replay", "evt_1", "--note=x", "--wait=1m"}, more...)...)
	}
	fail := func(left int) {
		_, err := s.store.Fail(t.Context(), s.claimed(body, ""), idempotency.Failure{Now: after(1), Err: "no plan", ReceivesLeft: left})
		check(t, err)
	}
	one := func(a answer, code int) replayLine {
		t.Helper()
		got := lines[replayLine](t, a.out)
		if a.code != code || len(got) != 1 || got[0].Record == nil {
			t.Fatalf("%+v", a)
		}
		return got[0]
	}

	s.onSend(func() { s.ended(body, "", idempotency.AlreadyApplied) })
	v := one(wait("--json"), verb.ExitDone)
	if v.Action != "replayed" || v.Generation != 2 || v.Record.Status != "done" || v.Record.Outcome != "stale" || v.Record.Attempt != 2 {
		t.Errorf("done: %+v, %+v", v, v.Record)
	}
	s.onSend(func() { fail(0) })
	if v = one(wait("--json"), verb.ExitFailed); v.Action != "replayed" || v.Record.Status != "dead" || v.Record.Error != "no plan" {
		t.Errorf("dead: %+v, %+v", v, v.Record)
	}

	// It is dead, and no attempt has run since: that is not yet its outcome.
	s.watch(nil)
	late := wait("--json", "--wait=200ms")
	if v = one(late, verb.ExitFailed); v.Action != "sent" || v.Record.Attempt != 3 || !strings.Contains(late.err, "0 dead, 1 still open") {
		t.Errorf("still dead: %+v, %+v: %s", v, v.Record, late.err)
	}
	s.onSend(func() {
		var looks atomic.Int64
		s.watch(func(operation string) {
			if operation == "DynamoDB_20120810.GetItem" && looks.Add(1) == 2 {
				fail(0) // when it was seen dead of old, and is looked at again
			}
		})
	})
	text := wait()
	if text.code != verb.ExitFailed || !strings.Contains(text.out, " sent ") || !strings.Contains(text.out, "evt_1 is dead: dead after attempt 4: no plan\n") || !strings.Contains(text.err, "1 dead, 0 still open") {
		t.Errorf("dead again: %+v", text)
	}
	s.onSend(func() { s.ended(body, "", idempotency.Applied) })
	if text = wait().ok(t); !strings.Contains(text.out, "evt_1 is done: applied, attempt 5\n") {
		t.Errorf("done at last: %+v", text)
	}
}

// TestReplayWaitInterrupted: what was sent is reported all the same.
func TestReplayWaitInterrupted(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	bodies := []string{paid("evt_1", "in_1"), paid("evt_2", "in_2")}
	withStripe(t, s, bodies...)
	for _, b := range bodies {
		s.ended(b, "", idempotency.Applied)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.onSend(stop)
	got := tollgate(ctx, map[string]string{"STRIPE_API_KEY": "sk_test_x"}, "events", "replay", "evt_1", "evt_2", "--note=x", "--wait=1h", "--json", "--data", s.data)
	sent := lines[replayLine](t, got.out)
	if got.code != verb.ExitFailed || len(sent) != 1 || sent[0].ID != "evt_1" || sent[0].Action != "replayed" || !strings.Contains(got.err, "interrupted") {
		t.Errorf("%+v", got)
	}
}
