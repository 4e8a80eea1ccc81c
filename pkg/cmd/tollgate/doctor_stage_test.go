package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/encoding/cbor"

	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

// deployed is a stage as AWS shows it: the embedded services behind one address, with
// CloudFormation, CloudWatch, EventBridge, Lambda and SNS as far as they are asked.
type deployed struct {
	*system
	env     map[string]string
	ahead   time.Duration        // of AWS's clock
	changed map[string][2]string // by action: what its answers have instead of what
	refuses map[string]string    // by action, "" for all: the error that it answers with, or hangs
	alarm   func(alarm cbor.Map) // changes each alarm
	aliased bool                 // ingest and consumer have an alias

	variables map[string]string // of every function
	differs   string            // a function with other destinations
	outputs   map[string]string
	has       *stripeHas

	mu     sync.Mutex        // held by each answer; seen orders them with the test
	signed map[string]bool   // for which services requests were
	asked  map[string]string // actions, with the service
}

const (
	hangs      = "hangs"
	released   = "v1.2.3"
	topicOfOne = "arn:aws:sns:us-east-1:000000000000:tollgate-test-alarms"
)

func newDeployed(t *testing.T) *deployed {
	t.Helper()
	s := newSystem(t)
	d := &deployed{
		system: s, changed: map[string][2]string{}, refuses: map[string]string{}, alarm: func(cbor.Map) {},
		signed: map[string]bool{}, asked: map[string]string{}, variables: map[string]string{"TOLLGATE_VERSION": released},
	}
	embedded, err := url.Parse(s.info.Endpoint)
	check(t, err)
	services := httputil.NewSingleHostReverseProxy(embedded)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.front(w, r, services)
	}))
	t.Cleanup(front.Close)
	dead := s.aws.Queue(t, "tollgate-test-dead", map[string]string{"MessageRetentionPeriod": "1209600", "VisibilityTimeout": "180", "SqsManagedSseEnabled": "true"})
	hold := s.aws.Queue(t, "tollgate-test-hold", map[string]string{"MessageRetentionPeriod": "1209600", "VisibilityTimeout": "180", "SqsManagedSseEnabled": "true"})
	queue := s.aws.Queue(t, "tollgate-test-events", map[string]string{
		"MessageRetentionPeriod": "345600", "VisibilityTimeout": "180", "SqsManagedSseEnabled": "true",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:tollgate-test-dead","maxReceiveCount":16}`,
	})
	_, err = s.dynamo.UpdateTimeToLive(t.Context(), &sdkdynamodb.UpdateTimeToLiveInput{
		TableName: &s.info.Table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(true)},
	})
	check(t, err)
	now := time.Now()
	check(t, s.store.Cover(t.Context(), reconcile.Covered{Tier: reconcile.Frequent, From: now.Add(-3 * time.Hour), To: now.Add(-5 * time.Minute), DoneAt: now.Add(-5 * time.Minute)}))
	s.aws.Secret(t, "webhook", `{"default":["whsec_first"]}`)
	s.aws.Secret(t, "key", "sk_test_1")
	d.has = withStripe(t, s)
	d.has.bodies["/v1/events"] = `{"object":"list","data":[],"has_more":false,"url":"/v1/events"}`
	d.outputs = map[string]string{
		limits.OutputWebhookURL: hookURL, limits.OutputQueueURL: queue, limits.OutputDLQURL: dead, limits.OutputHoldURL: hold, limits.OutputTable: s.info.Table,
		limits.OutputWebhookSecret: "webhook", limits.OutputAPIKeySecret: "key",
	}
	d.env = map[string]string{
		"TOLLGATE_TABLE": s.info.Table, "TOLLGATE_QUEUE_URL": queue, "TOLLGATE_DLQ_URL": dead, "TOLLGATE_HOLD_QUEUE_URL": hold, "TOLLGATE_STRIPE_URL": s.info.StripeURL,
		"TOLLGATE_WEBHOOK_SECRET_ID": "webhook", "TOLLGATE_API_KEY_SECRET_ID": "key",
	}
	setAWS(t, front.URL)
	return d
}

// action is what AWS calls the request.
func action(r *http.Request) string {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return name
	}
	for end, name := range map[string]string{
		"/configuration": "GetFunctionConfiguration", "/concurrency": "GetFunctionConcurrency", "/account-settings": "GetAccountSettings",
		"/event-source-mappings": "ListEventSourceMappings", "/operation/DescribeAlarms": "DescribeAlarms",
	} {
		if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), end) {
			return name
		}
	}
	return r.FormValue("Action")
}

