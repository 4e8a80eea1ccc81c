package sqsqueue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/pkg/members"
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
	messages, err := messagesOf(payload)
	if err != nil {
		return nil, fmt.Errorf("decode SQS event: %w", err)
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

// messagesOf reads an SQS event, whose bodies are most of it, in one pass.
func messagesOf(payload []byte) ([]queue.Message, error) {
	list := &members.List{In: []members.Member{{Name: "messageId"}, {Name: "receiptHandle"}, {Name: "body"}, {Name: "attributes"}}}
	top := []members.Member{{Name: "Records", List: list}}
	if err := members.FindLast(payload, top); err != nil {
		return nil, err
	}
	if !top[0].Absent() && top[0].Raw[0] != '[' {
		return nil, errors.New("member Records is not a list")
	}
	messages := make([]queue.Message, len(list.Elements))
	for i, record := range list.Elements {
		m, err := messageOf(record)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		messages[i] = m
	}
	return messages, nil
}

func messageOf(record members.Member) (queue.Message, error) {
	if !record.IsObject() {
		return queue.Message{}, errors.New("not an object")
	}
	in := record.In
	id, idErr := in[0].Text()
	receipt, receiptErr := in[1].Text()
	body, bodyErr := in[2].Text()
	if err := cmp.Or(idErr, receiptErr, bodyErr); err != nil {
		return queue.Message{}, err
	}
	if id == "" || receipt == "" {
		return queue.Message{}, errors.New("no message id or receipt")
	}
	if !in[3].Absent() && !in[3].IsObject() {
		return queue.Message{}, errors.New("attributes is not an object")
	}
	attributes := map[string]string{}
	for name, value := range in[3].All() {
		text, err := value.Text()
		if err != nil {
			return queue.Message{}, err
		}
		attributes[string(name)] = text
	}
	return message(id, receipt, body, attributes), nil
}
