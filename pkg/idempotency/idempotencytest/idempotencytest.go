// Package idempotencytest is the conformance suite of stores: [Run] tests each write in each
// state that it can meet, and then lets many attempts race for one event while their leases
// end. Faults of a store's transport (lost answers, throttling, refused access) are for the
// store's own tests. [Memory] is a store that passes, for tests of packages that need one.
//
//	idempotencytest.Run(t, func(t *testing.T) idempotencytest.Harness { … })
package idempotencytest

import (
	"context"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// Store is the writes of a record.
type Store interface {
	// Claim's errors wrap idempotency.ErrStoreDown.
	Claim(context.Context, idempotency.ClaimRequest) (idempotency.ClaimResult, error)
	// Complete's errors wrap idempotency.ErrStoreDown or idempotency.ErrUnknown.
	Complete(ctx context.Context, c *idempotency.Claim, outcome idempotency.Outcome,
		effects dispatch.Effects, now time.Time) (idempotency.CompleteResult, error)
	// Fail's errors wrap idempotency.ErrStoreDown.
	Fail(context.Context, *idempotency.Claim, idempotency.Failure) (idempotency.FailResult, error)
	// Replay's errors wrap idempotency.ErrNoLongerDone or idempotency.ErrStoreDown.
	Replay(context.Context, idempotency.ReplayRequest) error
	// Purge's and Reidentify's errors wrap idempotency.ErrStoreDown.
	Purge(context.Context, idempotency.PurgeRequest) (idempotency.PurgeVerdict, error)
	Reidentify(context.Context, idempotency.ReidentifyRequest) (idempotency.ReidentifyVerdict, error)
}

// Harness is a fresh, empty store whose contents tests can read. All of it must be safe for
// concurrent use, and reads must see every write that was answered.
type Harness struct {
	Store Store
	// Record reads an event's record; false when there is none.
	Record func(ctx context.Context, eventID string) (idempotency.Record, bool, error)
	// Item reads an effect's item with its attributes pk and, after a swap, ver.
	// Integers are int64.
	Item func(ctx context.Context, key string) (map[string]any, bool, error)
}
