package start

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/config"
)

func release(name string) (string, bool) {
	v, ok := map[string]string{"TOLLGATE_STAGE": "live", "TOLLGATE_VERSION": "v1.2.0"}[name]
	return v, ok
}

// TestLines: whatever package log is given becomes one JSON line with a level, with the request
// that runs.
func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]any
	}{
		"a returned error": {`{"errorMessage":"enqueue event evt_1: \"down\"\nthere","errorType":"wrapError"}`, map[string]any{
			"level": "ERROR", "message": "invocation failed", "error": "enqueue event evt_1: \"down\"\nthere", "error_type": "wrapError"}},
		"a panic": {`{"errorMessage":"boom","errorType":"string","stackTrace":[{"path":"a.go","line":7,"label":"f"}]}`, map[string]any{
			"level": "ERROR", "message": "invocation failed", "error": "boom", "error_type": "string",
			"stack": []any{map[string]any{"path": "a.go", "line": 7.0, "label": "f"}}}},
		"the end of a process": {"calling the handler function resulted in a panic, the process should exit", map[string]any{
			"level": "ERROR", "message": "calling the handler function resulted in a panic, the process should exit"}},
		"a warning":    {"WARNING! Failed to register \x1b[1minternal", map[string]any{"level": "WARN", "message": "WARNING! Failed to register \x1b[1minternal"}},
		"other JSON":   {`{"a":1}`, map[string]any{"level": "ERROR", "message": `{"a":1}`}},
		"nothing":      {"", map[string]any{"level": "ERROR", "message": ""}},
		"broken UTF-8": {"a\xff", map[string]any{"level": "ERROR", "message": "a\ufffd"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			l := newLines(&out, release)
			h := l.within(lambda.NewHandler(func() error { return nil }))
			ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
			if _, err := h.Invoke(ctx, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			log.New(l, "", 0).Print(c.text)
			c.want["request_id"] = "request-1"
			oneLine(t, out.Bytes(), c.want)
		})
	}
}

func oneLine(t *testing.T, out []byte, want map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Fatalf("not one line of JSON (%v):\n%s", err, out)
	}
	delete(got, "timestamp")
	want["stage"], want["version"] = "live", "v1.2.0"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("line (-want +got):\n%s", d)
	}
}

// TestWired: a fault of the configuration and a panic, as of a type with two handlers, end in one
// line each.
func TestWired(t *testing.T) {
	for name, c := range map[string]struct {
		wire func(config.Lookup) (lambda.Handler, error)
		want string
	}{
		"fault": {func(config.Lookup) (lambda.Handler, error) { return nil, errors.New("TOLLGATE_TABLE is not set") }, "TOLLGATE_TABLE is not set"},
		"panic": {func(config.Lookup) (lambda.Handler, error) { panic("two handlers") }, "panic: two handlers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wired(c.wire, release)
			if err == nil {
				t.Fatal("no error")
			}
			var out bytes.Buffer
			l := newLines(&out, release)
			l.cannotStart("consumer", errors.New(c.want)) // a panic's has a stack besides
			oneLine(t, out.Bytes(), map[string]any{"level": "ERROR", "message": "consumer cannot start", "error": c.want})
			if text, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n")); string(text) != c.want {
				t.Errorf("error %q, want %q", text, c.want)
			}
		})
	}
	if _, err := wired(func(config.Lookup) (lambda.Handler, error) { return nil, nil }, release); err != nil {
		t.Errorf("without a fault: %v", err)
	}
}
