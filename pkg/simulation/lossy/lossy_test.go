// Package lossy_test runs the consumer over wires that lose, repeat, delay and refuse
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
	many    = flag.Int("events", usual, "events of TestLossyWire that have effects")
	copies  = flag.Int("copies", 4, "copies of each event")
	workers = flag.Int("workers", crew, "workers awake at a time, of TestLossyWire")
	seed    = flag.Uint64("seed", 1, "seed of every draw; threads and sockets add their own")
)

// TestLossyWire wants the exact ledger after everything that the wires did.
func TestLossyWire(t *testing.T) {
	w := newWorld(t, size{*many, *copies, *workers, 25, *seed}, short(), nil, "")
	w.send()
	took := w.run(w.empty)
	w.report(took)
	complain(t, w.judge())
	w.mustHaveMet(harsh())
}

// complain fails the test for what is wrong, in a few lines.
func complain(t *testing.T, wrong []string) {
	t.Helper()
	if len(wrong) > 0 {
		t.Errorf("%d things are wrong, among them:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 8)], "\n"))
	}
}

// mustHaveMet wants that the run was as hard as it should be: every fate came up, and
// zombies were refused.
func (w *world) mustHaveMet(o odds) {
	w.t.Helper()
	met := w.toTable.met()
	for _, f := range o {
		if met[f.fate] == 0 {
			w.t.Errorf("%q never came up on the way to the table", f.fate)
		}
	}
	if w.zombies.refused.Load() == 0 {
		w.t.Error("no zombie was refused anything")
	}
}

// report prints the figures of a run.
func (w *world) report(took time.Duration) {
	w.t.Logf("figure: make lossy | %d events and %d without effects, %d copies each, %d workers: %v, %d attempts, %d paused past their lease, %d late writes refused, %d handlers outlived",
		w.events, w.plain(), w.copies, w.workers, took.Round(time.Millisecond),
		w.zombies.attempts.Load(), w.zombies.slept.Load(), w.zombies.refused.Load(), w.exits.Load())
	for _, wire := range []struct {
		name string
		*wire
	}{{"table", w.toTable}, {"queue", w.toQueue}} {
		met := wire.met()
		var parts []string
		for _, f := range slices.Sorted(maps.Keys(met)) {
			parts = append(parts, fmt.Sprintf("%s %d", f, met[f]))
		}
		w.t.Logf("%s: %s", wire.name, strings.Join(parts, ", "))
	}
}
