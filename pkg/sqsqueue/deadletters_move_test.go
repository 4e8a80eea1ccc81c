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

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// TestDeadLettersMove moves them through the real client: bodies and groups as they were,
// attributes left behind, and each queue with what it should have.
func TestDeadLettersMove(t *testing.T) {
	client, dead := deadQueue(t, deadScale)
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("events")})
	if err != nil {
		t.Fatal(err)
	}
	live := *made.QueueUrl
	consumer := sqsqueue.New(client, live, dead, limits.Scaled(deadScale))
	want := map[string]string{} // group by body
	for i := range 23 {
		m := queue.Message{Body: fmt.Sprint("dead letter ", i), Group: map[bool]string{true: "acct_1"}[i%3 == 0]}
		if err := consumer.DeadLetter(t.Context(), m, queue.DeadLetter{Reason: "handler", EventID: "evt_1"}); err != nil {
			t.Fatal(err)
		}
		want[m.Body] = m.Group
	}
	dlq := consumer.DeadLetters()
	d := redrive.DLQ{Queue: dlq, Records: noRecords{}, Mover: dlq}
	plan, err := d.Plan(t.Context(), redrive.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Redrive(t.Context(), plan, redrive.Options{Rate: 500}); err != nil || got.Moved != 23 || got.Undeleted != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	got := map[string]string{}
	reader := sqsqueue.New(client, "", live, limits.Scaled(deadScale)).DeadLetters()
	for {
		messages, err := reader.Receive(t.Context(), 10, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(messages) == 0 {
			break
		}
		for _, m := range messages {
			got[m.Body] = m.Group
			if len(m.Attributes) != 0 || m.Receives != 1 {
				t.Errorf("%q came with %v, received %d times", m.Body, m.Attributes, m.Receives)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if visible, hidden := count(t, client, dead); visible != "0" || hidden != "0" {
		t.Errorf("%s visible and %s hidden dead letters are left", visible, hidden)
	}
}

// noRecords is an empty table.
type noRecords struct{}

func (noRecords) Get(context.Context, string) (idempotency.Record, bool, error) {
	return idempotency.Record{}, false, nil
}

// mover returns the scripted answers.
type mover struct {
	sqsqueue.Client
	send   *sqs.SendMessageBatchOutput
	delete *sqs.DeleteMessageBatchOutput
	err    error

	sent    sqs.SendMessageBatchInput
	deleted sqs.DeleteMessageBatchInput
}

func (m *mover) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	m.sent = *in
	return m.send, m.err
}

func (m *mover) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	m.deleted = *in
	return m.delete, m.err
}

// TestDeadLettersMovePartly: only what an answer names as done is done.
func TestDeadLettersMovePartly(t *testing.T) {
	messages := []queue.Message{{ID: "a", Receipt: "ra", Body: "A", Group: "g"}, {ID: "b", Receipt: "rb", Body: "B"}, {ID: "c", Receipt: "rc", Body: "C"}, {ID: "d", Receipt: "rd", Body: "D"}}
	failed := []types.BatchResultErrorEntry{{Id: aws.String("1"), Code: aws.String("InternalError"), Message: aws.String("later")}, {Id: aws.String("77")}, {}}
	m := &mover{
		send: &sqs.SendMessageBatchOutput{Failed: failed, Successful: []types.SendMessageBatchResultEntry{
			{Id: aws.String("0"), MessageId: aws.String("new")}, {Id: aws.String("3")},
		}},
		delete: &sqs.DeleteMessageBatchOutput{Failed: failed, Successful: []types.DeleteMessageBatchResultEntry{{Id: aws.String("0")}, {Id: aws.String("3")}}},
	}
	d := sqsqueue.New(m, "http://live/", "http://dead/", limits.AWS()).DeadLetters()
	texts := func(errs map[string]error) map[string]string {
		out := map[string]string{}
		for id, err := range errs {
			out[id] = err.Error()
		}
		return out
	}
	const unnamed = "the answer does not name it"
	refused, err := d.Send(t.Context(), messages)
	if diff := cmp.Diff(map[string]string{"b": "InternalError: later", "c": unnamed, "d": unnamed}, texts(refused)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	kept, err := d.Delete(t.Context(), messages)
	if diff := cmp.Diff(map[string]string{"b": "InternalError: later", "c": unnamed}, texts(kept)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	wantSent := types.SendMessageBatchRequestEntry{Id: aws.String("0"), MessageBody: aws.String("A"), MessageGroupId: aws.String("g")}
	wantGone := types.DeleteMessageBatchRequestEntry{Id: aws.String("3"), ReceiptHandle: aws.String("rd")}
	if diff := cmp.Diff(wantSent, m.sent.Entries[0], cmpopts.IgnoreUnexported(wantSent)); diff != "" || *m.sent.QueueUrl != "http://live/" || m.sent.Entries[1].MessageGroupId != nil {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantGone, m.deleted.Entries[3], cmpopts.IgnoreUnexported(wantGone)); diff != "" || *m.deleted.QueueUrl != "http://dead/" {
		t.Error(diff)
	}
	m.err = errors.New("SQS is away")
	if _, err := d.Send(t.Context(), messages); !errors.Is(err, m.err) {
		t.Errorf("send: %v", err)
	}
	if _, err := d.Delete(t.Context(), messages); !errors.Is(err, m.err) {
		t.Errorf("delete: %v", err)
	}
	for range 2 {
		if refused, err := d.Send(t.Context(), nil); len(refused) != 0 || err != nil {
			t.Errorf("nothing: %v, %v", refused, err)
		}
	}
}
