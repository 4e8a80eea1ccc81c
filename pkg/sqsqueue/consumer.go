package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// SetVisibility hides a received message for d, rounded up to the queue's whole seconds.
func (q *Queue) SetVisibility(ctx context.Context, receipt string, d time.Duration) error {
	return q.setVisibility(ctx, q.url, receipt, d)
}

// Delete acknowledges received messages; an error means that at least one may still be there.
func (q *Queue) Delete(ctx context.Context, receipts []string) error {
	var errs []error
	for part := range slices.Chunk(receipts, limits.SQSMaxBatch) {
		out, err := q.delete(ctx, q.url, part)
		if err != nil {
			errs = append(errs, fmt.Errorf("delete messages: %w", err))
			continue
		}
		for _, f := range out.Failed {
			errs = append(errs, fmt.Errorf("delete message: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message)))
		}
	}
	return errors.Join(errs...)
}

// delete makes one request; the entries' ids are the receipts' indexes.
func (q *Queue) delete(ctx context.Context, url string, receipts []string) (*sqs.DeleteMessageBatchOutput, error) {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(receipts))
	for i := range receipts {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &receipts[i]}
	}
	return q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries})
}

// DeadLetter sends a copy of m, its body unchanged, to the dead-letter queue. If body and
// attributes are too large together, it is sent without the error's text, then without
// attributes. An error that wraps [queue.ErrRefused] means that the queue refuses all of
// these forms.
func (q *Queue) DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error {
	short := d
	short.Error = ""
	for _, form := range []queue.DeadLetter{d, short} {
		if err := q.deadLetter(ctx, m, form); !invalid(err) {
			return err
		}
	}
	err := q.deadLetter(ctx, m, queue.DeadLetter{})
	if invalid(err) {
		return fmt.Errorf("%w: %w", queue.ErrRefused, err)
	}
	return err
}

// errNoHold is the error of a system that is older than its pauses.
var errNoHold = errors.New("a type is paused, and the system has no hold queue: deploy the stack again, or resume the type")

// Hold sends a copy of m, its body and group unchanged, to the hold queue. An error that wraps
// [queue.ErrRefused] means that the queue refuses it.
func (q *Queue) Hold(ctx context.Context, m queue.Message) error {
	if q.HoldURL == "" {
		return errNoHold
	}
	in := &sqs.SendMessageInput{QueueUrl: &q.HoldURL, MessageBody: &m.Body}
	if m.Group != "" {
		in.MessageGroupId = &m.Group
	}
	_, err := q.store(ctx, in)
	switch {
	case invalid(err):
		return fmt.Errorf("hold message: %w: %w", queue.ErrRefused, err)
	case err != nil:
		return fmt.Errorf("hold message: %w", err)
	}
	return nil
}

// invalid reports a refusal of what was sent; SQS has no code of its own for a message's size.
func invalid(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && strings.HasPrefix(e.ErrorCode(), "InvalidParameterValue")
}

func (q *Queue) deadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error {
	in := &sqs.SendMessageInput{QueueUrl: &q.dead, MessageBody: &m.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, value := range d.Attributes() {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	if m.Group != "" {
		in.MessageGroupId = &m.Group
	}
	if _, err := q.store(ctx, in); err != nil {
		return fmt.Errorf("send dead letter: %w", err)
	}
	return nil
}
