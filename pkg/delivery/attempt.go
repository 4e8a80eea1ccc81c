package delivery

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// job handles one job: the destination's state, then an attempt under a lease.
func (b *batch) job(m queue.Message) result {
	job, err := DecodeJob(m.Body)
	if err != nil {
		return b.deadLetter(m, result{reason: reasonUndecodable, err: err})
	}
	r := result{job: job}
	l := b.lanes[job.Destination]
	if l == nil {
		return b.unconfigured(m, r.because(reasonUnknown, nil))
	}
	// An attempt that begins later might outlive the function.
	ctx, cancel := context.WithDeadline(b.ctx, b.deadline.Add(-l.Timeout-b.cfg.Limits.Sender.Slack-3*b.cfg.Limits.RecordBudget))
	defer cancel()
	if l.enter(ctx) != nil {
		return r.back(outcomeNoTime, b.cfg.Limits.NoTimeDelay, nil)
	}
	defer l.leave()
	if r, stop := b.admit(ctx, l, m, r); stop {
		return r
	}
	if l.tokens.Wait(ctx) != nil {
		return r.back(outcomeNoTime, b.cfg.Limits.NoTimeDelay, nil)
	}
	return b.begin(ctx, l, m, r)
}

// deployReceives is how often a job comes back, over 10 minutes, before it is a dead letter because
// the configuration excludes it: a deploy may reach the consumer before this function.
const deployReceives = 5

// unconfigured stops a job whose destination is not configured, or excludes the message.
func (b *batch) unconfigured(m queue.Message, r result) result {
	if m.Receives <= deployReceives {
		return r.back(outcomeNotConfigured, b.wait(m), nil)
	}
	return b.deadLetter(m, r)
}

// admit stops jobs whose destination is disabled, paused, or has an open breaker. When the breaker's
// time is over, one job of one process may pass and probes.
func (b *batch) admit(ctx context.Context, l *lane, m queue.Message, r result) (result, bool) {
	now, lim := b.now(), b.cfg.Limits.Sender
	state, err := l.current(ctx, b.cfg.Store, now, lim.StateTTL)
	if err != nil {
		return r.back(outcomeStoreDown, b.wait(m), err), true
	}
	switch {
	case !state.Off.IsZero():
		return b.deadLetter(m, r.because(reasonDisabled, nil)), true
	case !state.Paused.IsZero():
		return r.back(outcomePaused, b.wait(m), nil), true
	case state.Open.IsZero():
		return r, false
	case now.Before(state.Open):
		return r.back(outcomeOpen, state.Open.Sub(now)+b.wait(m), nil), true
	}
	state.Open, state.By = now.Add(lim.BreakerOpen), b.cfg.Owner()
	won, err := l.swap(ctx, b.cfg.Store, state, now)
	if err != nil {
		return r.back(outcomeStoreDown, b.wait(m), err), true
	}
	return r.back(outcomeOpen, b.wait(m), nil), !won
}

// begin reads the message and begins an attempt. It reads first, so that nothing but the send takes
// time under the lease.
func (b *batch) begin(ctx context.Context, l *lane, m queue.Message, r result) result {
	write, cancel := b.detached()
	defer cancel()
	msg, found, err := b.cfg.Store.Message(write, r.job.Message)
	if err != nil {
		return r.back(outcomeStoreDown, b.wait(m), err)
	}
	if !found {
		return b.deadLetter(m, r.because(reasonNoMessage, nil))
	}
	r.queued = msg.Queued
	d := Delivery{ID: ID(msg.Key), Message: msg, Account: accountOf(msg), Event: eventOf(msg)}
	if !l.TakesFrom(msg.Live(), d.Account) {
		return b.unconfigured(m, r.because(reasonNotTaken, nil))
	}
	if d.Event != nil && l.Whole {
		body, failed := wholeEvent(ctx, b.cfg.Events, d)
		// No row counts these attempts, and the queue drops a job in the end: its age counts.
		old := !m.SentAt.IsZero() && b.now().Sub(m.SentAt) >= b.cfg.Limits.Sender.MaxAge
		switch {
		case failed.Verdict == Stop, failed.Verdict == Retry && old:
			return b.deadLetter(m, r.because(reasonNoEvent, errors.New(failed.Err)))
		case failed.Verdict == Retry:
			return r.back(outcomeNoEvent, max(b.wait(m), failed.RetryAfter), errors.New(failed.Err))
		}
		d.Event.Body = body
	}
	write, cancel = b.detached()
	defer cancel()
	now, lim := b.now(), b.cfg.Limits
	begun, err := b.cfg.Store.Begin(write, BeginRequest{
		Job: r.job, Object: d.numbered(), First: m.Receives == 1, Owner: b.cfg.Owner(),
		Now: now, Lease: now.Add(l.Timeout + lim.Sender.Slack), Cutoff: now.Add(-lim.TakeOverMargin),
	})
	switch {
	case err != nil:
		return r.back(outcomeStoreDown, b.wait(m), err)
	case begun.Over == Delivered:
		return r.done(outcomeDuplicate)
	case begun.Over != "":
		return b.deadLetter(m, r.because(string(begun.Over), nil)) // its copy may not have been stored
	case begun.Started == nil:
		return r.back(outcomeBusy, begun.Busy.Sub(now), nil)
	}
	r.attempt, d.Attempt, d.Sequence = begun.Started.Attempt, begun.Started.Attempt, begun.Started.Sequence
	return b.attempt(l, m, d, *begun.Started, r)
}

