package consumer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Outcomes of a message, besides the record's applied, ignored and stale.
const (
	outcomeDuplicate  = "duplicate"
	outcomeBusy       = "busy"
	outcomeSuperseded = "superseded"
	outcomeUnknown    = "unknown"
	outcomeFailed     = "failed"
	outcomeDead       = "dead_lettered"
	outcomeStoreDown  = "store_down"
	outcomeThrottled  = "throttled"
	outcomeNoTime     = "no_time"
	outcomeNewer      = "newer_version"
	outcomeWaiting    = "waiting" // the API does not show yet what the event announced

	outcomePolicyIgnored = "policy_ignored" // the endpoint excludes the event: acknowledged without a record
	outcomeHeld          = "held"           // of a paused type: moved to the hold queue
	outcomeMissed        = "missed"         // reconcile's message wrote the record, and no webhook's message followed
)

// result is what the batch does with one message, and its log line.
type result struct {
	env     event.Envelope
	outcome string
	reason  string
	attempt int64
	effects int
	err     error

	coalesced bool          // ended without a fetch, as for dispatch.ErrCoalesced
	ran       bool          // the event has a handler, and it ran
	took      time.Duration // all its runs, with what they fetched

	ack       bool          // acknowledge; else it comes back after delay
	delay     time.Duration // visibility from now
	infra     bool          // the store or the queue could not be used
	storeDown bool          // claim nothing more in this batch
	stuck     bool          // the process must exit
}

// log writes one line per message, without payload.
func (c *Consumer) log(ctx context.Context, m queue.Message, r result) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("event_id", r.env.ID), slog.String("event_type", r.env.Type),
		slog.String("endpoint", r.env.Endpoint), slog.String("outcome", r.outcome),
		slog.Int64("attempt", r.attempt), slog.Int("receives", m.Receives), slog.String("message_id", m.ID),
	}
	if r.env.Source == event.EventBridge { // the only trace of its delivery
		attrs = append(attrs, slog.String("source", string(r.env.Source)))
	}
	if trace := event.SampledTrace(m.Trace); trace != "" {
		attrs = append(attrs, slog.String("trace", trace))
	}
	if r.env.Created > 0 {
		attrs = append(attrs, slog.Int64("age_ms", c.cfg.Now().Sub(time.Unix(r.env.Created, 0)).Milliseconds()))
	}
	if r.ran {
		attrs = append(attrs, slog.Int64("handler_ms", r.took.Milliseconds()))
	}
	if r.coalesced {
		attrs = append(attrs, slog.Bool("coalesced", true))
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
		if p, ok := errors.AsType[*dispatch.PanicError](r.err); ok {
			attrs = append(attrs, slog.String("stack", string(p.Stack)))
		}
	}
	if r.outcome == outcomeDead || r.stuck {
		level = slog.LevelError
	}
	c.cfg.Logger.LogAttrs(ctx, level, "event", attrs...)
}
