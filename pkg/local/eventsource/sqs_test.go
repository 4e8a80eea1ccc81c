package eventsource

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

// call is one request as SQS sees it.
type call struct {
	Operation string
	Body      map[string]any
}

// newSQS returns a queue whose server records its calls and answers with answer.
func newSQS(t *testing.T, answer func(call) (status int, body string)) (*SQS, *[]call) {
	t.Helper()
	var calls []call
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		c := call{Operation: operation}
		if err := json.NewDecoder(r.Body).Decode(&c.Body); err != nil {
			t.Errorf("request body: %v", err)
		}
		calls = append(calls, c)
		status, body := answer(c)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client := sqs.New(sqs.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(server.URL),
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
		RetryMaxAttempts: 1,
	})
	return NewSQS(client, server.URL+"/000000000000/events"), &calls
}

func TestSQSReceive(t *testing.T) {
	t.Parallel()
	q, calls := newSQS(t, func(call) (int, string) {
		return 200, `{"Messages":[{"MessageId":"m1","ReceiptHandle":"r1","Body":"hello","MD5OfBody":"5d41402abc4b2a76b9719d911017c592",
			"Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"17"},
			"MessageAttributes":{"b":{"DataType":"Binary","BinaryValue":"AP8="},"s":{"DataType":"String","StringValue":"v"}}}]}`
	})
	got, err := q.Receive(t.Context(), 7, 1100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	want := []events.SQSMessage{{
		MessageId: "m1", ReceiptHandle: "r1", Body: "hello", Md5OfBody: "5d41402abc4b2a76b9719d911017c592",
		Attributes: map[string]string{"ApproximateReceiveCount": "3", "SentTimestamp": "17"},
		MessageAttributes: map[string]events.SQSMessageAttribute{
			"b": {BinaryValue: []byte{0, 255}, DataType: "Binary"}, "s": {StringValue: aws.String("v"), DataType: "String"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	for _, wait := range []time.Duration{-1, 0, time.Second, 20 * time.Second, time.Hour} {
		if _, err := q.Receive(t.Context(), 10, wait); err != nil {
			t.Fatal(err)
		}
	}
	var waits []any
	for _, c := range *calls {
		waits = append(waits, c.Body["WaitTimeSeconds"])
	}
	if diff := cmp.Diff([]any{2.0, 1.0, 1.0, 1.0, 20.0, 20.0}, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	all := []any{"All"}
	first := call{"ReceiveMessage", map[string]any{"QueueUrl": q.url, "MaxNumberOfMessages": 7.0, "WaitTimeSeconds": 2.0,
		"AttributeNames": all, "MessageSystemAttributeNames": all, "MessageAttributeNames": all}}
	if diff := cmp.Diff(first, (*calls)[0]); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestSQSDelete(t *testing.T) {
	t.Parallel()
	refuse := true
	q, calls := newSQS(t, func(c call) (int, string) {
		if refuse && len(c.Body["Entries"].([]any)) == 10 {
			return 200, `{"Successful":[],"Failed":[{"Id":"3","Code":"InternalError","Message":"try again","SenderFault":false}]}`
		}
		return 200, `{"Successful":[],"Failed":[]}`
	})
	messages := make([]events.SQSMessage, 12)
	for i := range messages {
		messages[i].ReceiptHandle = strings.Repeat("r", i+1)
	}
	if err := q.Delete(t.Context(), messages); err == nil || err.Error() != "delete messages: 1 of 10 refused, first InternalError: try again" {
		t.Errorf("error %v", err)
	}
	if n := len(*calls); n != 2 {
		t.Errorf("%d calls, want both batches sent", n)
	}
	refuse = false
	if err := q.Delete(t.Context(), messages); err != nil {
		t.Error(err)
	}
	last := call{"DeleteMessageBatch", map[string]any{"QueueUrl": q.url, "Entries": []any{
		map[string]any{"Id": "0", "ReceiptHandle": messages[10].ReceiptHandle},
		map[string]any{"Id": "1", "ReceiptHandle": messages[11].ReceiptHandle}}}}
	if diff := cmp.Diff(last, (*calls)[3]); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestSQSErrors(t *testing.T) {
	t.Parallel()
	q, _ := newSQS(t, func(call) (int, string) {
		return 400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}`
	})
	if _, err := q.Receive(t.Context(), 1, time.Second); err == nil || !strings.Contains(err.Error(), "no such queue") {
		t.Errorf("receive: %v", err)
	}
	if err := q.Delete(t.Context(), []events.SQSMessage{{}}); err == nil || !strings.Contains(err.Error(), "no such queue") {
		t.Errorf("delete: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Receive(ctx, 1, time.Second); err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("canceled: %v", err)
	}
}
