package local

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/limits"
)

// TestScheduleKeepsItsTimes runs a day of the schedule whose quarter-hourly pass takes
// three minutes: nothing runs at the start, no two tasks run at once, and what was due
// three times meanwhile runs once.
func TestScheduleKeepsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		runs, running := map[string][]time.Duration{}, false
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runSchedule(ctx, tasks(limits.AWS().Reconcile), func(_ context.Context, payload []byte) {
				if running {
					t.Error("two tasks at once")
				}
				running = true
				name := strings.TrimSuffix(strings.TrimPrefix(string(payload), `{"task":"`), `"}`)
				runs[name] = append(runs[name], time.Since(began))
				if name == "quarter" {
					time.Sleep(3 * time.Minute)
				}
				running = false
			})
		}()
		time.Sleep(24*time.Hour + 10*time.Minute)
		cancel()
		<-ended
		if n := len(runs["quarter"]); n != 96 || runs["quarter"][0] < 15*time.Minute {
			t.Errorf("%d quarter-hourly runs, the first after %v", n, runs["quarter"][:1])
		}
		if n := len(runs["nightly"]); n != 1 || len(runs["weekly"]) != 0 {
			t.Errorf("%d nightly and %d weekly runs", n, len(runs["weekly"]))
		}
		// Of the outbox's 1,450 turns each pass holds up three, which become two.
		if n := len(runs["outbox"]); n < 1300 || n > 1400 || runs["outbox"][0] != time.Minute {
			t.Errorf("%d looks at the outbox, the first after %v", n, runs["outbox"][:1])
		}
	})
}

func TestNoScheduleWithoutFunction(t *testing.T) {
	s := startSchedule(nil, Options{})
	s.stop()
	if s != nil {
		t.Error(fmt.Sprint("a schedule of nothing: ", s))
	}
}
