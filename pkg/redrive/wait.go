package redrive

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

const (
	pollEvery   = 500 * time.Millisecond // between two reads of a record
	maxBadPolls = 10                     // in a row end the wait

	// The dead-letter queue is searched for messages that still wait, at growing intervals:
	// the consumer dead-letters some again without a record.
	firstSearch = 10 * time.Second
	// sentMargin is how far the queue's clock may be behind ours.
	sentMargin = 5 * time.Second
)

// waiter polls the records of sent messages for their outcomes.
type waiter struct {
	*DLQ
	stage    Stage
	sent     []Sent
	began    time.Time // no message was sent before
	outcomes []Outcome // at the last poll

	parked     map[string]queue.DeadLetter // by event id, dead-lettered again without a record
	nextSearch time.Time
	searches   int

	failedID, failedError string
}

// wait polls until every message is done or dead, or for the timeout. It reads a few records
// at once, and none again that is done or dead. A canary ends when any message has failed
// again, though it may be retried. Cancelling the context ends it with the context's error and
// the last outcomes.
func (w *waiter) wait(ctx context.Context, opts Options) (o Outcomes, err error) {
	timed, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for bad := 0; timed.Err() == nil; {
		o, err = w.poll(timed)
		if err == nil {
			bad = 0
		} else if bad++; bad == maxBadPolls && timed.Err() == nil {
			return o, fmt.Errorf("wait for outcomes: %w", err)
		}
		if opts.OnOutcomes != nil {
			opts.OnOutcomes(w.stage, o)
		}
		if o.Waiting+o.Failing == 0 || w.stage == StageCanary && o.Failed() > 0 {
			return o, nil
		}
		if o.Waiting > 0 && time.Now().After(w.nextSearch) {
			w.search(timed)
			w.searches++
			w.nextSearch = time.Now().Add(firstSearch << w.searches)
		}
		select {
		case <-timed.Done():
		case <-tick.C:
		}
	}
	if err := ctx.Err(); err != nil {
		return o, fmt.Errorf("wait for outcomes: %w", err)
	}
	return o, nil // the timeout
}

// search reads the dead-letter queue for messages that the consumer refused before it wrote a
// record. One that fails, also because another operator has the lock, costs only time.
func (w *waiter) search(ctx context.Context) {
	found := map[string]queue.DeadLetter{}
	read := func(ctx context.Context) error {
		_, err := w.walk(ctx, MaxMessages, func(_ *inFlight, batch []Received) (bool, error) {
			for _, m := range batch {
				if d, _ := decode(m); d.refusedBeforeRecord() && !m.SentAt.Before(w.began.Add(-sentMargin)) {
					found[d.EventID()] = d.Cause
				}
			}
			return true, nil
		})
		return err
	}
	if w.stage == StageCanary { // which runs under the lock
		_ = read(ctx)
	} else {
		_ = w.locked(ctx, read)
	}
	w.parked = found
}

// poll reads the records of messages without a final outcome.
func (w *waiter) poll(ctx context.Context) (Outcomes, error) {
	var pending []int
	for i, o := range w.outcomes {
		if o == Waiting || o == Failing {
			pending = append(pending, i)
		}
	}
	errs, texts := make([]error, len(pending)), make([]string, len(pending))
	each(len(pending), func(n int) {
		i := pending[n]
		if errs[n] = ctx.Err(); errs[n] != nil {
			return
		}
		outcome, text, err := w.read(ctx, w.sent[i])
		if errs[n] = err; err == nil {
			w.outcomes[i], texts[n] = outcome, text
		}
	})
	for n, i := range pending {
		if o := w.outcomes[i]; errs[n] == nil && (o == Failing || o == Dead) {
			w.failedID, w.failedError = w.sent[i].EventID, texts[n]
		}
	}
	return w.count(), cmp.Or(errs...)
}

func (w *waiter) read(ctx context.Context, s Sent) (o Outcome, text string, err error) {
	var r idempotency.Record // without one: still waiting
	if s.open() {
		if r, _, err = w.Records.Get(ctx, s.EventID); err != nil {
			return Waiting, "", err
		}
	}
	o = s.OutcomeOf(r, time.Now(), w.Limits)
	if cause, again := w.parked[s.EventID]; o == Waiting && again {
		return Dead, cause.Reason + ": " + cause.Error, nil
	}
	return o, r.Err, nil
}

func (w *waiter) count() (c Outcomes) {
	counts := [...]*int{Waiting: &c.Waiting, Done: &c.Done, Failing: &c.Failing, Dead: &c.Dead, Untracked: &c.Untracked}
	for _, o := range w.outcomes {
		*counts[o]++
	}
	if c.Failed() > 0 {
		c.FailedID, c.FailedError = w.failedID, w.failedError
	}
	return c
}
