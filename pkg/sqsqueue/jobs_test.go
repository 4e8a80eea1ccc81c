package sqsqueue_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/sqsqueue"
)

// jobClient answers SendMessageBatch as a case says.
type jobClient struct {
	sqsqueue.Client
	asked  sqs.SendMessageBatchInput
	answer sqs.SendMessageBatchOutput
	err    error
}

func (c *jobClient) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	c.asked = *in
	return &c.answer, c.err
}

// TestSendJobs: a job counts as stored only when the answer has its message id.
func TestSendJobs(t *testing.T) {
	stored := func(ids ...string) (all []types.SendMessageBatchResultEntry) {
		for _, id := range ids {
			all = append(all, types.SendMessageBatchResultEntry{Id: &id, MessageId: aws.String("m" + id)})
		}
		return all
	}
	away := errors.New("SQS is away")
	for name, c := range map[string]struct {
		client jobClient
		want   string // of the error
	}{
		"all stored":    {jobClient{answer: sqs.SendMessageBatchOutput{Successful: stored("1", "0")}}, ""},
		"one refused":   {jobClient{answer: sqs.SendMessageBatchOutput{Successful: stored("0"), Failed: []types.BatchResultErrorEntry{{Id: aws.String("1"), Code: aws.String("InternalError")}}}}, "send job 1: InternalError"},
		"one not named": {jobClient{answer: sqs.SendMessageBatchOutput{Successful: stored("0")}}, "send job 1: the answer does not name it"},
		"no id":         {jobClient{answer: sqs.SendMessageBatchOutput{Successful: []types.SendMessageBatchResultEntry{{Id: aws.String("0")}, {Id: aws.String("1")}}}}, "send job 0"},
		"no answer":     {jobClient{err: away}, "SQS is away"},
	} {
		err := sqsqueue.NewJobs(&c.client, func(group string) string { return "https://q/send-" + group }).SendJobs(t.Context(), "crm", []string{"a", "b"})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if in := c.client.asked; *in.QueueUrl != "https://q/send-crm" || len(in.Entries) != 2 || *in.Entries[1].MessageBody != "b" {
			t.Errorf("%s: asked %+v", name, in)
		}
	}
}
