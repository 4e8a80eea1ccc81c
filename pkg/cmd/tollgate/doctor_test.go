package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/doctor"
)

// statuses are the findings of a run, by name, with the worst of each.
func statuses(t *testing.T, out string) map[string]doctor.Status {
	t.Helper()
	worst := map[string]doctor.Status{}
	for name, f := range findingsByName(t, out) {
		worst[name] = f.Status
	}
	return worst
}

func rank(s doctor.Status) int {
	return slices.Index([]doctor.Status{doctor.Skipped, doctor.OK, doctor.Warn, doctor.Fail}, s)
}

func TestDoctorOfAStage(t *testing.T) {
	d := newDeployed(t)
	got := d.doctor("--json").ok(t)
	for name, want := range map[string]doctor.Status{
		"target": doctor.OK, "table": doctor.OK, "table expiry": doctor.OK, "dead-letter queue": doctor.OK, "queue depth": doctor.OK, "dead letters": doctor.OK,
		"function ingest": doctor.OK, "function consumer": doctor.OK, "function reconcile": doctor.OK, "trigger": doctor.OK, "alarms": doctor.OK,
		"table recovery": doctor.OK, "queue": doctor.OK, "version": doctor.OK, "concurrency": doctor.OK, "schedule": doctor.OK, "alarm topic": doctor.OK, "outbox": doctor.OK, "reconcile": doctor.OK,
		"allowed addresses": doctor.OK, "signing secrets": doctor.OK, "api key": doctor.OK, "records": doctor.OK, "dead events": doctor.OK, "rows": doctor.OK, "stripe": doctor.OK, "accounts": doctor.OK, "clock": doctor.OK,
		"endpoint": doctor.Warn, // its URL is not known here
	} {
		if have := statuses(t, got.out)[name]; have != want {
			t.Errorf("%s is %q, want %q\n%s", name, have, want, got.out)
		}
	}
	if !d.signed["lambda"] || !d.signed["monitoring"] {
		t.Errorf("requests were signed for %v", d.signed)
	}
	for _, secret := range []string{"whsec_first", "sk_test_1"} {
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("%s is shown", secret)
		}
	}

	d.changed["ListEventSourceMappings"] = [2]string{"Enabled", "Disabled"}
	d.refuses["DescribeAlarms"], d.ahead = "AccessDeniedException", 15*time.Second
	d.failed("evt_old", "invoice.paid", "", "no row", 3)
	got = d.doctor()
	if got.code != verb.ExitFailed || !strings.Contains(got.err, "2 checks fail") {
		t.Errorf("%+v", got)
	}
	for _, says := range []string{"mapping is disabled: no event is handled", "--uuid u-1", "could not be checked", "is off by 1", "1 events have receives left", "tollgate events show evt_old"} {
		if !strings.Contains(got.out, says) {
			t.Errorf("%q is missing:\n%s", says, got.out)
		}
	}
}

