package simulation

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

const day = 24 * time.Hour

// everDead counts the events that were in the dead-letter queue at any time.
func (sc *scenario) everDead() (n int) {
	for _, f := range sc.facts {
		if f.copied >= 0 {
			n++
		}
	}
	return n
}

// TestStoreOutage: an outage of the store of up to eight hours sends no healthy event to the
// dead-letter queue, even with the shortest random waits, and all are done soon after. Events
// arrive before and during the outage.
func TestStoreOutage(t *testing.T) {
	for _, out := range []time.Duration{2 * time.Hour, 8 * time.Hour} {
		for _, batch := range []int{1, 10} {
			t.Run(fmt.Sprint(out, ", batches of ", batch), func(t *testing.T) {
				d := fixedPlan{
					events: 60, spread: out + 10*time.Minute, batch: batch, shortestWaits: true,
					outages: []planned{{part: store, from: 5 * time.Minute, long: out}},
				}
				d.run(t, func(t *testing.T, sc *scenario) {
					began := time.Now()
					sc.liveUntil(began.Add(5*time.Minute + out))
					if n := sc.undone(); n < 50 {
						t.Errorf("%d of %d events wait at the end of the outage: there was none", n, len(sc.facts))
					}
					sc.live(0)
					if n := sc.everDead(); n > 0 {
						t.Errorf("%d healthy events in the dead-letter queue", n)
					}
					if after := time.Since(began) - out - 10*time.Minute; after > out && after > limits.AWS().BackoffCap+time.Minute {
						t.Errorf("drained %v after the outage's end", after)
					}
					sc.whole(t)
				})
			})
		}
	}
}

// TestBrownouts: a partial outage of hours loses nothing, applies no effect twice and sends nothing
// to the dead-letter queue; reconcile enqueues the events that were not delivered.
func TestBrownouts(t *testing.T) {
	for _, p := range []part{store, queues} {
		for _, rate := range brownRates() {
			t.Run(fmt.Sprintf("%s %.0f %%", p, 100*rate), func(t *testing.T) {
				reconciler := always()
				reconciler.withheld = 0.3
				fixedPlan{
					events: 60, spread: 2 * time.Hour, reconciler: reconciler,
					outages: []planned{{part: p, long: 2 * time.Hour, rate: rate}},
				}.run(t, func(t *testing.T, sc *scenario) {
					sc.live(4 * time.Hour)
					if n := sc.everDead(); n > 0 {
						t.Errorf("%d healthy events in the dead-letter queue", n)
					}
					sc.whole(t)
				})
			})
		}
	}
}

// TestConsumerThatCannotStart: every invocation crashes at once for a day, so messages are dead
// after 16 × 180 s; one redrive recovers all.
func TestConsumerThatCannotStart(t *testing.T) {
	fixedPlan{
		events: 100, spread: day, outages: []planned{{part: startups, long: day + time.Hour}},
	}.run(t, func(t *testing.T, sc *scenario) {
		sc.live(day + time.Hour)
		if n := sc.everDead(); n < 95 {
			t.Fatalf("%d events in the dead-letter queue: the consumer starts", n)
		}
		sc.checkRest()
		sc.recover()
		sc.whole(t)
		if n := sc.most(); n != 2 {
			t.Errorf("%d messages for one event, want the delivery's and the redrive's", n)
		}
	})
}

// TestCrashingConsumerAndReconcile is the same with reconcile: no record exists, so each pass sends
// each event once.
func TestCrashingConsumerAndReconcile(t *testing.T) {
	fixedPlan{
		events: 20, spread: day, reconciler: always(), outages: []planned{{part: startups, long: day + time.Hour}},
	}.run(t, func(t *testing.T, sc *scenario) {
		sc.live(day + time.Hour)
		if n := sc.most(); n > 1+passesOver(4*day) {
			t.Errorf("%d messages for one event, and %d passes that see it", n, passesOver(4*day))
		}
		sc.live(4 * day) // reconcile recovers all without an operator
		if n := sc.undone(); n > 0 {
			t.Errorf("%d events are not done", n)
		}
		sc.recover()
		sc.whole(t)
	})
}

// passesOver is the number of passes that see one event within d.
func passesOver(d time.Duration) int {
	l := limits.AWS().Reconcile
	seen := func(t limits.Tier) int { return int(min(d, t.Span+l.Slice)/t.Every) + 1 } // the oldest slice is whole
	return seen(l.Frequent) + seen(l.Nightly) + seen(l.Weekly)
}

