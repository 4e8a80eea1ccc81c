// Package deliverytest is the conformance suite of the stores of deliveries: [Run] tests each write
// in each state that it can meet, and lets attempts race for one delivery. Faults of a store's
// transport are for the store's own tests. [Memory] is a store that passes.
//
//	deliverytest.Run(t, func(t *testing.T) deliverytest.Store { … })
package deliverytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/delivery"
)

// Store is a fresh, empty store whose rows tests can read.
type Store interface {
	delivery.Store
	Row(context.Context, delivery.Job) (delivery.Row, bool, error)
	Reopen(context.Context, delivery.Job, time.Time) (delivery.Status, error)
}

// Run tests a store. newStore is called once for each test; tests run in parallel. Known are tests
// to leave out, as "begin/race": known faults of a database that is not ours.
func Run(t *testing.T, newStore func(t *testing.T) Store, known ...string) {
	for _, c := range cases() {
		if slices.Contains(known, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// Far ahead of any clock, so that no store takes a row for expired.
			c.test(&bench{T: t, store: newStore(t), t0: time.Date(2051, 2, 3, 4, 5, 6, 789_000_000, time.UTC)})
		})
	}
}

type row struct {
	name string
	test func(*bench)
}

// bench is one running test on one store.
type bench struct {
	*testing.T
	store  Store
	t0     time.Time
	owners int
}

const (
	lease  = 25 * time.Second
	margin = 5 * time.Second
	object = "live#-#in_1"
)

func job() delivery.Job {
	return delivery.Job{Message: "OUT#FACT#live#-#in_1#paid#receipt", Destination: "crm"}
}

func (b *bench) at(d time.Duration) time.Time { return b.t0.Add(d) }

func (b *bench) request(after time.Duration) delivery.BeginRequest {
	b.owners++
	now := b.at(after)
	return delivery.BeginRequest{
		Job: job(), Object: object, First: true, Owner: fmt.Sprintf("owner-%d", b.owners),
		Now: now, Lease: now.Add(lease), Cutoff: now.Add(-margin),
	}
}

func (b *bench) begin(req delivery.BeginRequest) delivery.Begun {
	b.Helper()
	begun, err := b.store.Begin(b.Context(), req)
	if err != nil {
		b.Fatalf("begin: %v", err)
	}
	return begun
}

func (b *bench) started(req delivery.BeginRequest) delivery.Started {
	b.Helper()
	begun := b.begin(req)
	if begun.Started == nil {
		b.Fatalf("begin = %+v, want an attempt", begun)
	}
	return *begun.Started
}

func (b *bench) end(s delivery.Started, status delivery.Status, after, next time.Duration) bool {
	b.Helper()
	r := delivery.Result{
		Attempt: delivery.Attempt{At: b.at(after), Took: 120 * time.Millisecond, Status: 503, Err: "status 503"}, Status: status, Now: b.at(after),
	}
	if status == delivery.Waiting {
		r.Next = b.at(next)
	}
	recorded, err := b.store.End(b.Context(), s, r)
	if err != nil {
		b.Fatalf("end: %v", err)
	}
	return recorded
}

func (b *bench) row() delivery.Row {
	b.Helper()
	r, found, err := b.store.Row(b.Context(), job())
	if err != nil || !found {
		b.Fatalf("row: found %v, %v", found, err)
	}
	return r
}

func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

// refused begins an attempt that must be refused and leave the row as it was.
func (b *bench) refused(req delivery.BeginRequest, want delivery.Begun) {
	b.Helper()
	before := b.row()
	b.equal("answer", b.begin(req), want)
	b.equal("row after a refusal", b.row(), before)
}

func (b *bench) swap(next delivery.State, want bool) {
	b.Helper()
	won, err := b.store.SwapState(b.Context(), "crm", next)
	if err != nil || won != want {
		b.Fatalf("swap of version %d = %v, %v; want %v", next.Ver, won, err, want)
	}
}

func (b *bench) state(want delivery.State) {
	b.Helper()
	got, err := b.store.State(b.Context(), "crm")
	if err != nil {
		b.Fatal(err)
	}
	b.equal("state", got, want)
}

// race lets eight attempts begin at once, in five rounds under one lease after the other.
func race(b *bench) {
	for round := range 5 {
		var mu sync.Mutex
		var wg sync.WaitGroup
		var started []delivery.Started
		for range 8 {
			req := b.request(time.Duration(round) * time.Minute)
			wg.Go(func() {
				begun, err := b.store.Begin(b.Context(), req)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					b.Errorf("begin: %v", err)
				case begun.Started != nil:
					started = append(started, *begun.Started)
				case begun.Busy.IsZero():
					b.Errorf("begin = %+v, want busy", begun)
				}
			})
		}
		wg.Wait()
		if len(started) != 1 || started[0].Attempt != round+1 || started[0].Sequence != b.row().Sequence {
			b.Fatalf("round %d: %+v began", round, started)
		}
	}
}
