// Package telemetry is how the functions log and count. They write JSON lines in Lambda's
// log format, each with the stage and the release; a function has a log group of its own. The line of a
// delivery, of a message, of a pass and of an outbox run also has the metrics that alarms
// watch, in CloudWatch's embedded metric format. No call to CloudWatch is made.
//
// Lines have ids, types and outcomes, never a payload, a secret or a signature.
//
//	log := telemetry.Logger(os.Stderr, cfg.Stage, cfg.Version, cfg.LogLevel)
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
)

// Logger returns a logger for a function of a stage and of a release. It drops lines below the level, except
// those with metrics.
func Logger(w io.Writer, stage, version string, level slog.Level) *slog.Logger {
	// The JSON handler accepts every level; our handler decides.
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: inLambdasFormat})
	return slog.New(&handler{next: h, level: level}).With(StageKey, stage, VersionKey, version)
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
	next  slog.Handler
	level slog.Level
}

// Enabled accepts every line that may have metrics; Handle drops the others.
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

// WithGroup ignores groups: CloudWatch reads metrics at the line's root only.
func (h *handler) WithGroup(string) slog.Handler { return h }
