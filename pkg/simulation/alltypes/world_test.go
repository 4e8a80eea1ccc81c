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

// today is the consumer's clock, which stands still: two runs come to the same items.
var today = time.UnixMilli(1_795_053_700_000).UTC()

// queues are the two queues of SQS in memory, with its bounds on a message.
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

// take returns what is on the queue of events, at most a batch, as Lambda hands it over.
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

// noFetcher is where events with a body must not be fetched from.
type noFetcher struct{ t testing.TB }

func (f noFetcher) FetchEvent(_ context.Context, _, id string, _ bool) ([]byte, error) {
	f.t.Errorf("event %s was fetched", id)
	return nil, dispatch.Park(dispatch.ReasonNoAPIKey, nil)
}

// world is all of the product between API Gateway's event and the table.
type world struct {
	t       testing.TB
	queues  *queues
	store   *idempotencytest.Memory
	mux     *dispatch.Mux
	ingest  *apigw.Handler
	consume *sqsqueue.LambdaHandler
	logs    *strings.Builder
}

// newWorld is the product over a Stripe with some objects, nil for none.
func newWorld(t testing.TB, has dispatch.Objects) *world {
	t.Helper()
	w := &world{t: t, queues: &queues{sent: map[string][]*sqs.SendMessageInput{}}, store: idempotencytest.NewMemory(nil), logs: &strings.Builder{}}
	if has == nil {
		has = objects{}
	}
	w.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: has, Rows: w.store})
	handlers.Register(w.mux)
	front, err := ingest.New(ingest.Config{Secrets: secrets{}, Sender: sqsqueue.New(w.queues, queueURL, "", limits.AWS())})
	if err != nil {
		t.Fatal(err)
	}
	w.ingest = apigw.NewHandler(front)
	c, err := consumer.New(consumer.Config{
		Store: w.store, Queue: sqsqueue.New(w.queues, queueURL, deadURL, limits.AWS()), Handlers: w.mux, Fetcher: noFetcher{t},
		Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Now: func() time.Time { return today },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.consume = sqsqueue.NewLambdaHandler(c)
	return w
}

// post signs a body and delivers it through the gateway's event; it must be received.
func (w *world) post(body []byte) {
	w.t.Helper()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret})
	request := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /webhooks/stripe", RawPath: "/webhooks/stripe", Body: string(body),
		Headers: map[string]string{"content-type": "application/json; charset=utf-8", "stripe-signature": signed.Header},
	}
	request.RequestContext.HTTP.Method = http.MethodPost
	payload, err := json.Marshal(request)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := w.ingest.Invoke(w.t.Context(), payload)
	if err != nil || !strings.Contains(string(answer), `"statusCode":200`) {
		w.t.Fatalf("ingest answers %s, %v", answer, err)
	}
}

// work hands the queue's messages to the consumer until none is left. A message that
// the consumer gives back sticks: nothing here fails in a way that time cures.
func (w *world) work() {
	w.t.Helper()
	for batch := w.queues.take(); len(batch.Records) > 0; batch = w.queues.take() {
		payload, err := json.Marshal(batch)
		if err != nil {
			w.t.Fatal(err)
		}
		answer, err := w.consume.Invoke(w.t.Context(), payload)
		if string(answer) != `{"batchItemFailures":[]}` || err != nil {
			w.t.Fatalf("the consumer answers %s, %v:\n%s", answer, err, w.logs)
		}
	}
}

// end is what became of an event.
type end struct {
	Outcome idempotency.Outcome // "" if it is not done
	Reason  string              // in the record and on its dead letter
}

// ends returns what became of every event that the table knows. A failed record must
// have its dead letter with the same reason, and no done one may have any.
func (w *world) ends() map[string]end {
	w.t.Helper()
	letters := w.letters()
	out := map[string]end{}
	for _, r := range w.store.Records() {
		if r.State == idempotency.Running || (r.State == idempotency.Failed) != (r.Reason != "") || letters[r.ID] != r.Reason {
			w.t.Errorf("%s is %s with reason %q, its dead letter says %q (%s)", r.ID, r.State, r.Reason, letters[r.ID], r.Err)
		}
		e := end{Reason: r.Reason}
		if r.State == idempotency.Done {
			e.Outcome = r.Outcome
		}
		out[r.ID] = e
	}
	return out
}

// letters returns the reasons of dead letters by event id.
func (w *world) letters() map[string]string {
	out := map[string]string{}
	for _, in := range w.queues.sent[deadURL] {
		out[aws.ToString(in.MessageAttributes["event_id"].StringValue)] = aws.ToString(in.MessageAttributes["reason"].StringValue)
	}
	return out
}

// items returns all items that effects made.
func (w *world) items() map[string]map[string]any {
	w.t.Helper()
	out := map[string]map[string]any{}
	for _, key := range w.store.Keys() {
		out[key] = w.item(key)
	}
	return out
}

func (w *world) item(key string) map[string]any {
	w.t.Helper()
	it, found, err := w.store.Item(w.t.Context(), key)
	if err != nil || !found {
		w.t.Fatalf("no item %s (%v); there are %v", key, err, w.store.Keys())
	}
	return it
}