// front answers as AWS does, or as the test wants.
func (d *deployed) front(w http.ResponseWriter, r *http.Request, services http.Handler) {
	is := action(r)
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "/us-east-1/")
	service, _, _ := strings.Cut(scope, "/")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.signed[service], d.asked[is] = true, service
	refusal := d.refuses[is] + d.refuses[""]
	got := httptest.NewRecorder()
	switch {
	case refusal == hangs:
		d.mu.Unlock()
		defer d.mu.Lock()
		_, _ = io.Copy(io.Discard, r.Body) // without it the server does not notice that the command is gone
		<-r.Context().Done()
		return
	case refusal != "":
		refuse(got, service, refusal)
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents."):
		d.events(got, r, is)
	case r.Header.Get("X-Amz-Target") != "":
		services.ServeHTTP(got, r)
	default:
		d.cloud(got, r, is)
	}
	body := got.Body.String()
	if is == "DescribeTable" {
		body = strings.Replace(body, `"DeletionProtectionEnabled":false`, `"DeletionProtectionEnabled":true`, 1)
	}
	if is == "DescribeContinuousBackups" {
		body = strings.Replace(body, `"PointInTimeRecoveryStatus":"DISABLED"`, `"PointInTimeRecoveryStatus":"ENABLED"`, 1)
	}
	if c, ok := d.changed[is]; ok && refusal == "" {
		body = strings.ReplaceAll(body, c[0], c[1])
	}
	maps.Copy(w.Header(), got.Header())
	w.Header().Del("Content-Length")
	if w.Header().Get("X-Amz-Crc32") != "" {
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10))
	}
	w.Header().Set("Date", time.Now().Add(d.ahead).UTC().Format(http.TimeFormat))
	w.WriteHeader(got.Code)
	_, _ = io.WriteString(w, body) // the command may be gone
}

// refuse answers with an error in the service's protocol.
func refuse(w http.ResponseWriter, service, code string) {
	switch service {
	case "monitoring":
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String(code), "message": cbor.String("refused by the test")}))
	case "cloudformation", "sns":
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>refused by the test</Message></Error></ErrorResponse>`, code)
	default:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":%q,"message":"refused by the test"}`, code)
	}
}

// cloud answers as CloudFormation, CloudWatch, Lambda and SNS do.
func (d *deployed) cloud(w http.ResponseWriter, r *http.Request, is string) {
	name := ""
	if parts := strings.Split(r.URL.Path, "/"); len(parts) > 3 {
		name = strings.TrimPrefix(parts[3], "tollgate-test-")
	}
	switch is {
	case "GetFunctionConfiguration":
		d.configuration(w, name, r.FormValue("Qualifier"))
	case "GetFunctionConcurrency":
		fmt.Fprintf(w, `{"ReservedConcurrentExecutions":%d,"of":%q}`, map[string]int{"ingest": 50, "consumer": 50, "reconcile": 3, "sender": 2}[name], name)
	case "GetAccountSettings":
		fmt.Fprint(w, `{"AccountLimit":{"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":897},"AccountUsage":{}}`)
	case "ListEventSourceMappings":
		if r.FormValue("EventSourceArn") != "arn:aws:sqs:us-east-1:000000000000:tollgate-test-events" {
			d.t.Errorf("asked for the mappings of %s", r.FormValue("EventSourceArn"))
		}
		if r.FormValue("Marker") == "" { // a first page may be empty
			fmt.Fprint(w, `{"NextMarker":"m","EventSourceMappings":[]}`)
			return
		}
		fmt.Fprint(w, `{"EventSourceMappings":[{"UUID":"u-1","State":"Enabled","FunctionArn":"arn:aws:lambda:us-east-1:0:function:tollgate-test-consumer","FunctionResponseTypes":["ReportBatchItemFailures"],"BatchSize":10,"ScalingConfig":{"MaximumConcurrency":50}}]}`)
	case "DescribeAlarms":
		d.alarms(w, r)
	case "ListSubscriptionsByTopic":
		d.subscriptions(w, r)
	case "DescribeStacks":
		var members strings.Builder
		for name, value := range d.outputs {
			fmt.Fprintf(&members, "<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>", name, value)
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>tollgate-test</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>%s</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`, &members)
	default:
		d.t.Errorf("asked for %s %s %s", r.Method, r.URL.Path, is)
		w.WriteHeader(http.StatusNotFound)
	}
}

// configuration answers for a function, or its alias.
func (d *deployed) configuration(w http.ResponseWriter, name, qualifier string) {
	aliased := d.aliased && (name == "ingest" || name == "consumer")
	if aliased != (qualifier == "live") {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"Message":"Function not found"}`)
		return
	}
	own := maps.Clone(d.variables)
	if name == d.differs {
		own["TOLLGATE_DESTINATIONS"] = ""
	}
	variables, _ := json.Marshal(own) // strings cannot fail
	arn := "arn:aws:lambda:us-east-1:000000000000:function:tollgate-test-" + name
	if aliased {
		arn += ":live"
	}
	fmt.Fprintf(w, `{"FunctionName":%q,"FunctionArn":%q,"State":"Active","LastUpdateStatus":"Successful","Timeout":%d,"LastModified":"2026-11-21T10:00:00.000+0000","Environment":{"Variables":%s}}`,
		name, arn, map[string]int{"ingest": 5, "consumer": 30, "reconcile": 900, "sender": 60}[name], variables)
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
		a := cbor.Map{"AlarmName": cbor.String("tollgate-test-" + name), "AlarmDescription": cbor.String("It. What to do: infra/README.md#alarm-shared"), "ActionsEnabled": cbor.Bool(true), "AlarmActions": cbor.List{cbor.String(topicOfOne)}, "StateValue": cbor.String("OK")}
		d.alarm(a)
		return a
	}
	page := cbor.Map{"MetricAlarms": cbor.List{alarm("page-ingest-errors")}, "CompositeAlarms": cbor.List{alarm("page-nothing-arrives")}, "NextToken": cbor.String("n")}
	if asked["NextToken"] != nil {
		page = cbor.Map{"MetricAlarms": cbor.List{alarm("page-dead-letters")}}
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	_, _ = w.Write(cbor.Encode(page))
}

