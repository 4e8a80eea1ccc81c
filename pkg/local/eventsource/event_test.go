package eventsource

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

const testARN = "arn:aws:sqs:eu-west-1:000000000000:events"

func newSource(t *testing.T, o Options) *Source {
	t.Helper()
	o.QueueARN = testARN
	if o.Queue == nil {
		o.Queue = &fakeQueue{}
	}
	if o.Invoker == nil {
		o.Invoker = function(t, nil)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEventForm(t *testing.T) {
	t.Parallel()
	text := "v"
	m := events.SQSMessage{
		MessageId: "m1", ReceiptHandle: "r1", Body: "<é&>\u2028", Md5OfBody: "5d41", Md5OfMessageAttributes: "aa",
		Attributes: map[string]string{"ApproximateReceiveCount": "2", "SentTimestamp": "17", "MessageGroupId": "acct_1", "AWSTraceHeader": "Root=1"},
		MessageAttributes: map[string]events.SQSMessageAttribute{
			"s": {StringValue: &text, DataType: "String"},
			"b": {BinaryValue: []byte{0, 255}, DataType: "Binary"},
		},
	}
	parts, err := newSource(t, Options{}).split([]events.SQSMessage{m, {MessageId: "m2"}})
	if err != nil || len(parts) != 1 {
		t.Fatalf("%d parts, error %v", len(parts), err)
	}
	want := `{"Records":[
		{"messageId":"m1","receiptHandle":"r1","body":"<é&>\u2028","md5OfBody":"5d41","md5OfMessageAttributes":"aa",
		 "attributes":{"ApproximateReceiveCount":"2","SentTimestamp":"17","MessageGroupId":"acct_1","AWSTraceHeader":"Root=1"},
		 "messageAttributes":{
			"s":{"stringValue":"v","stringListValues":[],"binaryListValues":[],"dataType":"String"},
			"b":{"binaryValue":"AP8=","stringListValues":[],"binaryListValues":[],"dataType":"Binary"}},
		 "eventSourceARN":"` + testARN + `","eventSource":"aws:sqs","awsRegion":"eu-west-1"},
		{"messageId":"m2","receiptHandle":"","body":"","md5OfBody":"","md5OfMessageAttributes":"","attributes":{},
		 "messageAttributes":{},"eventSourceARN":"` + testARN + `","eventSource":"aws:sqs","awsRegion":"eu-west-1"}]}`
	if diff := cmp.Diff(decode(t, want), decode(t, string(parts[0].payload))); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if strings.Contains(string(parts[0].payload), `\u003c`) {
		t.Error("the event is escaped for HTML")
	}
}

func decode(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSplit(t *testing.T) {
	t.Parallel()
	s := newSource(t, Options{})
	sized := func(bodies ...int) (list []events.SQSMessage) {
		for i, n := range bodies {
			list = append(list, events.SQSMessage{MessageId: fmt.Sprint(i), Body: strings.Repeat("x", n)})
		}
		return list
	}
	one, err := s.split(sized(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	room := maxEventBytes - len(one[0].payload) // for the bodies of two messages
	const mb = 1 << 20
	tests := []struct {
		name   string
		bodies []int
		want   []int // messages of each event
	}{
		{"one", []int{10}, []int{1}},
		{"exactly full", []int{room / 2, room - room/2}, []int{2}},
		{"a byte too much", []int{room / 2, room - room/2 + 1}, []int{1, 1}},
		{"ten of a megabyte", []int{mb, mb, mb, mb, mb, mb, mb, mb, mb, mb}, []int{5, 5}},
		{"too large alone", []int{1, 7 * mb, 1}, []int{1, 1, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			parts, err := s.split(sized(test.bodies...))
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			next := 0
			for _, p := range parts {
				var e events.SQSEvent
				if err := json.Unmarshal(p.payload, &e); err != nil {
					t.Fatal(err)
				}
				for i, r := range e.Records {
					if r.MessageId != fmt.Sprint(next) || p.messages[i].MessageId != r.MessageId {
						t.Errorf("message %s, want %d", r.MessageId, next)
					}
					next++
				}
				got = append(got, len(e.Records))
				if len(p.payload) > maxEventBytes && len(e.Records) > 1 {
					t.Errorf("event of %d bytes", len(p.payload))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}
