package consumer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// timedStore notes until when a failure may be written.
type timedStore struct {
	*fakeStore
	failUntil time.Time
}

func (s *timedStore) Fail(ctx context.Context, c *idempotency.Claim, f idempotency.Failure) (idempotency.FailResult, error) {
	s.failUntil, _ = ctx.Deadline()
	return s.fakeStore.Fail(ctx, c, f)
}

// TestWritesEndBeforeTheFunctionDoes: the last write of a message that took all its time
// must leave some for the answer.
func TestWritesEndBeforeTheFunctionDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) { <-release; return nil, nil })
		store := &timedStore{fakeStore: b.store}
		b.config.Store = store
		c, err := consumer.New(b.config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		end, _ := ctx.Deadline()
		c.Handle(ctx, []queue.Message{message(t, "1", 1)})
		if left := end.Sub(store.failUntil); store.failUntil.IsZero() || left < b.config.Limits.HandlerGrace {
			t.Errorf("the failure may be written until %v before the function's end, want the grace at least", left)
		}
	})
}
