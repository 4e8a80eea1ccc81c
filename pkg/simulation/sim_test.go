package simulation

import (
	"flag"
	"fmt"
	"hash/fnv"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	schedules = flag.Uint64("schedules", 400, "schedules of TestSchedules")
	first     = flag.Uint64("first", 1, "the first seed of TestSchedules")
	oneSeed   = flag.Uint64("seed", 0, "the seed of TestSeed")
)

// simulate runs one schedule and returns what was wrong with it, "" for nothing.
func simulate(t *testing.T, seed uint64, trace func(string)) (wrong string, steps int) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed, trace)
		w.run()
		wrong, steps = w.wrong, w.step
	})
	return wrong, steps
}

// TestSchedules runs many worlds. It names the seed of the first that goes wrong.
func TestSchedules(t *testing.T) {
	start := time.Now()
	var next, steps atomic.Uint64
	var once sync.Once
	failed := make(chan struct{})
	next.Store(*first)
	t.Run("run", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for {
					seed := next.Add(1) - 1
					select {
					case <-failed:
						return
					default:
					}
					if seed >= *first+*schedules {
						return
					}
					wrong, n := simulate(t, seed, nil)
					steps.Add(uint64(n))
					if wrong != "" {
						once.Do(func() { close(failed) })
						t.Errorf("seed %d (schedule %d): %s\nsee its steps with: go test ./pkg/simulation -run TestSeed -seed %d -v", seed, seed-*first+1, wrong, seed)
						return
					}
				}
			})
		}
	})
	took := time.Since(start)
	t.Logf("%d schedules, %d steps in %v, %.0f schedules a second", next.Load()-*first, steps.Load(), took.Round(time.Millisecond), float64(next.Load()-*first)/took.Seconds())
}

// TestSeed shows the steps of one schedule.
func TestSeed(t *testing.T) {
	if *oneSeed == 0 {
		t.Skip("no -seed is given")
	}
	wrong, _ := simulate(t, *oneSeed, func(line string) { fmt.Println(line) })
	if wrong != "" {
		t.Error(wrong)
	}
}

// TestSeedsReplay: a seed gives the same steps every time.
func TestSeedsReplay(t *testing.T) {
	for seed := uint64(1); seed <= 150; seed++ {
		var sums [3]uint64
		for i := range sums {
			sum := fnv.New64a()
			simulate(t, seed, func(line string) { fmt.Fprintln(sum, line) })
			sums[i] = sum.Sum64()
		}
		if sums[0] != sums[1] || sums[1] != sums[2] {
			t.Errorf("seed %d has several runs: %x", seed, sums)
		}
	}
}
