package redrive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/idempotency"
)

// Lock is one operator's exclusive right to work on the dead-letter queue, or on another that is
// worked on alike.
type Lock struct {
	Queue string // of a lock that another has; default "dead-letter queue"
	Owner string // random, one for each piece of work
	By    string // the operator, for people
	What  string // the verb
	Until time.Time
}

// LockedError is returned while another operator has the lock.
type LockedError struct{ Lock Lock }

func (e *LockedError) Error() string {
	return fmt.Sprintf("the %s is in use: %s by %s until %s", cmp.Or(e.Lock.Queue, "dead-letter queue"), e.Lock.What, e.Lock.By, e.Lock.Until.UTC().Format("2006-01-02 15:04:05 MST"))
}

// Locks stores the one lock on the dead-letter queue.
type Locks interface {
	// LockDLQ takes the lock, or renews it for its owner. It returns a *LockedError when
	// another owner's lock has not expired at the given time.
	LockDLQ(ctx context.Context, l Lock, now time.Time) error
	// UnlockDLQ ends the owner's lock; nothing happens when another has it.
	UnlockDLQ(ctx context.Context, owner string) error
}

// Times of a lock. A process that dies locks others out for lockFor at most.
const (
	lockFor       = 3 * time.Minute
	renewEvery    = 45 * time.Second
	unlockTimeout = 5 * time.Second
)

// errDone stops the renewals.
var errDone = errors.New("work is done")

// locked runs work under the lock. It renews the lock, cancels work's context if the lock is
// lost, and unlocks at the end, also when ctx is cancelled.
func (d *DLQ) locked(ctx context.Context, work func(context.Context) error) (err error) {
	if d.Locks == nil {
		return work(ctx)
	}
	l, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		if failed := d.Locks.UnlockDLQ(ctx, l.Owner); failed != nil {
			err = errors.Join(err, fmt.Errorf("unlock dead-letter queue: %w", failed))
		}
	}()
	inner, stop := context.WithCancelCause(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		d.keepLock(inner, stop, l)
	}()
	err = work(inner)
	stop(errDone)
	<-renewing
	if lost := context.Cause(inner); err != nil && lost != errDone && ctx.Err() == nil {
		return fmt.Errorf("lost the lock of the dead-letter queue: %w", lost)
	}
	return err
}

// lock takes the lock, also that of a process that has ended.
func (d *DLQ) lock(ctx context.Context) (Lock, error) {
	l := Lock{Owner: idempotency.NewOwner(), By: d.Operator, What: d.Verb}
	renewed, err := d.renew(ctx, l)
	held, ok := errors.AsType[*LockedError](err)
	if !ok || d.Ended == nil || !d.Ended(held.Lock.By) {
		return renewed, err
	}
	if d.OnTakeover != nil {
		d.OnTakeover(held.Lock)
	}
	if err := d.Locks.UnlockDLQ(ctx, held.Lock.Owner); err != nil {
		return l, err
	}
	return d.renew(ctx, l)
}

func (d *DLQ) renew(ctx context.Context, l Lock) (Lock, error) {
	now := time.Now()
	l.Until = now.Add(lockFor)
	return l, d.Locks.LockDLQ(ctx, l, now)
}

// keepLock renews until the context ends, and ends it when the lock is lost: another
// operator has it, or it could not be renewed in time.
func (d *DLQ) keepLock(ctx context.Context, stop context.CancelCauseFunc, l Lock) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next, err := d.renew(ctx, l)
		_, locked := errors.AsType[*LockedError](err)
		switch {
		case err == nil:
			l = next
		case locked || time.Until(l.Until) < renewEvery:
			stop(err)
			return
		}
	}
}
