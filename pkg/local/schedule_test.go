package local

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/limits"
)

// TestScheduleKeepsItsTimes runs a day of the schedule whose quarter-hourly pass takes
// thirteen minutes: nothing runs at the start, no two passes run at once, what was due
// meanwhile runs once, and the outbox and the comparison keep their times all the same.
func TestScheduleKeepsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var mu sync.Mutex
		runs, passing := map[string][]time.Duration{}, false
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runSchedules(ctx, tasks(limits.AWS().Reconcile), func(_ context.Context, payload []byte) {
				name := strings.TrimSuffix(strings.TrimPrefix(string(payload), `{"task":"`), `"}`)
				mu.Lock()
				runs[name] = append(runs[name], time.Since(began))
				apart := name == "outbox" || name == "verify"
				if !apart && passing {
					t.Error("two passes at once")
				}
				passing = passing || !apart
				mu.Unlock()
				if apart {
					return
				}
				time.Sleep(13 * time.Minute)
				mu.Lock()
				passing = false
				mu.Unlock()
			})
		}()
		time.Sleep(24*time.Hour + 25*time.Minute + 30*time.Second) // between two turns
		cancel()
		<-ended
		if n := len(runs["quarter"]); n != 96 || runs["quarter"][0] < 15*time.Minute {
			t.Errorf("%d quarter-hourly runs, the first after %v", n, runs["quarter"][:1])
		}
		if n := len(runs["nightly"]); n != 1 || len(runs["weekly"]) != 0 {
			t.Errorf("%d nightly and %d weekly runs", n, len(runs["weekly"]))
		}
		if n := len(runs["verify"]); n != 24 || runs["verify"][0] != time.Hour {
			t.Errorf("%d runs of the comparison, the first after %v", n, runs["verify"][:1])
		}
		if n := len(runs["outbox"]); n != 1465 || runs["outbox"][0] != time.Minute {
			t.Errorf("%d runs of the outbox, the first after %v", n, runs["outbox"][:1])
		}
	})
}

func TestNoScheduleWithoutFunction(t *testing.T) {
	s := startSchedule(nil, Options{})
	if err := s.stop(t.Context()); err != nil || s != nil {
		t.Error(fmt.Sprint("a schedule of nothing: ", s, err))
	}
}
