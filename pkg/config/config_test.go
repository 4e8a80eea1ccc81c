package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
)

var compare = cmp.Options{cmpopts.EquateComparable(netip.Prefix{})}

func minimal() map[string]string {
	return map[string]string{
		"TOLLGATE_QUEUE_URL":         "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-prod-events",
		"TOLLGATE_DLQ_URL":           "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-prod-dead",
		"TOLLGATE_TABLE":             "tollgate",
		"TOLLGATE_WEBHOOK_SECRET_ID": "tollgate/webhook",
		"AWS_REGION":                 "eu-central-1",
		"AWS_ACCESS_KEY_ID":          "AKIA",
		"AWS_SECRET_ACCESS_KEY":      "SENSITIVE",
	}
}

func with(changes map[string]string) Lookup {
	env := minimal()
	maps.Copy(env, changes)
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestLoadIngestMinimal(t *testing.T) {
	got, err := LoadIngest(with(nil))
	want := Ingest{
		Common: Common{Stage: "dev", Version: "dev", LogLevel: slog.LevelInfo, Limits: limits.AWS(),
			AWS: AWS{Region: "eu-central-1", AccessKeyID: "AKIA", SecretAccessKey: "SENSITIVE"}},
		QueueURL:        minimal()["TOLLGATE_QUEUE_URL"],
		WebhookSecretID: "tollgate/webhook",
	}
	if d := cmp.Diff(want, got, compare); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
}

func TestLoadIngestWhole(t *testing.T) {
	got, err := LoadIngest(with(map[string]string{
		"TOLLGATE_QUEUE_URL":      "http://127.0.0.1:4566/000000000000/tollgate-events",
		"TOLLGATE_ALLOW_IPS":      "3.18.12.63, 10.1.2.3/8,::ffff:1.2.3.4,2001:db8::/32",
		"TOLLGATE_STAGE":          "prod",
		"TOLLGATE_ENDPOINT_NAMES": "connect,default",
		"TOLLGATE_VERSION":        "v1.2.0-3-g1234567",
		"TOLLGATE_LOG_LEVEL":      "WARN",
		"TOLLGATE_TIME_SCALE":     "10",
		"AWS_SESSION_TOKEN":       "token",
		"AWS_ENDPOINT_URL":        "http://127.0.0.1:4566",
		"AWS_ENDPOINT_URL_SQS":    "http://127.0.0.1:9324",
		"TOLLGATE_MAX_RECEIVES":   "no matter to ingest",
	}))
	want := Ingest{
		Common: Common{Stage: "prod", Version: "v1.2.0-3-g1234567", LogLevel: slog.LevelWarn, Limits: limits.Scaled(10), AWS: AWS{
			Region: "eu-central-1", AccessKeyID: "AKIA", SecretAccessKey: "SENSITIVE", SessionToken: "token",
			EndpointSQS: "http://127.0.0.1:9324", EndpointDynamoDB: "http://127.0.0.1:4566", EndpointSecretsManager: "http://127.0.0.1:4566",
		}},
		QueueURL: "http://127.0.0.1:4566/000000000000/tollgate-events", WebhookSecretID: "tollgate/webhook",
		AllowIPs: []netip.Prefix{netip.MustParsePrefix("3.18.12.63/32"), netip.MustParsePrefix("10.0.0.0/8"),
			netip.MustParsePrefix("1.2.3.4/32"), netip.MustParsePrefix("2001:db8::/32")},
		EndpointNames: []string{"connect", "default"},
	}
	if d := cmp.Diff(want, got, compare); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
}

func TestLoadConsumer(t *testing.T) {
	got, err := LoadConsumer(with(map[string]string{
		"TOLLGATE_API_KEY_SECRET_ID": "tollgate/api-key",
		"TOLLGATE_STRIPE_URL":        "http://127.0.0.1:12111",
		"TOLLGATE_MAX_RECEIVES":      "3",
		"TOLLGATE_BEGIN":             "2026-11-21T13:00:00.75+01:00",
		"TOLLGATE_HOLD_AFTER":        "36h",
		"TOLLGATE_HOLD_BEFORE":       "2026-11-28T23:30:00+01:00",
		"TOLLGATE_KEEP_SENT":         "180",
		"TOLLGATE_KEEP_FACTS":        "400",
		"TOLLGATE_STRIPE_RATE":       "off",
		"TOLLGATE_CONCURRENCY":       "4",
		"TOLLGATE_EVENT_METRICS":     "true",
		"TOLLGATE_HOLD_QUEUE_URL":    "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-prod-hold",
		"TOLLGATE_ENDPOINTS":         `{"default":{"livemode":[true],"accounts":["-","acct_1"]},"test":{"livemode":[false],"on_mismatch":"ignore"},"any":{"from":"2026-01-02T03:04:05Z"}}`,
	}))
	l := limits.AWS()
	l.MaxReceives, l.StripeRate = 3, 0
	want := Consumer{
		Common: Common{Stage: "dev", Version: "dev", LogLevel: slog.LevelInfo, Limits: l,
			AWS: AWS{Region: "eu-central-1", AccessKeyID: "AKIA", SecretAccessKey: "SENSITIVE"}},
		Table: "tollgate", QueueURL: minimal()["TOLLGATE_QUEUE_URL"], DLQURL: minimal()["TOLLGATE_DLQ_URL"],
		HoldURL:        "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-prod-hold",
		APIKeySecretID: "tollgate/api-key", StripeURL: "http://127.0.0.1:12111",
		Endpoints: map[string]policy.Policy{
			"default": {Livemode: []bool{true}, Accounts: []string{"", "acct_1"}},
			"test":    {Livemode: []bool{false}, OnMismatch: policy.Ignore},
			"any":     {From: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		},
		Begin: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), HoldAfter: 36 * time.Hour, Concurrency: 4,
		EventMetrics: true,
		HoldBefore:   time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC),
		Retention:    limits.Retention{Sent: limits.LeastSent, Facts: limits.LeastFacts},
	}
	if d := cmp.Diff(want, got, compare); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
}

