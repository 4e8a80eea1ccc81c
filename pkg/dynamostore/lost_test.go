package dynamostore

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// These run against the embedded database: what was applied without an answer is found
// again in the record.

func (f fixture) claim(t *testing.T) *idempotency.Claim {
	t.Helper()
	// Through a store of its own, so that a script counts only what follows.
	got, err := newStore(t, f.raw, f.table).Claim(t.Context(), claimRequest())
	if err != nil || got.Verdict != idempotency.Claimed {
		t.Fatalf("claim = %+v, %v", got, err)
	}
	return got.Claim
}

func (f fixture) record(t *testing.T) idempotency.Record {
	t.Helper()
	r, found, err := f.reader.Get(t.Context(), claimRequest().Event.ID)
	if err != nil || !found {
		t.Fatalf("record: found %v, error %v", found, err)
	}
	return r
}

func TestCompleteLost(t *testing.T) {
	s := serveEmbedded(t)
	insert := dispatch.Effects{dispatch.Insert("K1", dispatch.Fields{"b": int64(1), "a": "x", "c": true, "d": nil})}
	for name, effects := range map[string]dispatch.Effects{"plain": nil, "with effects": insert} {
		for fault, step := range map[string]step{"request lost": loseRequest, "response lost": loseResponse} {
			t.Run("complete/"+fault+", "+name+" → the same again → completed", func(t *testing.T) {
				f, w := s.scripted(t, step)
				c := f.claim(t)
				got, err := f.Complete(t.Context(), c, idempotency.Applied, effects, now)
				if err != nil || got.Verdict != idempotency.Completed || got.Outcome != idempotency.Applied {
					t.Fatalf("complete = %+v, %v", got, err)
				}
				sent := w.requests()
				if len(sent) != 2 || !cmp.Equal(sent[0].members(t), sent[1].members(t)) {
					t.Errorf("%d requests, want the same one twice", len(sent))
				}
				if r := f.record(t); r.State != idempotency.Done || len(r.Effects) != len(effects) {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
	t.Run("complete/response lost, the token forgotten → found in the record → completed", func(t *testing.T) {
		f, _ := s.scripted(t)
		c := f.claim(t)
		for range 2 { // the second has another token, as after the ten minutes that a token lives
			got, err := f.Complete(t.Context(), c, idempotency.Applied, insert, now)
			if err != nil || got.Verdict != idempotency.Completed || got.Outcome != idempotency.Applied {
				t.Fatalf("complete = %+v, %v", got, err)
			}
		}
	})
	t.Run("complete/insert refused, response of the rest lost → completed with the recorded outcome", func(t *testing.T) {
		f, w := s.scripted(t, pass, loseResponse)
		given := claimRequest()
		given.Event.ID = "evt_given"
		other, err := newStore(t, f.raw, f.table).Claim(t.Context(), given)
		check(t, err)
		c := f.claim(t)
		check(t, errOf(newStore(t, f.raw, f.table).Complete(t.Context(), other.Claim, idempotency.Applied, insert, now)))
		got, err := f.Complete(t.Context(), c, idempotency.Applied, insert, now)
		if err != nil || got.Verdict != idempotency.Completed || got.Outcome != idempotency.AlreadyApplied {
			t.Errorf("complete = %+v, %v", got, err)
		}
		if n := len(w.requests()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
	t.Run("complete/every response lost → unknown, though it is done", func(t *testing.T) {
		f, _ := s.scripted(t, all(maxTries, loseResponse)...)
		c := f.claim(t)
		ctx, cancel := contextWithTimeout(t, 300*time.Millisecond)
		defer cancel()
		if got, err := f.Complete(ctx, c, idempotency.Applied, insert, now); !errors.Is(err, idempotency.ErrUnknown) {
			t.Errorf("complete = %+v, %v", got, err)
		}
		if r := f.record(t); r.State != idempotency.Done {
			t.Errorf("record %+v", r)
		}
	})
}

// The service's own refusals, not scripted ones.
func TestCompleteRefusedByTheService(t *testing.T) {
	s := serveEmbedded(t)
	t.Run("complete/index key of another type → rejected", func(t *testing.T) {
		f, _ := s.scripted(t)
		effects := dispatch.Effects{dispatch.Insert("K1", dispatch.Fields{"lst": int64(1), "at": "x"})}
		got, err := f.Complete(t.Context(), f.claim(t), idempotency.Applied, effects, now)
		if err != nil || got.Verdict != idempotency.Rejected || got.Err == nil {
			t.Errorf("complete = %+v, %v", got, err)
		}
	})
	t.Run("complete/table missing → store down", func(t *testing.T) {
		store := newStore(t, s.client(http.DefaultTransport, false), "no-such-table")
		for _, effects := range []dispatch.Effects{nil, fiveEffects()} {
			if got, err := store.Complete(t.Context(), someClaim(), idempotency.Applied, effects, now); !errors.Is(err, idempotency.ErrStoreDown) {
				t.Errorf("complete = %+v, %v", got, err)
			}
		}
		if got, err := store.Claim(t.Context(), claimRequest()); !errors.Is(err, idempotency.ErrStoreDown) {
			t.Errorf("claim = %+v, %v", got, err)
		}
	})
	t.Run("complete/one token for two transactions → rejected", func(t *testing.T) {
		f, _ := s.scripted(t)
		c := f.claim(t)
		again := *c
		check(t, errOf(f.Complete(t.Context(), c, idempotency.Applied, dispatch.Effects{dispatch.Insert("K1", nil)}, now)))
		got, err := f.Complete(t.Context(), &again, idempotency.Applied, dispatch.Effects{dispatch.Insert("K2", nil)}, now)
		if err != nil || got.Verdict != idempotency.Rejected {
			t.Errorf("complete = %+v, %v", got, err)
		}
	})
}

func TestFailWire(t *testing.T) {
	s := serveEmbedded(t)
	failure := idempotency.Failure{Now: now, Err: "boom", ReceivesLeft: 3}
	t.Run("fail/throttled to the end → throttled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store, _ := scripted(t, all(maxTries, failWith(400, "ThrottlingException"))...)
			ctx, cancel := contextWithTimeout(t, limits.AWS().RecordBudget)
			defer cancel()
			if got, err := store.Fail(ctx, someClaim(), failure); !errors.Is(err, idempotency.ErrThrottled) || got.Verdict != "" {
				t.Errorf("fail = %+v, %v", got, err)
			}
		})
	})
	t.Run("fail/every response lost → store down, though it is written", func(t *testing.T) {
		f, _ := s.scripted(t, all(maxTries, loseResponse)...)
		c := f.claim(t)
		ctx, cancel := contextWithTimeout(t, 300*time.Millisecond)
		defer cancel()
		if got, err := f.Fail(ctx, c, failure); !errors.Is(err, idempotency.ErrStoreDown) {
			t.Errorf("fail = %+v, %v", got, err)
		}
		if r := f.record(t); r.Fails != 1 {
			t.Errorf("record %+v", r)
		}
	})
}

// TestWriteSentAgain: after one failed try the budget has time for another, which is written once.
func TestWriteSentAgain(t *testing.T) {
	s := serveEmbedded(t)
	writes := map[string]func(t *testing.T, f fixture, c *idempotency.Claim) error{
		"fail": func(t *testing.T, f fixture, c *idempotency.Claim) error {
			got, err := f.Fail(t.Context(), c, idempotency.Failure{Now: now, Err: "boom", ReceivesLeft: 3})
			if r := f.record(t); got.Verdict != idempotency.FailWritten || r.Fails != 1 || r.State != idempotency.Failed {
				t.Errorf("fail = %+v, record %+v", got, r)
			}
			return err
		},
		"replay": func(t *testing.T, f fixture, c *idempotency.Claim) error {
			check(t, errOf(newStore(t, f.raw, f.table).Complete(t.Context(), c, idempotency.Applied, nil, now)))
			err := f.operator.Replay(t.Context(), someReplay())
			if r := f.record(t); r.Generation != 2 || r.State != idempotency.Failed {
				t.Errorf("record %+v", r)
			}
			return err
		},
	}
	for write, do := range writes {
		for name, step := range map[string]step{
			"request lost": loseRequest, "response lost": loseResponse, "throttled": failWith(400, "ThrottlingException"),
			"conflict": failWith(400, "TransactionConflictException"), "500": failWith(500, "InternalServerError"),
		} {
			t.Run(write+"/"+name+" → the same again → written once", func(t *testing.T) {
				f, w := s.scripted(t, step)
				check(t, do(t, f, f.claim(t)))
				if n := len(w.requests()); n != 2 {
					t.Errorf("%d requests, want 2", n)
				}
			})
		}
	}
}

func someReplay() idempotency.ReplayRequest {
	return idempotency.ReplayRequest{EventID: claimRequest().Event.ID, Generation: 1, Now: now, By: "ann", Why: "test"}
}

func TestWriteRefused(t *testing.T) {
	for name, step := range map[string]step{
		"access denied": failWith(400, "AccessDeniedException"), "validation": failWith(400, "ValidationException"),
		"table missing": failWith(400, "ResourceNotFoundException"),
		"refused, unreadable": failWithFields(400, "ConditionalCheckFailedException",
			map[string]any{"Item": map[string]any{"pk": map[string]string{"S": "FACT#1"}}}),
	} {
		t.Run(name+" → store down", func(t *testing.T) {
			store, w := scripted(t, step, step)
			got, failErr := store.Fail(t.Context(), someClaim(), idempotency.Failure{Now: now, Err: "boom", ReceivesLeft: 3})
			replayErr := (&Operator{store.writer}).Replay(t.Context(), someReplay())
			if !errors.Is(failErr, idempotency.ErrStoreDown) || got.Verdict != "" || !errors.Is(replayErr, idempotency.ErrStoreDown) {
				t.Errorf("fail = %+v, %v; replay: %v", got, failErr, replayErr)
			}
			w.requests()
		})
	}
}
