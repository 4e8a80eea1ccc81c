package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/jsonscan"
	"tollgate/pkg/local/aws/logs"
	"tollgate/pkg/local/metrics"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/telemetry"
)

// logLines turns the functions' JSON log lines into readable ones: time, level, function,
// message, then the attributes in order, without the stage, which is always the same here,
// and without the metrics, which are counted. Any other line passes unchanged.
type logLines struct {
	mu     sync.Mutex
	out    io.Writer
	level  slog.Level // lines below it are counted but not written
	counts *Counts
	seen   *metrics.Metrics
	series *timeseries.Recorder
	keep   *logs.Store // has every line as it was written
}

func newLogLines(out io.Writer, level string, keep *logs.Store, endpoints ...string) *logLines {
	l := &logLines{out: out, counts: &Counts{values: map[string]int64{}}, series: timeseries.NewRecorder(time.Now), keep: keep}
	l.seen = metrics.New(endpoints, shown(), l.counts.Get)
	_ = l.level.UnmarshalText([]byte(level)) // an unknown level shows all lines; the functions reject it
	return l
}

// LogGroup returns the name of a function's log group in the embedded CloudWatch Logs.
func LogGroup(function string) string { return limits.LogGroup("tollgate", function) }

// newLogs makes the log groups of the functions.
func newLogs() *logs.Store {
	return logs.New(LogGroup("ingest"), LogGroup("consumer"), LogGroup("reconcile"), LogGroup("sender"), LogGroup("history"))
}

// of returns the writer for one function's lines; each Write is one line.
func (l *logLines) of(function string) io.Writer { return &functionLines{l, function} }

type functionLines struct {
	*logLines
	name string
}

func (f *functionLines) Write(p []byte) (int, error) {
	f.keep.Put(LogGroup(f.name), time.Now(), p)
	text := f.readable(bytes.TrimRight(p, "\n"))
	if text == "" {
		return len(p), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := io.WriteString(f.out, text); err != nil {
		return 0, fmt.Errorf("write log line: %w", err)
	}
	return len(p), nil
}

// readable returns the readable line, "" for one below the level.
func (f *functionLines) readable(line []byte) string {
	fields, ok := pairs(line)
	if !ok {
		return fmt.Sprintf("%s %-8s %s\n", time.Now().Format(time.TimeOnly), f.name, line)
	}
	head := map[string]string{
		telemetry.TimeKey: "", telemetry.LevelKey: "INFO", telemetry.MessageKey: "",
		telemetry.StageKey: "", telemetry.VersionKey: "", telemetry.DirectiveKey: "",
	}
	for _, p := range fields {
		if _, isHead := head[p.key]; isHead {
			head[p.key] = p.value
		}
	}
	counted := f.counts.add(head[telemetry.DirectiveKey], fields)
	member := func(key string) string {
		if i := slices.IndexFunc(fields, func(p pair) bool { return p.key == key }); i >= 0 {
			return fields[i].value
		}
		return ""
	}
	f.seen.Observe(head[telemetry.MessageKey], member)
	record(f.series, head[telemetry.MessageKey], counted, member)
	var level slog.Level
	if level.UnmarshalText([]byte(head[telemetry.LevelKey])) == nil && level < f.level {
		return ""
	}
	at, err := time.Parse(time.RFC3339Nano, head[telemetry.TimeKey])
	if err != nil {
		at = time.Now()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s %-8s %s", at.Local().Format(time.TimeOnly), head[telemetry.LevelKey], f.name, head[telemetry.MessageKey])
	for _, p := range fields {
		if _, isHead := head[p.key]; !isHead && !counted[p.key] {
			b.WriteString(" " + p.key + "=" + p.value)
		}
	}
	return plain(b.String()) + "\n"
}

// plain removes control characters, so that logged values, such as an object's id, cannot
// steer a terminal or fake a log line. Continuation lines, as of a stack trace, are indented.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, "\n", "\n    "))
}

type pair struct{ key, value string }

// pairs reads one JSON object in the order it was written.
func pairs(line []byte) ([]pair, bool) {
	if !json.Valid(line) || jsonscan.First(line) != '{' {
		return nil, false
	}
	out := make([]pair, 0, 16)
	for key, raw := range jsonscan.Members(line) {
		value := string(raw)
		switch raw[0] {
		case '"':
			value = jsonscan.Text(raw)
		case 'n': // null
			value = ""
		}
		out = append(out, pair{key, value})
	}
	return out, true
}
