package runsender

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/config"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/handlers"
	"tollgate/pkg/handlers/golden"
	"tollgate/pkg/history"
	"tollgate/pkg/local/iam"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/outbox"
	"tollgate/pkg/pause"
	"tollgate/pkg/run"
	"tollgate/pkg/run/runhistory"
	"tollgate/pkg/run/runingest"
)

// stage is the wired functions on embedded services that let each do only what its role in the
// template may.
type stage struct {
	*system
	rights  *iam.Enforcer
	ingest  lambda.Handler
	history lambda.Handler
	queue   string
}

// names are the resources of the template by what the functions call them.
func names(t *testing.T, template []byte) map[string]string {
	t.Helper()
	var read struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ QueueName string }
		}
	}
	if err := json.Unmarshal(template, &read); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"tollgate": "Table", "webhook": "WebhookSecret", "key": "ApiKeySecret", "jobs": "arn:AWS::Partition:sqs:eu-central-1:123456789012:jobs",
		"tollgate/send/crm": "arn:AWS::Partition:secretsmanager:AWS::Region:AWS::AccountId:secret:tollgate/send/crm-AbCdEf",
	}
	for name, r := range read.Resources {
		if r.Type == "AWS::SQS::Queue" {
			all[r.Properties.QueueName] = name
		}
	}
	return all
}

func newStage(t *testing.T, fake string) *stage {
	t.Helper()
	template, err := os.ReadFile(filepath.Join("..", "..", "..", "infra", "testdata", "tollgate-send.json"))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := iam.Read(template)
	if err != nil {
		t.Fatal(err)
	}
	resources := names(t, template)
	s := &stage{system: &system{t: t, receiver: &receiver{status: http.StatusServiceUnavailable}}, rights: &iam.Enforcer{
		Policies: policies, Resource: func(name string) string { return resources[name] },
	}}
	s.aws = localtest.Start(t, localtest.Options{TimeScale: 200, Wrap: func(services http.Handler) http.Handler {
		allowed := s.rights.Wrap(services)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.down.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendMessageBatch") {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			allowed.ServeHTTP(w, r)
		})
	}})
	s.aws.Table(t, dynamostore.TableSchema("tollgate"))
	s.aws.Secret(t, "tollgate/send/crm", secret)
	s.aws.Secret(t, "webhook", `{"default":["whsec_1"]}`)
	s.aws.Secret(t, "key", "sk_test_1")
	urls := map[string]string{}
	for name := range resources {
		if strings.HasPrefix(name, "tollgate-") || name == "jobs" {
			urls[name] = s.aws.Queue(t, name, nil)
		}
	}
	s.queue, s.dead, s.jobs = urls["tollgate-send-events"], urls["tollgate-send-send-dead"], urls["jobs"]
	server := httptest.NewServer(s.receiver)
	t.Cleanup(server.Close)
	s.env = map[string]string{
		"AWS_REGION": localtest.Region, "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": s.aws.URL, "TOLLGATE_TABLE": "tollgate",
		"TOLLGATE_QUEUE_URL": s.queue, "TOLLGATE_DLQ_URL": urls["tollgate-send-dead"], "TOLLGATE_HOLD_QUEUE_URL": urls["tollgate-send-hold"], "TOLLGATE_SEND_DLQ_URL": s.dead,
		"TOLLGATE_WEBHOOK_SECRET_ID": "webhook", "TOLLGATE_API_KEY_SECRET_ID": "key", "TOLLGATE_STRIPE_URL": fake, "TOLLGATE_STRIPE_RATE": "off",
		"TOLLGATE_DESTINATIONS": fmt.Sprintf(`{
			"crm":{"type":"http","url":%q,"secret":"tollgate/send/crm","messages":["*"],"events":["account.updated"],"group":"crm-eu","history":true,"insecure_http":true,"allow":["127.0.0.0/8"]},
			"jobs":{"type":"sqs","queue":%q,"messages":["*"],"events":["account.updated"]}}`, server.URL, s.jobs),
	}
	s.wire()
	return s
}

