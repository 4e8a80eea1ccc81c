package sqsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// deadScale makes the queue's seconds short, so that empty receives are.
const deadScale = 200

// deadQueue serves an embedded SQS with one queue until the test ends.
func deadQueue(t *testing.T, speed int) (client *sqs.Client, url string) {
	t.Helper()
	a := localtest.Start(t, localtest.Options{TimeScale: speed})
	return a.SQS, a.Queue(t, "dead", nil)
}

func TestDeadLettersReceive(t *testing.T) {
	client, url := deadQueue(t, deadScale)
	ours := queue.DeadLetter{
		Reason: "handler", Error: "no row", Fingerprint: "0123456789ab", EventID: "evt_1", EventType: "invoice.paid", Attempt: 3,
	}
	sender := sqsqueue.New(client, "http://unused/", url, limits.Scaled(deadScale))
	before := time.Now().Add(-time.Second)
	if err := sender.DeadLetter(t.Context(), queue.Message{Body: `{"v":1}`, Group: "acct_1"}, ours); err != nil {
		t.Fatal(err)
	}
	dlq := sqsqueue.New(client, "", url, limits.Scaled(deadScale)).DeadLetters()
	got, err := dlq.Receive(t.Context(), 10, time.Minute)
	if err != nil || len(got) != 1 {
		t.Fatalf("received %v: %v", got, err)
	}
	m := got[0]
	want := redrive.Received{Message: queue.Message{Body: `{"v":1}`, Group: "acct_1", Receives: 1}, Attributes: ours.Attributes()}
	if diff := cmp.Diff(want, m, cmpopts.IgnoreFields(queue.Message{}, "ID", "Receipt", "SentAt", "FirstReceivedAt"), cmpopts.IgnoreFields(redrive.Received{}, "FirstReceived")); diff != "" {
		t.Error(diff)
	}
	if m.ID == "" || m.Receipt == "" || m.SentAt.Before(before) || m.FirstReceived.Before(m.SentAt) {
		t.Errorf("received %+v", m)
	}
	if again, err := dlq.Receive(t.Context(), 10, time.Minute); err != nil || len(again) != 0 {
		t.Errorf("a hidden message came again: %v, %v", again, err)
	}
	if err := dlq.SetVisibility(t.Context(), m.Receipt, 0); err != nil {
		t.Fatal(err)
	}
	again, err := dlq.Receive(t.Context(), 10, time.Minute)
	if err != nil || len(again) != 1 || again[0].ID != m.ID || again[0].Receives != 2 {
		t.Errorf("received %+v: %v", again, err)
	}
}

// TestDeadLettersBrowse reads a queue of many dead letters through the real client, twice.
func TestDeadLettersBrowse(t *testing.T) {
	client, url := deadQueue(t, deadScale)
	const n = 47
	for i := range n {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(fmt.Sprint("dead letter ", i))})
		if err != nil {
			t.Fatal(err)
		}
	}
	dlq := sqsqueue.New(client, "", url, limits.Scaled(deadScale)).DeadLetters()
	for round := range 2 {
		seen := map[string]bool{}
		d := redrive.DLQ{Queue: dlq, Records: noRecords{}, TimeScale: deadScale}
		plan, err := d.Plan(t.Context(), redrive.Selection{Each: func(_ redrive.DeadLetter, payload []byte) (bool, error) {
			seen[string(payload)] = true
			return true, nil
		}})
		if err != nil || plan.Read != n || len(seen) != n {
			t.Errorf("round %d saw %d messages: %v", round, len(seen), err)
		}
		if visible, hidden, err := dlq.Count(t.Context()); err != nil || visible != n || hidden != 0 {
			t.Errorf("counted %d visible and %d hidden: %v", visible, hidden, err)
		}
		if visible, hidden := count(t, client, url); visible != fmt.Sprint(n) || hidden != "0" {
			t.Errorf("round %d leaves %s visible and %s hidden", round, visible, hidden)
		}
	}
}

func count(t *testing.T, client *sqs.Client, url string) (visible, hidden string) {
	t.Helper()
	out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// TestDeadLettersVisibleAlready: what is not hidden any more needs no showing.
func TestDeadLettersVisibleAlready(t *testing.T) {
	client, url := deadQueue(t, deadScale)
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	dlq := sqsqueue.New(client, "", url, limits.Scaled(deadScale)).DeadLetters()
	got, err := dlq.Receive(t.Context(), 1, time.Minute)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	for range 2 {
		if err := dlq.SetVisibility(t.Context(), got[0].Receipt, 0); err != nil {
			t.Error(err)
		}
	}
	if err := dlq.SetVisibility(t.Context(), "no receipt", 0); err == nil {
		t.Error("a receipt that is none was taken")
	}
}

// recorder notes what is asked of SQS.
type recorder struct {
	sqsqueue.Client
	receive sqs.ReceiveMessageInput
	change  sqs.ChangeMessageVisibilityInput
	err     error
}

func (r *recorder) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	r.receive = *in
	return &sqs.ReceiveMessageOutput{}, r.err
}

func (r *recorder) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	r.change = *in
	return &sqs.ChangeMessageVisibilityOutput{}, r.err
}

func (r *recorder) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{}, r.err
}

// TestDeadLettersSeconds: times are real ones, and the queue's may be shorter.
func TestDeadLettersSeconds(t *testing.T) {
	tests := []struct {
		name                      string
		scale, limit              int
		hide                      time.Duration
		wantMax, wantWait, hidden int32
	}{
		{"as on AWS", 1, 10, 2 * time.Minute, 10, 1, 120},
		{"a scale of none is 1", 0, 3, 1500 * time.Millisecond, 3, 1, 2},
		{"scaled", 10, 99, 2 * time.Minute, 10, 10, 1200},
		{"up to the service's bounds", 200, 0, time.Hour, 1, 20, 43_200},
		{"never before now", 1, 1, -time.Second, 1, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{}
			d := sqsqueue.New(r, "", "http://q/", limits.Limits{TimeScale: tt.scale}).DeadLetters()
			if _, err := d.Receive(t.Context(), tt.limit, tt.hide); err != nil {
				t.Fatal(err)
			}
			if err := d.SetVisibility(t.Context(), "r", tt.hide); err != nil {
				t.Fatal(err)
			}
			got := [4]int32{r.receive.MaxNumberOfMessages, r.receive.WaitTimeSeconds, r.receive.VisibilityTimeout, r.change.VisibilityTimeout}
			if want := [4]int32{tt.wantMax, tt.wantWait, tt.hidden, tt.hidden}; got != want {
				t.Errorf("asked for %v, want %v", got, want)
			}
		})
	}
}

func TestDeadLettersErrors(t *testing.T) {
	r := &recorder{err: errors.New("SQS is away")}
	d := sqsqueue.New(r, "", "http://q/", limits.AWS()).DeadLetters()
	if _, err := d.Receive(t.Context(), 1, time.Second); !errors.Is(err, r.err) {
		t.Errorf("receive: %v", err)
	}
	if err := d.SetVisibility(t.Context(), "r", 0); !errors.Is(err, r.err) {
		t.Errorf("set visibility: %v", err)
	}
	if _, _, err := d.Count(t.Context()); !errors.Is(err, r.err) {
		t.Errorf("count: %v", err)
	}
	r.err = nil
	if _, _, err := d.Count(t.Context()); err == nil {
		t.Error("counts that the answer does not have")
	}
}