func TestMissingVariablesAreReportedTogether(t *testing.T) {
	nothing := func(string) (string, bool) { return "", false }
	_, ingestErr := LoadIngest(nothing)
	_, consumerErr := LoadConsumer(nothing)
	for name, c := range map[string]struct {
		err   error
		names []string
	}{
		"ingest":   {ingestErr, []string{"TOLLGATE_QUEUE_URL", "TOLLGATE_WEBHOOK_SECRET_ID", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
		"consumer": {consumerErr, []string{"TOLLGATE_QUEUE_URL", "TOLLGATE_DLQ_URL", "TOLLGATE_TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
	} {
		lines := strings.Split(fmt.Sprint(c.err), "\n")
		var named []string
		for _, line := range lines {
			name, rest, _ := strings.Cut(line, " ")
			named = append(named, name)
			if !strings.HasPrefix(rest, "is not set: set it to ") {
				t.Errorf("%s: %q does not say what to do", name, line)
			}
		}
		slices.Sort(named)
		slices.Sort(c.names)
		if d := cmp.Diff(c.names, named); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestFaults(t *testing.T) {
	cases := []struct {
		name, variable, value, want string
	}{
		{"blank counts as missing", "TOLLGATE_TABLE", "  ", "is not set"},
		{"queue name for a URL", "TOLLGATE_QUEUE_URL", "tollgate-events", "is not a URL"},
		{"URL without host", "TOLLGATE_QUEUE_URL", "https:///x", "is not a URL"},
		{"ARN for a URL", "TOLLGATE_DLQ_URL", "arn:aws:sqs:eu-central-1:1:q", "is not a URL"},
		{"same queue twice", "TOLLGATE_DLQ_URL", minimal()["TOLLGATE_QUEUE_URL"], "name the other queue"},
		{"the queue of events as the hold queue", "TOLLGATE_HOLD_QUEUE_URL", minimal()["TOLLGATE_QUEUE_URL"], "name the hold queue"},
		{"the DLQ as the hold queue", "TOLLGATE_HOLD_QUEUE_URL", minimal()["TOLLGATE_DLQ_URL"], "name the hold queue"},
		{"password in a URL", "TOLLGATE_STRIPE_URL", "https://SENSITIVE:x@host", "is not a URL"},
		{"stripe host", "TOLLGATE_STRIPE_URL", "api.stripe.com", "is not a URL"},
		{"scale zero", "TOLLGATE_TIME_SCALE", "0", "from 1 to 200"},
		{"scale too large", "TOLLGATE_TIME_SCALE", "201", "from 1 to 200"},
		{"scale in words", "TOLLGATE_TIME_SCALE", "ten", "from 1 to 200"},
		{"one receive", "TOLLGATE_MAX_RECEIVES", "1", "from 2 to 1000"},
		{"no rate", "TOLLGATE_STRIPE_RATE", "0", "from 1 to 1000"},
		{"a fast rate", "TOLLGATE_STRIPE_RATE", "1001", "leave it out for 25"},
		{"a rate in words", "TOLLGATE_STRIPE_RATE", "OFF", "whole number"},
		{"no process", "TOLLGATE_CONCURRENCY", "0", "from 1 to 1000"},
		{"a day for a time", "TOLLGATE_BEGIN", "2026-11-21", "RFC 3339"},
		{"a time without a zone", "TOLLGATE_BEGIN", "2026-11-21T12:00:00", "RFC 3339"},
		{"a time that is a zero", "TOLLGATE_BEGIN", "0001-01-01T00:00:00Z", "after 1970"},
		{"sent messages forgotten early", "TOLLGATE_KEEP_SENT", "179", "from 180 to 36500"},
		{"facts forgotten early", "TOLLGATE_KEEP_FACTS", "399", "from 400 to 36500"},
		{"facts forgotten at once", "TOLLGATE_KEEP_FACTS", "0", "from 400"},
		{"sent messages kept for over a century", "TOLLGATE_KEEP_SENT", "36501", "from 180 to 36500"},
		{"an option that is neither", "TOLLGATE_EVENT_METRICS", "on", "neither true nor false"},
		{"a duration for days", "TOLLGATE_KEEP_SENT", "4320h", "a whole number of days"},
		{"a date for a time", "TOLLGATE_HOLD_BEFORE", "2026-11-28", "RFC 3339"},
		{"a number for a duration", "TOLLGATE_HOLD_AFTER", "24", "a duration such as 36h"},
		{"no time to hold after", "TOLLGATE_HOLD_AFTER", "0s", "from 1m0s"},
		{"a hold after a century", "TOLLGATE_HOLD_AFTER", "876000h", "leave it out for 24h"},
		{"level", "TOLLGATE_LOG_LEVEL", "loud", "set it to debug, info, warn or error"},
		{"endpoint", "AWS_ENDPOINT_URL", "localhost:4566", "is not a URL"},
		{"service endpoint", "AWS_ENDPOINT_URL_DYNAMODB", "localhost:4566", "AWS_ENDPOINT_URL_DYNAMODB is not a URL"},
		{"endpoints no JSON", "TOLLGATE_ENDPOINTS", "default", "is not JSON"},
		{"endpoints null", "TOLLGATE_ENDPOINTS", "null", "is not JSON"},
		{"endpoints with more", "TOLLGATE_ENDPOINTS", "{} {}", "has text after"},
		{"endpoints misspelt", "TOLLGATE_ENDPOINTS", `{"default":{"live":true}}`, "is not JSON of the form"},
		{"endpoints wrong type", "TOLLGATE_ENDPOINTS", `{"default":{"livemode":true}}`, "is not JSON of the form"},
		{"endpoint name", "TOLLGATE_ENDPOINTS", `{"Default":{}}`, "1 to 32 of a-z"},
		{"no mode", "TOLLGATE_ENDPOINTS", `{"default":{"livemode":[]}}`, "has an empty livemode list for endpoint \"default\""},
		{"no account", "TOLLGATE_ENDPOINTS", `{"default":{"accounts":[]}}`, "empty account"},
		{"empty account", "TOLLGATE_ENDPOINTS", `{"default":{"accounts":[""]}}`, "empty account"},
		{"from", "TOLLGATE_ENDPOINTS", `{"default":{"from":"yesterday"}}`, "not a time such as"},
		{"on_mismatch", "TOLLGATE_ENDPOINTS", `{"default":{"on_mismatch":"drop"}}`, "neither park nor ignore"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadConsumer(with(map[string]string{c.variable: c.value}))
			hasFault(t, err, c.variable, c.want)
		})
	}
}

func hasFault(t *testing.T, err error, variable, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), variable) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %s and %q", err, variable, text)
	}
	checkError(t, err)
}

func TestEndpointNamesFaults(t *testing.T) {
	for _, v := range []string{"default,Connect", "default,", ",", "default, connect"} {
		_, err := LoadIngest(with(map[string]string{"TOLLGATE_ENDPOINT_NAMES": v}))
		hasFault(t, err, "TOLLGATE_ENDPOINT_NAMES", "a name that is no endpoint's")
	}
}

func TestAllowIPsFaults(t *testing.T) {
	for _, v := range []string{"localhost", "1.2.3", "1.2.3.4/33", "1.2.3.4,", ",", "1.2.3.4 5.6.7.8", "fe80::1%eth0", "::ffff:1.2.3.0/120", "*"} {
		_, err := LoadIngest(with(map[string]string{"TOLLGATE_ALLOW_IPS": v}))
		hasFault(t, err, "TOLLGATE_ALLOW_IPS", "")
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	c, err := LoadIngest(with(map[string]string{"AWS_SESSION_TOKEN": "SENSITIVE"}))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c)
	asJSON, _ := json.Marshal(c)
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %s %q", c, c, c.AWS.SecretAccessKey, c.AWS.SecretAccessKey), log.String(), string(asJSON)} {
		if strings.Contains(shown, "SENSITIVE") {
			t.Errorf("a secret is shown in %s", shown)
		}
	}
}

// TestTableOfVariables compares the package comment with the variables that are read.
func TestTableOfVariables(t *testing.T) {
	read := map[string]bool{}
	spy := func(name string) (string, bool) { read[name] = true; return "", false }
	_, _ = LoadIngest(spy)
	_, _ = LoadConsumer(spy)
	_, _ = LoadReconcile(spy)
	_, _ = LoadSender(spy)
	_, _ = LoadSender(func(name string) (string, bool) {
		read[name] = true
		return `{"a":{"type":"sns","topic":"arn:aws:sns:eu-central-1:123456789012:a","messages":["*"]}}`, true
	})
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([A-Z0-9_]{4,})\s`).FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(documented)
	if d := cmp.Diff(slices.Sorted(maps.Keys(read)), documented); d != "" {
		t.Errorf("variables read and documented differ (-read +documented):\n%s", d)
	}
}

// FuzzLoad: for every value, a loaded configuration is valid, and no error has a secret.
func FuzzLoad(f *testing.F) {
	names := []string{
		"AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "TOLLGATE_STAGE", "TOLLGATE_LOG_LEVEL", "TOLLGATE_TIME_SCALE",
		"TOLLGATE_QUEUE_URL", "TOLLGATE_DLQ_URL", "TOLLGATE_TABLE", "TOLLGATE_WEBHOOK_SECRET_ID", "TOLLGATE_ALLOW_IPS", "TOLLGATE_API_KEY_SECRET_ID",
		"TOLLGATE_STRIPE_URL", "TOLLGATE_MAX_RECEIVES", "TOLLGATE_ENDPOINTS", "TOLLGATE_RECONCILE", "TOLLGATE_BEGIN", "TOLLGATE_HOLD_AFTER", "TOLLGATE_HOLD_BEFORE",
		"TOLLGATE_KEEP_SENT", "TOLLGATE_KEEP_FACTS",
		"TOLLGATE_STRIPE_RATE", "TOLLGATE_CONCURRENCY", "TOLLGATE_LIST_RATE", "TOLLGATE_DESTINATIONS", "TOLLGATE_SEND_DLQ_URL",
		"TOLLGATE_ENDPOINT_NAMES", "TOLLGATE_EVENT_METRICS", "TOLLGATE_HOLD_QUEUE_URL",
	}
	for i, v := range []string{
		"", " ", "7", "-1", "1e3", "http://127.0.0.1:4566", "https://a@b/c", "http://[::1", "3.18.12.63, 10.0.0.0/8", "::ffff:1.2.3.4/100", "fe80::1%eth0",
		"debug", "off", "\x00", `{"-":"default","acct_1":"connect"}`, `{"":"default"}`, `{"-":"default"} {}`, minimal()["TOLLGATE_QUEUE_URL"],
	} {
		f.Add(byte(i), v, byte(i+3), "")
		f.Add(byte(i+8), v, byte(i+7), v)
	}
	f.Add(byte(15), `{"default":{"livemode":[true],"accounts":["-"],"on_mismatch":"park"}}`, byte(15), `{"a":null}`)
	f.Add(byte(16), `{"stranger":"default"}`, byte(15), `{"UPPER":{}}`)
	f.Fuzz(func(t *testing.T, a byte, va string, b byte, vb string) {
		lookup := with(map[string]string{names[int(a)%len(names)]: va, names[int(b)%len(names)]: vb})
		in, err := LoadIngest(lookup)
		checkError(t, err)
		for _, p := range in.AllowIPs {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
				t.Fatalf("allowed: %v", p)
			}
		}
		for _, name := range in.EndpointNames {
			if !event.ValidEndpoint(name) {
				t.Fatalf("endpoint name %q", name)
			}
		}
		c, err := LoadConsumer(lookup)
		checkError(t, err)
		if err == nil && (c.QueueURL == c.DLQURL || c.HoldURL == c.QueueURL || c.HoldURL == c.DLQURL || c.Table == "" || c.AWS.Region == "" || c.Limits.Validate() != nil) {
			t.Fatalf("%+v: %v", c, c.Limits.Validate())
		}
		for name, e := range c.Endpoints {
			if err == nil && (!event.ValidEndpoint(name) || (e.OnMismatch != "" && e.OnMismatch != policy.Park && e.OnMismatch != policy.Ignore) ||
				(e.Livemode != nil && len(e.Livemode) == 0) || (e.Accounts != nil && len(e.Accounts) == 0)) {
				t.Fatalf("endpoint %q: %+v", name, e)
			}
		}
		r, err := LoadReconcile(lookup)
		checkError(t, err)
		for account, endpoint := range r.Accounts {
			if err == nil && (account != "" && !strings.HasPrefix(account, "acct_") || !event.ValidEndpoint(endpoint)) {
				t.Fatalf("account %q, endpoint %q", account, endpoint)
			}
		}
		s, err := LoadSender(lookup)
		checkError(t, err)
		if err == nil && (len(s.Sending.Destinations) == 0 || s.Sending.Group(s.Sending.QueueURL("crm")) != "" && s.Sending.Destinations.Groups()["crm"].Name == "") {
			t.Fatalf("%+v", s.Sending)
		}
		_, err = LoadCommand(lookup)
		checkError(t, err)
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "SENSITIVE") {
		t.Fatalf("an error has the secret: %v", err)
	}
}

func ExampleLoadIngest() {
	_, err := LoadIngest(func(name string) (string, bool) {
		return map[string]string{
			"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
			"TOLLGATE_QUEUE_URL": "tollgate-events",
		}[name], true
	})
	fmt.Println(err)
	// Output:
	// TOLLGATE_QUEUE_URL is not a URL: set it to the URL of the queue of events, starting with https:// or http://
	// TOLLGATE_WEBHOOK_SECRET_ID is not set: set it to the name or ARN of the secret with the signing secrets
}

// TestCommandNamesOneSystem: every fault is reported once, and always in one order.
func TestCommandNamesOneSystem(t *testing.T) {
	const url = "http://127.0.0.1:4566/q"
	cases := map[string]struct {
		env  map[string]string
		want string // the whole error, "" for none
	}{
		"nothing": {nil, ""},
		"all":     {map[string]string{"TOLLGATE_TABLE": "t", "TOLLGATE_QUEUE_URL": url, "TOLLGATE_DLQ_URL": url}, ""},
		"the table only": {map[string]string{"TOLLGATE_TABLE": "t"},
			"TOLLGATE_QUEUE_URL, TOLLGATE_DLQ_URL not set, but others of TOLLGATE_TABLE, TOLLGATE_QUEUE_URL, TOLLGATE_DLQ_URL: set all of them or none"},
		"no table": {map[string]string{"TOLLGATE_TABLE": " ", "TOLLGATE_QUEUE_URL": url, "TOLLGATE_DLQ_URL": url},
			"TOLLGATE_TABLE not set, but others of TOLLGATE_TABLE, TOLLGATE_QUEUE_URL, TOLLGATE_DLQ_URL: set all of them or none"},
		"a word for a URL": {map[string]string{"TOLLGATE_TABLE": "t", "TOLLGATE_QUEUE_URL": "events", "TOLLGATE_DLQ_URL": url},
			"TOLLGATE_QUEUE_URL is not a URL: set it to the URL of the queue of events, starting with https:// or http://"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := LoadCommand(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
			text := ""
			if err != nil {
				text = err.Error()
			}
			if d := cmp.Diff(c.want, text); d != "" || got.Named() != (name == "all") && err == nil {
				t.Errorf("named %v (-want +got):\n%s", got.Named(), d)
			}
		})
	}
}
