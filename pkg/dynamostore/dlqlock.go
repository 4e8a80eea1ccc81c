package dynamostore

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
)

// dlqKey is the lock that keeps two operators from working on the dead-letter queue at once.
const dlqKey = limits.KeyDLQLock

// The lock: PutItem of OPS#dlq, refused with ALL_OLD. It holds when the lock is free or has
// expired, and for its owner, who renews it or whose first answer was lost.
//
// Inputs: :own random, one for each piece of work; :now in ms.
const dlqClaimWhen = "attribute_not_exists(pk) OR lease < :now OR own=:own"

// Unlocking: UpdateItem of OPS#dlq for the owner alone. The item stays and shows the last
// owner.
const (
	dlqReleaseSet  = "SET lease=:zero"
	dlqReleaseWhen = "own=:own"
)

// LockDLQ takes or renews the lock on the dead-letter queue; when another owner has it, the
// error is a *redrive.LockedError.
func (o *Operator) LockDLQ(ctx context.Context, c redrive.Lock, now time.Time) error {
	held, err := o.putItem(ctx, "lock dead-letter queue", item{
		"pk": str(dlqKey), "own": str(c.Owner), "who": str(bounded(c.By)), "what": str(c.What), "lease": millis(c.Until),
	}, dlqClaimWhen, item{":own": str(c.Owner), ":now": millis(now)})
	if err != nil || held == nil {
		return err
	}
	by := redrive.Lock{Owner: held.str("own"), By: held.str("who"), What: held.str("what"), Until: held.millis("lease")}
	if held.err != nil {
		return fmt.Errorf("lock dead-letter queue: %w", held.err)
	}
	return &redrive.LockedError{Lock: by}
}

// UnlockDLQ ends the owner's lock; nothing happens when another owner has it.
func (o *Operator) UnlockDLQ(ctx context.Context, owner string) error {
	_, err := o.setItem(ctx, "unlock dead-letter queue", dlqKey, dlqReleaseSet, dlqReleaseWhen, item{":own": str(owner), ":zero": num(0)})
	return err
}
