package start

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"tollgate/pkg/config"
	"tollgate/pkg/telemetry"
)

// lines turns what aws-lambda-go prints, texts and the errors of invocations, into lines of the
// function's form: filters by level, and whoever looks for a request, find them.
type lines struct {
	log        *slog.Logger
	invocation atomic.Pointer[context.Context] // the last one
}

func newLines(w io.Writer, lookup config.Lookup) *lines {
	stage, version := config.Names(lookup)
	l := &lines{log: telemetry.Logger(w, telemetry.Options{Stage: stage, Version: version})}
	l.invocation.Store(new(context.Background()))
	return l
}

// cannotStart logs why there is no handler.
func (l *lines) cannotStart(function string, err error) {
	l.log.ErrorContext(context.Background(), function+" cannot start", "error", err.Error())
}

// Write implements io.Writer for package log.
func (l *lines) Write(text []byte) (int, error) {
	ctx := *l.invocation.Load()
	line := bytes.TrimSpace(text)
	var failed messages.InvokeResponse_Error
	switch {
	case json.Unmarshal(line, &failed) == nil && failed.Type != "":
		attrs := []slog.Attr{slog.String("error", failed.Message), slog.String("error_type", failed.Type)}
		if len(failed.StackTrace) > 0 {
			attrs = append(attrs, slog.Any("stack", failed.StackTrace))
		}
		l.log.LogAttrs(ctx, slog.LevelError, "invocation failed", attrs...)
	case bytes.HasPrefix(line, []byte("WARNING")):
		l.log.WarnContext(ctx, string(line))
	default:
		l.log.ErrorContext(ctx, string(line))
	}
	return len(text), nil
}

// within notes the invocation that the handler is in: a process has one at a time.
func (l *lines) within(h lambda.Handler) lambda.Handler { return &noting{l, h} }

type noting struct {
	lines *lines
	next  lambda.Handler
}

func (n *noting) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	n.lines.invocation.Store(&ctx)
	return n.next.Invoke(ctx, payload)
}
