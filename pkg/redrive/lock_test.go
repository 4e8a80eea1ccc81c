package redrive

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// start is when a synctest bubble's clock starts.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// oneLock is a table with one lock.
type oneLock struct {
	mu      sync.Mutex
	held    Lock
	renewed int
	down    error
}

func (o *oneLock) LockDLQ(_ context.Context, l Lock, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down != nil {
		return o.down
	}
	if o.held.Owner != l.Owner && now.Before(o.held.Until) {
		return &LockedError{Lock: o.held}
	}
	if o.held.Owner == l.Owner {
		o.renewed++
	}
	o.held = l
	return nil
}

func (o *oneLock) UnlockDLQ(ctx context.Context, owner string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(o.down, ctx.Err()); err != nil {
		return err
	}
	if o.held.Owner == owner {
		o.held.Until = time.Time{}
	}
	return nil
}

func (o *oneLock) set(change func(*oneLock)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

func (o *oneLock) dlq(operator string) *DLQ {
	return &DLQ{Locks: o, Operator: operator, Verb: "dlq list"}
}

// work waits so long, or until its context ends.
func work(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
}

func TestLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &oneLock{}
		err := table.dlq("ann@laptop").locked(t.Context(), func(ctx context.Context) error {
			held := table.held
			if held.By != "ann@laptop" || held.What != "dlq list" || held.Owner == "" || !held.Until.After(time.Now()) {
				t.Errorf("the lock is %+v", held)
			}
			err := table.dlq("bob").locked(t.Context(), work(0))
			other, ok := errors.AsType[*LockedError](err)
			if !ok || other.Lock != held {
				t.Errorf("the second operator gets %v", err)
			}
			return work(20 * time.Minute)(ctx)
		})
		if err != nil || table.renewed < 20 {
			t.Errorf("after %d renewals: %v", table.renewed, err)
		}
		if err := table.dlq("bob").locked(t.Context(), work(0)); err != nil {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestLockedEnds(t *testing.T) {
	failed, down := errors.New("work failed"), errors.New("table is away")
	thief := Lock{Owner: "thief", By: "eve", What: "purge", Until: start.Add(time.Hour)}
	tests := []struct {
		name string
		work func(ctx context.Context, table *oneLock, cancel context.CancelFunc) error
		want error
		took time.Duration
	}{
		{"with its work's error", func(context.Context, *oneLock, context.CancelFunc) error { return failed }, failed, 0},
		{"when it is cancelled", func(ctx context.Context, _ *oneLock, cancel context.CancelFunc) error {
			cancel()
			return work(time.Hour)(ctx)
		}, context.Canceled, 0},
		{"when another took the lock", func(ctx context.Context, table *oneLock, _ context.CancelFunc) error {
			table.set(func(o *oneLock) { o.held = thief })
			return work(time.Hour)(ctx)
		}, &LockedError{Lock: thief}, 45 * time.Second},
		{"before the lock expires that cannot be renewed", func(ctx context.Context, table *oneLock, _ context.CancelFunc) error {
			table.set(func(o *oneLock) { o.down = down })
			return work(time.Hour)(ctx)
		}, down, 180 * time.Second},
		{"not at once when the table is away", func(ctx context.Context, table *oneLock, _ context.CancelFunc) error {
			table.set(func(o *oneLock) { o.down = down })
			err := work(100 * time.Second)(ctx)
			table.set(func(o *oneLock) { o.down = nil })
			return errors.Join(err, work(100*time.Second)(ctx))
		}, nil, 200 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				table := &oneLock{}
				err := table.dlq("ann").locked(ctx, func(ctx context.Context) error { return tt.work(ctx, table, cancel) })
				if want, ok := tt.want.(*LockedError); ok {
					if got, ok := errors.AsType[*LockedError](err); !ok || got.Lock != want.Lock {
						t.Errorf("error is %v, want %v", err, want)
					}
				} else if !errors.Is(err, tt.want) {
					t.Errorf("error is %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took > tt.took {
					t.Errorf("took %s, want %s at most", took, tt.took)
				}
				if table.held.Owner != "thief" && table.down == nil && table.held.Until.After(time.Now()) {
					t.Error("it did not unlock")
				}
			})
		})
	}
}

// TestTakesOver an expired lock, and at once the lock of a process that has ended.
func TestTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &oneLock{held: Lock{Owner: "dead", By: "ann", Until: start.Add(time.Minute)}}
		ran := 0
		run := func(context.Context) error { ran++; return nil }
		bob := table.dlq("bob")
		bob.Ended = func(operator string) bool { return operator == "carol" }
		var taken []Lock
		bob.OnTakeover = func(l Lock) { taken = append(taken, l) }
		if err := bob.locked(t.Context(), run); err == nil || ran != 0 {
			t.Errorf("ran next to a valid lock: %v", err)
		}
		<-time.After(time.Minute)
		if err := bob.locked(t.Context(), run); err != nil || ran != 1 || len(taken) != 0 {
			t.Errorf("did not take an expired lock: %v, %v", err, taken)
		}
		table.held = Lock{Owner: "ended", By: "carol", Until: time.Now().Add(time.Minute)}
		if err := bob.locked(t.Context(), run); err != nil || ran != 2 || len(taken) != 1 || taken[0].By != "carol" {
			t.Errorf("did not take the lock of an ended process: %v, %v", err, taken)
		}
	})
}
