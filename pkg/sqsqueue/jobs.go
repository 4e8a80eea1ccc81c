package sqsqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Jobs enqueues jobs of deliveries, each group's into a queue of its own. It is safe for
// concurrent use.
type Jobs struct {
	client Client
	url    func(group string) string
}

// NewJobs works on the queues with the URLs that url returns. Pass a client that retries.
func NewJobs(client Client, url func(group string) string) *Jobs { return &Jobs{client, url} }

// SendJobs stores at most ten bodies with one request. After an error any may be stored.
func (j *Jobs) SendJobs(ctx context.Context, group string, bodies []string) error {
	url := j.url(group)
	entries := make([]types.SendMessageBatchRequestEntry, len(bodies))
	for i := range bodies {
		entries[i] = types.SendMessageBatchRequestEntry{Id: entryID(i), MessageBody: &bodies[i]}
	}
	out, err := j.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
	if err != nil {
		return fmt.Errorf("send jobs: %w", err)
	}
	stored := map[string]bool{}
	for _, s := range out.Successful {
		stored[aws.ToString(s.Id)] = aws.ToString(s.MessageId) != ""
	}
	var errs []error
	for _, e := range entries {
		if !stored[*e.Id] {
			errs = append(errs, fmt.Errorf("send job %s: %w", *e.Id, refusedBy(out.Failed, *e.Id)))
		}
	}
	return errors.Join(errs...)
}

func refusedBy(failed []types.BatchResultErrorEntry, id string) error {
	for _, f := range failed {
		if aws.ToString(f.Id) == id {
			return fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
		}
	}
	return errNotNamed
}
