package alltypes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/apigw"
	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/sqsqueue"
)

const (
	secret    = "whsec_alltypes"
	queueURL  = "https://queue/events"
	deadURL   = "https://queue/dead"
	batchSize = 10
)

// today is the consumer's clock, which is fixed so that two runs write the same items.
var today = time.UnixMilli(1_795_053_700_000).UTC()

// queues are two SQS queues in memory, with its limits on a message.
type queues struct {
	sqsqueue.Client
	mu   sync.Mutex
	sent map[string][]*sqs.SendMessageInput // by URL
	n    int
}

func (q *queues) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	body := aws.ToString(in.MessageBody)
	if len(body) == 0 || len(body) > limits.MaxMessage {
		return nil, fmt.Errorf("message of %d bytes", len(body))
	}
	for i := range len(body) {
		if body[i] < ' ' || body[i] > '~' {
			return nil, fmt.Errorf("message with the byte %#x", body[i])
		}
	}
	q.n++
	q.sent[aws.ToString(in.QueueUrl)] = append(q.sent[aws.ToString(in.QueueUrl)], in)
	return &sqs.SendMessageOutput{MessageId: aws.String(fmt.Sprintf("m%d", q.n))}, nil
}

func (q *queues) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (q *queues) DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return &sqs.DeleteMessageBatchOutput{}, nil
}

// take returns at most a batch of messages as Lambda's event.
func (q *queues) take() (batch events.SQSEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(batchSize, len(q.sent[queueURL]))
	for i, in := range q.sent[queueURL][:n] {
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: fmt.Sprintf("m%d", i), ReceiptHandle: fmt.Sprintf("r%d", i), Body: *in.MessageBody,
			Attributes: map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(today.UnixMilli()),
				"ApproximateFirstReceiveTimestamp": fmt.Sprint(today.UnixMilli()),
				"MessageGroupId":                   aws.ToString(in.MessageGroupId),
			},
		})
	}
	q.sent[queueURL] = q.sent[queueURL][n:]
	return batch
}

// secrets knows one endpoint.
type secrets struct{}

func (secrets) Active(_ context.Context, endpoint string) ([]string, error) {
	if endpoint != ingest.DefaultEndpoint {
		return nil, ingest.ErrUnknownEndpoint
	}
	return []string{secret}, nil
}

func (s secrets) Refetched(ctx context.Context, endpoint string) ([]string, error) {
	return s.Active(ctx, endpoint)
}

// noFetcher fails the test: events with a body must not be fetched.
type noFetcher struct{ t testing.TB }

func (f noFetcher) FetchEvent(_ context.Context, _, id string, _ bool) ([]byte, error) {
	f.t.Errorf("event %s was fetched", id)
	return nil, dispatch.Park(dispatch.ReasonNoAPIKey, nil)
}

// system is the product from API Gateway's event to the table.
type system struct {
	t       testing.TB
	queues  *queues
	store   *idempotencytest.Memory
	mux     *dispatch.Mux
	ingest  *apigw.Handler
	consume *sqsqueue.LambdaHandler
	logs    *strings.Builder
}

// newSystem builds the product with a Stripe that has some objects, nil for none.
func newSystem(t testing.TB, has dispatch.Objects) *system {
	t.Helper()
	sys := &system{t: t, queues: &queues{sent: map[string][]*sqs.SendMessageInput{}}, store: idempotencytest.NewMemory(nil), logs: &strings.Builder{}}
	if has == nil {
		has = objects{}
	}
	sys.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: has, Rows: sys.store})
	handlers.Register(sys.mux)
	front, err := ingest.New(ingest.Config{Secrets: secrets{}, Sender: sqsqueue.New(sys.queues, queueURL, "", limits.AWS())})
	if err != nil {
		t.Fatal(err)
	}
	sys.ingest = apigw.NewHandler(front)
	c, err := consumer.New(consumer.Config{
		Store: sys.store, Queue: sqsqueue.New(sys.queues, queueURL, deadURL, limits.AWS()), Handlers: sys.mux, Fetcher: noFetcher{t},
		Logger: slog.New(slog.NewTextHandler(sys.logs, nil)), Now: func() time.Time { return today },
	})
	if err != nil {
		t.Fatal(err)
	}
	sys.consume = sqsqueue.NewLambdaHandler(c)
	return sys
}

