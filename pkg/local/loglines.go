package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"tollgate/pkg/telemetry"
)

// lines turns the functions' JSON log lines into lines for people: time, level,
// function, message, then the attributes in their order without the stage, which is
// always the same here. What is no such line goes through as it is.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

// of returns the writer for one function's lines, each Write one line.
func (l *lines) of(function string) io.Writer { return &functionLines{l, function} }

type functionLines struct {
	*lines
	name string
}

func (f *functionLines) Write(p []byte) (int, error) {
	text := readable(f.name, bytes.TrimRight(p, "\n"))
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.out.Write(text); err != nil {
		return 0, fmt.Errorf("write log line: %w", err)
	}
	return len(p), nil
}

func readable(function string, line []byte) []byte {
	var b bytes.Buffer
	fields, ok := pairs(line)
	if !ok {
		fmt.Fprintf(&b, "%s %-8s %s\n", time.Now().Format(time.TimeOnly), function, line)
		return b.Bytes()
	}
	head := map[string]string{
		telemetry.TimeKey: "", telemetry.LevelKey: "INFO", telemetry.MessageKey: "",
		telemetry.FunctionKey: "", telemetry.StageKey: "",
	}
	var rest bytes.Buffer
	for _, f := range fields {
		if _, isHead := head[f.key]; isHead {
			head[f.key] = f.value
			continue
		}
		fmt.Fprintf(&rest, " %s=%s", f.key, f.value)
	}
	at, err := time.Parse(time.RFC3339Nano, head[telemetry.TimeKey])
	if err != nil {
		at = time.Now()
	}
	fmt.Fprintf(&b, "%s %-5s %-8s %s%s\n", at.Local().Format(time.TimeOnly), head[telemetry.LevelKey], function, head[telemetry.MessageKey], rest.Bytes())
	return b.Bytes()
}

type pair struct{ key, value string }

// pairs reads one JSON object in the order it was written.
func pairs(line []byte) ([]pair, bool) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var out []pair
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, false
		}
		value := string(raw)
		var s string
		if json.Unmarshal(raw, &s) == nil {
			value = s
		}
		out = append(out, pair{fmt.Sprint(key), value})
	}
	return out, true
}
