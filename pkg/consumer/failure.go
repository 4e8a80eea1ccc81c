package consumer

import (
	"errors"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// failed records the failure of an attempt. A permanent failure is marked as dead
// before its copy is sent, and acknowledged after: a crash in between leaves the message.
func (a *attempt) failed(err error) result {
	permanent, isPermanent := errors.AsType[*dispatch.PermanentError](err)
	f := idempotency.Failure{Now: a.c.cfg.Now(), Err: err.Error(), ReceivesLeft: a.receivesLeft(a.m), Frame: dispatch.FrameOf(err)}
	if isPermanent {
		f.Reason, f.ReceivesLeft = permanent.Reason, 0
	}
	f.Fingerprint = fingerprint(a.env, f.Reason, err)
	ctx, cancel := a.detachedContext()
	defer cancel()
	written, failErr := a.c.cfg.Store.Fail(ctx, a.claim, f)
	if failErr != nil {
		r := a.storeFault(a.m, a.env, errors.Join(err, failErr))
		r.stuck = errors.Is(err, ErrStuck)
		return r
	}
	switch written.Verdict {
	case idempotency.FailDone:
		return a.doneByAnother(err)
	case idempotency.FailSuperseded:
		return a.superseded(written.Lease, err)
	}
	a.written = true
	if isPermanent {
		r := a.deadLetter(a.m, a.env, a.claim.Attempt, permanent.Reason, err)
		return a.result(r.outcome, r)
	}
	r := a.c.transient(a.m, err)
	return a.result(r.outcome, r)
}

// excluded handles a message that its endpoint's policy excludes. Endpoints share the record,
// and another may accept the event, so it is neither read nor written.
func (b *batch) excluded(m queue.Message, env event.Envelope, v policy.Verdict) result {
	if v.Action == policy.Ignore {
		return result{env: env, outcome: outcomePolicyIgnored, reason: v.Reason, ack: true}
	}
	return b.deadLetterUnclaimed(m, env, v.Reason, errors.New(v.Text))
}

// held moves a message of a paused type to the hold queue. Its record is neither read nor
// written, and it comes back as a new message, with all of its receives.
func (b *batch) held(m queue.Message, env event.Envelope) (r result, stop bool) {
	if b.c.cfg.Pause == nil {
		return r, false
	}
	paused, err := b.c.cfg.Pause.Paused(b.ctx, env.Type)
	switch {
	case errors.Is(err, idempotency.ErrStoreDown):
		return b.c.storeDown(m, env, err), true
	case err == nil && !paused:
		return r, false
	case err == nil:
		ctx, cancel := b.detachedContext()
		defer cancel()
		if err = b.c.cfg.Pause.Hold(ctx, m); err == nil {
			return result{env: env, outcome: outcomeHeld, ack: true}, true
		}
	}
	r = b.c.transient(m, err)
	r.env, r.infra = env, !errors.Is(err, queue.ErrRefused)
	return r, true
}

// deadLetterUnclaimed handles a message without a claim.
func (b *batch) deadLetterUnclaimed(m queue.Message, env event.Envelope, reason string, err error) result {
	r := b.deadLetter(m, env, 0, reason, err)
	r.env = env
	return r
}

// newer defers a message of a newer release until a newer consumer receives it: it uses one
// receive per hour, and the last one makes it a dead letter.
func (b *batch) newer(m queue.Message, env event.Envelope, err error) result {
	if b.receivesLeft(m) == 0 {
		return b.deadLetterUnclaimed(m, env, dispatch.ReasonNewerVersion, err)
	}
	return result{env: env, outcome: outcomeNewer, delay: b.c.cfg.Limits.BackoffCap, err: err}
}

// deadLetter sends the copy, then acknowledges; without the copy the message comes back.
// The copy has the record's error, so that both have the same fingerprint.
func (b *batch) deadLetter(m queue.Message, env event.Envelope, n int64, reason string, cause error) result {
	ctx, cancel := b.detachedContext()
	defer cancel()
	err := b.c.cfg.Queue.DeadLetter(ctx, m, queue.DeadLetter{
		Reason: reason, Error: cause.Error(), EventID: env.ID, EventType: env.Type, Attempt: n,
		Fingerprint: fingerprint(env, reason, cause),
	})
	if err != nil {
		return result{outcome: outcomeFailed, delay: b.c.backoff(m), infra: !errors.Is(err, queue.ErrRefused), err: errors.Join(cause, err), reason: reason}
	}
	return result{outcome: outcomeDead, ack: true, err: cause, reason: reason}
}

// fingerprint is that of the error as the record has it.
func fingerprint(env event.Envelope, reason string, err error) string {
	return queue.Fingerprint(env.Type, reason, limits.Cut(err.Error(), limits.MaxErrorText))
}

// transient is the result of a failure that a retry may fix.
func (c *Consumer) transient(m queue.Message, err error) result {
	r := result{outcome: outcomeFailed, delay: c.backoff(m), err: err, stuck: errors.Is(err, ErrStuck)}
	if after, ok := errors.AsType[*dispatch.RetryAfterError](err); ok {
		least := c.cfg.Limits.MinDelay
		if after.AtLeast {
			least = r.delay
		}
		r.delay = min(max(after.Delay, least), c.cfg.Limits.BackoffCap)
	}
	if errors.Is(err, dispatch.ErrNotShown) {
		r.outcome = outcomeWaiting
	}
	return r
}

func (c *Consumer) storeDown(m queue.Message, env event.Envelope, err error) result {
	return result{env: env, outcome: outcomeStoreDown, delay: c.backoff(m), infra: true, storeDown: true, err: err}
}

// storeFault is the result of a write that the store refused or did not answer. The first
// throttled item of a batch fails its message alone; the second stops the batch, as then the
// whole table may be throttled.
func (b *batch) storeFault(m queue.Message, env event.Envelope, err error) result {
	r := b.c.storeDown(m, env, err)
	if errors.Is(err, idempotency.ErrThrottled) {
		r.outcome = outcomeThrottled
		r.storeDown = b.throttled.Add(1) > 1
	}
	return r
}

// noTime defers a message for which the batch had no time left. From its third receive it
// waits longer, or it would use up its receives in seconds.
func (c *Consumer) noTime(m queue.Message, env event.Envelope) result {
	r := result{env: env, outcome: outcomeNoTime, delay: c.backoff(m)}
	if m.Receives <= 2 {
		r.delay = time.Duration(c.cfg.Rand() * float64(c.cfg.Limits.NoTimeDelay))
	}
	return r
}

// backoff is the wait after a transient failure: 0.9 to 1 of limits.Backoff.
func (c *Consumer) backoff(m queue.Message) time.Duration {
	return time.Duration((0.9 + 0.1*c.cfg.Rand()) * float64(c.cfg.Limits.Backoff(m.Receives)))
}

// untilLease is the time until another attempt's lease has expired, with the margin.
func (c *Consumer) untilLease(lease time.Time) time.Duration {
	l := c.cfg.Limits
	if lease.IsZero() {
		return l.MinDelay
	}
	jitter := time.Duration(c.cfg.Rand() * float64(l.TakeOverMargin))
	d := lease.Sub(c.cfg.Now()) + l.TakeOverMargin + jitter
	return min(max(d, l.MinDelay), l.MaxVisibility)
}
