package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/event"
)

// BackfillRequest is what an operator asks for.
type BackfillRequest struct {
	Since, Until time.Time    // of creation; Until is at most the settle lag before now
	Types        []string     // of those that handlers take; nil for all, and only then it is noted as covered
	DryRun       bool         // count, send nothing and note nothing
	Progress     func(Counts) // called after each page with what it had; may be nil
}

// Backfill compares a window as the quarter-hourly pass does, in slices, the newest first.
// It may go back before the begin of history, and keeps to policies as passes do.
// It takes what time it needs, and sends while the queue holds few messages, without a
// bound on their number; what it defers is there for the next run.
func (r *Reconciler) Backfill(ctx context.Context, b BackfillRequest) (Report, error) {
	l := r.cfg.Limits.Reconcile
	t := Tier{Name: Backfill, Slice: whole(l.Slice)}
	p, err := r.pass(ctx, t, event.Backfill)
	if err != nil {
		return Report{Tier: t.Name, Err: err}, err
	}
	if p.report.Nothing {
		p.report.Err = fmt.Errorf("reconcile: nothing may be sent: %s", p.report.Excluded[0].Text)
		return p.report, p.report.Err
	}
	p.stopAfter, p.dry, p.progress, p.unbounded = 0, b.DryRun, b.Progress, true
	if b.Types != nil {
		p.partly = slices.ContainsFunc(r.cfg.Types, func(t string) bool { return !slices.Contains(b.Types, t) })
		p.chunks = slices.Collect(slices.Chunk(slices.Compact(slices.Sorted(slices.Values(b.Types))), MaxTypes))
	}
	last := p.started.Add(-l.SettleLag)
	if b.Until.Before(last) {
		last = b.Until
	}
	windows := cut(seconds(b.Since), seconds(last), t.Slice)
	if len(windows) == 0 || len(p.chunks) == 0 {
		return p.report, errors.New("reconcile: nothing to list: no time or no types")
	}
	p.cover(ctx, t, windows)
	return p.report, p.report.Err
}
