package sqsqueue_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// batchHandler answers as a case says and keeps what it was given.
type batchHandler struct {
	got    []queue.Message
	failed []string
	err    error
}

func (h *batchHandler) Handle(_ context.Context, m []queue.Message) ([]string, error) {
	h.got = m
	return h.failed, h.err
}

func TestLambdaAnswers(t *testing.T) {
	const event = `{"Records":[{"messageId":"m1","receiptHandle":"r1","body":"a"},{"messageId":"m2","receiptHandle":"r2","body":"b"}]}`
	cases := []struct {
		name, event string
		failed      []string
		want        string
	}{
		{"none failed, nil", event, nil, `{"batchItemFailures":[]}`},
		{"none failed, empty", event, []string{}, `{"batchItemFailures":[]}`},
		{"one failed", event, []string{"m2"}, `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`},
		{"no records", `{"Records":[]}`, nil, `{"batchItemFailures":[]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := sqsqueue.NewLambdaHandler(&batchHandler{failed: c.failed}).Invoke(t.Context(), []byte(c.event))
			if err != nil || string(out) != c.want {
				t.Errorf("answer %s, error %v; want %s", out, err, c.want)
			}
		})
	}
}

// TestLambdaFails: without an answer the whole batch comes back, and nothing is lost.
func TestLambdaFails(t *testing.T) {
	down := errors.New("no message could be handled")
	for name, event := range map[string]string{
		"no JSON":       `{`,
		"no message id": `{"Records":[{"receiptHandle":"r1","body":"a"}]}`,
		"no receipt":    `{"Records":[{"messageId":"m1","body":"a"}]}`,
		"handler":       `{"Records":[{"messageId":"m1","receiptHandle":"r1","body":"a"}]}`,
	} {
		h := &batchHandler{err: down}
		out, err := sqsqueue.NewLambdaHandler(h).Invoke(t.Context(), []byte(event))
		if err == nil || out != nil || (name == "handler") != errors.Is(err, down) || (name == "handler") != (h.got != nil) {
			t.Errorf("%s: answer %s, error %v, handled %v", name, out, err, h.got)
		}
	}
}

func TestLambdaReadsMessages(t *testing.T) {
	sample, err := os.ReadFile("../../testdata/aws/sqs.json")
	if err != nil {
		t.Fatal(err)
	}
	h := &batchHandler{}
	if _, err := sqsqueue.NewLambdaHandler(h).Invoke(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	for _, m := range h.got {
		if m.ID == "" || m.Receipt == "" || m.Body == "" || m.Receives < 1 || m.SentAt.IsZero() || m.FirstReceivedAt.IsZero() {
			t.Errorf("read of the sample: %+v", m)
		}
	}
	if len(h.got) == 0 {
		t.Error("the sample has no message")
	}

	const event = `{"Records":[
		{"messageId":"m1","receiptHandle":"r1","body":"a","attributes":{"ApproximateReceiveCount":"7","SentTimestamp":"1700000000123","ApproximateFirstReceiveTimestamp":"1700000000456","MessageGroupId":"acct_1"}},
		{"messageId":"m2","receiptHandle":"r2","body":"b","attributes":{"ApproximateReceiveCount":"-1","SentTimestamp":"soon"}}]}`
	if _, err := sqsqueue.NewLambdaHandler(h).Invoke(t.Context(), []byte(event)); err != nil {
		t.Fatal(err)
	}
	want := []queue.Message{
		{ID: "m1", Receipt: "r1", Body: "a", Group: "acct_1", Receives: 7, SentAt: time.UnixMilli(1_700_000_000_123), FirstReceivedAt: time.UnixMilli(1_700_000_000_456)},
		{ID: "m2", Receipt: "r2", Body: "b", Receives: 1},
	}
	if diff := cmp.Diff(want, h.got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
