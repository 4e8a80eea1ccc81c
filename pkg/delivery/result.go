package delivery

import (
	"log/slog"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Outcomes of a job.
const (
	outcomeDelivered  = "delivered"
	outcomeRetry      = "retry"         // the attempt failed, another follows
	outcomeDead       = "dead_lettered" // no attempt follows: a copy is in the dead-letter queue
	outcomeNoCopy     = "copy_failed"   // no attempt follows, and no copy is there yet
	outcomeDuplicate  = "duplicate"     // delivered before
	outcomeBusy       = "busy"          // another attempt has the lease, or the back-off is not over
	outcomeOpen       = "breaker_open"
	outcomePaused     = "paused"     // by an operator
	outcomeSuperseded = "superseded" // another attempt took over meanwhile
	outcomeUnknown    = "unknown"    // the end of the attempt may not be recorded
	outcomeStoreDown  = "store_down"
	outcomeNoEvent    = "fetch_failed" // of the whole event
	outcomeNoTime     = "no_time"
	// The configuration has no such destination, or excludes the message.
	outcomeNotConfigured = "not_configured"
)

// Reasons of a dead letter, besides the statuses of a row.
const (
	reasonUndecodable = "undecodable"
	reasonUnknown     = "unknown_destination"
	reasonNoMessage   = "no_message"
	reasonNoEvent     = "event_gone"
	reasonNotTaken    = "not_taken" // the destination's configuration has excluded its mode or account since
	reasonDisabled    = "disabled"
	reasonStopped     = "stopped"   // the receiver's answer is final
	reasonExhausted   = "exhausted" // the delivery was retried for MaxAge
)

// LogMessage is the message of a job's log line.
const LogMessage = "send"

// result is what the batch does with one job, and its log line.
type result struct {
	job     Job
	outcome string
	reason  string
	attempt int
	status  int
	took    time.Duration
	queued  time.Time // the outbox message
	err     error

	ack   bool          // acknowledge; else it comes back after delay
	delay time.Duration // visibility from now
}

func (r result) done(outcome string) result {
	r.outcome, r.ack = outcome, true
	return r
}

func (r result) back(outcome string, delay time.Duration, err error) result {
	r.outcome, r.ack, r.delay, r.err = outcome, false, delay, err
	return r
}

func (r result) because(reason string, err error) result {
	r.reason, r.err = reason, err
	return r
}

// deadLetter stores a copy of a job, then acknowledges it.
func (b *batch) deadLetter(m queue.Message, r result) result {
	ctx, cancel := b.detached()
	defer cancel()
	d := queue.DeadLetter{Reason: r.reason, Destination: r.job.Destination, Attempt: int64(r.attempt)}
	if r.err != nil {
		d.Error = r.err.Error()
	}
	if err := b.cfg.Queue.DeadLetter(ctx, m, d); err != nil {
		return r.back(outcomeNoCopy, b.wait(m), err)
	}
	return r.done(outcomeDead)
}

// log writes one line per job, without payload, address or secret.
func (b *batch) log(m queue.Message, r result) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("destination", r.job.Destination), slog.String("outcome", r.outcome), slog.String("key", r.job.Message),
		slog.Int("attempt", r.attempt), slog.Int("receives", m.Receives), slog.String("message_id", m.ID),
	}
	if r.job.Message != "" {
		attrs = append(attrs, slog.String("webhook_id", ID(r.job.Message)))
	}
	if r.status > 0 {
		attrs = append(attrs, slog.Int("status", r.status))
	}
	if r.attempt > 0 {
		attrs = append(attrs, slog.Int64("took_ms", r.took.Milliseconds()))
	}
	if !r.queued.IsZero() {
		attrs = append(attrs, slog.Int64("age_ms", b.now().Sub(r.queued).Milliseconds()))
	}
	if l := b.lanes[r.job.Destination]; l != nil && r.outcome != outcomeDelivered {
		if failing := l.failing(b.now()); failing > 0 { // an alarm counts it
			attrs = append(attrs, slog.Int64("failing_ms", failing.Milliseconds()))
		}
	}
	if r.reason != "" {
		attrs = append(attrs, slog.String("reason", r.reason))
	}
	if !r.ack {
		attrs = append(attrs, slog.Int64("retry_in_ms", r.delay.Milliseconds()))
	}
	if r.err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", limits.Cut(r.err.Error(), limits.MaxErrorText)))
	}
	if r.outcome == outcomeDead {
		level = slog.LevelError
	}
	b.cfg.Logger.LogAttrs(b.ctx, level, LogMessage, attrs...)
}
