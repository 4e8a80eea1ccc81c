// Package lossy_test runs the consumer through proxies that lose, repeat, delay and refuse
// requests: the real consumer, store and queue adapters on real clients of the SDK, over
// real sockets, against the embedded SQS and DynamoDB. Every event comes in several
// copies, and a quarter of all attempts fall asleep until others have taken over, then
// go on. In the end every event must be done, and have taken effect exactly once.
//
//	make lossy    20,000 events, with figures, in minutes
package lossy_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	many    = flag.Int("events", usual, "events of TestLossy that have effects")
	copies  = flag.Int("copies", 4, "copies of each event")
	workers = flag.Int("workers", crew, "workers awake at a time, of TestLossy")
	seed    = flag.Uint64("seed", 1, "seed of every draw; threads and sockets add their own")
)

// TestLossy wants the exact ledger after all that the proxies did.
func TestLossy(t *testing.T) {
	sys := newSystem(t, size{*many, *copies, *workers, 25, *seed}, short(), nil, "")
	sys.send()
	took := sys.run(sys.empty)
	sys.report(took)
	complain(t, sys.check())
	sys.mustHaveMet(harsh())
}

// complain fails the test for what is wrong, in a few lines.
func complain(t *testing.T, wrong []string) {
	t.Helper()
	if len(wrong) > 0 {
		t.Errorf("%d things are wrong, among them:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 8)], "\n"))
	}
}

// mustHaveMet wants that the run was as hard as it should be: every result came up, and
// writes of paused workers were refused.
func (sys *system) mustHaveMet(o odds) {
	sys.t.Helper()
	met := sys.toTable.met()
	for _, f := range o {
		if met[f.result] == 0 {
			sys.t.Errorf("%q never came up on the way to the table", f.result)
		}
	}
	if sys.paused.refused.Load() == 0 {
		sys.t.Error("no write of a paused worker was refused")
	}
}

// report prints the figures of a run.
func (sys *system) report(took time.Duration) {
	sys.t.Logf("figure: make lossy | %d events and %d without effects, %d copies each, %d workers: %v, %d attempts, %d paused past their lease, %d late writes refused, %d handlers outlived",
		sys.events, sys.plain(), sys.copies, sys.workers, took.Round(time.Millisecond),
		sys.paused.attempts.Load(), sys.paused.paused.Load(), sys.paused.refused.Load(), sys.exits.Load())
	for _, way := range []struct {
		name string
		*proxy
	}{{"table", sys.toTable}, {"queue", sys.toQueue}} {
		met := way.met()
		var parts []string
		for _, f := range slices.Sorted(maps.Keys(met)) {
			parts = append(parts, fmt.Sprintf("%s %d", f, met[f]))
		}
		sys.t.Logf("%s: %s", way.name, strings.Join(parts, ", "))
	}
}
