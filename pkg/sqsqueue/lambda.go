package sqsqueue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/pkg/queue"
)

// BatchHandler handles the messages of one invocation; consumer.Consumer implements it.
type BatchHandler interface {
	// Handle returns the ids of the messages that must be redelivered.
	Handle(context.Context, []queue.Message) ([]string, error)
}

// LambdaHandler reads the events of an SQS trigger and writes its partial batch
// responses. It implements lambda.Handler of aws-lambda-go.
type LambdaHandler struct{ h BatchHandler }

// NewLambdaHandler returns a handler for a trigger with ReportBatchItemFailures on.
func NewLambdaHandler(h BatchHandler) *LambdaHandler { return &LambdaHandler{h: h} }

// Invoke handles one SQS event. The response always holds a list: a null list, like
// an empty answer, would tell Lambda that the whole batch succeeded.
func (l *LambdaHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var in events.SQSEvent
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, fmt.Errorf("decode SQS event: %w", err)
	}
	messages := make([]queue.Message, len(in.Records))
	for i, r := range in.Records {
		if r.MessageId == "" || r.ReceiptHandle == "" {
			return nil, fmt.Errorf("decode SQS event: record %d has no message id or receipt", i)
		}
		messages[i] = message(r.MessageId, r.ReceiptHandle, r.Body, r.Attributes)
	}
	failed, err := l.h.Handle(ctx, messages)
	if err != nil {
		return nil, err
	}
	out := events.SQSEventResponse{BatchItemFailures: make([]events.SQSBatchItemFailure, 0, len(failed))}
	for _, id := range failed {
		out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode batch response: %w", err)
	}
	return answer, nil
}
