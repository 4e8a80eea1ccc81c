package eventsource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/aws/aws-lambda-go/events"
)

// maxEventBytes is Lambda's bound on an event.
const maxEventBytes = 6 << 20

// part is the messages of one invocation and their event.
type part struct {
	messages []events.SQSMessage
	payload  []byte
}

const (
	eventHead = `{"Records":[`
	eventTail = `]}`
)

// split makes events of messages, in order and as few as possible. A message that is too
// large gets its own event, which the invoker rejects.
func (s *Source) split(messages []events.SQSMessage) ([]part, error) {
	var parts []part
	var current part
	for _, m := range messages {
		record, err := s.record(m)
		if err != nil {
			return nil, err
		}
		if len(current.messages) > 0 && len(current.payload)+len(",")+len(record)+len(eventTail) > maxEventBytes {
			parts = append(parts, current.closed())
			current = part{}
		}
		current.add(m, record)
	}
	return append(parts, current.closed()), nil
}

func (p *part) add(m events.SQSMessage, record []byte) {
	if p.payload == nil {
		p.payload = append(p.payload, eventHead...)
	} else {
		p.payload = append(p.payload, ',')
	}
	p.payload = append(p.payload, record...)
	p.messages = append(p.messages, m)
}

func (p part) closed() part {
	p.payload = append(p.payload, eventTail...)
	return p
}

// record is a message as Lambda encodes it: with its source, and with empty maps and lists
// instead of null.
func (s *Source) record(m events.SQSMessage) ([]byte, error) {
	m.EventSource = "aws:sqs"
	m.EventSourceARN = s.options.QueueARN
	m.AWSRegion = s.region
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	attributes := make(map[string]events.SQSMessageAttribute, len(m.MessageAttributes))
	maps.Copy(attributes, m.MessageAttributes)
	for name, a := range attributes {
		if a.StringListValues == nil {
			a.StringListValues = []string{}
		}
		if a.BinaryListValues == nil {
			a.BinaryListValues = [][]byte{}
		}
		attributes[name] = a
	}
	m.MessageAttributes = attributes

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // escapes would only make the event larger
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode message %s: %w", m.MessageId, err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}
