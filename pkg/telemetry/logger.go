// Package telemetry is how the functions log and count. They write JSON lines in Lambda's
// log format, each with the stage, the release and the invocation; a function has a log group of
// its own. The line of a delivery, of a message, of a pass and of an outbox run also has the
// metrics that alarms watch, in CloudWatch's embedded metric format. No call to CloudWatch is
// made.
//
// Lines have ids, types and outcomes, never a payload, a secret or a signature.
//
//	log := telemetry.Logger(os.Stderr, telemetry.Options{Stage: cfg.Stage, Version: cfg.Version, Level: cfg.LogLevel})
//	log.Info(telemetry.DeliveryMessage, telemetry.OutcomeKey, "enqueued")
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"tollgate/pkg/limits"
)

// Names of the members that every line has.
const (
	TimeKey    = "timestamp"
	LevelKey   = slog.LevelKey
	MessageKey = "message"
	StageKey   = limits.DimensionStage
	VersionKey = "version"
	RequestKey = "request_id" // Lambda's, of a line that belongs to an invocation
)

// Options are what a function's lines say of it, and how much they count.
type Options struct {
	Stage        string
	Version      string // of the release
	Level        slog.Level
	Endpoints    []string // counted by themselves: any other costs no metric, whatever a stranger names
	EventMetrics bool     // count by event type too
}

// Logger returns a logger for a function of a stage and a release. It drops lines below the level,
// except those with metrics.
func Logger(w io.Writer, o Options) *slog.Logger {
	// The JSON handler accepts every level; our handler decides.
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: inLambdasFormat})
	return slog.New(&handler{next: h, Options: o}).With(StageKey, o.Stage, VersionKey, o.Version)
}

// inLambdasFormat names a line's members as Lambda does, with its time in milliseconds.
func inLambdasFormat(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.TimeValue(a.Value.Time().Truncate(time.Millisecond))
	}
	return lambdacontext.ReplaceAttr(groups, a)
}

// handler adds its metrics to a line.
type handler struct {
	Options
	next slog.Handler
}

// Enabled accepts every line that may have metrics; Handle drops the others.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= min(h.Level, slog.LevelInfo)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	m := h.metricsOf(r)
	if len(m) == 0 && r.Level < h.Level {
		return nil
	}
	invocation, invoked := lambdacontext.FromContext(ctx)
	if invoked || len(m) > 0 {
		r = r.Clone()
	}
	if invoked {
		r.AddAttrs(slog.String(RequestKey, invocation.AwsRequestID))
	}
	if len(m) > 0 {
		r.AddAttrs(embed(r.Time, m)...)
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{next: h.next.WithAttrs(slices.Clone(attrs)), Options: h.Options}
}

// WithGroup ignores groups: CloudWatch reads metrics at the line's root only.
func (h *handler) WithGroup(string) slog.Handler { return h }
