package consumer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// outboxEffects are what a handler returns: a fact, two messages to be sent and a held one.
func outboxEffects(id string) dispatch.Effects {
	message := func(name string, list func(int) string) dispatch.Effect {
		key := dispatch.MessageKey("FACT#test#-#"+id, name)
		return dispatch.Insert(key, dispatch.Fields{"name": name, dispatch.ListName: list(dispatch.OutboxShard(key))})
	}
	return dispatch.Effects{
		dispatch.Insert("FACT#test#-#"+id, nil), message("new", dispatch.OutboxList), message("held", dispatch.HeldList), message("known", dispatch.OutboxList),
	}
}

// TestHandOver: only messages that this completion wrote, and that are not held, are handed over,
// after it. Whatever the hand-over does, the event is done.
func TestHandOver(t *testing.T) {
	written := func(id string) []string {
		e := outboxEffects(id)
		return []string{e[0].Key, e[1].Key, e[2].Key}
	}
	for _, c := range []struct {
		name    string
		verdict idempotency.CompleteVerdict
		written []string
		typ     string
		err     error
		want    string
	}{
		{"written", idempotency.Completed, written("evt_1"), "invoice.paid", nil, "OUT#FACT#test#-#evt_1#new"},
		{"without a claim", idempotency.Completed, written("evt_1"), "pure", nil, "OUT#FACT#test#-#evt_1#new"},
		{"fails", idempotency.Completed, written("evt_1"), "invoice.paid", errors.New("queue is down"), "OUT#FACT#test#-#evt_1#new"},
		{"nothing known of what was written", idempotency.Completed, nil, "invoice.paid", nil, ""},
		{"done by another", idempotency.SupersededDone, written("evt_1"), "invoice.paid", nil, ""},
		{"superseded", idempotency.Superseded, written("evt_1"), "invoice.paid", nil, ""},
		{"check refused", idempotency.CheckRefused, written("evt_1"), "invoice.paid", nil, ""},
		{"rejected", idempotency.Rejected, written("evt_1"), "invoice.paid", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) { return outboxEffects(in.ID), nil })
			completed := false
			b.store.complete = func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error) {
				completed = true
				return idempotency.CompleteResult{Verdict: c.verdict, Outcome: idempotency.Applied, Written: c.written, Err: errors.New("no")}, nil
			}
			var got []string
			b.config.HandOver = func(_ context.Context, effects dispatch.Effects) error {
				if !completed {
					t.Error("handed over before the completion")
				}
				for _, e := range effects {
					got = append(got, e.Key)
				}
				return c.err
			}
			failed, err := b.handle(t, message(t, "1", 1, ofType(c.typ)))
			if keys := strings.Join(got, " "); keys != c.want {
				t.Errorf("handed over %q, want %q", keys, c.want)
			}
			if done := c.verdict == idempotency.Completed; done && (len(failed) != 0 || err != nil) {
				t.Errorf("failed %v, %v", failed, err)
			}
			if c.err != nil != strings.Contains(b.logs.String(), `"error":"queue is down"`) {
				t.Errorf("log:\n%s", b.logs)
			}
		})
	}
}

// TestHandOverEnds: a duplicate hands nothing over, and a hand-over that takes long is cut off
// before the function's end.
func TestHandOverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) { return outboxEffects(in.ID), nil })
		b.store.complete = func(_ *idempotency.Claim, e dispatch.Effects) (idempotency.CompleteResult, error) {
			return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied, Written: []string{e[1].Key}}, nil
		}
		b.config.HandOver = func(ctx context.Context, _ dispatch.Effects) error {
			calls++
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		if failed, err := b.handle(t, message(t, "1", 1)); err != nil || len(failed) != 0 || calls != 1 || time.Since(start) != b.config.Limits.RecordBudget {
			t.Errorf("failed %v, %v, %d calls after %v", failed, err, calls, time.Since(start))
		}
		b.store.claim = func(idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
			return idempotency.ClaimResult{Verdict: idempotency.Duplicate, Source: event.Webhook}, nil
		}
		if failed, err := b.handle(t, message(t, "1", 2)); err != nil || len(failed) != 0 || calls != 1 {
			t.Errorf("a duplicate: failed %v, %v, %d calls", failed, err, calls)
		}
		b.store.claim = nil
		b.store.complete = func(_ *idempotency.Claim, e dispatch.Effects) (idempotency.CompleteResult, error) {
			time.Sleep(b.config.Limits.ConsumerTimeout - b.config.Limits.HandlerGrace)
			return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied, Written: []string{e[1].Key}}, nil
		}
		if failed, err := b.handle(t, message(t, "2", 1)); err != nil || len(failed) != 0 || calls != 1 {
			t.Errorf("without time: failed %v, %v, %d calls", failed, err, calls)
		}
	})
}
