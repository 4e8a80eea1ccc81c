package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// BackfillRequest is what an operator asks for.
type BackfillRequest struct {
	Since, Until time.Time // of creation; Until is at most the settle lag before now
	Types        []string  // types with a handler; nil for all; only a run over all types is noted as coverage
	DryRun       bool      // count, send nothing and note nothing
	Rate         float64   // events sent a second at most; 0: no limit
	// Resumes is the name whose pause this run ends. It compares nothing before the start of history.
	Resumes string
	// Wait bounds the wait for the sent events to be settled. Defaults to none.
	Wait time.Duration

	Progress  func(Counts)             // called after each page with its counts; may be nil
	OnSettled func(settled, total int) // called while it waits; may be nil
}

// BackfillReport is the result of a backfill.
type BackfillReport struct {
	Report
	Types []string // that were compared
	Sent  []string // ids of the events that were sent
	Open  int      // of them, neither done nor dead at the end; without a wait all
}

// Backfill compares a window as the frequent pass does, in slices, the newest first. It may
// go back before the start of history, and applies policies as passes do. It has no time
// limit, and sends while the queue holds few messages, without a bound on their number;
// deferred events are left for the next run.
func (r *Reconciler) Backfill(ctx context.Context, b BackfillRequest) (BackfillReport, error) {
	sender := &backfillSender{Sender: r.cfg.Sender, limit: rate.NewLimiter(rate.Inf, 1)}
	if b.Rate > 0 {
		sender.limit.SetLimit(rate.Limit(b.Rate))
	}
	limited := &Reconciler{r.cfg}
	limited.cfg.Sender = sender
	report, err := limited.backfill(ctx, b)
	done := BackfillReport{Report: report, Types: b.Types, Sent: sender.ids, Open: len(sender.ids)}
	if b.Types == nil {
		done.Types = r.cfg.Types
	}
	if err == nil && b.Wait > 0 {
		done.Open, err = r.settle(ctx, sender.ids, b)
	}
	return done, err
}

func (r *Reconciler) backfill(ctx context.Context, b BackfillRequest) (Report, error) {
	l := r.cfg.Limits.Reconcile
	// Stripe's times do not follow a scale, so the slices do not either.
	t := Tier{Name: Backfill, Slice: whole(limits.AWS().Reconcile.Slice)}
	p, err := r.pass(ctx, t, event.Backfill)
	if err != nil {
		return Report{Tier: t.Name, Err: err}, err
	}
	if p.report.Nothing && b.Resumes == "" {
		p.report.Err = fmt.Errorf("reconcile: nothing may be sent: %s", p.report.Excluded[0].Text)
		return p.report, p.report.Err
	}
	p.stopAfter, p.dry, p.progress, p.unbounded, p.resumes = 0, b.DryRun, b.Progress, true, b.Resumes
	if b.Types != nil {
		p.partly = slices.ContainsFunc(r.cfg.Types, func(t string) bool { return !slices.Contains(b.Types, t) })
		p.chunks = slices.Collect(slices.Chunk(slices.Compact(slices.Sorted(slices.Values(b.Types))), MaxTypes))
	}
	if b.Resumes != "" {
		if err := p.begun(ctx); err != nil {
			p.report.Err = err
			return p.report, err
		}
	}
	last := earlier(b.Until, p.started.Add(-l.SettleLag))
	windows := cut(seconds(b.Since), seconds(last), t.Slice)
	if len(windows) == 0 || len(p.chunks) == 0 {
		return p.report, errors.New("reconcile: nothing to list: no time or no types")
	}
	p.cover(ctx, t, windows)
	return p.report, p.report.Err
}

// backfillSender sends at a limited rate and keeps the ids of what it sent.
type backfillSender struct {
	Sender
	limit *rate.Limiter
	ids   []string
}

func (s *backfillSender) Send(ctx context.Context, e event.Envelope, trace string) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	err := s.Sender.Send(ctx, e, trace)
	if err == nil {
		s.ids = append(s.ids, e.ID)
	}
	return err
}

const (
	settleEvery = time.Second // between two reads of the records
	settleBatch = 100         // records read in one call
)

// settle waits until the events are settled or b.Wait is over, and returns how many are not.
func (r *Reconciler) settle(ctx context.Context, ids []string, b BackfillRequest) (open int, err error) {
	pending := slices.Clone(ids)
	for end := r.cfg.Now().Add(b.Wait); ; {
		var left []string
		for chunk := range slices.Chunk(pending, settleBatch) {
			records, err := r.cfg.Records.Records(ctx, chunk)
			if err != nil {
				return len(pending), fmt.Errorf("wait for the sent events: %w", err)
			}
			for _, id := range chunk {
				if record, found := records[id]; !found || !record.Status(r.cfg.Now(), r.cfg.Limits).Settled() {
					left = append(left, id)
				}
			}
		}
		pending = left
		if b.OnSettled != nil {
			b.OnSettled(len(ids)-len(pending), len(ids))
		}
		if len(pending) == 0 || !r.cfg.Now().Before(end) {
			return len(pending), nil
		}
		select {
		case <-ctx.Done():
			return len(pending), fmt.Errorf("wait for the sent events: %w", ctx.Err())
		case <-time.After(settleEvery):
		}
	}
}
