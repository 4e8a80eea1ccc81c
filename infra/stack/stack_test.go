package stack_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"tollgate/infra/check"
	"tollgate/infra/stack"
	"tollgate/pkg/limits"
)

var update = flag.Bool("update", false, "write the golden templates anew")

// TestMain runs the tests in a process of their own, with a folder for temporary files
// that goes with it: CDK's kernel unpacks itself when it is linked, and closing a kernel
// that was used waits for it in two places at once, which the race detector finds.
func TestMain(m *testing.M) {
	const own = "TOLLGATE_STACK_TEST"
	if os.Getenv(own) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "tollgate-stack-")
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), own+"=1", "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	os.RemoveAll(dir)
	jsii.Close() // this process's, which was never used
	if err != nil {
		os.Exit(1)
	}
}

// needNode skips where CDK's kernel cannot run, but not in CI.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is not installed: no template can be made")
		}
		t.Skip("node is not installed: no template can be made")
	}
}

// bundles are the same bytes always, so that a template does not change with the code.
func bundles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, function := range []string{"ingest", "consumer", "reconcile"} {
		if err := os.Mkdir(filepath.Join(dir, function), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, function, "bootstrap"), []byte("stands for "+function+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func options(t *testing.T, context map[string]string) stack.Options {
	t.Helper()
	o, err := stack.FromContext(lookup(context), bundles(t))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func lookup(context map[string]string) func(string) any {
	return func(key string) any {
		if v, ok := context[key]; ok {
			return v
		}
		return nil
	}
}

// synth returns the template's bytes.
func synth(t *testing.T, o stack.Options) []byte {
	t.Helper()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false), Outdir: jsii.String(t.TempDir())})
	if _, err := stack.New(app, o); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(*app.Synth(nil).Directory(), stack.Name(o.Stage)+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.TrimSpace(raw), '\n')
}

