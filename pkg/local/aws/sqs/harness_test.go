package sqs_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/sqs"
)

// fixture is a service with a clock that the test moves, reached through the real client.
type fixture struct {
	*sdk.Client
	t       *testing.T
	path    string
	options sqs.Options
	service *sqs.Service
	server  *httptest.Server
	clock   atomic.Int64 // Unix nanoseconds; the engine reads it at any time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{t: t, path: filepath.Join(t.TempDir(), "sqs.db")}
	w.clock.Store(time.Unix(1_700_000_000, 0).UnixNano())
	w.options.Now = w.now
	w.start()
	return w
}

func (w *fixture) start() {
	w.t.Helper()
	service, err := sqs.Open(w.path, w.options)
	check(w.t, err)
	w.service, w.server = service, httptest.NewServer(awsjson.Handler(service.Service()))
	w.Client = client(w.server.URL)
	w.t.Cleanup(func() { w.server.Close(); service.Close() })
}

// restart closes everything and reads the file again.
func (w *fixture) restart() {
	w.t.Helper()
	w.server.Close()
	check(w.t, w.service.Close())
	w.start()
}

func client(url string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func (w *fixture) now() time.Time { return time.Unix(0, w.clock.Load()) }

func (w *fixture) pass(d time.Duration) { w.clock.Add(int64(d)) }

func (w *fixture) queue(name string, attributes map[string]string) string {
	w.t.Helper()
	out, err := w.CreateQueue(context.Background(), &sdk.CreateQueueInput{QueueName: &name, Attributes: attributes})
	check(w.t, err)
	return *out.QueueUrl
}

// pair makes a queue and its dead-letter queue.
func (w *fixture) pair(maxReceives string) (main, dead string) {
	w.t.Helper()
	dead = w.queue("dead", nil)
	return w.queue("main", map[string]string{"RedrivePolicy": redrive("dead", maxReceives)}), dead
}

func redrive(target, maxReceives string) string {
	return `{"deadLetterTargetArn":"` + arn(target) + `","maxReceiveCount":` + maxReceives + `}`
}

func arn(name string) string { return "arn:aws:sqs:us-east-1:000000000000:" + name }

func (w *fixture) send(url string, bodies ...string) (ids []string) {
	w.t.Helper()
	for _, body := range bodies {
		out, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: &body})
		check(w.t, err)
		ids = append(ids, *out.MessageId)
	}
	return ids
}

func (w *fixture) receive(url string) []types.Message {
	w.t.Helper()
	out, err := w.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"}})
	check(w.t, err)
	return out.Messages
}

func (w *fixture) bodies(url string) []string {
	w.t.Helper()
	bodies := []string{}
	for _, m := range w.receive(url) {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

func (w *fixture) delete(url string, m types.Message) {
	w.t.Helper()
	_, err := w.DeleteMessage(context.Background(), &sdk.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
	check(w.t, err)
}

func (w *fixture) change(url string, m types.Message, seconds int32) error {
	_, err := w.ChangeMessageVisibility(context.Background(), &sdk.ChangeMessageVisibilityInput{
		QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

// counts are visible, in flight and delayed.
func (w *fixture) counts(url string) [3]string {
	w.t.Helper()
	a := w.attributes(url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
	return [3]string{a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"], a["ApproximateNumberOfMessagesDelayed"]}
}

func (w *fixture) attributes(url string, names ...types.QueueAttributeName) map[string]string {
	w.t.Helper()
	out, err := w.GetQueueAttributes(context.Background(), &sdk.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	check(w.t, err)
	return out.Attributes
}

// call runs an operation without a network, for tests in a bubble of synthetic time.
func call[Out any](t *testing.T, ctx context.Context, s *sqs.Service, name string, in any) (Out, error) {
	t.Helper()
	var out Out
	body, err := json.Marshal(in)
	check(t, err)
	answer, err := s.Service().Operations[name](ctx, body)
	if err != nil {
		return out, err
	}
	if body, err = json.Marshal(answer); err != nil {
		t.Fatal(err)
	}
	check(t, json.Unmarshal(body, &out))
	return out, nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errOf is the error of a call whose answer the test does not read.
func errOf[T any](_ T, err error) error { return err }