// TestStoppedConsumer: no message is received for three days, and every event looks missed. Passes
// add no copies to a long queue and few to a short one. The next nightly pass enqueues what Stripe
// did not deliver.
func TestStoppedConsumer(t *testing.T) {
	const stopped = 3 * day
	for _, c := range []struct {
		events, most int
	}{
		{10, 1 + passesOver(stopped)},
		{1100, 1},
	} {
		t.Run(fmt.Sprint(c.events, " events"), func(t *testing.T) {
			reconciler := always()
			reconciler.withheld = 0.05
			fixedPlan{
				events: c.events, reconciler: reconciler, outages: []planned{{part: consumers, long: stopped}},
			}.run(t, func(t *testing.T, sc *scenario) {
				sc.reconciler.tiers[1].due = time.Now().Add(day - time.Hour) // four passes while the consumer is stopped, or just after
				sc.liveUntil(time.Now().Add(stopped))
				if n := sc.undone(); n != c.events {
					t.Fatalf("%d events wait: the consumer runs", n)
				}
				if n := sc.most(); n > c.most {
					t.Errorf("%d messages for one event, want at most %d", n, c.most)
				}
				sc.live(time.Hour)
				sc.whole(t)
			})
		})
	}
}

// TestHotRecords: one throttled record delays no other event of its batch. If all are throttled, a
// batch stops at the second, and none becomes a dead letter.
func TestHotRecords(t *testing.T) {
	const events, long = 30, 10 * time.Minute
	for name, hot := range map[string]int{"one": 1, "all": events} {
		t.Run(name, func(t *testing.T) {
			fixedPlan{events: events, outages: []planned{{part: consumers, long: 2 * time.Minute}}}.run(t, func(t *testing.T, sc *scenario) {
				sc.script = append(sc.script, appointment{time.Now().Add(2 * time.Minute), func() { sc.log("the consumer starts") }})
				for _, f := range sc.facts[:hot] {
					sc.hot[recordPrefix+f.id] = time.Now().Add(long)
				}
				sc.liveUntil(time.Now().Add(long))
				if n := sc.undone(); n != hot {
					t.Errorf("%d events are not done, and %d are hot", n, hot)
				}
				if n := sc.counts.n["outcome: applied"]; n != events-hot {
					t.Errorf("%d events are done, want %d", n, events-hot)
				}
				sc.live(0)
				sc.whole(t)
				if stops := sc.counts.n["outcome: store_down"]; hot == 1 && stops > 0 || hot > 1 && stops == 0 {
					t.Errorf("%d messages came back as their batch had stopped", stops)
				}
			})
		})
	}
}

// TestOneAttemptAtATime: copies of an event arrive each second while its handler uses nearly its
// whole budget and is not pure. The lease keeps other attempts out until it is done.
func TestOneAttemptAtATime(t *testing.T) {
	fixedPlan{events: 2, behaviour: long, claims: true, batch: 1}.run(t, func(t *testing.T, sc *scenario) {
		for _, f := range sc.facts {
			for n := range 60 {
				sc.script = append(sc.script, appointment{f.comes[0].due.Add(time.Duration(n) * time.Second), func() { sc.deliver(f.comes[0]) }})
			}
		}
		sc.live(3 * time.Minute)
		for _, f := range sc.facts {
			if f.runs != 1 {
				t.Errorf("the handler of %s ran %d times", f.id, f.runs)
			}
		}
		sc.whole(t)
	})
}

// TestBurstFromALaggingCopy: ten changes of an object within four seconds are queued, and Stripe
// answers from a copy that lags as long. No change is missed.
func TestBurstFromALaggingCopy(t *testing.T) {
	const events, lag = 10, 4 * time.Second
	rows := rowPlan{on: true, rows: slices.Repeat([]bool{true}, events), copy: lag}
	fixedPlan{
		events: events, spread: lag, batch: 1, rows: rows, outages: []planned{{part: consumers, long: 5 * time.Second}},
	}.run(t, func(t *testing.T, sc *scenario) {
		sc.script = append(sc.script, appointment{time.Now().Add(5 * time.Second), func() { sc.log("the consumer starts") }})
		sc.live(time.Hour)
		for _, f := range sc.facts {
			if !sc.settled(f) {
				t.Errorf("%s is %q", f.id, sc.state(f))
			}
		}
		if got := num(sc.rowOf(sc.facts[0].env), "n"); got != events {
			t.Errorf("the row shows change %d of %d", got, events)
		}
	})
}