// wire wires each function with the access key of its role.
func (s *stage) wire() {
	s.t.Helper()
	for role, wire := range map[string]func(config.Lookup) error{
		"IngestRole": func(l config.Lookup) (err error) { s.ingest, err = runingest.Wire(l); return err },
		"ConsumerRole": func(l config.Lookup) (err error) {
			s.consumer, err = run.WireConsumer(l, handlers.Register)
			return err
		},
		"ReconcileRole": func(l config.Lookup) (err error) {
			s.reconcile, err = run.WireReconcile(l, handlers.Register, outbox.NewLogSender)
			return err
		},
		"SenderRole":  func(l config.Lookup) (err error) { s.sender, err = Wire(l); return err },
		"HistoryRole": func(l config.Lookup) (err error) { s.history, err = runhistory.Wire(l); return err },
	} {
		env := maps.Clone(s.env)
		env["AWS_ACCESS_KEY_ID"] = role
		if role == "ReconcileRole" || role == "HistoryRole" {
			env["TOLLGATE_TIME_SCALE"] = "60" // a message is old enough, and listed, after two seconds
		}
		if err := wire(func(name string) (string, bool) { v, ok := env[name]; return v, ok }); err != nil {
			s.t.Fatal(err)
		}
	}
}

// deliver posts an event to ingest.
func (s *stage) deliver(body string) {
	s.t.Helper()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: "whsec_1", Timestamp: time.Now()})
	request, err := json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: "/webhooks/stripe", Body: body,
		Headers: map[string]string{"content-type": "application/json", "stripe-signature": signed.Header},
		RequestContext: events.APIGatewayV2HTTPRequestContext{Stage: "$default", HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
			Method: "POST", Path: "/webhooks/stripe", SourceIP: "3.18.12.63",
		}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.ingest.Invoke(s.t.Context(), request)
	if err != nil || !strings.Contains(string(answer), `"statusCode":200`) {
		s.t.Fatalf("ingest: %s, %v", answer, err)
	}
}

// consume gives the consumer what is in the queue of events, as its receive-th receive.
func (s *stage) consume(receive string) (failed int) {
	s.t.Helper()
	for {
		var records []events.SQSMessage
		for _, m := range s.receive(s.queue) {
			attributes := maps.Clone(m.Attributes)
			attributes["ApproximateReceiveCount"] = receive
			records = append(records, events.SQSMessage{MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: attributes})
		}
		if len(records) == 0 {
			return failed
		}
		back, err := localtest.Consume(s.t.Context(), s.consumer, records)
		if err != nil {
			s.t.Fatal(err)
		}
		failed += len(back)
	}
}

// goldens are an event of every type, of two hours ago, with an id of each.
func goldens(t *testing.T) (all []string) {
	t.Helper()
	for i, name := range golden.Types() {
		body, err := golden.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		var e map[string]any
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		e["id"], e["created"] = fmt.Sprintf("evt_%d", i), time.Now().Add(-2*time.Hour).Unix()
		if body, err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(body))
	}
	return all
}

func newEvent(id, typ, object string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":%s}}`, id, typ, time.Now().Unix(), object)
}

func (s *stage) tasks(names ...string) {
	s.t.Helper()
	for _, task := range names {
		if _, err := s.reconcile.Invoke(s.t.Context(), []byte(`{"task":"`+task+`"}`)); err != nil {
			s.t.Errorf("%s: %v", task, err)
		}
	}
}

