package dynamostore

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
)

// A lock keeps two operators from working on the dead-letter queue, or on the hold queue, at once:
// PutItem of OPS#dlq or OPS#hold, refused with ALL_OLD. It holds when the lock is free or has
// expired, and for its owner, who renews it or whose first answer was lost.
//
// Inputs: :own random, one for each piece of work; :now in ms.
const dlqClaimWhen = "attribute_not_exists(pk) OR lease < :now OR own=:own"

// Unlocking: UpdateItem for the owner alone. The item stays and shows the last
// owner.
const (
	dlqReleaseSet  = "SET lease=:zero"
	dlqReleaseWhen = "own=:own"
)

// LockDLQ takes or renews the lock on the dead-letter queue; when another owner has it, the
// error is a *redrive.LockedError.
func (o *Operator) LockDLQ(ctx context.Context, c redrive.Lock, now time.Time) error {
	return o.lock(ctx, limits.KeyDLQLock, "dead-letter queue", c, now)
}

// UnlockDLQ ends the owner's lock; nothing happens when another owner has it.
func (o *Operator) UnlockDLQ(ctx context.Context, owner string) error {
	return o.unlock(ctx, limits.KeyDLQLock, "dead-letter queue", owner)
}

func (o *Operator) lock(ctx context.Context, key, of string, c redrive.Lock, now time.Time) error {
	held, err := o.putItem(ctx, "lock "+of, item{
		"pk": str(key), "own": str(c.Owner), "who": str(bounded(c.By)), "what": str(c.What), "lease": millis(c.Until),
	}, dlqClaimWhen, item{":own": str(c.Owner), ":now": millis(now)})
	if err != nil || held == nil {
		return err
	}
	by := redrive.Lock{Owner: held.str("own"), By: held.str("who"), What: held.str("what"), Until: held.millis("lease")}
	if held.err != nil {
		return fmt.Errorf("lock %s: %w", of, held.err)
	}
	return &redrive.LockedError{Lock: by}
}

func (o *Operator) unlock(ctx context.Context, key, of, owner string) error {
	_, err := o.setItem(ctx, "unlock "+of, key, dlqReleaseSet, dlqReleaseWhen, item{":own": str(owner), ":zero": num(0)})
	return err
}