// subscriptions answers ListSubscriptionsByTopic in two pages: one that was never confirmed, one
// that was deleted, and one that is confirmed.
func (d *deployed) subscriptions(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("TopicArn") != topicOfOne {
		d.t.Errorf("asked for the topic %s", r.FormValue("TopicArn"))
	}
	member := func(arn string) string {
		return "<member><TopicArn>" + topicOfOne + "</TopicArn><Protocol>email</Protocol><SubscriptionArn>" + arn + "</SubscriptionArn><Endpoint>a@example.com</Endpoint></member>"
	}
	list, next := member("PendingConfirmation")+member("Deleted"), "<NextToken>n</NextToken>"
	if r.FormValue("NextToken") != "" {
		list, next = member(topicOfOne+":11111111-2222"), ""
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>%s</Subscriptions>%s</ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`, list, next)
}

// events answers as EventBridge does. Each task has one rule, called as CloudFormation does.
func (d *deployed) events(w http.ResponseWriter, r *http.Request, is string) {
	var in struct{ TargetArn, NextToken, Name, Rule string }
	check(d.t, json.NewDecoder(r.Body).Decode(&in))
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	const function = "arn:aws:lambda:us-east-1:000000000000:function:tollgate-test-reconcile"
	switch is {
	case "ListRuleNamesByTarget":
		if in.TargetArn != function {
			d.t.Errorf("asked for the rules of %s", in.TargetArn)
		}
		if in.NextToken == "" {
			fmt.Fprint(w, `{"RuleNames":["rule-quarter","rule-nightly"],"NextToken":"n"}`)
			return
		}
		fmt.Fprint(w, `{"RuleNames":["rule-weekly","rule-outbox","rule-verify"]}`)
	case "DescribeRule":
		fmt.Fprintf(w, `{"Name":%q,"State":"ENABLED"}`, in.Name)
	default:
		fmt.Fprintf(w, `{"Targets":[{"Id":"other","Arn":"arn:aws:lambda:us-east-1:0:function:other","Input":"{\"task\":\"none\"}"},{"Id":"t","Arn":%q,"Input":"{\"task\":\"%s\"}"}]}`, function, strings.TrimPrefix(in.Rule, "rule-"))
	}
}

// seen orders what the test wrote before what answers read, and the other way round: the race
// detector does not see the order that another process makes.
func (d *deployed) seen() {
	d.mu.Lock()
	defer d.mu.Unlock()
}

func (d *deployed) doctor(args ...string) answer {
	d.t.Helper()
	d.seen()
	defer d.seen()
	return tollgate(d.t.Context(), d.env, append([]string{"doctor", "--data", d.data}, args...)...)
}
