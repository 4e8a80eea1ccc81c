package sqsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// consumerClient notes what is asked of SQS and answers as a case says.
type consumerClient struct {
	sqsqueue.Client
	change  sqs.ChangeMessageVisibilityInput
	deletes [][]string // receipts of each request
	failed  []types.BatchResultErrorEntry
	send    sqs.SendMessageInput
	noID    bool
	err     error
}

func (c *consumerClient) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	c.change = *in
	return &sqs.ChangeMessageVisibilityOutput{}, c.err
}

func (c *consumerClient) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	var receipts []string
	for _, e := range in.Entries {
		receipts = append(receipts, *e.ReceiptHandle)
	}
	c.deletes = append(c.deletes, receipts)
	return &sqs.DeleteMessageBatchOutput{Failed: c.failed}, c.err
}

func (c *consumerClient) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	c.send = *in
	if c.noID {
		return &sqs.SendMessageOutput{}, c.err
	}
	return &sqs.SendMessageOutput{MessageId: aws.String("m")}, c.err
}

// TestConsumerSetVisibility: a wait is never shorter than was asked for.
func TestConsumerSetVisibility(t *testing.T) {
	tests := []struct {
		scale int
		d     time.Duration
		want  int32
	}{
		{1, 0, 0}, {1, -time.Second, 0}, {1, time.Nanosecond, 1}, {1, time.Second, 1}, {1, 1001 * time.Millisecond, 2},
		{1, 13 * time.Hour, 43_200}, {0, time.Second, 1}, {20, 100 * time.Millisecond, 2}, {20, time.Hour, 43_200},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v at scale %d", tt.d, tt.scale), func(t *testing.T) {
			client := &consumerClient{}
			if err := sqsqueue.New(client, "http://q/", "http://dead/", limits.Limits{TimeScale: tt.scale}).SetVisibility(t.Context(), "r", tt.d); err != nil {
				t.Fatal(err)
			}
			if got := client.change; got.VisibilityTimeout != tt.want || *got.ReceiptHandle != "r" || *got.QueueUrl != "http://q/" {
				t.Errorf("asked for %d s of %s in %s, want %d", got.VisibilityTimeout, *got.ReceiptHandle, *got.QueueUrl, tt.want)
			}
		})
	}
}

func TestConsumerDelete(t *testing.T) {
	receipts := strings.Split("abcdefghijklmnopqrstuvw", "") // 23
	client := &consumerClient{}
	c := sqsqueue.New(client, "http://q/", "http://dead/", limits.AWS())
	if err := c.Delete(t.Context(), receipts); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{receipts[:10], receipts[10:20], receipts[20:]}, client.deletes); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	client.failed = []types.BatchResultErrorEntry{{Id: aws.String("0"), Code: aws.String("InternalError")}}
	if err := c.Delete(t.Context(), receipts[:1]); err == nil || !strings.Contains(err.Error(), "InternalError") {
		t.Errorf("one entry failed: %v", err)
	}
	// One request that fails does not keep the others from being made.
	*client = consumerClient{err: errors.New("SQS is away")}
	if err := c.Delete(t.Context(), receipts); !errors.Is(err, client.err) || len(client.deletes) != 3 {
		t.Errorf("error %v after %d requests", err, len(client.deletes))
	}
}

