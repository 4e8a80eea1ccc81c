// Package ordering_test delivers the events of one object in every order. Each order is played with
// two copies of every event, and with an accident at each place in turn: an attempt that fetched its
// object dies, or continues after others were handled. Many events share a second. In every order
// the object's row must never go back, and must end in the object's last state.
//
//	go test ./pkg/simulation/ordering -all    every accident in each of the 5,040 orders of seven events too
package ordering_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

var all = flag.Bool("all", false, "play every order with an accident at each place: a minute more")

// TestMain raises GOGC: the live heap is small, and collections took a third of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// plan makes the runs of one order: one without an accident, and one for each place. An order of
// seven events has accidents at two places, which change from order to order.
func plan(n int, order []int, play func(run)) {
	accidentAt := func(place int) { play(run{order, place, accident((n/len(order) + place) % int(accidents))}) }
	if len(order) > 6 && !*all {
		accidentAt(n % len(order))
		accidentAt((n + 3) % len(order))
		return
	}
	play(run{order: order, place: len(order)})
	for place := range order {
		accidentAt(place)
	}
}

// TestEveryOrder plays all orders of all sequences with the product's handlers.
func TestEveryOrder(t *testing.T) {
	start, total, failed := time.Now(), 0, 0
	for _, q := range sequences() {
		t.Run(q.name, func(t *testing.T) {
			s := q.tell(t)
			s.mustHaveTies(t)
			begin, runs := time.Now(), 0
			wrong := s.playAll(t.Context(), newPlayer, plan, &runs)
			t.Logf("%d events, %d runs in %v", len(q.steps), runs, time.Since(begin).Round(time.Millisecond))
			total, failed = total+runs, failed+len(wrong)
			if len(wrong) > 0 {
				t.Errorf("%d of %d runs went wrong, one so: %v", len(wrong), runs, wrong[0])
			}
		})
	}
	t.Logf("figure: make orders | %d orders with and without an accident, %d wrong, in %v on %d CPUs",
		total, failed, time.Since(start).Round(time.Second), runtime.NumCPU())
}

func (s *story) mustHaveTies(t *testing.T) {
	last := len(s.events) - 1
	for i := range last {
		if s.events[i].Created == s.events[last].Created && s.said[i] != s.said[last] {
			return
		}
	}
	t.Error("no other state of the object has the last one's second")
}

// playAll plays the runs that plan makes of each order, on all processors.
func (s *story) playAll(ctx context.Context, player func(*story) *player, plan func(n int, order []int, play func(run)), runs *int) (wrong []error) {
	orders := permutations(len(s.steps))
	stride := 1
	if len(orders) > many {
		stride = sparse
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			p := player(s)
			for n := w * stride; n < len(orders); n += workers * stride {
				plan(n, orders[n], func(r run) {
					err := p.play(ctx, r)
					mu.Lock()
					defer mu.Unlock()
					*runs++
					if err != nil {
						wrong = append(wrong, fmt.Errorf("order %v, accident %d at %d: %w", r.order, r.what, r.place, err))
					}
				})
			}
		})
	}
	wg.Wait()
	return wrong
}

// permutations returns all orders of 0 to n-1, the first of which is theirs.
func permutations(n int) (all [][]int) {
	var extend func(order []int, used uint)
	extend = func(order []int, used uint) {
		if len(order) == n {
			all = append(all, append([]int{}, order...))
			return
		}
		for i := range n {
			if used&(1<<i) == 0 {
				extend(append(order, i), used|1<<i)
			}
		}
	}
	extend(make([]int, 0, n), 0)
	return all
}

// TestBrokenGuardsLose breaks the product's guard: the accidents must find it.
func TestBrokenGuardsLose(t *testing.T) {
	s := sequences()[1].tell(t)
	for name, f := range map[string]flaw{
		"what was fetched is written blindly":    {blindly: true},
		"a fetch is spared that is still needed": {early: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			broken := func(s *story) *player {
				p := newPlayer(s)
				p.flaw = f
				return p
			}
			some := func(n int, order []int, play func(run)) {
				if n%5 == 0 {
					plan(n, order, play)
				}
			}
			wrong := s.playAll(t.Context(), broken, some, &runs)
			t.Logf("%d of %d runs go wrong", len(wrong), runs)
			if len(wrong) < runs/20 {
				t.Errorf("only %d of %d runs find it", len(wrong), runs)
			}
		})
	}
}
