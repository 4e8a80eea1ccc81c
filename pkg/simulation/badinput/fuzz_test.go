package badinput

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/apigw"
	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/secrets"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
)

// memoryQueue is SQS without a socket: what was sent to each URL.
type memoryQueue struct {
	sqsqueue.Client
	t    *testing.T
	sent map[string][]*sqs.SendMessageInput
}

const (
	eventsURL = "https://queue/events"
	deadURL   = "https://queue/dead"
)

func (q *memoryQueue) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if body := *in.MessageBody; body == "" || len(body) > limits.MaxMessage || strings.Trim(aws.ToString(in.MessageGroupId), " ") != aws.ToString(in.MessageGroupId) {
		q.t.Errorf("a message of %d bytes in the group %q", len(body), aws.ToString(in.MessageGroupId))
	}
	for i := range len(*in.MessageBody) {
		if c := (*in.MessageBody)[i]; c < ' ' || c > '~' {
			q.t.Fatalf("byte %#x in a message", c)
		}
	}
	q.sent[*in.QueueUrl] = append(q.sent[*in.QueueUrl], in)
	return &sqs.SendMessageOutput{MessageId: aws.String("m")}, nil
}

func (q *memoryQueue) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (q *memoryQueue) DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return &sqs.DeleteMessageBatchOutput{}, nil
}

// RoundTrip implements http.RoundTripper.
func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	out := rec.Result()
	out.Request, out.Body = r, io.NopCloser(rec.Body)
	return out, nil
}

// FuzzSigned sends any validly signed body through the product: it is refused as not an event, or it
// reaches an allowed end, and a second delivery changes nothing.
func FuzzSigned(f *testing.F) {
	for _, family := range families(f) {
		for i, r := range family.rows {
			if r.Payload != nil || r.Message != nil || i%4 != 0 {
				continue
			}
			if body := r.body(f); len(body) < 4<<10 {
				f.Add(body, r.Gone)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, gone bool) {
		q := &memoryQueue{t: t, sent: map[string][]*sqs.SendMessageInput{}}
		records := idempotencytest.NewMemory(nil)
		front, back := through(t, q, records, row{Gone: gone}, body)
		first := throughOnce(t, front, q, body)
		if first == "" {
			return
		}
		endsKnown(t, back, q, records, first)
		before := fmt.Sprint(records.Records(), records.Keys())
		if records.Records()[0].State != idempotency.Done {
			return
		}
		endsKnown(t, back, q, records, throughOnce(t, front, q, body))
		if after := fmt.Sprint(records.Records(), records.Keys()); after != before {
			t.Fatalf("the second delivery made of\n%s\n%s", before, after)
		}
	})
}

// through wires the function and the consumer.
func through(t *testing.T, q *memoryQueue, records *idempotencytest.Memory, r row, body []byte) (*apigw.Handler, *sqsqueue.LambdaHandler) {
	t.Helper()
	active, err := secrets.NewWebhook(secrets.Config{API: secretsAPI{}, ID: "webhook"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := ingest.New(ingest.Config{Secrets: active, Sender: sqsqueue.New(q, eventsURL, "", limits.AWS())})
	if err != nil {
		t.Fatal(err)
	}
	has := &shelf{}
	if object, _, err := event.Data(body); err == nil && !r.Gone {
		has.put(body, object)
	}
	api, err := stripeapi.New(stripeapi.Options{
		Key: func(context.Context) (string, error) { return "rk_test_1", nil }, URL: "http://127.0.0.1:1", Tries: 1, Transport: has,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: api, Rows: records})
	handlers.Register(mux)
	c, err := consumer.New(consumer.Config{Store: records, Queue: sqsqueue.New(q, eventsURL, deadURL, limits.AWS()), Handlers: mux, Fetcher: api})
	if err != nil {
		t.Fatal(err)
	}
	return apigw.NewHandler(h), sqsqueue.NewLambdaHandler(c)
}

// throughOnce delivers a body and returns the message, "" if the body is refused.
func throughOnce(t *testing.T, front *apigw.Handler, q *memoryQueue, body []byte) string {
	t.Helper()
	q.sent[eventsURL] = nil
	made := row{made: append([]byte{}, body...)}.request(t)
	out, err := front.Invoke(t.Context(), made.event(t, http20Coded))
	var answer struct{ StatusCode int }
	if err != nil || json.Unmarshal(out, &answer) != nil {
		t.Fatalf("answer %s, %v", out, err)
	}
	sent := q.sent[eventsURL]
	switch {
	case answer.StatusCode == http.StatusOK && len(sent) == 1:
		env, err := queue.Decode(*sent[0].MessageBody)
		if err != nil || env.Body != nil && !bytes.Equal(env.Body, body) {
			t.Fatalf("%d bytes are %d others on the queue: %v", len(body), len(env.Body), err)
		}
		return *sent[0].MessageBody
	case answer.StatusCode == http.StatusBadRequest && len(sent) == 0 && strings.Contains(string(out), "not_event"):
	case answer.StatusCode == http.StatusRequestEntityTooLarge && len(sent) == 0 && len(body) > limits.MaxBody:
	default:
		t.Fatalf("answer %s with %d messages", out, len(sent))
	}
	return ""
}

// endsKnown consumes the message and checks that its record and the queues agree, and that nothing
// panicked.
func endsKnown(t *testing.T, back *sqsqueue.LambdaHandler, q *memoryQueue, records *idempotencytest.Memory, message string) {
	t.Helper()
	q.sent[deadURL] = nil
	payload, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", ReceiptHandle: "r", Body: message}}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := back.Invoke(t.Context(), payload)
	all := records.Records()
	if err != nil || len(all) != 1 {
		t.Fatalf("answer %s, %v, records %+v", answer, err, all)
	}
	acked, dead, r := string(answer) == `{"batchItemFailures":[]}`, len(q.sent[deadURL]), all[0]
	fine := acked && r.State == idempotency.Done && dead == 0 ||
		acked && r.State == idempotency.Failed && r.Reason != "" && dead == 1 && r.ReceivesLeft == 0 ||
		!acked && r.State == idempotency.Failed && r.Reason == "" && dead == 0
	if !fine || strings.Contains(r.Err, "panic") {
		t.Fatalf("answer %s, %d dead letters, record %+v", answer, dead, r)
	}
}
