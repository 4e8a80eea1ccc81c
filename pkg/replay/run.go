package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"tollgate/pkg/idempotency"
)

// RunOptions are the options of a run over several events.
type RunOptions struct {
	Rate float64 // events a second at most; required
	// Wait bounds the wait for the outcomes of all events that were sent. Defaults to none.
	Wait time.Duration
	// OnResult, if set, is called after each event. err is nil or a *RefusedError.
	OnResult func(id string, r Result, err error)
	// OnOutcome, if set, is called for each event that was sent once its outcome is known, or the
	// wait is over. The record is nil when it was not read.
	OnOutcome func(id string, o Outcome, record *idempotency.Record)
}

// Outcome is the result of an event whose message was sent.
type Outcome string

const (
	OutcomeDone Outcome = "done"
	OutcomeDead Outcome = "dead" // an attempt since has failed for good
	OutcomeOpen Outcome = "not done yet"
)

// Summary is the result of a run, also of one that ended early.
type Summary struct {
	Actions  map[Action]int
	Outcomes map[Outcome][]string // ids of the events that were sent; empty without a wait
	Sent     []string             // ids
}

// Run replays events in order. A refused event does not end it; any other error does,
// because it would affect the next event too. Refused events are reported only in the
// summary.
func (r *Replayer) Run(ctx context.Context, ids []string, o RunOptions) (s Summary, err error) {
	s = Summary{Actions: map[Action]int{}, Outcomes: map[Outcome][]string{}}
	limiter := rate.NewLimiter(rate.Limit(o.Rate), 1)
	attempts := map[string]int64{} // before the replay, of the events that were sent
	for i, id := range ids {
		if limiter.Wait(ctx) != nil {
			err = fmt.Errorf("interrupted before event %d of %d", i+1, len(ids))
			break
		}
		var res Result
		res, err = r.Event(ctx, id)
		_, refused := errors.AsType[*RefusedError](err)
		if err != nil && !refused {
			break
		}
		if refused {
			res.Action = Refused
		} else if !r.cfg.DryRun {
			s.Sent, attempts[id] = append(s.Sent, id), res.Attempt
		}
		s.Actions[res.Action]++
		if o.OnResult != nil {
			o.OnResult(id, res, err)
		}
		err = nil
	}
	if o.Wait <= 0 || r.cfg.DryRun {
		return s, err
	}
	return s, r.await(ctx, o, attempts, &s, err)
}

// await waits for the outcomes of the events that were sent, unless the run has failed, and
// reports all of them.
func (r *Replayer) await(ctx context.Context, o RunOptions, attempts map[string]int64, s *Summary, failed error) error {
	end := r.cfg.Now().Add(o.Wait)
	for _, id := range s.Sent {
		var record *idempotency.Record
		outcome := OutcomeOpen
		if failed == nil {
			var got idempotency.Record
			var found bool
			got, found, failed = idempotency.Await(ctx, r.cfg.Records, id, end, func(got idempotency.Record) bool {
				return r.outcomeOf(got, attempts[id]) != OutcomeOpen
			})
			if found {
				record, outcome = &got, r.outcomeOf(got, attempts[id])
			}
		}
		s.Outcomes[outcome] = append(s.Outcomes[outcome], id)
		if o.OnOutcome != nil {
			o.OnOutcome(id, outcome, record)
		}
	}
	return failed
}

// outcomeOf reads an outcome from the record. An event that was dead before the replay is open
// until an attempt has run since.
func (r *Replayer) outcomeOf(record idempotency.Record, attempt int64) Outcome {
	switch status := record.Status(r.cfg.Now(), r.cfg.Limits); {
	case status.Where == idempotency.AtDone:
		return OutcomeDone
	case record.Attempt > attempt && status.Settled():
		return OutcomeDead
	default:
		return OutcomeOpen
	}
}
