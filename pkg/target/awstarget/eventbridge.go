package awstarget

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"tollgate/pkg/delivery"
)

// EventBridgeClient is what is called of the SDK's client.
type EventBridgeClient interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// EventBridge puts events on a bus.
type EventBridge struct {
	client      EventBridgeClient
	bus, source string
}

// NewEventBridge returns a target for the bus with an ARN; source is that of the events. The
// client should not retry.
func NewEventBridge(client EventBridgeClient, busARN, source string) *EventBridge {
	return &EventBridge{client, busARN, source}
}

// Send implements [delivery.Target]. The detail type is the message's name. An event has no
// attributes, so its detail has the delivery's id as well as the body's members.
func (t *EventBridge) Send(ctx context.Context, d delivery.Delivery) delivery.Answer {
	body, err := delivery.Body(d)
	if err != nil {
		return *stop(0, err.Error())
	}
	id, _ := json.Marshal(d.ID) // a string
	detail := fmt.Sprintf(`{%q:%s,`, attributeID, id) + strings.TrimPrefix(string(body), "{")
	if refused := tooLarge(len(detail)+len(t.source)+len(d.Message.Name), maxEventBridge); refused != nil {
		return *refused
	}
	out, err := t.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &t.bus, Source: &t.source, DetailType: &d.Message.Name, Detail: &detail,
	}}})
	if err != nil {
		return AnswerOf(err)
	}
	return entryAnswer(out)
}

// entryAnswer reads the result of the only entry: the call succeeds even if its entry does not.
func entryAnswer(out *eventbridge.PutEventsOutput) delivery.Answer {
	switch {
	case len(out.Entries) != 1:
		return delivery.Answer{Verdict: delivery.Retry, Err: "the answer has no result of the event"}
	case out.Entries[0].ErrorCode != nil:
		return answer(0, aws.ToString(out.Entries[0].ErrorCode), false)
	case out.FailedEntryCount > 0 || aws.ToString(out.Entries[0].EventId) == "":
		return delivery.Answer{Verdict: delivery.Retry, Err: "the answer names no stored event"}
	}
	return delivery.Answer{Verdict: delivery.Done}
}