// TestRedriveThroughBrownout: the queue refuses calls and parts of batches during repeated
// redrives. No dead letter is lost, and duplicates are applied once.
func TestRedriveThroughBrownout(t *testing.T) {
	fixedPlan{events: 60, behaviour: permanent}.run(t, func(t *testing.T, sc *scenario) {
		sc.live(0)
		if n := len(sc.dead.messages); n != 60 {
			t.Fatalf("%d dead letters, want 60", n)
		}
		sc.fixed.Store(true)
		sc.breaks(queues, 2*day, 0.1)
		for range 60 {
			sc.redrive(2) // many sends, for one of them to fail
			sc.live(5 * time.Minute)
			sc.checkRest()
		}
		if n := sc.undone(); n == 60 {
			t.Error("no redrive came through")
		}
		sc.heal()
		sc.recover()
		sc.whole(t)
	})
}

// TestDeadLettersBreedNoCopies: frequent passes do not send a parked event again; the weekly sweep
// does, once a week.
func TestDeadLettersBreedNoCopies(t *testing.T) {
	for _, b := range []behaviour{permanent, poison, kills} {
		t.Run(string(b), func(t *testing.T) {
			reconciler := always()
			reconciler.slice = 7 * day // most hours have no events
			fixedPlan{events: 3, behaviour: b, reconciler: reconciler}.run(t, func(t *testing.T, sc *scenario) {
				weekly := sc.reconciler.tiers[2]
				weekly.due = time.Now().Add(6 * day)
				sc.live(6*day - time.Hour)
				if n := sc.most(); n != 1 {
					t.Errorf("%d messages for one event before the weekly sweep", n)
				}
				sc.live(15 * day)
				if n := sc.most(); n != 4 {
					t.Errorf("%d messages for one event with three weekly passes", n)
				}
				sc.recover()
				sc.whole(t)
			})
		})
	}
}

// TestReplayWithoutItsMessage: a replay is killed between its write and its send. The frequent
// passes send the message.
func TestReplayWithoutItsMessage(t *testing.T) {
	fixedPlan{events: 1, reconciler: always()}.run(t, func(t *testing.T, sc *scenario) {
		l := limits.AWS().Reconcile
		for _, tier := range sc.reconciler.tiers[1:] {
			tier.due = time.Now().Add(2 * day)
		}
		sc.live(time.Minute)
		sc.spawn(&proc{name: "replay that dies"}, func(ctx context.Context) {
			req := idempotency.ReplayRequest{EventID: sc.facts[0].id, Generation: 1, Now: time.Now(), By: "op", Why: "a test"}
			if err := sc.operator.Replay(ctx, req); err != nil {
				t.Error(err)
			}
		})
		sc.live(0)
		if n := sc.undone(); n != 1 {
			t.Fatal("there was no replay")
		}
		sc.live(l.StuckAge + l.Frequent.Every)
		if gen := num(sc.table.items[recordPrefix+sc.facts[0].id], "gen"); gen != 2 {
			t.Errorf("done in generation %d, want 2", gen)
		}
		sc.whole(t)
	})
}

// TestReplayOfAFinishedSlice: a replay is killed between its write and its send, a day after
// passes have found all events of its slice done and read no record of it any more. The next
// nightly passes send the message.
func TestReplayOfAFinishedSlice(t *testing.T) {
	fixedPlan{events: 3, spread: time.Hour, reconciler: always()}.run(t, func(t *testing.T, sc *scenario) {
		sc.liveUntil(time.Now().Add(50 * time.Hour))
		sums := 0
		for _, n := range sc.reconciler.notes {
			if n.Listed > 0 && n.Sum != "" {
				sums++
			}
		}
		if sums == 0 {
			t.Fatal("no slice with an event has a sum")
		}
		f := sc.facts[1]
		sc.spawn(&proc{name: "replay that dies"}, func(ctx context.Context) {
			req := idempotency.ReplayRequest{EventID: f.id, Generation: 1, Now: time.Now(), By: "op", Why: "a test"}
			if err := sc.operator.Replay(ctx, req); err != nil {
				t.Error(err)
			}
		})
		sc.liveUntil(time.Now().Add(day + 3*time.Hour))
		if gen := num(sc.table.items[recordPrefix+f.id], "gen"); gen != 2 || sc.undone() > 0 {
			t.Errorf("generation %d, want 2; %d events are not done", gen, sc.undone())
		}
		sc.live(0)
		sc.whole(t)
	})
}

