package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/encoding/cbor"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/doctor"
)

// deployed is a stage as AWS shows it: the embedded services behind one address, with
// Lambda and CloudWatch as far as they are asked.
type deployed struct {
	*system
	env     map[string]string
	mapping string        // state of the trigger
	ahead   time.Duration // of AWS's clock
	denied  string        // a path or an action that these credentials may not use

	variables map[string]string // of every function
	differs   string            // a function with other destinations
	has       *stripeHas

	mu     sync.Mutex
	signed map[string]bool // for which services requests were
}

func newDeployed(t *testing.T) *deployed {
	t.Helper()
	s := newSystem(t)
	d := &deployed{system: s, mapping: "Enabled", signed: map[string]bool{}}
	embedded, err := url.Parse(s.info.Endpoint)
	check(t, err)
	services := httputil.NewSingleHostReverseProxy(embedded)
	services.ModifyResponse = func(r *http.Response) error { r.Header.Del("Date"); return nil } // the front says it
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(d.ahead).UTC().Format(http.TimeFormat))
		if r.Header.Get("X-Amz-Target") != "" {
			services.ServeHTTP(w, r)
			return
		}
		d.cloud(w, r)
	}))
	t.Cleanup(front.Close)
	dead := s.aws.Queue(t, "tollgate-test-dead", map[string]string{"MessageRetentionPeriod": "1209600", "VisibilityTimeout": "180"})
	queue := s.aws.Queue(t, "tollgate-test-events", map[string]string{
		"MessageRetentionPeriod": "345600", "VisibilityTimeout": "180",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:tollgate-test-dead","maxReceiveCount":16}`,
	})
	_, err = s.dynamo.UpdateTimeToLive(t.Context(), &sdkdynamodb.UpdateTimeToLiveInput{
		TableName: &s.info.Table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(true)},
	})
	check(t, err)
	s.aws.Secret(t, "webhook", `{"default":["whsec_first"]}`)
	s.aws.Secret(t, "key", "sk_test_1")
	d.has = withStripe(t, s)
	d.has.bodies["/v1/events"] = `{"object":"list","data":[],"has_more":false,"url":"/v1/events"}`
	d.env = map[string]string{
		"TOLLGATE_TABLE": s.info.Table, "TOLLGATE_QUEUE_URL": queue, "TOLLGATE_DLQ_URL": dead, "TOLLGATE_STRIPE_URL": s.info.StripeURL,
		"TOLLGATE_WEBHOOK_SECRET_ID": "webhook", "TOLLGATE_API_KEY_SECRET_ID": "key",
	}
	setAWS(t, front.URL)
	return d
}

// cloud answers as Lambda and CloudWatch do.
func (d *deployed) cloud(w http.ResponseWriter, r *http.Request) {
	what := r.URL.Path + r.FormValue("Action")
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "/us-east-1/")
	service, _, _ := strings.Cut(scope, "/")
	d.mu.Lock()
	d.signed[service] = true
	d.mu.Unlock()
	name := ""
	if parts := strings.Split(r.URL.Path, "/"); len(parts) > 3 {
		name = strings.TrimPrefix(parts[3], "tollgate-test-")
	}
	switch {
	case d.denied != "" && strings.Contains(what, d.denied):
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.WriteHeader(http.StatusForbidden)
		w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("AccessDeniedException"), "message": cbor.String("User is not authorized")}))
	case strings.HasSuffix(what, "/configuration"):
		own := maps.Clone(d.variables)
		if name == d.differs {
			own["TOLLGATE_DESTINATIONS"] = ""
		}
		variables, _ := json.Marshal(own) // strings cannot fail
		fmt.Fprintf(w, `{"FunctionName":%q,"State":"Active","LastUpdateStatus":"Successful","Timeout":%d,"LastModified":"2026-11-21T10:00:00.000+0000","Environment":{"Variables":%s}}`,
			name, map[string]int{"ingest": 5, "consumer": 30, "reconcile": 900}[name], variables)
	case strings.HasSuffix(what, "/concurrency"):
		if name == "reconcile" {
			fmt.Fprint(w, `{}`)
			return
		}
		fmt.Fprint(w, `{"ReservedConcurrentExecutions":50}`)
	case strings.HasPrefix(what, "/2015-03-31/event-source-mappings") && r.FormValue("EventSourceArn") == "arn:aws:sqs:us-east-1:000000000000:tollgate-test-events":
		if r.FormValue("Marker") == "" { // a first page may be empty
			fmt.Fprint(w, `{"NextMarker":"m","EventSourceMappings":[]}`)
			return
		}
		fmt.Fprintf(w, `{"EventSourceMappings":[{"UUID":"u-1","State":%q,"FunctionArn":"arn:aws:lambda:us-east-1:0:function:tollgate-test-consumer","FunctionResponseTypes":["ReportBatchItemFailures"],"BatchSize":10,"ScalingConfig":{"MaximumConcurrency":50}}]}`, d.mapping)
	case strings.HasSuffix(what, "/operation/DescribeAlarms"):
		d.alarms(w, r)
	default:
		d.t.Errorf("asked for %s %s", r.Method, what)
		w.WriteHeader(http.StatusNotFound)
	}
}