func parse(t *testing.T, raw []byte) check.Template {
	t.Helper()
	template, err := check.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// TestGolden compares whole templates: a change of the stack shows up in review as one
// of infra/testdata, which make diff ARGS=-update writes.
func TestGolden(t *testing.T) {
	needNode(t)
	for _, stage := range []string{"test", "live"} {
		t.Run(stage, func(t *testing.T) {
			o := options(t, map[string]string{"stage": stage})
			raw := synth(t, o)
			if twice := synth(t, o); !bytes.Equal(raw, twice) {
				t.Errorf("two templates of one stage differ:\n%s", cmp.Diff(string(raw), string(twice)))
			}
			name := filepath.Join("..", "testdata", stack.Name(stage)+".json")
			if *update {
				if err := os.WriteFile(name, raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, golden), parse(t, raw)); diff != "" {
				t.Errorf("the stack differs from %s (-golden +stack); if that is meant, make diff ARGS=-update:\n%s", name, diff)
			} else if !bytes.Equal(golden, raw) {
				t.Errorf("the stack differs from %s outside of its resources and outputs:\n%s", name, cmp.Diff(string(golden), string(raw)))
			}
		})
	}
}

// TestContext holds the checks for other contexts too, and looks at what each changes.
func TestContext(t *testing.T) {
	needNode(t)
	type want struct {
		resource string
		path     []string
		value    any // nil: not there
	}
	const topic = "arn:aws:sns:eu-central-1:123456789012:on-call"
	tests := []struct {
		name    string
		context map[string]string
		want    []want
	}{
		{"another stage", map[string]string{"stage": "eu-2"}, []want{
			{"Consumer", []string{"FunctionName"}, "tollgate-eu-2-consumer"},
			{"Consumer", []string{"Environment", "Variables", "TOLLGATE_ENDPOINTS"}, nil},
			{"AlarmSilence", nil, nil},
		}},
		{"nothing reserved", map[string]string{"reserved": "off"}, []want{
			{"Ingest", []string{"ReservedConcurrentExecutions"}, nil},
			{"Consumer", []string{"ReservedConcurrentExecutions"}, nil},
			{"Reconcile", []string{"ReservedConcurrentExecutions"}, nil},
			{"ConsumerMapping", []string{"ScalingConfig", "MaximumConcurrency"}, 5.0},
		}},
		{"an address", map[string]string{"alarm-email": "ops@example.com"}, []want{
			{"AlarmEmail", []string{"Endpoint"}, "ops@example.com"},
			{"AlarmEmail", []string{"Protocol"}, "email"},
		}},
		{"an existing topic", map[string]string{"alarm-topic": topic}, []want{
			{"AlarmTopic", nil, nil},
			{"AlarmIngestErrors", []string{"AlarmActions"}, []any{topic}},
		}},
		{"several endpoints", map[string]string{"stage": "live", "endpoints": `{"connect": {"accounts": ["acct_1"]}, "default": {"livemode": [true], "accounts": ["-"]}}`}, []want{
			{"Consumer", []string{"Environment", "Variables", "TOLLGATE_ENDPOINTS"}, `{"connect":{"livemode":[true],"accounts":["acct_1"]},"default":{"livemode":[true],"accounts":["-"]}}`},
		}},
		{"several accounts", map[string]string{"reconcile": `{"acct_1": "connect", "-": "default"}`, "endpoints": `{"connect":{"accounts":["acct_1"]}}`}, []want{
			{"Reconcile", []string{"Environment", "Variables", "TOLLGATE_ENDPOINTS"}, `{"connect":{"livemode":[false],"accounts":["acct_1"]},"default":{"livemode":[false]}}`},
			{"Reconcile", []string{"Environment", "Variables", "TOLLGATE_RECONCILE"}, `{"-":"default","acct_1":"connect"}`},
		}},
		{"a begin of history", map[string]string{"begin": "2026-11-21T12:00:00+01:00"}, []want{
			{"Reconcile", []string{"Environment", "Variables", "TOLLGATE_BEGIN"}, "2026-11-21T12:00:00+01:00"},
			{"Consumer", []string{"Environment", "Variables", "TOLLGATE_BEGIN"}, "2026-11-21T12:00:00+01:00"},
			{"Ingest", []string{"Environment", "Variables", "TOLLGATE_BEGIN"}, nil},
		}},
		{"a time after which messages are held", map[string]string{"hold-after": "36h"}, []want{
			{"Consumer", []string{"Environment", "Variables", "TOLLGATE_HOLD_AFTER"}, "36h"},
			{"Reconcile", []string{"Environment", "Variables", "TOLLGATE_HOLD_AFTER"}, nil},
		}},
		{"a list of sources and short logs", map[string]string{"allow-ips": "3.18.12.63, 10.0.0.0/8", "log-days": "7", "silence-hours": "6"}, []want{
			{"Ingest", []string{"Environment", "Variables", "TOLLGATE_ALLOW_IPS"}, "3.18.12.63, 10.0.0.0/8"},
			{"AccessLogs", []string{"RetentionInDays"}, 7.0},
			{"AlarmSilence", []string{"EvaluationPeriods"}, 6.0},
			{"AlarmSilence", []string{"TreatMissingData"}, "breaching"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			template := parse(t, synth(t, options(t, tt.context)))
			if err := check.Run(template, limits.AWS()); err != nil {
				t.Error(err)
			}
			for _, w := range tt.want {
				var got any
				if r, ok := template.Resources[w.resource]; ok {
					got = r.Properties
				}
				for _, member := range w.path {
					got = got.(map[string]any)[member]
				}
				if diff := cmp.Diff(w.value, got); diff != "" {
					t.Errorf("%s.%s (-want +got):\n%s", w.resource, strings.Join(w.path, "."), diff)
				}
			}
		})
	}
}

// TestNumbersFollow changes the code's limits: the template follows, and the checks tell
// the two apart.
func TestNumbersFollow(t *testing.T) {
	needNode(t)
	o := options(t, nil)
	l := limits.AWS()
	l.IngestTimeout *= 2
	l.ConsumerTimeout *= 2
	l.Visibility *= 2
	l.SourceRetention /= 2
	l.DLQRetention /= 2
	l.MaxReceives--
	l.BatchSize--
	l.BatchWindow = l.MinDelay
	l.Visibility += l.BatchWindow
	l.MaxConcurrency--
	l.ReservedConsumer--
	l.ReservedIngest--
	l.Reconcile.Timeout /= 3
	l.Reconcile.StopAfter /= 3
	l.Reconcile.Quarter.Every *= 2
	o.Limits = l
	template := parse(t, synth(t, o))
	if err := check.Run(template, l); err != nil {
		t.Error(err)
	}
	err := check.Run(template, limits.AWS())
	for _, resource := range []string{"Ingest", "Consumer", "Queue", "DeadLetterQueue", "ConsumerMapping", "ApiStage", "Reconcile", "ScheduleQuarter"} {
		if err == nil || !strings.Contains(err.Error(), ": "+resource+": ") {
			t.Errorf("%s has other numbers than the code, and nobody says so: %v", resource, err)
		}
	}
}

// TestTermination sees what the template does not have: the CDK command reads it from
// the assembly's manifest.
func TestTermination(t *testing.T) {
	needNode(t)
	for stage, want := range map[string]bool{"live": true, "test": false} {
		s, err := stack.New(awscdk.NewApp(nil), options(t, map[string]string{"stage": stage}))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.TerminationProtection() != nil && *s.TerminationProtection(); got != want {
			t.Errorf("%s: termination protection is %v, want %v", stage, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	needNode(t)
	tests := []struct {
		name   string
		change func(*stack.Options)
		want   string
	}{
		{"no stage", func(o *stack.Options) { o.Stage = "" }, `stage "" is not`},
		{"no bundles", func(o *stack.Options) { o.Bundles = t.TempDir() }, "find the code of ingest, which make build makes"},
		{"a bundle for its owner alone", func(o *stack.Options) {
			if err := os.Chmod(filepath.Join(o.Bundles, "consumer", "bootstrap"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "consumer/bootstrap has the mode 700: Lambda could not run it"},
		{"scaled limits", func(o *stack.Options) { o.Limits = limits.Scaled(60) }, "limits are scaled"},
		{"limits that lose", func(o *stack.Options) { o.Limits.Visibility = 1 }, "check limits: visibility 1ns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, nil)
			tt.change(&o)
			_, err := stack.New(awscdk.NewApp(nil), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want …%s…", err, tt.want)
			}
		})
	}
}

func TestFromContext(t *testing.T) {
	const live, test = `{"default":{"livemode":[true]}}`, `{"default":{"livemode":[false]}}`
	defaults := stack.Options{Stage: "test", Bundles: "dist", Limits: limits.AWS(), LogDays: 30, Endpoints: test}
	with := func(change func(*stack.Options)) stack.Options {
		o := defaults
		change(&o)
		return o
	}
	tests := []struct {
		name    string
		context map[string]any
		want    stack.Options
	}{
		{"nothing", nil, defaults},
		{"live", map[string]any{"stage": "live"}, with(func(o *stack.Options) { o.Stage, o.Endpoints, o.SilenceHours = "live", live, 24 })},
		{"live and silent", map[string]any{"stage": "live", "silence-hours": "off"}, with(func(o *stack.Options) { o.Stage, o.Endpoints = "live", live })},
		{"another", map[string]any{"stage": "eu-2"}, with(func(o *stack.Options) { o.Stage, o.Endpoints = "eu-2", "" })},
		{"values of a file", map[string]any{"log-days": 7, "endpoints": map[string]any{"connect": map[string]any{"on_mismatch": "ignore"}}},
			with(func(o *stack.Options) {
				o.LogDays, o.Endpoints = 7, `{"connect":{"livemode":[false],"on_mismatch":"ignore"},"default":{"livemode":[false]}}`
			})},
		{"an endpoint's own modes stay", map[string]any{"stage": "live", "endpoints": `{"default":{"livemode":[true,false]}}`},
			with(func(o *stack.Options) {
				o.Stage, o.Endpoints, o.SilenceHours = "live", `{"default":{"livemode":[true,false]}}`, 24
			})},
		{"both modes of another stage", map[string]any{"stage": "eu-2", "endpoints": `{"connect":{}}`},
			with(func(o *stack.Options) { o.Stage, o.Endpoints = "eu-2", `{"connect":{}}` })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := stack.FromContext(func(key string) any { return maps.Clone(tt.context)[key] }, "dist")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestFromContextRefuses sees each fault named by its key alone.
func TestFromContextRefuses(t *testing.T) {
	for _, tt := range []struct{ key, value string }{
		{"stage", "Live"}, {"stage", "a_b"}, {"stage", strings.Repeat("a", 21)}, {"stage", ""},
		{"reserved", "no"}, {"reserved", ""}, {"log-days", ""}, {"alarm-email", ""}, {"alarm-topic", " "}, {"endpoints", ""}, {"allow-ips", ""},
		{"log-days", "0"}, {"log-days", "31"}, {"log-days", "ever"},
		{"alarm-email", "ops"}, {"alarm-email", "Ops <ops@example.com>"},
		{"alarm-topic", "on-call"}, {"alarm-topic", "arn:aws:sqs:eu-central-1:123456789012:q"},
		{"endpoints", "live"}, {"endpoints", "null"}, {"endpoints", "{} {}"}, {"endpoints", `{"A":{}}`},
		{"endpoints", `{"a":{"livemode":[]}}`}, {"endpoints", `{"a":{"accounts":[""]}}`}, {"endpoints", `{"a":{"on_mismatch":"drop"}}`}, {"endpoints", `{"a":{"from":"yesterday"}}`},
		{"endpoints", `{"a":{"mode":true}}`}, {"endpoints", fmt.Sprintf(`{"a":{"accounts":[%q]}}`, strings.Repeat("a", 4000))},
		{"allow-ips", "3.18.12"}, {"allow-ips", "3.18.12.63,"}, {"allow-ips", "10.0.0.0/33"},
		{"allow-ips", strings.Repeat("10.0.0.0/8,", 300) + "10.0.0.0/8"},
		{"reconcile", "acct_1"}, {"reconcile", "{}"}, {"reconcile", `{"platform":"default"}`}, {"reconcile", `{"-":""}`}, {"reconcile", ""},
		{"hold-after", ""}, {"hold-after", "24"}, {"hold-after", "30s"}, {"hold-after", "100000h"},
		{"begin", ""}, {"begin", "2026-11-21"}, {"begin", "yesterday"}, {"begin", "0001-01-01T00:00:00Z"},
		{"silence-hours", "0"}, {"silence-hours", "169"}, {"silence-hours", "never"},
	} {
		t.Run(tt.key+"="+tt.value[:min(len(tt.value), 40)], func(t *testing.T) {
			_, err := stack.FromContext(lookup(map[string]string{tt.key: tt.value}), "dist")
			if err == nil || !strings.HasPrefix(err.Error(), "context "+tt.key+" is ") {
				t.Fatalf("%v, want a fault of %s", err, tt.key)
			}
			for key := range stack.Keys() {
				if key != tt.key && strings.Contains(err.Error(), "context "+key+" is ") {
					t.Errorf("%s is reported too: %v", key, err)
				}
			}
		})
	}
	for name, context := range map[string]map[string]string{
		"an account that its endpoint leaves out": {"reconcile": `{"acct_1":"connect"}`, "endpoints": `{"connect":{"accounts":["acct_2"]}}`},
		"the platform's own, without a map":       {"endpoints": `{"default":{"accounts":["acct_2"]}}`},
		"too much for one function's environment": {
			"reconcile": fmt.Sprintf(`{%q:"default"}`, "acct_"+strings.Repeat("1", 2000)), "endpoints": fmt.Sprintf(`{"a":{"accounts":[%q]}}`, strings.Repeat("a", 2000)),
		},
	} {
		if _, err := stack.FromContext(lookup(context), "dist"); err == nil || !strings.HasPrefix(err.Error(), "context reconcile is ") || strings.Count(err.Error(), "context ") != 1 {
			t.Errorf("%s: %v, want a fault of reconcile", name, err)
		}
	}
	_, err := stack.FromContext(lookup(map[string]string{"alarm-topic": "arn:aws:sns:eu-central-1:123456789012:t", "alarm-email": "ops@example.com"}), "dist")
	if err == nil || !strings.Contains(err.Error(), "together with alarm-email") {
		t.Errorf("a topic and an address: %v", err)
	}
}