func TestConsumerHold(t *testing.T) {
	client := &consumerClient{}
	c := sqsqueue.New(client, "http://q/", "http://dead/", limits.AWS())
	m := queue.Message{ID: "m1", Body: `{"v":1}`, Group: "acct_1", Trace: "Root=1"}
	if err := c.Hold(t.Context(), m); err == nil || client.send.QueueUrl != nil {
		t.Fatalf("without a hold queue: sent %+v, %v", client.send, err)
	}
	c.HoldURL = "http://hold/"
	if err := c.Hold(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := sqs.SendMessageInput{QueueUrl: aws.String("http://hold/"), MessageBody: &m.Body, MessageGroupId: &m.Group}
	if diff := cmp.Diff(want, client.send, cmpopts.IgnoreUnexported(sqs.SendMessageInput{})); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	m.Group = ""
	if err := c.Hold(t.Context(), m); err != nil || client.send.MessageGroupId != nil {
		t.Errorf("without a group: %+v, %v", client.send, err)
	}
	if client.noID = true; c.Hold(t.Context(), m) == nil {
		t.Error("an answer without a message id counts as stored")
	}
	client.err = &smithy.GenericAPIError{Code: "InvalidParameterValue"}
	if err := c.Hold(t.Context(), m); !errors.Is(err, queue.ErrRefused) {
		t.Errorf("refused: %v", err)
	}
	client.err = errors.New("SQS is away")
	if err := c.Hold(t.Context(), m); !errors.Is(err, client.err) || errors.Is(err, queue.ErrRefused) {
		t.Errorf("away: %v", err)
	}
}

func TestConsumerDeadLetter(t *testing.T) {
	client := &consumerClient{}
	c := sqsqueue.New(client, "http://q/", "http://dead/", limits.AWS())
	m := queue.Message{ID: "m1", Body: `{"v":1}`, Group: "acct_1"}
	if err := c.DeadLetter(t.Context(), m, queue.DeadLetter{Reason: "handler", EventID: "evt_1"}); err != nil {
		t.Fatal(err)
	}
	got := client.send
	if *got.QueueUrl != "http://dead/" || *got.MessageBody != m.Body || *got.MessageGroupId != "acct_1" ||
		len(got.MessageAttributes) != 2 || *got.MessageAttributes["event_id"].StringValue != "evt_1" {
		t.Errorf("sent %+v", got)
	}
	for name, broken := range map[string]*consumerClient{
		"error": {err: errors.New("SQS is away")}, "no message id": {noID: true},
	} {
		if err := sqsqueue.New(broken, "http://q/", "http://dead/", limits.AWS()).DeadLetter(t.Context(), m, queue.DeadLetter{}); err == nil {
			t.Errorf("%s: taken for a copy that is there", name)
		}
	}
}

// TestConsumerDeadLetterOfALargeBody: what the queue refuses with attributes goes with fewer,
// then with none; a copy is never dropped for its attributes.
func TestConsumerDeadLetterOfALargeBody(t *testing.T) {
	d := queue.DeadLetter{Reason: "undecodable", Error: strings.Repeat("x", 500), Fingerprint: "0123456789ab"}
	for name, c := range map[string]struct {
		room       int // for attributes
		attributes []string
		refused    bool
	}{
		"room for all":      {1000, []string{"error", "fingerprint", "reason"}, false},
		"room for a reason": {100, []string{"fingerprint", "reason"}, false},
		"no room":           {0, nil, false},
		"no room at all":    {-1, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := &sizedClient{room: c.room}
			err := sqsqueue.New(client, "http://q/", "http://dead/", limits.AWS()).DeadLetter(t.Context(), queue.Message{Body: "{}"}, d)
			if errors.Is(err, queue.ErrRefused) != c.refused || (err != nil) != c.refused {
				t.Fatalf("error %v", err)
			}
			if got := slices.Sorted(maps.Keys(client.sent)); !c.refused && !slices.Equal(got, c.attributes) {
				t.Errorf("attributes %v, want %v", got, c.attributes)
			}
		})
	}
}

// sizedClient takes messages whose attributes have room.
type sizedClient struct {
	consumerClient
	room int
	sent map[string]types.MessageAttributeValue
}

func (c *sizedClient) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	size := 0
	for name, v := range in.MessageAttributes {
		size += len(name) + len(*v.DataType) + len(*v.StringValue)
	}
	if size > c.room {
		return nil, &smithy.GenericAPIError{Code: "InvalidParameterValue", Message: "Message must be shorter than 1048576 bytes."}
	}
	c.sent = in.MessageAttributes
	return c.consumerClient.SendMessage(ctx, in)
}
