package run

import (
	"context"
	"log/slog"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
	"tollgate/pkg/limits"
	"tollgate/pkg/telemetry"
)

// comparison compares the kept rows with Stripe; it only reports.
type comparison struct {
	table  drift.Table
	rows   drift.Refresher
	items  dispatch.Rows
	mode   func(context.Context) (live bool, err error) // of the key
	limits limits.Verify
	log    *slog.Logger
}

// maxDriftLines bounds the lines of a run: the command prints all rows that differ.
const maxDriftLines = 20

// run compares the next part of the table. Its line has the ages also if it fails, so that
// they grow while Stripe is down.
func (c *comparison) run(ctx context.Context) error {
	started, logged := time.Now(), 0
	live, err := c.mode(ctx)
	sweep := drift.Sweep{
		Table: c.table, Checker: &drift.Checker{Rows: c.rows, Items: c.items, Livemode: live, Recheck: c.limits.Recheck},
		Every: c.limits.Round, Recent: c.limits.Recent, Requests: c.limits.Requests, Time: c.limits.Time,
		OnDrift: func(f drift.Finding) {
			if logged++; logged <= maxDriftLines {
				c.log.WarnContext(ctx, "drift", "key", f.Key, "kind", f.Kind, "result", string(f.Result), "fields", f.Fields(), "error", f.Error)
			}
		},
	}
	if err != nil {
		sweep.Requests = 0 // without a key only the ages can be known
	}
	r, failed := sweep.Run(ctx)
	if err == nil {
		err = failed
	}
	level, text := slog.LevelInfo, ""
	if err != nil {
		level, text = slog.LevelWarn, err.Error()
	}
	fields := []any{telemetry.DriftedKey, r.Drifted, "checked", r.Checked, "failed", r.Failed, "skipped", r.Skipped, "done", r.Done}
	if r.Known {
		fields = append(fields, telemetry.VerifiedAgeKey, int64(r.Age.Seconds()), "older_age_s", int64(r.OlderAge.Seconds()))
	}
	c.log.Log(ctx, level, telemetry.VerifyMessage, append(fields, "ms", time.Since(started).Milliseconds(), "error", text)...)
	return err
}
