package stack_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"tollgate/infra/check"
	"tollgate/infra/stack"
	"tollgate/pkg/limits"
)

var update = flag.Bool("update", false, "rewrite the golden templates")

// TestMain runs the tests in a child process with a temporary folder of its own, which it
// then removes: CDK's kernel unpacks itself when it is linked, and closing a used kernel has
// a data race.
func TestMain(m *testing.M) {
	const child = "TOLLGATE_STACK_TEST"
	if os.Getenv(child) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "tollgate-stack-")
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	os.RemoveAll(dir)
	jsii.Close() // the kernel of this process, which was not used
	if err != nil {
		os.Exit(1)
	}
}

// bundles returns a folder of constant bundles: a template does not change with the code.
// Without node it skips the test, and fails it in CI: CDK's kernel could not run.
func bundles(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is not installed, so no template can be synthesized")
		}
		t.Skip("node is not installed, so no template can be synthesized")
	}
	dir := t.TempDir()
	for _, function := range []string{"ingest", "consumer", "reconcile", "sender", "history"} {
		if err := os.Mkdir(filepath.Join(dir, function), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, function, "bootstrap"), []byte("stands for "+function+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// options returns those of infra/stages/<stage>.json with these values in place of its own.
func options(t *testing.T, stage string, change object) stack.Options {
	t.Helper()
	o, err := read(t, stage, change)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

type object = map[string]any

// read writes a stage file and reads it. A change to nil removes a key.
func read(t *testing.T, stage string, change object) (stack.Options, error) {
	t.Helper()
	base := "test"
	if stage == "live" {
		base = stage
	}
	raw, err := os.ReadFile(filepath.Join("..", "stages", base+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all object
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for key, value := range change {
		if all[key] = value; value == nil {
			delete(all, key)
		}
	}
	if raw, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stage+".json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return stack.ReadStage(dir, stage)
}

// synth returns the template's bytes.
func synth(t *testing.T, o stack.Options) []byte {
	t.Helper()
	return synthFrom(t, o, bundles(t))
}

func synthFrom(t *testing.T, o stack.Options, bundles string) []byte {
	t.Helper()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false), Outdir: jsii.String(t.TempDir())})
	if _, err := stack.New(app, o, bundles); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(*app.Synth(nil).Directory(), stack.Name(o.Stage)+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.TrimSpace(raw), '\n')
}

func parse(t *testing.T, raw []byte) (template struct {
	Resources map[string]struct{ Properties any }
	Outputs   any
}) {
	t.Helper()
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	return template
}

// TestGolden compares whole templates: review sees a change of the stack in infra/testdata,
// which make diff ARGS=-update writes.
func TestGolden(t *testing.T) {
	for stage, change := range map[string]object{"test": nil, "live": nil, "send": {"destinations": everyKind()}, "full": everyOption()} {
		t.Run(stage, func(t *testing.T) {
			o := options(t, stage, change)
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
			if diff := cmp.Diff(parse(t, golden), parse(t, raw)); diff != "" || !bytes.Equal(golden, raw) {
				t.Errorf("the stack differs from %s (-golden +stack); if that is intended, make diff ARGS=-update:\n%s", name, diff+cmp.Diff(string(golden), string(raw)))
			}
		})
	}
}

// TestVersion: a release is named in the stack's tag, its output, and the functions' environment
// and versions, and changes nothing else: the same code stays the same asset.
func TestVersion(t *testing.T) {
	o := options(t, "test", nil)
	first := synth(t, o)
	o.Version = "v1.2.0-3-g1234567"
	second := synth(t, o)
	back := bytes.ReplaceAll(second, []byte(o.Version), []byte("dev"))
	for function, id := range versions(t, second) {
		back = bytes.ReplaceAll(back, []byte(id), []byte(versions(t, first)[function]))
	}
	if named := bytes.Count(second, []byte(o.Version)); named != 6 || !bytes.Equal(back, first) {
		t.Errorf("named %d times, want 6: in three functions, two versions and an output; otherwise (-dev +release):\n%s", named, cmp.Diff(string(first), string(back)))
	}
	app := awscdk.NewApp(nil)
	if _, err := stack.New(app, o, bundles(t)); err != nil {
		t.Fatal(err)
	}
	if tags := *app.Synth(nil).GetStackByName(jsii.String(stack.Name(o.Stage))).Tags(); tags["version"] == nil || *tags["version"] != o.Version {
		t.Errorf("the stack's tags have no version %s: %v", o.Version, tags)
	}
}

// TestOptions checks the invariants for other stage files too, and what each value changes.
func TestOptions(t *testing.T) {
	const variables = ".Environment.Variables.TOLLGATE_"
	for name, tt := range map[string]struct {
		stage        string
		change, want object // want has values at a resource and its properties; nil: absent
	}{
		"a stage of both modes": {"eu-2", object{"endpoints": object{}}, object{
			"Consumer.FunctionName": "tollgate-eu-2-consumer", "Consumer" + variables + "ENDPOINTS": nil, "AlarmSilence": nil,
		}},
		"nothing reserved": {"test", object{"reserved": false}, object{
			"Ingest.ReservedConcurrentExecutions": nil, "Consumer.ReservedConcurrentExecutions": nil,
			"Reconcile.ReservedConcurrentExecutions": nil, "ConsumerMapping.ScalingConfig.MaximumConcurrency": 5.0,
			"Consumer" + variables + "CONCURRENCY": "5",
		}},
		"warnings only": {"test", object{"log-level": "warn"}, object{
			"Ingest" + variables + "LOG_LEVEL": "warn", "Ingest.LoggingConfig.ApplicationLogLevel": "INFO",
		}},
		"debugging": {"test", object{"log-level": "debug"}, object{
			"Reconcile" + variables + "LOG_LEVEL": "debug", "Reconcile.LoggingConfig.ApplicationLogLevel": "DEBUG",
		}},
		"bounded roles": {"test", object{"permissions-boundary": "arn:aws:iam::123456789012:policy/b"}, object{
			"ReconcileRole.PermissionsBoundary": "arn:aws:iam::123456789012:policy/b",
		}},
		"an address": {"test", object{"alarm-email": "ops@example.com"}, object{
			"AlarmEmail.Endpoint": "ops@example.com", "AlarmEmail.Protocol": "email",
		}},
		"an existing topic": {"test", object{"alarm-topic": topic}, object{
			"AlarmTopic": nil, "AlarmIngestErrors.AlarmActions": []any{topic},
		}},
		"several endpoints and accounts": {"live", object{
			"endpoints": object{"connect": object{"accounts": []any{"acct_1"}}, "default": object{"livemode": []any{true}, "accounts": []any{"-"}}},
			"reconcile": object{"acct_1": "connect", "-": "default"},
		}, object{
			"Consumer" + variables + "ENDPOINTS":  `{"connect":{"livemode":[true],"accounts":["acct_1"]},"default":{"livemode":[true],"accounts":["-"]}}`,
			"Reconcile" + variables + "RECONCILE": `{"-":"default","acct_1":"connect"}`,
		}},
		"times": {"test", object{"begin": "2026-11-21T12:00:00+01:00", "hold-after": "36h", "hold-before": "2026-11-01T00:00:00Z"}, object{
			"Reconcile" + variables + "HOLD_BEFORE": "2026-11-01T00:00:00Z", "Consumer" + variables + "HOLD_BEFORE": "2026-11-01T00:00:00Z", "Ingest" + variables + "HOLD_BEFORE": nil,
			"Reconcile" + variables + "BEGIN": "2026-11-21T12:00:00+01:00", "Consumer" + variables + "BEGIN": "2026-11-21T12:00:00+01:00",
			"Ingest" + variables + "BEGIN": nil, "Consumer" + variables + "HOLD_AFTER": "36h", "Reconcile" + variables + "HOLD_AFTER": nil,
		}},
		"a retention": {"test", object{"retention": object{"sent": 365, "facts": 3650}}, object{
			"Consumer" + variables + "KEEP_SENT": "365", "Reconcile" + variables + "KEEP_SENT": "365", "Consumer" + variables + "KEEP_FACTS": "3650", "Reconcile" + variables + "KEEP_FACTS": nil,
		}},
		"backups": {"test", object{"backup": object{"schedule": "daily"}}, object{
			"BackupSelection.BackupSelection.Resources": []any{object{"Fn::GetAtt": []any{"Table", "Arn"}}},
		}},
		"an existing table": {"test", object{"table": "tollgate-restored"}, object{
			"Table": nil, "Consumer" + variables + "TABLE": "tollgate-restored", "Reconcile" + variables + "TABLE": "tollgate-restored",
		}},
		"a raised limit at Stripe": {"live", object{"stripe-rate": 60}, object{
			"Consumer" + variables + "STRIPE_RATE": "60", "Reconcile" + variables + "STRIPE_RATE": "60", "Ingest" + variables + "STRIPE_RATE": nil,
		}},
		"a domain without a zone": {"test", object{"domain": object{"name": "hooks.example.com", "certificate": certificate}}, object{
			"Domain.DomainName": "hooks.example.com", "DomainRecord": nil, "DomainMapping.ApiMappingKey": nil, "Api.DisableExecuteApiEndpoint": nil,
		}},
		"a budget with a topic": {"test", object{"budget": 50, "alarm-topic": topic}, object{
			"Budget.Budget.BudgetLimit": object{"Amount": 50.0, "Unit": "USD"}, "Budget.Budget.CostFilters": nil,
			"Budget.NotificationsWithSubscribers.0.Subscribers": []any{object{"Address": topic, "SubscriptionType": "SNS"}},
		}},
		"sources, logs and silence": {"test", object{"allow-ips": []any{"3.18.12.63", "10.0.0.0/8"}, "log-days": 7, "silence-hours": 6}, object{
			"Ingest" + variables + "ALLOW_IPS": "3.18.12.63,10.0.0.0/8", "AccessLogs.RetentionInDays": 7.0,
			"AlarmSilence.EvaluationPeriods": 6.0, "AlarmSilence.TreatMissingData": "breaching",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := synth(t, options(t, tt.stage, tt.change))
			if err := check.Run(raw, limits.AWS()); err != nil {
				t.Error(err)
			}
			for path, want := range tt.want {
				steps := strings.Split(path, ".")
				got := parse(t, raw).Resources[steps[0]].Properties
				for _, member := range steps[1:] {
					if i, err := strconv.Atoi(member); err == nil {
						got = got.([]any)[i]
						continue
					}
					got = got.(object)[member]
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
		})
	}
}

// TestNumbersFollow changes the code's limits: the template follows.
func TestNumbersFollow(t *testing.T) {
	o := options(t, "test", nil)
	l := &o.Limits
	l.IngestTimeout, l.ConsumerTimeout, l.BatchWindow = 2*l.IngestTimeout, 2*l.ConsumerTimeout, l.MinDelay
	l.Visibility = 2*l.Visibility + l.BatchWindow
	l.SourceRetention, l.DLQRetention = l.SourceRetention/2, l.DLQRetention/2
	l.MaxReceives, l.BatchSize = l.MaxReceives-1, l.BatchSize-1
	l.MaxConcurrency, l.ReservedConsumer, l.ReservedIngest = l.MaxConcurrency-1, l.ReservedConsumer-1, l.ReservedIngest-1
	l.Reconcile.Timeout, l.Reconcile.StopAfter = l.Reconcile.Timeout/3, l.Reconcile.StopAfter/3
	l.Reconcile.Verify.Time, l.Reconcile.Verify.Recheck = l.Reconcile.Verify.Time/3, l.Reconcile.Verify.Recheck/3
	l.Reconcile.Frequent.Every *= 2
	raw := synth(t, o)
	if err := check.Run(raw, o.Limits); err != nil {
		t.Error(err)
	}
	if schedule := parse(t, raw).Resources["ScheduleQuarter"].Properties.(object)["ScheduleExpression"]; schedule != "cron(0/30 0-1,4-23 * * ? *)" {
		t.Errorf("the schedule does not follow: %v", schedule)
	}
}

func TestNewRefuses(t *testing.T) {
	private := bundles(t)
	if err := os.Chmod(filepath.Join(private, "consumer", "bootstrap"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		bundles string
		change  func(*stack.Options)
		want    string
	}{
		{bundles(t), func(o *stack.Options) { o.Stage = "" }, `stage "" is not`},
		{t.TempDir(), func(*stack.Options) {}, "find the code of ingest, which make build makes"},
		{bundles(t), func(o *stack.Options) { o.Version = "v1 of today" }, `version "v1 of today" is not`},
		{private, func(*stack.Options) {}, "consumer/bootstrap has the mode 700, with which Lambda cannot run it"},
		{bundles(t), func(o *stack.Options) { o.Limits = limits.Scaled(60) }, "limits are scaled"},
		{bundles(t), func(o *stack.Options) { o.Limits.Visibility = 1 }, "check limits: visibility 1ns"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			o := options(t, "test", nil)
			tt.change(&o)
			_, err := stack.New(awscdk.NewApp(nil), o, tt.bundles)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want …%s…", err, tt.want)
			}
		})
	}
}

// TestModes: a stage called live or test receives its mode alone, unless an endpoint names
// its modes.
func TestModes(t *testing.T) {
	live, test, both := []bool{true}, []bool{false}, []bool{true, false}
	for _, tt := range []struct {
		stage     string
		endpoints object
		want      map[string]stack.Endpoint
	}{
		{"live", object{}, map[string]stack.Endpoint{"default": {Livemode: live}}},
		{"test", object{"connect": object{"on_mismatch": "ignore"}}, map[string]stack.Endpoint{
			"default": {Livemode: test}, "connect": {Livemode: test, OnMismatch: "ignore"},
		}},
		{"live", object{"default": object{"livemode": both}}, map[string]stack.Endpoint{"default": {Livemode: both}}},
		{"eu-2", object{"connect": object{}}, map[string]stack.Endpoint{"connect": {}}},
	} {
		if diff := cmp.Diff(tt.want, options(t, tt.stage, object{"endpoints": tt.endpoints}).Endpoints); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", tt.stage, tt.endpoints, diff)
		}
	}
}

// TestReadStageRefuses: each fault is reported under its key, and under no other.
func TestReadStageRefuses(t *testing.T) {
	for _, tt := range []struct {
		key    string
		values []any
	}{
		{"reserved", []any{"no", nil}},
		{"log-days", []any{0, 31, "30", nil}},
		{"alarm-email", []any{"ops", "Ops <ops@example.com>", nil}},
		{"alarm-topic", []any{"on-call", "arn:aws:sqs:eu-central-1:123456789012:q", " "}},
		{"endpoints", []any{"live", nil, object{"A": object{}}, object{"a": object{"livemode": []any{}}}, object{"a": object{"accounts": []any{}}},
			object{"a": object{"on_mismatch": "drop"}}, object{"a": object{"from": "yesterday"}}}},
		{"allow-ips", []any{"", nil, []any{"3.18.12"}, []any{""}, []any{"10.0.0.0/33"}, slices.Repeat([]any{"10.0.0.0/8"}, 300)}},
		{"reconcile", []any{"acct_1", object{}, object{"platform": "default"}, object{"-": ""}, nil, object{"acct_" + strings.Repeat("1", 3072): "default"}}},
		{"hold-after", []any{"", "24", "30s", "100000h", nil}},
		{"operators", []any{"arn:aws:iam::123456789012:role/ops", []any{"*"}, []any{"arn:aws:iam::123456789012:role/*"}, []any{"arn:aws:iam::123456789012:role/*ops"},
			[]any{"arn:aws:sts::123456789012:assumed-role/ops/x"}, slices.Repeat([]any{"arn:aws:iam::123456789012:role/ops"}, 50)}},
		{"key", []any{"alias/mine", "arn:aws:kms:eu-central-1:123456789012:alias/mine", 1}},
		{"begin", []any{"2026-11-21", "yesterday", "0001-01-01T00:00:00Z", nil}},
		{"stripe-rate", []any{0, 1001, "off", nil}},
		{"destinations", []any{"crm", nil, []any{}, object{"crm": object{}}, object{"crm": object{"type": "sqs", "queue": "https://example.com/q", "messages": []any{"*"}}}, groupsOf(11)}},
		{"domain", []any{"hooks.example.com", object{"name": "hooks.example.com"}, object{"name": "https://hooks.example.com", "certificate": certificate},
			object{"name": "*.example.com", "certificate": certificate}, object{"name": "Hooks.example.com", "certificate": certificate}, object{"name": "hooks", "certificate": certificate},
			object{"name": "hooks.example.com", "certificate": "arn:aws:iam::123456789012:server-certificate/a"},
			object{"name": "hooks.example.com", "certificate": certificate, "zone": "example.com"}}},
		{"budget", []any{-1, 1_000_001, 12.5, "50"}},
		{"eventbridge", []any{"default", "aws.partner/stripe.com/", "aws.partner/example.com/ed_1", "aws.partner/stripe.com/ed_1/x", "xaws.partner/stripe.com/ed_1", 1}},
		{"backup", []any{"daily", object{"schedule": "weekly"}, object{"schedule": "daily", "copy-to": "copies"}, object{"copy-to": "arn:aws:backup:eu-west-1:210987654321:backup-vault:v"},
			object{"schedule": "daily", "copy-to": "arn:aws:backup:eu-west-1:210987654321:backup-plan:p"}}},
		{"retention", []any{365, object{"sent": 179}, object{"facts": 399}, object{"sent": -1}, object{"facts": 36501}}},
		{"hold-before", []any{"2026-11-28", "yesterday", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 1}},
		{"table", []any{"ab", "a/b", "arn:aws:dynamodb:eu-central-1:123456789012:table/t", strings.Repeat("a", 256), 1}},
		{"silence-hours", []any{-1, 169, "off", nil}},
		{"rollout", []any{"blue-green", 1}},
		{"log-level", []any{"trace", "DEBUG2", 0}},
		{"permissions-boundary", []any{"boundary", "arn:aws:iam::123456789012:role/x", " "}},
	} {
		for _, value := range tt.values {
			_, err := read(t, "test", object{tt.key: value})
			if err == nil || !strings.Contains(err.Error(), tt.key) {
				t.Errorf("%s %.40v: %v", tt.key, value, err)
				continue
			}
			for key := range stack.Keys() {
				if key != tt.key && strings.Contains(err.Error(), key+" is ") {
					t.Errorf("%s %.40v: %s is reported too: %v", tt.key, value, key, err)
				}
			}
		}
	}
	for want, change := range map[string]object{
		`reconcile lists account "acct_1" under endpoint "connect", whose policy excludes all its events`: {
			"reconcile": object{"acct_1": "connect"}, "endpoints": object{"connect": object{"accounts": []any{"acct_2"}}}},
		`account "-" under endpoint "default"`:              {"endpoints": object{"default": object{"accounts": []any{"acct_2"}}}},
		"together with endpoints ":                          {"endpoints": object{"a": object{"accounts": []any{strings.Repeat("a", 3000)}}}},
		"budget is set without alarm-email or alarm-topic":  {"budget": 50},
		`unknown field "names"`:                             {"domain": object{"names": "a.example.com"}},
		"set together with alarm-email":                     {"alarm-topic": topic, "alarm-email": "ops@example.com"},
		`unknown key "alarm-emial"; keys are alarm-email, `: {"alarm-emial": "ops@example.com"},
		`key "begin" is missing: write a time (RFC 3339)`:   {"begin": nil},
		"retention.sent is a JSON string: write days":       {"retention": object{"sent": "365"}},
		"backup is a JSON string: write when AWS Backup":    {"backup": "daily"},
		`unknown field "days"`:                              {"backup": object{"schedule": "daily", "days": 7}},
		`unknown field "mode"`:                              {"endpoints": object{"a": object{"mode": true}}},
	} {
		if _, err := read(t, "test", change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want …%s…", err, want)
		}
	}
	for _, stage := range []string{"Live", "a_b", strings.Repeat("a", 21)} {
		if _, err := read(t, stage, nil); err == nil || !strings.Contains(err.Error(), "is not 1 to 20 of") {
			t.Errorf("stage %s: %v", stage, err)
		}
	}
	if _, err := stack.ReadStage(t.TempDir(), "eu-2"); err == nil || !strings.Contains(err.Error(), "eu-2.json does not exist: copy ") {
		t.Errorf("no file: %v", err)
	}
}

// TestReadStageTwice refuses a key that is there twice.
func TestReadStageTwice(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "stages", "test.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	raw = append([]byte(`{"begin": "2026-11-21T12:00:00Z",`), bytes.TrimPrefix(raw, []byte("{"))...)
	if err := os.WriteFile(filepath.Join(dir, "test.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.ReadStage(dir, "test"); err == nil || !strings.Contains(err.Error(), `key "begin" is there twice`) {
		t.Errorf("two times begin: %v", err)
	}
}