// TestRoles: the functions may do all that they do. Each key that reconcile and the sender write
// is in their roles, and each right of theirs is used.
func TestRoles(t *testing.T) {
	all := goldens(t)
	var known [][]byte
	for _, body := range all {
		known = append(known, []byte(body))
	}
	_, fake := localtest.Stripe(t, known...)
	s := newStage(t, fake)
	for _, body := range all[1:] { // reconcile finds the first
		s.deliver(body)
	}
	operator, err := dynamostore.NewOperator(s.aws.Dynamo, "tollgate", dynamostore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.PutPauses(t.Context(), pause.State{Paused: map[string]pause.Mark{"invoice.voided": {At: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	s.deliver(newEvent("evt_broken", "invoice.paid", `{"id":"in_none","object":"invoice","currency":7}`))
	s.down.Store(true) // the outbox task finds what the consumer could not hand over
	s.consume("1")
	s.down.Store(false)
	s.deliver(newEvent("evt_forward", "account.updated", `{"id":"acct_9","object":"account"}`))
	s.tasks("quarter") // begins the history
	s.env["TOLLGATE_BEGIN"] = time.Now().Add(-3 * time.Hour).Format(time.RFC3339)
	s.wire()
	s.tasks("quarter", "nightly", "weekly", "verify")
	s.consume("2")   // with a claim
	s.send("crm-eu") // and is refused
	marked := iam.Made{Action: "dynamodb:UpdateItem", Resource: "Table"}
	for until := time.Now().Add(time.Minute); !s.rights.Made("ReconcileRole")[marked] && time.Now().Before(until); {
		s.tasks("outbox") // until a message is old enough
	}
	s.send("jobs")
	s.receiver.status = http.StatusNotFound
	s.send("crm-eu")
	s.ask()
	for _, refused := range s.rights.Refused() {
		t.Error(refused)
	}
	for _, unused := range s.unused() {
		t.Error(unused)
	}
}

// ask lists the deliveries of a destination, and has one begun again, as its receiver.
func (s *stage) ask() {
	s.t.Helper()
	rows, err := dynamostore.NewDeliveries(s.aws.Dynamo, "tollgate", dynamostore.Options{})
	if err == nil {
		_, err = rows.SwapTokens(s.t.Context(), "crm", dynamostore.Tokens{Digests: []string{history.Digest(history.Token("crm", "0"))}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var page history.Page
	for until := time.Now().Add(time.Minute); len(page.Data) == 0 && time.Now().Before(until); {
		page = history.Page{}
		if err := json.Unmarshal([]byte(s.answer("GET", history.Path, 200)), &page); err != nil {
			s.t.Fatal(err)
		}
	}
	if len(page.Data) == 0 || page.Data[0].Body == nil {
		s.t.Fatalf("history %+v", page)
	}
	s.answer("POST", history.Path+"/"+page.Data[0].ID+"/retry", 200)
}

func (s *stage) answer(method, path string, status int) string {
	s.t.Helper()
	request, err := json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: path, Headers: map[string]string{"authorization": "Bearer " + history.Token("crm", "0")}, QueryStringParameters: map[string]string{},
		RequestContext: events.APIGatewayV2HTTPRequestContext{HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := s.history.Invoke(s.t.Context(), request)
	var a events.APIGatewayV2HTTPResponse
	if err != nil || json.Unmarshal(raw, &a) != nil || a.StatusCode != status {
		s.t.Fatalf("%s %s: %s, %v, want %d", method, path, raw, err, status)
	}
	return a.Body
}

// unused are the grants of the roles that nothing needed, except those of which this test has none:
// what Lambda itself does with queues and logs, checks of an application's own handlers, and other
// destinations.
func (s *stage) unused() (all []string) {
	others := regexp.MustCompile(`^(logs|ses|sns|events):|sqs:(Receive|Delete)Message |sqs:GetQueueAttributes (Queue$|SendQueue)|:ConditionCheckItem | SendQueue(bus|mail|news)$|ChangeMessageVisibility SendQueuejobs$|:secret:erp-|:GetSecretValue ApiKeySecret$`)
	for _, role := range []string{"IngestRole", "ConsumerRole", "ReconcileRole", "SenderRole", "HistoryRole"} {
		made := map[string]bool{}
		for m := range s.rights.Made(role) {
			made[m.Action+" "+strings.Replace(m.Resource, "-AbCdEf", "-??????", 1)] = true
		}
		for _, statement := range s.rights.Policies[role] {
			for _, action := range statement.Action {
				for _, on := range statement.Resource {
					if !made[action+" "+on] && !others.MatchString(action+" "+on) {
						all = append(all, role+" has and does not use "+action+" on "+on)
					}
				}
			}
		}
	}
	return all
}

// TestQueuesRefuseStrangers: a role of the account that is named nowhere, and a service, may not send,
// whatever their rights; whoever administers the account may, and changes the policy.
func TestQueuesRefuseStrangers(t *testing.T) {
	s := newStage(t, "http://127.0.0.1:1")
	const account = "arn:AWS::Partition:iam::AWS::AccountId:"
	queues := 0
	for name, policy := range s.rights.Policies {
		queue, is := strings.CutSuffix(name, "Policy")
		if !is || !strings.Contains(queue, "Queue") {
			continue
		}
		queues++
		for _, c := range []struct {
			action, by string
			denied     bool
		}{
			{"sqs:SendMessage", account + "role/other", true}, {"sqs:SendMessage", "", true}, {"sqs:SendMessage", "arn:aws:iam::999999999999:user/ada", true},
			{"sqs:SendMessage", account + "root", false}, {"sqs:SendMessage", account + "user/ada", false},
			{"sqs:SendMessage", account + "role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_1", false},
			{"sqs:SetQueueAttributes", account + "role/other", false}, {"sqs:ReceiveMessage", account + "role/other", false},
		} {
			if got := policy.Denies(iam.Request{Action: c.action, Resource: queue, Principal: c.by}); got != c.denied {
				t.Errorf("%s: %s by %q is denied: %v", queue, c.action, c.by, got)
			}
		}
	}
	if queues != 9 {
		t.Errorf("%d queues", queues)
	}
}
