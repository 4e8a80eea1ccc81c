package redrive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/idempotency"
)

// Claim is one operator's right to work on the dead-letter queue.
type Claim struct {
	Owner string // random, one for each piece of work
	By    string // who, for people
	What  string // doing what
	Until time.Time
}

// HeldError says that another holds the claim.
type HeldError struct{ Claim Claim }

func (e *HeldError) Error() string {
	return fmt.Sprintf("the dead-letter queue is in use: %s by %s until %s", e.Claim.What, e.Claim.By, e.Claim.Until.Local().Format(time.DateTime))
}

// Claims keeps the one claim on the dead-letter queue.
type Claims interface {
	// ClaimDLQ takes the claim, or renews it for its owner. It is a *HeldError when another
	// owner's claim is not over at the given time.
	ClaimDLQ(ctx context.Context, c Claim, now time.Time) error
	// ReleaseDLQ ends the owner's claim; nothing happens when another has it.
	ReleaseDLQ(ctx context.Context, owner string) error
}

// Times of a claim. A process that dies keeps others out for claimFor at most.
const (
	claimFor       = 3 * time.Minute
	renewEvery     = 45 * time.Second
	releaseTimeout = 5 * time.Second
)

// errDone ends the renewals after work.
var errDone = errors.New("work is done")

// Exclusive runs work while it holds the claim on the dead-letter queue. It renews the
// claim, cancels work's context if the claim is lost, and gives the claim back at the
// end, also when ctx is cancelled. Another's claim is a *HeldError.
func Exclusive(ctx context.Context, claims Claims, by, what string, work func(context.Context) error) (err error) {
	c := Claim{Owner: idempotency.NewOwner(), By: by, What: what}
	if c, err = renew(ctx, claims, c); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		if failed := claims.ReleaseDLQ(ctx, c.Owner); failed != nil {
			err = errors.Join(err, fmt.Errorf("give back dead-letter queue: %w", failed))
		}
	}()
	inner, stop := context.WithCancelCause(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		keepClaim(inner, stop, claims, c)
	}()
	err = work(inner)
	stop(errDone)
	<-renewing
	if lost := context.Cause(inner); err != nil && lost != errDone && ctx.Err() == nil {
		return fmt.Errorf("lost the dead-letter queue: %w", lost)
	}
	return err
}

func renew(ctx context.Context, claims Claims, c Claim) (Claim, error) {
	now := time.Now()
	next := c
	next.Until = now.Add(claimFor)
	if err := claims.ClaimDLQ(ctx, next, now); err != nil {
		return c, err
	}
	return next, nil
}

// keepClaim renews until the context ends, and ends it when the claim is lost: another
// has it, or it could not be renewed in time.
func keepClaim(ctx context.Context, stop context.CancelCauseFunc, claims Claims, c Claim) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next, err := renew(ctx, claims, c)
		_, held := errors.AsType[*HeldError](err)
		if held || err != nil && time.Until(c.Until) < renewEvery {
			stop(err)
			return
		}
		c = next
	}
}
