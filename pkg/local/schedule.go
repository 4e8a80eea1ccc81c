package local

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/lambdahost"
)

// task is one line of the schedule, as the stack has it.
type task struct {
	name  string
	every time.Duration
}

// tasks are those of the stack, at the limits' intervals; the first run is after the first
// interval. Tasks of one list run one at a time. The outbox has its own list, so that no pass
// delays it, and so has the comparison, which may take as long as a pass.
func tasks(l limits.Reconcile) [][]task {
	return [][]task{
		{{"outbox", l.OutboxEvery}},
		{{"verify", l.Verify.Every}},
		{{"quarter", l.Frequent.Every}, {"nightly", l.Nightly.Every}, {"weekly", l.Weekly.Every}},
	}
}

// startSchedule invokes the reconcile function, which logs the result of each run itself. It
// starts nothing without a function. The first task starts the function's process, so that
// the system's start does not wait for it.
func startSchedule(f *lambdahost.Function, o Options) *background {
	if f == nil {
		return nil
	}
	return inBackground(func(ctx context.Context) error {
		runSchedules(ctx, tasks(o.limits().Reconcile), func(ctx context.Context, payload []byte) {
			// The next run repeats a failed one.
			_, _ = f.InvokeWait(ctx, payload, o.limits().Reconcile.Timeout)
		})
		return nil
	})
}

// runSchedules runs the lists of tasks in parallel until the context ends.
func runSchedules(ctx context.Context, lists [][]task, invoke func(context.Context, []byte)) {
	var wg sync.WaitGroup
	for _, all := range lists {
		wg.Go(func() { runSchedule(ctx, all, invoke) })
	}
	wg.Wait()
}

// runSchedule runs what is due, one after the other, until the context ends. A task that
// was due several times while another ran runs once.
func runSchedule(ctx context.Context, all []task, invoke func(context.Context, []byte)) {
	started := time.Now()
	next := make([]time.Time, len(all))
	for i, t := range all {
		next[i] = started.Add(t.every)
	}
	for {
		due := 0
		for i := range all {
			if next[i].Before(next[due]) {
				due = i
			}
		}
		timer := time.NewTimer(time.Until(next[due]))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if ctx.Err() != nil { // a task that was due while another ran may be chosen first
			return
		}
		payload, _ := json.Marshal(map[string]string{"task": all[due].name}) // of strings: cannot fail
		invoke(ctx, payload)
		now := time.Now()
		for next[due] = next[due].Add(all[due].every); next[due].Before(now); {
			next[due] = next[due].Add(all[due].every)
		}
	}
}