// attempt sends the delivery, records how it ended, and notes what that tells of the destination.
func (b *batch) attempt(l *lane, m queue.Message, d Delivery, s Started, r result) result {
	answer, took, sent := b.send(l, d, s)
	answer.Err = limits.Cut(answer.Err, MaxErr)
	now := b.now()
	r.status, r.took = answer.Status, took
	if answer.Verdict != Done && answer.Err != "" {
		r.err = errors.New(answer.Err)
	}
	end := Result{Attempt: Attempt{At: now.Add(-took), Took: took, Status: answer.Status, Err: answer.Err}, Now: now}
	switch {
	case answer.Verdict == Done:
		end.Status = Delivered
	case answer.Verdict == Stop:
		end.Status, r.reason = Failed, reasonStopped
	case answer.Verdict == Disable:
		end.Status, r.reason = Disabled, reasonDisabled
	case now.Sub(s.First) >= b.cfg.Limits.Sender.MaxAge:
		end.Status, r.reason = Failed, reasonExhausted
	default:
		end.Status, end.Next = Waiting, b.next(s, answer, now)
	}
	r = b.end(m, s, end, r)
	if sent && (answer.Verdict != Stop || answer.Status > 0) { // what was refused here tells nothing of the receiver
		b.note(l, answer)
	}
	return r
}

// end records the end of an attempt, and then decides about its job.
func (b *batch) end(m queue.Message, s Started, end Result, r result) result {
	ctx, cancel := b.detached()
	defer cancel()
	recorded, err := b.cfg.Store.End(ctx, s, end)
	lease := s.Lease.Add(b.cfg.Limits.TakeOverMargin).Sub(end.Now)
	switch {
	case err != nil: // a lost mark sends again, after the lease
		return r.back(outcomeUnknown, lease, err)
	case !recorded: // the attempt that took over may not be at its end
		return r.back(outcomeSuperseded, lease, r.err)
	case end.Status == Delivered:
		return r.done(outcomeDelivered)
	case end.Status == Waiting:
		return r.back(outcomeRetry, end.Next.Sub(end.Now), r.err)
	}
	return b.deadLetter(m, r)
}

// next is when the next attempt may begin. The last one is not before MaxAge, whatever the
// back-off.
func (b *batch) next(s Started, a Answer, now time.Time) time.Time {
	lim := b.cfg.Limits.Sender
	next := now.Add(b.jitter(lim.Backoff(s.Attempt, lim.BackoffCap)))
	if last := s.First.Add(lim.MaxAge); next.After(last) {
		next = last
	}
	if asked := now.Add(min(a.RetryAfter, lim.BackoffCap)); asked.After(next) {
		next = asked
	}
	return next
}

// send calls the target once, unless what is left of the lease is less than the attempt may take:
// another attempt could begin meanwhile.
func (b *batch) send(l *lane, d Delivery, s Started) (a Answer, took time.Duration, sent bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), l.Timeout)
	defer cancel()
	begin := b.now()
	if begin.Add(l.Timeout).After(s.Lease) {
		return Answer{Verdict: Retry, Err: "paused before the send: too little of the lease is left"}, 0, false
	}
	defer func() {
		if v := recover(); v != nil {
			b.cfg.Logger.ErrorContext(b.ctx, "target panicked", "destination", l.Name, "stack", string(debug.Stack()))
			a = Answer{Verdict: Retry, Err: "target panicked"}
		}
		took, sent = b.now().Sub(begin), true
	}()
	return l.target.Send(ctx, d), 0, true
}

// note writes what an answer changes of the destination's state, and tries again if another process
// wrote first. Most answers would be noted by the next one; one that disables the destination has
// no next.
func (b *batch) note(l *lane, a Answer) {
	ctx, cancel := b.detached()
	defer cancel()
	failures := l.answered(a.Verdict)
	for range limits.CallTries {
		now := b.now()
		state, err := l.current(ctx, b.cfg.Store, now, b.cfg.Limits.Sender.StateTTL)
		next := state.after(a, failures, now, b.cfg.Limits.Sender)
		if err == nil && next == state {
			return
		}
		won := false
		if next.By = b.cfg.Owner(); err == nil {
			won, err = l.swap(ctx, b.cfg.Store, next, now)
		}
		switch {
		case err != nil:
			b.cfg.Logger.WarnContext(ctx, "write state of destination failed", "destination", l.Name, "error", limits.Cut(err.Error(), limits.MaxErrorText))
			return
		case won && state.Off.IsZero() && !next.Off.IsZero():
			b.cfg.Logger.ErrorContext(ctx, "destination disabled", "destination", l.Name, "why", next.Why)
			return
		case won:
			return
		}
	}
}
