package redrive_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/redrive"
)

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

func TestExclusive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &oneClaim{}
		err := redrive.Exclusive(t.Context(), table, "ann@laptop", "dlq list", func(ctx context.Context) error {
			held := table.held
			if held.By != "ann@laptop" || held.What != "dlq list" || held.Owner == "" || !held.Until.After(time.Now()) {
				t.Errorf("the claim is %+v", held)
			}
			err := redrive.Exclusive(t.Context(), table, "bob", "redrive", work(0))
			other, ok := errors.AsType[*redrive.HeldError](err)
			if !ok || other.Claim != held {
				t.Errorf("the second operator gets %v", err)
			}
			return work(20 * time.Minute)(ctx)
		})
		if err != nil || table.renewed < 20 {
			t.Errorf("after %d renewals: %v", table.renewed, err)
		}
		if err := redrive.Exclusive(t.Context(), table, "bob", "redrive", work(0)); err != nil {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestExclusiveEnds(t *testing.T) {
	boom, down := errors.New("work fell"), errors.New("table is away")
	thief := redrive.Claim{Owner: "thief", By: "eve", What: "purge", Until: start.Add(time.Hour)}
	tests := []struct {
		name string
		work func(ctx context.Context, table *oneClaim, cancel context.CancelFunc) error
		want error
		took time.Duration
	}{
		{"with its work's error", func(context.Context, *oneClaim, context.CancelFunc) error { return boom }, boom, 0},
		{"when it is cancelled", func(ctx context.Context, _ *oneClaim, cancel context.CancelFunc) error {
			cancel()
			return work(time.Hour)(ctx)
		}, context.Canceled, 0},
		{"when another took the claim", func(ctx context.Context, table *oneClaim, _ context.CancelFunc) error {
			table.set(func(o *oneClaim) { o.held = thief })
			return work(time.Hour)(ctx)
		}, &redrive.HeldError{Claim: thief}, 45 * time.Second},
		{"before the claim ends that cannot be renewed", func(ctx context.Context, table *oneClaim, _ context.CancelFunc) error {
			table.set(func(o *oneClaim) { o.down = down })
			return work(time.Hour)(ctx)
		}, down, 180 * time.Second},
		{"not at once when the table is away", func(ctx context.Context, table *oneClaim, _ context.CancelFunc) error {
			table.set(func(o *oneClaim) { o.down = down })
			err := work(100 * time.Second)(ctx)
			table.set(func(o *oneClaim) { o.down = nil })
			return errors.Join(err, work(100*time.Second)(ctx))
		}, nil, 200 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				table := &oneClaim{}
				err := redrive.Exclusive(ctx, table, "ann", "dlq list", func(ctx context.Context) error { return tt.work(ctx, table, cancel) })
				if want, ok := tt.want.(*redrive.HeldError); ok {
					if got, ok := errors.AsType[*redrive.HeldError](err); !ok || got.Claim != want.Claim {
						t.Errorf("error is %v, want %v", err, want)
					}
				} else if !errors.Is(err, tt.want) {
					t.Errorf("error is %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took > tt.took {
					t.Errorf("took %s, want %s at most", took, tt.took)
				}
				if table.held.Owner != "thief" && table.down == nil && table.held.Until.After(time.Now()) {
					t.Error("the claim was not given back")
				}
			})
		})
	}
}

// TestExclusiveTakesOver a claim whose process died.
func TestExclusiveTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &oneClaim{held: redrive.Claim{Owner: "dead", By: "ann", Until: start.Add(time.Minute)}}
		ran := false
		run := func(context.Context) error { ran = true; return nil }
		if err := redrive.Exclusive(t.Context(), table, "bob", "redrive", run); err == nil || ran {
			t.Errorf("ran beside a claim that holds: %v", err)
		}
		<-time.After(time.Minute)
		if err := redrive.Exclusive(t.Context(), table, "bob", "redrive", run); err != nil || !ran {
			t.Errorf("did not take over: %v", err)
		}
	})
}
