package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// TestCoalescedIsDone: the record ends stale, with the message that forwards the event, which
// is acknowledged. The log line tells it from an event whose facts were known.
func TestCoalescedIsDone(t *testing.T) {
	b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
		effects := dispatch.Effects{dispatch.Insert("FACT#"+in.ID, nil)}
		if in.ID == "evt_1" {
			return effects, fmt.Errorf("dispatch: %w", dispatch.ErrCoalesced)
		}
		return effects, nil
	})
	var committed []int
	b.store.complete = func(_ *idempotency.Claim, e dispatch.Effects) (idempotency.CompleteResult, error) {
		committed = append(committed, len(e))
		return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: b.store.outcomes[len(b.store.outcomes)-1]}, nil
	}
	b.config.Limits.BatchConcurrency = 1
	failed, err := b.handle(t, message(t, "1", 1), message(t, "2", 1))
	if err != nil || len(failed) != 0 || len(b.store.failures) != 0 {
		t.Fatalf("failed %v, error %v, failures %+v", failed, err, b.store.failures)
	}
	if diff := cmp.Diff([]int{1, 1}, committed); diff != "" || !slices.Equal(b.store.outcomes, []idempotency.Outcome{idempotency.AlreadyApplied, idempotency.Applied}) {
		t.Errorf("outcomes %v, effects (-want +got):\n%s", b.store.outcomes, diff)
	}
	lines := json.NewDecoder(strings.NewReader(b.logs.String()))
	for _, want := range []struct {
		outcome   string
		coalesced bool
	}{{"stale", true}, {"applied", false}} {
		var line struct {
			Outcome   string
			Coalesced bool
		}
		if err := lines.Decode(&line); err != nil || line.Outcome != want.outcome || line.Coalesced != want.coalesced {
			t.Errorf("log line %+v (%v), want %+v", line, err, want)
		}
	}
}

// TestHandlerLearnsWhenTheMessageWasSent and when its run started, on each run anew.
func TestHandlerLearnsWhenTheMessageWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sent := start.Add(-time.Hour)
		var got []dispatch.Input
		b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
			got = append(got, in)
			<-time.After(time.Second)
			return nil, nil
		})
		b.store.complete = func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error) {
			if len(got) == 1 {
				return idempotency.CompleteResult{Verdict: idempotency.SwapRefused}, nil
			}
			return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied}, nil
		}
		m := message(t, "1", 1)
		m.SentAt, m.FirstReceivedAt = sent, sent.Add(time.Minute)
		if failed, err := b.handle(t, m); err != nil || len(failed) != 0 || len(got) != 2 {
			t.Fatalf("failed %v, error %v, %d runs", failed, err, len(got))
		}
		first, again := got[0], got[1]
		if !first.FirstReceived.Equal(sent.Add(time.Minute)) || !again.FirstReceived.Equal(sent.Add(time.Minute)) {
			t.Errorf("the runs got that the message was first received at %v and %v", first.FirstReceived, again.FirstReceived)
		}
		if first.Settle != b.config.Limits.Settle || first.Settle != 10*time.Minute {
			t.Errorf("the run got a settle time of %v", first.Settle)
		}
		if !first.SentAt.Equal(sent) || !again.SentAt.Equal(sent) {
			t.Errorf("the runs got that the message was sent at %v and %v, want %v", first.SentAt, again.SentAt, sent)
		}
		// The second run waits first, so that attempts which swap one item do not meet again.
		wait := again.Now.Sub(start) - time.Second
		if !first.Now.Equal(start) || wait <= 0 || wait > 2*50*time.Millisecond {
			t.Errorf("the runs started at %v and %v, want %v and within 0.1 s after its end", first.Now, again.Now, start)
		}
	})
}
