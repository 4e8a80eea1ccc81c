// Package telemetry says how the functions log and count: JSON lines in the form of
// Lambda's own log format, each with the function and the stage, and in the same lines
// the metrics that the alarms watch, in CloudWatch's embedded metric format. One line
// for each delivery and one for each message carry them; no call to CloudWatch is made.
//
// Lines carry ids, types and outcomes, never an event's payload, a secret or a signature.
//
//	log := telemetry.Logger(os.Stderr, "ingest", cfg.Stage, cfg.LogLevel)
//	log.Info(telemetry.DeliveryMessage, telemetry.OutcomeKey, "enqueued")
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"tollgate/pkg/limits"
)

// Names of the members that every line has.
const (
	TimeKey     = "timestamp"
	LevelKey    = slog.LevelKey
	MessageKey  = "message"
	FunctionKey = "function"
	StageKey    = limits.DimensionStage
)

// Logger returns a logger for one function of one stage. Lines under the level are
// dropped, except those that carry metrics.
func Logger(w io.Writer, function, stage string, level slog.Level) *slog.Logger {
	// The JSON handler takes every level: which lines go is decided in front of it.
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: lambdacontext.ReplaceAttr})
	return slog.New(&handler{next: h, level: level}).With(FunctionKey, function, StageKey, stage)
}

// handler adds the metrics of a line to it.
type handler struct {
	next  slog.Handler
	level slog.Level
}

// Enabled lets every line through that may carry metrics; Handle drops the others.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= min(h.level, slog.LevelInfo)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	m := metricsOf(r)
	if len(m) == 0 && r.Level < h.level {
		return nil
	}
	if len(m) > 0 {
		r = r.Clone()
		r.AddAttrs(embed(r.Time, m)...)
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{next: h.next.WithAttrs(slices.Clone(attrs)), level: h.level}
}

// WithGroup keeps metrics at the line's root, where CloudWatch looks for them, by
// refusing groups: the functions' lines are flat.
func (h *handler) WithGroup(string) slog.Handler { return h }
