package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/sqs"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/queue"
	"tollgate/pkg/telemetry"
)

// SeriesPath is where the HTTP server of deliveries has what was counted over time, for programs on
// this machine.
const SeriesPath = "/series"

// levelsEvery is how often the queues are measured: a step of ten seconds has two levels.
const levelsEvery = 5 * time.Second

// record keeps what a function's line counts. named are the line's metrics.
func record(series *timeseries.Recorder, message string, named map[string]bool, member func(string) string) {
	for name := range named {
		value, err := strconv.ParseInt(member(name), 10, 64)
		switch {
		case err != nil:
		case slices.Contains([]string{limits.MetricAge, limits.MetricDeliveryAge, limits.MetricHandlerMillis}, name):
			series.Time(name, float64(value))
		case slices.Contains([]string{limits.MetricOutboxUnsent, limits.MetricOutboxHeld, limits.MetricOutboxOldest, limits.MetricOldestDead, limits.MetricPausedFor, limits.MetricLedgerVerifiedAge}, name):
			series.Level(name, float64(value))
		default:
			series.Add(name, float64(value))
		}
	}
	typ, reason := member(telemetry.EventTypeKey), member(telemetry.ReasonKey)
	of := func(name, by, value string) {
		if named[name] && value != "" {
			series.AddOf(name, by, value, 1)
		}
	}
	switch message {
	case telemetry.DeliveryMessage:
		of(limits.MetricRejected, limits.DimensionReason, reason)
	case telemetry.EventMessage:
		of(limits.MetricDone, limits.DimensionEventType, typ)
		of(limits.MetricDeadLettered, limits.DimensionReason, reason)
		if named[limits.MetricFailed] {
			of(limits.MetricFailed, timeseries.ByCause, typ+" "+queue.Fingerprint(typ, reason, member("error")))
		}
	}
}

// measure notes the levels of the queues until the context ends.
func measure(ctx context.Context, series *timeseries.Recorder, main, dead sqs.Queue) error {
	tick := time.NewTicker(levelsEvery)
	defer tick.Stop()
	for {
		if is, err := main.Depth(); err == nil {
			series.Level(timeseries.LevelQueued, float64(is.Waiting))
			series.Level(timeseries.LevelInFlight, float64(is.InFlight))
			series.Level(timeseries.LevelOldest, is.Oldest.Seconds())
		}
		if is, err := dead.Depth(); err == nil {
			series.Level(timeseries.LevelDead, float64(is.Waiting+is.InFlight))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// maxSteps bounds an answer.
const maxSteps = 1000

// serveSeries answers with the window of the query's from (Unix seconds), step (seconds) and steps.
func serveSeries(series *timeseries.Recorder) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := func(name string, least, most int64) (int64, bool) {
			n, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
			return n, err == nil && n >= least && n <= most
		}
		from, okFrom := number("from", 0, 1<<40)
		step, okStep := number("step", 1, 86_400)
		steps, okSteps := number("steps", 1, maxSteps)
		if !okFrom || !okStep || !okSteps {
			http.Error(w, "want from in Unix seconds, step of 1 to 86400 seconds and steps of 1 to "+strconv.Itoa(maxSteps), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(series.Data(timeseries.Window{
			From: time.Unix(from, 0).UTC(), Step: time.Duration(step) * time.Second, Steps: int(steps),
		})) // a reader that is gone needs no answer
	})
}

// SeriesURL is the address of the series of a system that takes deliveries at a URL.
func SeriesURL(deliveries string) string {
	return strings.TrimSuffix(deliveries, limits.WebhookPath) + SeriesPath
}

// SeriesQuery is the query for a window.
func SeriesQuery(w timeseries.Window) string {
	return fmt.Sprintf("from=%d&step=%d&steps=%d", w.From.Unix(), w.Step/time.Second, w.Steps)
}
