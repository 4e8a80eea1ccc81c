package sqs

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
)

type sendEntry struct {
	MessageBody             *text
	DelaySeconds            *int
	MessageAttributes       map[string]attributeInput
	MessageSystemAttributes map[string]attributeInput
	MessageGroupId          *string
}

type sendInput struct {
	QueueUrl string
	sendEntry
}

type sendOutput struct {
	MessageId                    string
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
}

// parcel is a checked message to be sent.
type parcel struct {
	payload payload
	encoded []byte
	delay   *int // seconds, the queue's own when nil
	size    int  // what counts towards limits
	answer  sendOutput
}

func (s *Service) sendMessage(_ context.Context, in sendInput) (sendOutput, error) {
	p, err := in.sendEntry.pack()
	if err != nil {
		return sendOutput{}, err
	}
	return p.answer, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		return t.send(q, p)
	})
}

// pack checks what does not depend on the queue.
func (e sendEntry) pack() (*parcel, error) {
	if e.MessageBody == nil || e.MessageBody.value == "" {
		return nil, errMissing("MessageBody")
	}
	if !e.MessageBody.allowed() {
		return nil, errContents("the message body")
	}
	if e.DelaySeconds != nil && (*e.DelaySeconds < 0 || *e.DelaySeconds > 900) {
		return nil, errOutOfRange("DelaySeconds", *e.DelaySeconds, 0, 900)
	}
	attributes, err := checkAttributes(e.MessageAttributes)
	if err != nil {
		return nil, err
	}
	system, err := checkSystemAttributes(e.MessageSystemAttributes)
	if err != nil {
		return nil, err
	}
	p := &parcel{delay: e.DelaySeconds, payload: payload{ID: newMessageID(), Body: e.MessageBody.value,
		BodyMD5: bodyMD5(e.MessageBody.value), Attributes: attributes}}
	if trace, ok := system["AWSTraceHeader"]; ok {
		p.payload.Trace = *trace.StringValue
	}
	if e.MessageGroupId != nil {
		if err := checkGroup(*e.MessageGroupId); err != nil {
			return nil, err
		}
		p.payload.Group = *e.MessageGroupId
	}
	p.size = messageSize(p.payload)
	p.answer = sendOutput{MessageId: p.payload.ID, MD5OfMessageBody: p.payload.BodyMD5,
		MD5OfMessageAttributes: attributesMD5(attributes), MD5OfMessageSystemAttributes: attributesMD5(system)}
	p.encoded, err = p.payload.encode()
	return p, err
}

// messageSize counts the body and each attribute's name, type and value.
func messageSize(p payload) int {
	size := len(p.Body)
	for name, a := range p.Attributes {
		size += len(name) + len(a.DataType) + len(a.BinaryValue)
		if a.StringValue != nil {
			size += len(*a.StringValue)
		}
	}
	return size
}

// checkSystemAttributes accepts the one that a sender may give.
func checkSystemAttributes(in map[string]attributeInput) (map[string]attribute, error) {
	out := make(map[string]attribute, len(in))
	for name, a := range in {
		checked, err := a.check(name)
		if err != nil {
			return nil, err
		}
		if name != "AWSTraceHeader" || checked.DataType != "String" {
			return nil, errInvalidParameter("Message system attribute '%s' of type '%s' is invalid: only AWSTraceHeader of type String is supported.", name, a.DataType)
		}
		if !isTraceHeader(*checked.StringValue) {
			return nil, errInvalidParameter("Value %s for parameter AWSTraceHeader is invalid. Reason: Must be a correctly formatted AWS X-Ray trace header.", *checked.StringValue)
		}
		out[name] = checked
	}
	return out, nil
}

// isTraceHeader reports whether a text is an X-Ray trace header: a root, and fields of known form.
func isTraceHeader(text string) bool {
	isHex := func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
	hex := func(s string, digits int) bool { return len(s) == digits && only(s, isHex) }
	hasRoot := false
	for field := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			version, rest, _ := strings.Cut(value, "-")
			at, id, _ := strings.Cut(rest, "-")
			ok, hasRoot = ok && version == "1" && hex(at, 8) && hex(id, 24), true
		case "Parent":
			ok = ok && hex(value, 16)
		case "Sampled":
			ok = ok && (value == "0" || value == "1" || value == "?")
		}
		if !ok || value == "" {
			return false
		}
	}
	return hasRoot
}

func checkGroup(group string) error {
	printable := func(c byte) bool { return c > ' ' && c < 0x7f }
	if group == "" || len(group) > 128 || !only(group, printable) {
		return errInvalidParameter("Value %s for parameter MessageGroupId is invalid. Reason: "+
			"MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.", group)
	}
	return nil
}

// newMessageID is a random UUID.
func newMessageID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// send adds a parcel to a queue, if the queue accepts messages of that size.
func (t *turn) send(q *queue, p *parcel) error {
	if p.size > q.settings.maxBytes {
		return errInvalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.settings.maxBytes)
	}
	delay := q.settings.delay
	if p.delay != nil {
		delay = *p.delay
	}
	t.insert(q, state{Sent: t.now, VisibleAt: t.now + t.span(delay)}, p.encoded)
	return nil
}

type sendBatchEntry struct {
	Id string
	sendEntry
}

type sendBatchInput struct {
	QueueUrl string
	Entries  []sendBatchEntry
}

type sendBatchDone struct {
	Id string
	sendOutput
}

type sendBatchOutput struct {
	Successful []sendBatchDone
	Failed     []failedEntry
}

func (s *Service) sendMessageBatch(_ context.Context, in sendBatchInput) (sendBatchOutput, error) {
	if err := checkBatch(in.Entries, func(e sendBatchEntry) string { return e.Id }); err != nil {
		return sendBatchOutput{}, err
	}
	parcels, faults, total := make([]*parcel, len(in.Entries)), make([]error, len(in.Entries)), 0
	for i, e := range in.Entries {
		parcels[i], faults[i] = e.sendEntry.pack()
		switch {
		case faults[i] == nil:
			total += parcels[i].size
		case e.MessageBody != nil:
			total += len(e.MessageBody.value)
		}
	}
	if total > maxMessageBytes {
		return sendBatchOutput{}, fault(http.StatusBadRequest, queryPrefix, "BatchRequestTooLong",
			"Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessageBytes, total)
	}
	err := s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		for i, p := range parcels {
			if faults[i] == nil {
				faults[i] = t.send(q, p)
			}
		}
		return nil
	})
	if err != nil {
		return sendBatchOutput{}, err
	}
	out := sendBatchOutput{Successful: []sendBatchDone{}, Failed: []failedEntry{}}
	for i, e := range in.Entries {
		if faults[i] != nil {
			out.Failed = append(out.Failed, failure(e.Id, faults[i]))
			continue
		}
		out.Successful = append(out.Successful, sendBatchDone{e.Id, parcels[i].answer})
	}
	return out, nil
}
