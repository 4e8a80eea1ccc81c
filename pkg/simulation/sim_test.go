package simulation

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	schedules  = flag.Uint64("schedules", 400, "schedules of TestSchedules")
	first      = flag.Uint64("first", 1, "the first seed of TestSchedules")
	showCounts = flag.Bool("counts", false, "TestSchedules says how often what happened")
	oneSeed    = flag.Uint64("seed", 0, "the seed of TestSeed")
)

// TestMain raises GOGC: the live heap is a few megabytes, and collections dominated the run.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// simulate runs the scenario of a seed.
func simulate(t *testing.T, seed uint64, trace func(string)) (sc *scenario) {
	synctest.Test(t, func(*testing.T) {
		sc = newScenario(seed, trace)
		sc.run()
	})
	return sc
}

// reportEvery is the number of schedules between progress lines.
const reportEvery = 25_000

// TestSchedules runs many scenarios and prints the seed of the first that fails.
func TestSchedules(t *testing.T) {
	start := time.Now()
	var next, done, steps atomic.Uint64
	report := func(t *testing.T) {
		took := time.Since(start)
		t.Logf("%d of %d schedules, %d steps in %v, %.0f schedules a second", done.Load(), *schedules, steps.Load(), took.Round(time.Millisecond), float64(done.Load())/took.Seconds())
	}
	var once sync.Once
	failed, all := make(chan struct{}), newCounts()
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
					sc := simulate(t, seed, nil)
					steps.Add(uint64(sc.step))
					sc.counts.addTo(all)
					if sc.wrong != "" {
						once.Do(func() { close(failed) })
						t.Errorf("seed %d (schedule %d): %s\nsee its steps with: go test ./pkg/simulation -run TestSeed -seed %d -v", seed, seed-*first+1, sc.wrong, seed)
						return
					}
					if done.Add(1)%reportEvery == 0 {
						report(t)
					}
				}
			})
		}
	})
	if *showCounts {
		all.print(os.Stdout)
	}
	if *schedules >= enough && !t.Failed() {
		all.check(t)
	}
	report(t)
	if *schedules >= enough && !t.Failed() {
		fmt.Printf("figure: make sim | %d schedules, %d steps in %v on %d CPUs: nothing wrong, every fault occurred\n",
			done.Load(), steps.Load(), time.Since(start).Round(time.Second), runtime.NumCPU())
	}
}

// TestSeed prints the steps of one schedule.
func TestSeed(t *testing.T) {
	if *oneSeed == 0 {
		t.Skip("no -seed is given")
	}
	if sc := simulate(t, *oneSeed, func(line string) { fmt.Println(line) }); sc.wrong != "" {
		t.Error(sc.wrong)
	}
}

// TestSeedsReplay: a seed gives the same steps in every run.
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