// alarms answers DescribeAlarms in two pages, with composite alarms only if they are asked for.
func (d *deployed) alarms(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	check(d.t, err)
	request, err := cbor.Decode(body)
	check(d.t, err)
	asked := request.(cbor.Map)
	if asked["AlarmNamePrefix"] != cbor.String("tollgate-test-") || len(asked["AlarmTypes"].(cbor.List)) != 2 {
		d.t.Errorf("asked for %v", asked)
	}
	alarm := func(name string) cbor.Map {
		return cbor.Map{"AlarmName": cbor.String("tollgate-test-" + name), "ActionsEnabled": cbor.Bool(true), "AlarmActions": cbor.List{cbor.String("arn:topic")}, "StateValue": cbor.String("OK")}
	}
	page := cbor.Map{"MetricAlarms": cbor.List{alarm("page-ingest-errors")}, "CompositeAlarms": cbor.List{alarm("page-nothing-arrives")}, "NextToken": cbor.String("n")}
	if asked["NextToken"] != nil {
		page = cbor.Map{"MetricAlarms": cbor.List{alarm("page-dead-letters")}}
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Write(cbor.Encode(page))
}

func (d *deployed) doctor(args ...string) answer {
	d.t.Helper()
	return tollgate(d.t.Context(), d.env, append([]string{"doctor", "--data", d.data}, args...)...)
}

// statuses are the findings of a run, by name, with the worst of each.
func statuses(t *testing.T, out string) map[string]doctor.Status {
	t.Helper()
	rank := map[doctor.Status]int{doctor.Skipped: 0, doctor.OK: 1, doctor.Warn: 2, doctor.Fail: 3}
	worst := map[string]doctor.Status{}
	for _, f := range lines[doctor.Finding](t, out) {
		if was, ok := worst[f.Name]; !ok || rank[f.Status] > rank[was] {
			worst[f.Name] = f.Status
		}
	}
	return worst
}

func TestDoctorOfAStage(t *testing.T) {
	d := newDeployed(t)
	got := d.doctor("--json").ok(t)
	for name, want := range map[string]doctor.Status{
		"target": doctor.OK, "table": doctor.OK, "table expiry": doctor.OK, "dead-letter queue": doctor.OK, "queue depth": doctor.OK, "dead letters": doctor.OK,
		"function ingest": doctor.OK, "function consumer": doctor.OK, "function reconcile": doctor.OK, "trigger": doctor.OK, "alarms": doctor.OK,
		"signing secrets": doctor.OK, "api key": doctor.OK, "records": doctor.OK, "dead events": doctor.OK, "rows": doctor.OK, "stripe": doctor.OK, "accounts": doctor.OK, "clock": doctor.OK,
		"table recovery": doctor.Warn, // the embedded table cannot be restored
		"endpoint":       doctor.Warn, // its URL is not known here
		"reconcile":      doctor.Warn, // no pass yet
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

	d.mapping, d.denied, d.ahead = "Disabled", "DescribeAlarms", 10*time.Second
	d.failed("evt_old", "invoice.paid", "", "no row", 3)
	got = d.doctor()
	if got.code != verb.ExitFailed || !strings.Contains(got.err, "2 checks fail") {
		t.Errorf("%+v", got)
	}
	for _, says := range []string{"mapping is disabled: no event is handled", "--uuid u-1", "not authorized", "is off by 1", "1 events have receives left", "tollgate events show evt_old"} {
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
		d.variables = map[string]string{"TOLLGATE_RECONCILE": tt.reconcile, "TOLLGATE_ENDPOINTS": tt.endpoints}
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
