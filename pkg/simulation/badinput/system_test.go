package badinput

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/apigw"
	"tollgate/pkg/awsclient"
	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/gateway"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
	"tollgate/pkg/secrets"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
)

// system is the function, the queues, the table and Stripe, for all rows.
type system struct {
	t        testing.TB
	function *apigw.Handler
	front    string // host of the gateway
	queue    *counting
	events   string // URLs of the queues
	dead     string
	table    *dynamodb.Client
	tables   *atomic.Int64
	stripe   *stripeapi.Client
	has      *shelf
	logs     *lines
}

func newSystem(t testing.TB) *system {
	t.Helper()
	sys := &system{t: t, has: &shelf{}, logs: &lines{}, tables: &atomic.Int64{}}
	services := localtest.Start(t, localtest.Options{})
	sys.queue = &counting{Client: sqs.NewFromConfig(localtest.Config(services.URL, awsclient.Options{Attempts: 1})), sends: map[string]int{}}
	sys.table = services.Dynamo
	sys.events, sys.dead = services.Queue(t, "tollgate-events", nil), services.Queue(t, "tollgate-dead", nil)
	sys.startStripe()
	sys.wireFunction()
	sys.startFront()
	return sys
}

// counting is SQS's client with the number of sends since the last look, as a queue without sends
// need not be received from.
type counting struct {
	*sqs.Client
	mu    sync.Mutex
	sends map[string]int // by URL
}

func (c *counting) SendMessage(ctx context.Context, in *sqs.SendMessageInput, o ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	c.mu.Lock()
	c.sends[*in.QueueUrl]++
	c.mu.Unlock()
	return c.Client.SendMessage(ctx, in, o...)
}

// looked returns the number of sends to a queue since the last call.
func (c *counting) looked(url string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.sends[url]
	delete(c.sends, url)
	return n
}

// secretsAPI is a Secrets Manager with one secret.
type secretsAPI struct{}

func (secretsAPI) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(secretText)}, nil
}

func (sys *system) wireFunction() {
	sys.t.Helper()
	log := slog.New(slog.NewJSONHandler(sys.logs, nil))
	active, err := secrets.NewWebhook(secrets.Config{API: secretsAPI{}, ID: "webhook", Logger: log})
	if err != nil {
		sys.t.Fatal(err)
	}
	h, err := ingest.New(ingest.Config{Secrets: active, Sender: sqsqueue.New(sys.queue, sys.events, "", patient()), Logger: log})
	if err != nil {
		sys.t.Fatal(err)
	}
	sys.function = apigw.NewHandler(h)
}

func (sys *system) startFront() {
	sys.t.Helper()
	g, err := gateway.New(gateway.Options{Routes: []string{limits.WebhookPath, limits.WebhookPath + "/{endpoint}"}, Invoker: sys.function.Invoke})
	if err != nil {
		sys.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		sys.t.Fatal(err)
	}
	server := g.Server()
	go server.Serve(listener)
	sys.t.Cleanup(func() { server.Close() })
	sys.front = listener.Addr().String()
}

func (sys *system) startStripe() {
	sys.t.Helper()
	server := httptest.NewServer(sys.has)
	sys.t.Cleanup(server.Close)
	client, err := stripeapi.New(stripeapi.Options{
		Key: func(context.Context) (string, error) { return "rk_test_1", nil }, URL: server.URL, Unlimited: true,
	})
	if err != nil {
		sys.t.Fatal(err)
	}
	sys.stripe = client
}

// shelf is Stripe's API with at most one event and one object.
type shelf struct {
	mu            sync.Mutex
	event, object []byte
}

func (s *shelf) put(event, object []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event, s.object = event, object
}

func (s *shelf) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(r.URL.EscapedPath(), "/")
	id, err := url.PathUnescape(parts[len(parts)-1])
	what := s.object
	if strings.Contains(r.URL.Path, "/events/") {
		what = s.event
	}
	var is struct{ ID string }
	if err != nil || json.Unmarshal(what, &is) != nil || is.ID != id {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = rw.Write(what)
}

// table is a store of records and its readers.
type table struct {
	name string
	consumer.Store
	dispatch.Rows
	record func(ctx context.Context, id string) (idempotency.Record, bool, error)
}

func (sys *system) memory() table {
	m := idempotencytest.NewMemory(nil)
	return table{name: "memory", Store: m, Rows: m, record: m.Record}
}

// dynamo is a fresh table of the embedded DynamoDB.
func (sys *system) dynamo() table {
	sys.t.Helper()
	name := fmt.Sprintf("tollgate-%d", sys.tables.Add(1))
	if _, err := sys.table.CreateTable(sys.t.Context(), dynamostore.TableSchema(name)); err != nil {
		sys.t.Fatal(err)
	}
	store, err := dynamostore.New(sys.table, name, dynamostore.Options{})
	if err != nil {
		sys.t.Fatal(err)
	}
	reader, err := dynamostore.NewReader(sys.table, name)
	if err != nil {
		sys.t.Fatal(err)
	}
	return table{name: "table", Store: store, Rows: reader, record: reader.Get}
}

