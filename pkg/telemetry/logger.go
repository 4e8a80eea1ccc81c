// Package telemetry says how the functions log: JSON lines in the form that Lambda's
// own log format has, each with the function and the stage.
//
// Lines carry ids, types and outcomes, never an event's payload, a secret or a signature.
//
//	log := telemetry.Logger(os.Stderr, "ingest", cfg.Stage, cfg.LogLevel)
package telemetry

import (
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Names of the members that every line has.
const (
	TimeKey     = "timestamp"
	LevelKey    = slog.LevelKey
	MessageKey  = "message"
	FunctionKey = "function"
	StageKey    = "stage"
)

// Logger returns a logger for one function of one stage.
func Logger(w io.Writer, function, stage string, level slog.Level) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: lambdacontext.ReplaceAttr})
	return slog.New(h).With(FunctionKey, function, StageKey, stage)
}