// post signs a body and delivers it as a gateway's event; it must be accepted.
func (sys *system) post(body []byte) {
	sys.t.Helper()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret})
	request := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /webhooks/stripe", RawPath: "/webhooks/stripe", Body: string(body),
		Headers: map[string]string{"content-type": "application/json; charset=utf-8", "stripe-signature": signed.Header},
	}
	request.RequestContext.HTTP.Method = http.MethodPost
	payload, err := json.Marshal(request)
	if err != nil {
		sys.t.Fatal(err)
	}
	answer, err := sys.ingest.Invoke(sys.t.Context(), payload)
	if err != nil || !strings.Contains(string(answer), `"statusCode":200`) {
		sys.t.Fatalf("ingest answers %s, %v", answer, err)
	}
}

// work invokes the consumer until the queue is empty. No message may fail, as no failure here is
// transient.
func (sys *system) work() {
	sys.t.Helper()
	for batch := sys.queues.take(); len(batch.Records) > 0; batch = sys.queues.take() {
		payload, err := json.Marshal(batch)
		if err != nil {
			sys.t.Fatal(err)
		}
		answer, err := sys.consume.Invoke(sys.t.Context(), payload)
		if string(answer) != `{"batchItemFailures":[]}` || err != nil {
			sys.t.Fatalf("the consumer answers %s, %v:\n%s", answer, err, sys.logs)
		}
	}
}

// keep gives the table a row of each object whose event begins none.
func (sys *system) keep(list []sample) {
	sys.t.Helper()
	var rows dispatch.Effects
	for _, s := range list {
		if s.typ == "invoice.updated" {
			rows = append(rows, dispatch.Swap("OBJ#test#-#"+s.pinned["id"].(string), 0, nil))
		}
	}
	claimed, err := sys.store.Claim(sys.t.Context(), idempotency.ClaimRequest{
		Event: event.Envelope{ID: keeper}, Owner: idempotency.NewOwner(), Now: today, Lease: today.Add(time.Minute), LeaseExpiredBefore: today,
	})
	if err == nil {
		_, err = sys.store.Complete(sys.t.Context(), claimed.Claim, idempotency.Applied, rows, today)
	}
	if err != nil {
		sys.t.Fatal(err)
	}
}

// keeper is the id of the event whose effects keep writes.
const keeper = "evt_keeper"

// end is an event's final state.
type end struct {
	Outcome idempotency.Outcome // "" if it is not done
	Reason  string              // in the record and on its dead letter
}

// ends returns the final state of every event in the table. A failed record must have a dead letter
// with the same reason, a done one none.
func (sys *system) ends() map[string]end {
	sys.t.Helper()
	reasons := sys.deadLetters()
	out := map[string]end{}
	for _, r := range sys.store.Records() {
		if r.ID == keeper {
			continue
		}
		if r.State == idempotency.Running || (r.State == idempotency.Failed) != (r.Reason != "") || reasons[r.ID] != r.Reason {
			sys.t.Errorf("%s is %s with reason %q, its dead letter has %q (%s)", r.ID, r.State, r.Reason, reasons[r.ID], r.Err)
		}
		e := end{Reason: r.Reason}
		if r.State == idempotency.Done {
			e.Outcome = r.Outcome
		}
		out[r.ID] = e
	}
	return out
}

// deadLetters returns the reasons of the dead letters by event id.
func (sys *system) deadLetters() map[string]string {
	out := map[string]string{}
	for _, in := range sys.queues.sent[deadURL] {
		out[aws.ToString(in.MessageAttributes["event_id"].StringValue)] = aws.ToString(in.MessageAttributes["reason"].StringValue)
	}
	return out
}

// items returns all items that effects made.
func (sys *system) items() map[string]map[string]any {
	sys.t.Helper()
	out := map[string]map[string]any{}
	for _, key := range sys.store.Keys() {
		out[key] = sys.item(key)
	}
	return out
}

func (sys *system) item(key string) map[string]any {
	sys.t.Helper()
	it, found, err := sys.store.Item(sys.t.Context(), key)
	if err != nil || !found {
		sys.t.Fatalf("no item %s (%v); there are %v", key, err, sys.store.Keys())
	}
	return it
}