func (sys *system) consumer(on table) *sqsqueue.LambdaHandler {
	sys.t.Helper()
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: sys.stripe, Rows: on})
	handlers.Register(mux)
	c, err := consumer.New(consumer.Config{
		Store: on, Queue: sqsqueue.New(sys.queue, sys.events, sys.dead, limits.AWS()), Handlers: mux, Fetcher: sys.stripe,
		Policies: map[string]policy.Policy{
			"live": {Livemode: []bool{true}},
			"lax":  {Livemode: []bool{true}, OnMismatch: policy.Ignore},
			"ours": {Accounts: []string{"", "acct_ours"}},
		},
		Logger: slog.New(slog.NewJSONHandler(sys.logs, nil)),
	})
	if err != nil {
		sys.t.Fatal(err)
	}
	return sqsqueue.NewLambdaHandler(c)
}

// take removes the only message of a queue; nil when there is none.
func (sys *system) take(url string) *types.Message {
	sys.t.Helper()
	if sys.queue.looked(url) == 0 {
		return nil
	}
	out, err := sys.queue.ReceiveMessage(sys.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		sys.t.Fatal(err)
	}
	for _, m := range out.Messages {
		if _, err := sys.queue.DeleteMessage(sys.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			sys.t.Fatal(err)
		}
	}
	switch len(out.Messages) {
	case 0:
		return nil
	case 1:
		return &out.Messages[0]
	}
	sys.t.Fatalf("%d messages on %s", len(out.Messages), url)
	return nil
}

// becomes consumes a message and returns its end in a word or two.
func (sys *system) becomes(on table, m *types.Message) string {
	sys.t.Helper()
	failed, err := localtest.Consume(sys.t.Context(), sys.consumer(on), []events.SQSMessage{{
		MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
	}})
	if err != nil {
		return "a failed batch: " + err.Error()
	}
	dead, reason := sys.take(sys.dead), ""
	if dead != nil {
		if *dead.Body != *m.Body {
			return "a dead letter with another body"
		}
		reason = aws.ToString(dead.MessageAttributes["reason"].StringValue)
	}
	return sys.told(on, *m.Body, len(failed) == 0, reason)
}

// told derives the end from the record and the queues.
func (sys *system) told(on table, message string, acked bool, reason string) string {
	sys.t.Helper()
	var record idempotency.Record
	var found bool
	env, err := queue.Decode(message)
	newer := errors.Is(err, queue.ErrNewer)
	if err == nil {
		if record, found, err = on.record(sys.t.Context(), env.ID); err != nil {
			sys.t.Fatal(err)
		}
	}
	switch {
	case acked && !found && reason == "":
		return "excluded"
	case !acked && record.State == idempotency.Done && record.Source == string(event.Reconcile):
		return string(record.Outcome) // waits for the webhook's message
	case acked && !found && reason != "":
		return "dead " + reason
	case acked && record.State == idempotency.Failed && reason != "" && record.Reason == reason && record.ReceivesLeft == 0:
		return "parked " + reason
	case acked && record.State == idempotency.Done && reason == "":
		return string(record.Outcome)
	case !acked && !found && reason == "" && newer:
		return "waits"
	case !acked && record.State == idempotency.Failed && reason == "" && record.Reason == "" && record.Err != "":
		return "retry"
	}
	return fmt.Sprintf("something odd: acknowledged %t, dead letter %q, record %+v", acked, reason, record)
}

// stock stores a row's event and object at Stripe.
func (sys *system) stock(r row, body []byte) {
	sys.t.Helper()
	object, _, _ := event.Data(body) // a body without one leaves nothing to show
	if r.Shows != nil {
		object = r.Shows.bytes(sys.t)
	}
	if r.Gone {
		body, object = nil, nil
	}
	sys.has.put(body, object)
}

// answer is a sender's answer: the status, and ingest's reason of a refusal.
type answer struct {
	status int
	reason string
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.reason)) }

// invoke invokes the function with a gateway's event.
func (sys *system) invoke(payload []byte) answer {
	sys.t.Helper()
	out, err := sys.function.Invoke(sys.t.Context(), payload)
	if err != nil {
		sys.t.Errorf("the function failed, which the sender sees as 500: %v", err)
		return answer{status: 500}
	}
	var reply struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(out, &reply); err != nil {
		sys.t.Fatal(err)
	}
	return answer{reply.StatusCode, word(sys.t, reply.Body)}
}

// deliver sends a request in one form.
func (sys *system) deliver(r request, f form) answer {
	sys.t.Helper()
	if f != front {
		return sys.invoke(r.event(sys.t, f))
	}
	response, err := http.DefaultClient.Do(r.overHTTP(sys.t, sys.front))
	if err != nil {
		sys.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		sys.t.Fatal(err)
	}
	return answer{response.StatusCode, word(sys.t, string(body))}
}

func word(t testing.TB, body string) string {
	t.Helper()
	var says struct {
		Error string `json:"error"`
	}
	if body != "" && json.Unmarshal([]byte(body), &says) != nil {
		t.Errorf("the answer is no JSON: %.200q", body)
	}
	return says.Error
}

// lines is a log that is safe for concurrent use.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// patient returns limits under which a busy machine is not taken for a queue that is down: the
// corpus tests what is answered, not how fast.
func patient() limits.Limits {
	l := limits.AWS()
	l.SendTry, l.SendBudget = 10*time.Second, 25*time.Second
	return l
}
