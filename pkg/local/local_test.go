package local

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/telemetry"
)

func TestOptionsAreCheckedAtOnce(t *testing.T) {
	good := Options{Functions: "x"}
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   []string // parts of the error, none for accepted
	}{
		{"defaults", func(*Options) {}, nil},
		{"no functions", func(o *Options) { o.Functions = "" }, []string{"function binaries"}},
		{"live key", func(o *Options) { o.APIKey = "sk_live_1" }, []string{"--allow-live"}},
		{"restricted live key", func(o *Options) { o.APIKey = "rk_live_1" }, []string{"--allow-live"}},
		{"live key allowed", func(o *Options) { o.APIKey, o.AllowLive = "sk_live_1", true }, nil},
		{"test key", func(o *Options) { o.APIKey = "sk_test_1" }, nil},
		{"a secret with white space", func(o *Options) { o.WebhookSecrets = []string{"whsec_a", "whsec_b\n"} }, []string{"white space"}},
		{"a secret's beginning alone", func(o *Options) { o.WebhookSecrets = []string{"whsec_"} }, []string{"whsec_"}},
		{"a secret of another kind", func(o *Options) { o.WebhookSecrets = []string{"sk_test_1"} }, []string{"whsec_"}},
		{"addresses for others", func(o *Options) { o.Listen, o.AWSListen = "0.0.0.0:0", "4566" }, []string{"loopback addresses only", "want host:port"}},
		{"endpoints", func(o *Options) {
			o.Endpoints, o.Reconcile = `{"connect":{"accounts":["acct_1"]}}`, `{"acct_1":"connect"}`
		}, nil},
		{"endpoints and accounts of another form", func(o *Options) { o.Endpoints, o.Reconcile = `{"connect":{"account":1}}`, `[]` }, []string{"endpoints is not JSON of the form", "reconcile is not one JSON object"}},
		{"a date for the end of a restore", func(o *Options) { o.HoldBefore = "2026-11-28" }, []string{"hold-before is not a time"}},
		{"destinations", func(o *Options) {
			o.Destinations = `{"q":{"type":"sqs","queue":"http://127.0.0.1:1/q","messages":["a"]}}`
		}, nil},
		{"destinations that are not here", func(o *Options) {
			o.Destinations = `{"b":{"type":"eventbridge","bus":"arn:aws:events:eu-central-1:123456789012:event-bus/b","messages":["a"]},"t":{"type":"sns","topic":"arn:aws:sns:eu-central-1:123456789012:t","messages":["a"]}}`
		}, []string{`"b" has type eventbridge`, `"t" has type sns`}},
		{"destinations of another form", func(o *Options) { o.Destinations = `{"b":{"type":"x"}}` }, []string{"has no type"}},
		{"every number", func(o *Options) {
			o.TimeScale, o.MaxReceives, o.IngestConcurrency, o.ConsumerConcurrency = 201, 1, -1, 101
		}, []string{"time scale 201", "max receives 1", "ingest concurrency -1", "consumer concurrency 101"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.change(&o)
			err := o.withDefaults().validate()
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not contain %q", err, part)
				}
			}
			if err != nil && strings.Contains(err.Error(), "whsec_b") {
				t.Errorf("error %q quotes the secret", err)
			}
		})
	}
}

func TestListenRefusesWhatIsNotLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:0", "4242", ""} {
		if l, err := listen(address); err == nil {
			l.Close()
			t.Errorf("listens on %q", address)
		}
	}
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := listen(l.Addr().String()); err == nil || !strings.Contains(err.Error(), "port in use") || !strings.Contains(err.Error(), "--aws-listen") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line with the port in use and a hint", err)
	}
}

func TestInfoIsPrivateAndReadBackWhole(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadInfo(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v without a file, want ErrNotRunning", err)
	}
	want := Info{PID: 7, URL: "http://127.0.0.1:1", Secret: "whsec_x", TimeScale: 3, MaxReceives: 16}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadInfo(dir)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("info (-want +got):\n%s, error %v", diff, err)
	}
	st, err := os.Stat(filepath.Join(dir, InfoFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600, the file holds the secret", st.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, InfoFile), []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadInfo(dir); err == nil || errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v of a half-written file, want another error", err)
	}
}

func TestLogLinesBecomeReadable(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"a record", `{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","message":"event","stage":"local","event_id":"evt_1","attempt":2,"error":"a b"}`,
			`WARN  consumer event event_id=evt_1 attempt=2 error=a b`},
		{"no JSON", `panic: oops`, `consumer panic: oops`},
		{"half a record", `{"timestamp":"2026`, `consumer {"timestamp":"2026`},
		{"an array", `[1]`, `consumer [1]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			w := newLogLines(&out, "info", newLogs()).of("consumer")
			if n, err := w.Write([]byte(c.line + "\n")); n != len(c.line)+1 || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			_, text, _ := strings.Cut(strings.TrimSpace(out.String()), " ") // the time is the machine's
			if text != c.want {
				t.Errorf("line %q, want %q", text, c.want)
			}
		})
	}
}

func TestMetricsAreCountedAndNotShown(t *testing.T) {
	var out bytes.Buffer
	l := newLogLines(&out, "warn", newLogs())
	log := telemetry.Logger(l.of("consumer"), telemetry.Options{Stage: "local", Level: slog.LevelInfo})
	log.Info(telemetry.EventMessage, telemetry.OutcomeKey, "applied", telemetry.AgeKey, 7)
	log.Info(telemetry.EventMessage, telemetry.OutcomeKey, "applied", telemetry.AgeKey, 7)
	if out.Len() > 0 {
		t.Errorf("wrote %q under the level", &out)
	}
	log.Warn(telemetry.EventMessage, telemetry.OutcomeKey, "dead_lettered", telemetry.ReasonKey, "api_version")
	if got := out.String(); !strings.HasSuffix(got, "event outcome=dead_lettered reason=api_version\n") {
		t.Errorf("wrote %q, want the line without its metrics", got)
	}
	if got := l.counts.String(); got != "Done 2, DeadLettered 1" || l.counts.Get("Done") != 2 {
		t.Errorf("counts %q", got)
	}
}

// TestSenderProcesses: each group has those of its event source mapping, and together they run at once.
func TestSenderProcesses(t *testing.T) {
	http := func(name string) string {
		return `"` + name + `":{"type":"http","url":"http://127.0.0.1:1","secret":"s","messages":["*"],"insecure_http":true,"allow":["127.0.0.0/8"]`
	}
	for text, want := range map[string]int{
		"":                     0,
		"{" + http("a") + "}}": 2,
		"{" + http("a") + `,"group":"g"},` + http("b") + `,"group":"g"}}`:    2,
		"{" + http("a") + `,"concurrency":100},` + http("b") + `,"rate":1}}`: 12,
	} {
		if got := (Options{Destinations: text}).senders(); got != want {
			t.Errorf("%s: %d processes, want %d", text, got, want)
		}
	}
}

// TestMissingBinaries: a system does not start without one that it needs.
func TestMissingBinaries(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"ingest", "consumer"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := haveFunctions(Options{Functions: folder, NoReconcile: true}); err != nil {
		t.Error(err)
	}
	for missing, more := range map[string]Options{"reconcile": {}, "sender": {NoReconcile: true, Destinations: "{}"}} {
		more.Functions = folder
		if err := haveFunctions(more); err == nil || !strings.Contains(err.Error(), missing+": build it") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
