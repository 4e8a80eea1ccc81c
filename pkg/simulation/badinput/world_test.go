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

// world is the function, the queues, the table and Stripe, for one row after another.
type world struct {
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

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, has: &shelf{}, logs: &lines{}, tables: &atomic.Int64{}}
	services := localtest.Start(t, localtest.Options{})
	w.queue = &counting{Client: sqs.NewFromConfig(localtest.Config(services.URL, awsclient.Options{Attempts: 1})), sends: map[string]int{}}
	w.table = services.Dynamo
	w.events, w.dead = services.Queue(t, "tollgate-events", nil), services.Queue(t, "tollgate-dead", nil)
	w.startStripe()
	w.wireFunction()
	w.startFront()
	return w
}

// counting is SQS's client, and how often it was asked to send since the last look: a
// queue that nobody sent to need not be asked.
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

// vaultAPI is a Secrets Manager with one secret.
type vaultAPI struct{}

func (vaultAPI) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(vault)}, nil
}

func (w *world) wireFunction() {
	w.t.Helper()
	log := slog.New(slog.NewJSONHandler(w.logs, nil))
	active, err := secrets.NewWebhook(secrets.Config{API: vaultAPI{}, ID: "webhook", Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := ingest.New(ingest.Config{Secrets: active, Sender: sqsqueue.New(w.queue, w.events, "", limits.AWS()), Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.function = apigw.NewHandler(h)
}

func (w *world) startFront() {
	w.t.Helper()
	g, err := gateway.New(gateway.Options{Routes: []string{limits.WebhookPath, limits.WebhookPath + "/{endpoint}"}, Invoker: w.function})
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	server := g.Server()
	go server.Serve(listener)
	w.t.Cleanup(func() { server.Close() })
	w.front = listener.Addr().String()
}

func (w *world) startStripe() {
	w.t.Helper()
	server := httptest.NewServer(w.has)
	w.t.Cleanup(server.Close)
	client, err := stripeapi.New(stripeapi.Options{
		Key: func(context.Context) (string, error) { return "rk_test_1", nil }, URL: server.URL, Rate: 1e6, ResourceRate: 1e6,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.stripe = client
}

// shelf is Stripe's API with one event and one object, or with neither.
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

// table is a store of records, with what a test wants to see of it.
type table struct {
	name string
	consumer.Store
	dispatch.Rows
	record func(ctx context.Context, id string) (idempotency.Record, bool, error)
}

func (w *world) memory() table {
	m := idempotencytest.NewMemory(nil)
	return table{name: "memory", Store: m, Rows: m, record: m.Record}
}

// dynamo is a fresh table of the embedded DynamoDB.
func (w *world) dynamo() table {
	w.t.Helper()
	name := fmt.Sprintf("tollgate-%d", w.tables.Add(1))
	if _, err := w.table.CreateTable(w.t.Context(), dynamostore.TableSchema(name)); err != nil {
		w.t.Fatal(err)
	}
	store, err := dynamostore.New(w.table, name, dynamostore.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	reader, err := dynamostore.NewReader(w.table, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return table{name: "table", Store: store, Rows: reader, record: reader.Get}
}

func (w *world) consumer(on table) *sqsqueue.LambdaHandler {
	w.t.Helper()
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: w.stripe, Rows: on})
	handlers.Register(mux)
	c, err := consumer.New(consumer.Config{
		Store: on, Queue: sqsqueue.New(w.queue, w.events, w.dead, limits.AWS()), Handlers: mux, Fetcher: w.stripe,
		Policies: map[string]policy.Policy{
			"live": {Livemode: []bool{true}},
			"lax":  {Livemode: []bool{true}, OnMismatch: policy.Ignore},
			"ours": {Accounts: []string{"", "acct_ours"}},
		},
		Logger: slog.New(slog.NewJSONHandler(w.logs, nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return sqsqueue.NewLambdaHandler(c)
}

// take removes the only message of a queue; nil when there is none.
func (w *world) take(url string) *types.Message {
	w.t.Helper()
	if w.queue.looked(url) == 0 {
		return nil
	}
	out, err := w.queue.ReceiveMessage(w.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range out.Messages {
		if _, err := w.queue.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			w.t.Fatal(err)
		}
	}
	switch len(out.Messages) {
	case 0:
		return nil
	case 1:
		return &out.Messages[0]
	}
	w.t.Fatalf("%d messages on %s", len(out.Messages), url)
	return nil
}

// becomes hands a message to the consumer and tells in a word or two what came of it.
func (w *world) becomes(on table, m *types.Message) string {
	w.t.Helper()
	failed, err := localtest.Consume(w.t.Context(), w.consumer(on), []events.SQSMessage{{
		MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
	}})
	if err != nil {
		return "a failed batch: " + err.Error()
	}
	letter, reason := w.take(w.dead), ""
	if letter != nil {
		if *letter.Body != *m.Body {
			return "a dead letter with another body"
		}
		reason = aws.ToString(letter.MessageAttributes["reason"].StringValue)
	}
	return w.told(on, *m.Body, len(failed) == 0, reason)
}

// told reads the record beside what the queue shows.
func (w *world) told(on table, message string, acked bool, reason string) string {
	w.t.Helper()
	var record idempotency.Record
	var found bool
	env, err := queue.Decode(message)
	newer := errors.Is(err, queue.ErrNewer)
	if err == nil {
		if record, found, err = on.record(w.t.Context(), env.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	switch {
	case acked && !found && reason == "":
		return "excluded"
	case !acked && record.State == idempotency.Done && record.Source == string(event.Reconcile):
		return string(record.Outcome) // waits to see whether the webhook's message follows
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

// stock puts on Stripe's shelf what a row says is there.
func (w *world) stock(r row, body []byte) {
	w.t.Helper()
	object, _, _ := event.Data(body) // a body without one leaves nothing to show
	if r.Shows != nil {
		object = r.Shows.bytes(w.t)
	}
	if r.Gone {
		body, object = nil, nil
	}
	w.has.put(body, object)
}

// answer is what a sender gets: status, and the word of a refusal that is ingest's.
type answer struct {
	status int
	reason string
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.reason)) }

// invoke gives the function a gateway's event.
func (w *world) invoke(payload []byte) answer {
	w.t.Helper()
	out, err := w.function.Invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Errorf("the function failed, which the sender sees as 500: %v", err)
		return answer{status: 500}
	}
	var reply struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(out, &reply); err != nil {
		w.t.Fatal(err)
	}
	return answer{reply.StatusCode, word(w.t, reply.Body)}
}

// deliver sends a request in one form.
func (w *world) deliver(r request, f form) answer {
	w.t.Helper()
	if f != front {
		return w.invoke(r.event(w.t, f))
	}
	response, err := http.DefaultClient.Do(r.overHTTP(w.t, w.front))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{response.StatusCode, word(w.t, string(body))}
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

// lines is a log that several goroutines write.
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