func TestDoctorOfALocalSystem(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_dead", "invoice.paid", "handler", "no plan", 0)
	before := s.table()
	got := s.tollgate("doctor", "--json")
	have := statuses(t, got.out)
	for name, want := range map[string]doctor.Status{
		"table": doctor.OK, "functions": doctor.Skipped, "alarms": doctor.Skipped, "endpoint": doctor.Skipped, "clock": doctor.Skipped,
		"table recovery": doctor.Skipped, "reconcile": doctor.Skipped, "records": doctor.OK,
		"queue":       doctor.Fail, // its visibility is SQS's own default
		"dead events": doctor.Fail, // for years
	} {
		if have[name] != want {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
	if got.code != verb.ExitFailed || s.table() != before {
		t.Errorf("exit %d, or the table changed", got.code)
	}
}

// TestDoctorNamesBrokenRows, and not the healthy row next to them.
func TestDoctorNamesBrokenRows(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_dead", "invoice.paid", "handler", "no plan", 0)
	word := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	s.row("evt_malformed", map[string]types.AttributeValue{"st": word("DONE"), "att": word("one")})
	s.row("evt_strange", map[string]types.AttributeValue{"st": word("PAUSED"), "att": &types.AttributeValueMemberN{Value: "1"}})
	var rows doctor.Finding
	for _, f := range lines[doctor.Finding](t, s.tollgate("doctor", "--json").out) {
		if f.Name == "rows" {
			rows = f
		}
	}
	if d := rows.Detail; rows.Status != doctor.Fail || !strings.HasPrefix(d, "2 cannot be read") || !strings.Contains(d, "evt_malformed") || !strings.Contains(d, "evt_strange") || strings.Contains(d, "evt_dead") {
		t.Errorf("%+v", rows)
	}
}

// TestDoctorComparesAccounts of the deployed functions with the key's own, and with their endpoints.
func TestDoctorComparesAccounts(t *testing.T) {
	d := newDeployed(t)
	d.has.bodies["/v1/account"] = `{"id":"acct_ours","object":"account"}`
	for _, tt := range []struct{ reconcile, endpoints, says string }{
		{`{"-":"default","acct_1":"default"}`, "", ""},
		{`{"acct_ours":"default"}`, "", "names acct_ours, which is the key's own account"},
		{`{"acct_us":"connect"}`, policiesOfTest, "an event whose delivery is lost is never recovered"},
		{`{"acct_1":`, "", "not one JSON object"},
		{`{"-":"default"}`, `{"default":`, "of the consumer"},
	} {
		d.variables = map[string]string{"TOLLGATE_VERSION": released, "TOLLGATE_RECONCILE": tt.reconcile, "TOLLGATE_ENDPOINTS": tt.endpoints}
		got := d.doctor("--json")
		want := map[bool]doctor.Status{true: doctor.OK, false: doctor.Fail}[tt.says == ""]
		if have := statuses(t, got.out)["accounts"]; have != want || !strings.Contains(strings.ReplaceAll(got.out, `\"`, `"`), tt.says) {
			t.Errorf("%s: %s\n%s", tt.reconcile, have, got.out)
		}
	}
}

// TestDoctorComparesDestinations of the functions that hand over with the sender's.
func TestDoctorComparesDestinations(t *testing.T) {
	d := newDeployed(t)
	d.variables = map[string]string{
		"TOLLGATE_DESTINATIONS": `{"erp":{"type":"sqs","queue":"https://sqs.us-east-1.amazonaws.com/000000000000/q","messages":["*"]}}`,
		"TOLLGATE_SEND_DLQ_URL": d.aws.Queue(t, "tollgate-test-send-dead", nil),
	}
	d.aws.Queue(t, "tollgate-test-send-erp", nil)
	for differs, want := range map[string]doctor.Status{"none": doctor.OK, "reconcile": doctor.Fail, "sender": doctor.Fail} {
		d.differs = differs
		got := d.doctor("--json")
		says := strings.Contains(got.out, "consumer and "+differs+" have different destinations")
		if have := statuses(t, got.out)["destinations"]; have != want || says != (want == doctor.Fail) {
			t.Errorf("%s differs: %s\n%s", differs, have, got.out)
		}
	}
}

func TestDoctorWithoutATarget(t *testing.T) {
	t.Parallel()
	tollgate(t.Context(), nil, "doctor", "--data", t.TempDir()).refused(t, verb.ExitUsage, "no system to work on")
	s := newSystem(t)
	s.info.Endpoint = "http://127.0.0.1:1"
	s.writeInfo()
	got := s.tollgate("doctor", "--json")
	if got.code != verb.ExitFailed || !strings.Contains(got.out, `"name":"target","status":"fail"`) || !strings.Contains(got.out, "start tollgate dev again") {
		t.Errorf("%+v", got)
	}
}

// TestDoctorOfSomethingElse than AWS, which answers each request with nothing: doctor still reports it.
func TestDoctorOfSomethingElse(t *testing.T) {
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer here.Close()
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": here.URL, "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
	named := map[string]string{
		"TOLLGATE_TABLE": "tollgate-live-Table-1", "TOLLGATE_QUEUE_URL": here.URL + "/1/tollgate-live-events", "TOLLGATE_DLQ_URL": here.URL + "/1/tollgate-live-dead",
	}
	got := tollgate(t.Context(), named, "doctor", "--json")
	if have := statuses(t, got.out); got.code != verb.ExitFailed || have["table"] != doctor.Warn || have["table history"] != doctor.Warn || have["concurrency"] != doctor.Warn {
		t.Errorf("exit %d: %v", got.code, have)
	}
}