// TestLateInFinishedSlices: Stripe's list shows withheld events up to 40 hours late, when the
// others of their slices have long been found done. The nightly passes send them.
func TestLateInFinishedSlices(t *testing.T) {
	reconciler := always()
	reconciler.withheld, reconciler.hidden = 0.3, 40*time.Hour
	fixedPlan{events: 100, spread: 6 * time.Hour, reconciler: reconciler}.run(t, func(t *testing.T, sc *scenario) {
		for _, tier := range sc.reconciler.tiers[2:] {
			tier.due = time.Now().Add(10 * day)
		}
		sc.liveUntil(sc.facts[len(sc.facts)-1].happened.Add(40*time.Hour + day + time.Hour))
		if n := sc.undone(); n > 0 {
			t.Errorf("%d events are not done", n)
		}
		sc.live(0)
		sc.whole(t)
	})
}

// TestIngestOutage: reconcile enqueues each event during an outage of ingest of one day, and
// Stripe's later deliveries are duplicates.
func TestIngestOutage(t *testing.T) {
	fixedPlan{
		events: 150, spread: day, reconciler: always(), outages: []planned{{part: ingestion, long: day}},
	}.run(t, func(t *testing.T, sc *scenario) {
		l := limits.AWS().Reconcile
		sc.liveUntil(sc.facts[len(sc.facts)-1].happened.Add(l.SettleLag + l.Frequent.Every + time.Minute))
		if n := sc.undone(); n > 0 {
			t.Errorf("%d events are not done, a pass after the last of them", n)
		}
		sc.live(3 * day)
		if n := sc.everDead(); n > 0 {
			t.Errorf("%d healthy events in the dead-letter queue", n)
		}
		sc.whole(t)
	})
}

// TestEverythingAway: nothing runs for a day, and Stripe stops after one try or after three days.
// The next pass of each tier that looks back far enough enqueues all.
func TestEverythingAway(t *testing.T) {
	for _, maxDeliveries := range []int{0, 1} {
		t.Run(fmt.Sprint("deliveries ", maxDeliveries), func(t *testing.T) {
			reconciler := always()
			reconciler.maxDeliveries = maxDeliveries
			fixedPlan{
				events: 150, spread: day, reconciler: reconciler,
				outages: []planned{
					{part: ingestion, long: day}, {part: reconciling, long: day}, {part: consumers, long: day}, {part: store, long: day},
				},
			}.run(t, func(t *testing.T, sc *scenario) {
				for _, tier := range sc.reconciler.tiers[1:] {
					tier.due = time.Now().Add(tier.every + day/2) // both after the outage
				}
				sc.liveUntil(time.Now().Add(day))
				if n := sc.undone(); n != len(sc.facts) {
					t.Fatalf("%d events wait: not everything is away", n)
				}
				sc.liveUntil(sc.reconciler.tiers[1].due.Add(15 * time.Minute))
				if n := sc.undone(); n > 0 {
					t.Errorf("%d events are not done after the first nightly pass", n)
				}
				sc.live(3 * day)
				sc.whole(t)
			})
		})
	}
}

// TestWithheldEvents: Stripe delivers one event in two, and lists events up to two hours late. The
// frequent passes enqueue each missing event once it is listed, and no delivered one.
func TestWithheldEvents(t *testing.T) {
	reconciler := always()
	reconciler.withheld, reconciler.hidden = 0.5, 2*time.Hour
	fixedPlan{events: 800, spread: 12 * time.Hour, reconciler: reconciler}.run(t, func(t *testing.T, sc *scenario) {
		for _, tier := range sc.reconciler.tiers[1:] {
			tier.due = time.Now().Add(2 * day) // the longer tiers would hide a missed event
		}
		delivered := map[*fact]bool{}
		for _, f := range sc.facts {
			delivered[f] = !f.comes[0].due.IsZero()
		}
		l := limits.AWS().Reconcile
		sc.liveUntil(sc.facts[len(sc.facts)-1].happened.Add(2*time.Hour + l.SettleLag + l.Frequent.Every + time.Minute))
		for _, f := range sc.facts {
			switch {
			case !sc.settled(f):
				t.Errorf("%s is not done (delivered: %v)", f.id, delivered[f])
			case f.messages != 1:
				t.Errorf("%d messages for %s (delivered: %v)", f.messages, f.id, delivered[f])
			}
		}
		sc.live(0)
		sc.whole(t)
	})
}
