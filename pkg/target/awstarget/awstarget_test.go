package awstarget_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/delivery"
	"tollgate/pkg/outbox"
	"tollgate/pkg/target/awstarget"
)

const (
	queueURL = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"
	topicARN = "arn:aws:sns:eu-central-1:123456789012:orders"
	busARN   = "arn:aws:events:eu-central-1:123456789012:event-bus/orders"
	body     = `{"type":"receipt","timestamp":"1970-01-01T00:01:00Z","data":{"account":"","amount":7,"livemode":true,"object_id":"pi_1","sequence":9}}`
)

func receipt(change ...func(*delivery.Delivery)) delivery.Delivery {
	d := delivery.Delivery{
		ID: "msg_1", Sequence: 9, Attempt: 2,
		Message: outbox.Message{Key: "OUT#FACT#live#-#pi_1#succeeded#receipt", Name: "receipt", Since: time.Unix(60, 0), Fields: map[string]any{"amount": 7, "object_id": "pi_1"}},
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

// of makes the delivery's object another one.
func of(object string) func(*delivery.Delivery) {
	return func(d *delivery.Delivery) {
		d.Message.Fields = map[string]any{"amount": 7}
		if object != "" {
			d.Message.Fields["object_id"] = object
		}
	}
}

func sized(n int) func(*delivery.Delivery) {
	return func(d *delivery.Delivery) { d.Message.Fields = map[string]any{"x": strings.Repeat("x", n)} }
}

// clients record what they are called with.
type clients struct {
	sqs    *sqs.SendMessageInput
	sns    *sns.PublishInput
	events *eventbridge.PutEventsInput
	put    eventbridge.PutEventsOutput
}

func (c *clients) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	c.sqs = in
	return &sqs.SendMessageOutput{}, nil
}

func (c *clients) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	c.sns = in
	return &sns.PublishOutput{}, nil
}

func (c *clients) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	c.events = in
	return &c.put, nil
}

func same(t *testing.T, name string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(sqs.SendMessageInput{}, sqstypes.MessageAttributeValue{}, sns.PublishInput{},
		snstypes.MessageAttributeValue{}, eventbridge.PutEventsInput{}, eventtypes.PutEventsRequestEntry{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestSQS(t *testing.T) {
	text := func(v string) sqstypes.MessageAttributeValue {
		return sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	attributes := map[string]sqstypes.MessageAttributeValue{
		"webhook-id": text("msg_1"), "type": text("receipt"), "sequence": {DataType: aws.String("Number"), StringValue: aws.String("9")},
	}
	c := &clients{}
	if got := awstarget.NewSQS(c, queueURL).Send(t.Context(), receipt()); got != (delivery.Answer{Verdict: delivery.Done}) {
		t.Errorf("answer %+v", got)
	}
	same(t, "request", c.sqs, &sqs.SendMessageInput{QueueUrl: aws.String(queueURL), MessageBody: aws.String(body), MessageAttributes: attributes})
	for object, group := range map[string]string{
		"pi_1": "pi_1", "": "msg_1", "Jahres-Abo für Ö": "a603d45928ac7e244bd27809604950b5092eb92af18b72077816157125f585ad",
	} {
		awstarget.NewSQS(c, queueURL+".fifo").Send(t.Context(), receipt(of(object)))
		if aws.ToString(c.sqs.MessageGroupId) != group || aws.ToString(c.sqs.MessageDeduplicationId) != "msg_1" {
			t.Errorf("FIFO queue: object %q has group %q, want %q; dedup id %q", object, aws.ToString(c.sqs.MessageGroupId), group, aws.ToString(c.sqs.MessageDeduplicationId))
		}
	}
	awstarget.NewSQS(c, queueURL).Send(t.Context(), receipt(func(d *delivery.Delivery) { d.Sequence = 0 }))
	if _, has := c.sqs.MessageAttributes["sequence"]; has {
		t.Error("a delivery without a number has the attribute sequence")
	}
}

func TestSNS(t *testing.T) {
	text := func(v string) snstypes.MessageAttributeValue {
		return snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	attributes := map[string]snstypes.MessageAttributeValue{
		"webhook-id": text("msg_1"), "type": text("receipt"), "sequence": {DataType: aws.String("Number"), StringValue: aws.String("9")},
	}
	c := &clients{}
	if got := awstarget.NewSNS(c, topicARN).Send(t.Context(), receipt()); got != (delivery.Answer{Verdict: delivery.Done}) {
		t.Errorf("answer %+v", got)
	}
	want := &sns.PublishInput{TopicArn: aws.String(topicARN), Message: aws.String(body), MessageAttributes: attributes}
	same(t, "request", c.sns, want)
	awstarget.NewSNS(c, topicARN+".fifo").Send(t.Context(), receipt())
	want.TopicArn, want.MessageGroupId, want.MessageDeduplicationId = aws.String(topicARN+".fifo"), aws.String("pi_1"), aws.String("msg_1")
	same(t, "request to a FIFO topic", c.sns, want)
}

func TestEventBridge(t *testing.T) {
	c := &clients{put: eventbridge.PutEventsOutput{Entries: []eventtypes.PutEventsResultEntry{{EventId: aws.String("1")}}}}
	target := awstarget.NewEventBridge(c, busARN, "tollgate")
	if got := target.Send(t.Context(), receipt()); got != (delivery.Answer{Verdict: delivery.Done}) {
		t.Errorf("answer %+v", got)
	}
	same(t, "request", c.events, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
		EventBusName: aws.String(busARN), Source: aws.String("tollgate"), DetailType: aws.String("receipt"),
		Detail: aws.String(`{"webhook-id":"msg_1",` + body[1:]),
	}}})
	failed := func(code string) []eventtypes.PutEventsResultEntry {
		return []eventtypes.PutEventsResultEntry{{ErrorCode: &code, ErrorMessage: aws.String("secret")}}
	}
	for _, p := range []struct {
		name    string
		entries []eventtypes.PutEventsResultEntry
		want    delivery.Verdict
		text    string
	}{
		{"throttled", failed("ThrottlingException"), delivery.Retry, "the service answered ThrottlingException"},
		{"internal", failed("InternalFailure"), delivery.Retry, "the service answered InternalFailure"},
		{"denied", failed("AccessDeniedException"), delivery.Stop, "AccessDeniedException: the sender may not"},
		{"not of this source", failed("NotAuthorizedForSourceException"), delivery.Stop, "may not"},
		{"malformed", failed("MalformedDetail"), delivery.Stop, "MalformedDetail: the service refused the message"},
		{"no entry", nil, delivery.Retry, "no result"},
		{"no id", make([]eventtypes.PutEventsResultEntry, 1), delivery.Retry, "no stored event"},
	} {
		c.put = eventbridge.PutEventsOutput{Entries: p.entries}
		if got := target.Send(t.Context(), receipt()); got.Verdict != p.want || !strings.Contains(got.Err, p.text) || strings.Contains(got.Err, "secret") {
			t.Errorf("%s: %+v", p.name, got)
		}
	}
	c.put = eventbridge.PutEventsOutput{FailedEntryCount: 1, Entries: []eventtypes.PutEventsResultEntry{{EventId: aws.String("1")}}}
	if got := target.Send(t.Context(), receipt()); got.Verdict != delivery.Retry {
		t.Errorf("a failed entry with an id: %+v", got)
	}
}

// TestTooLarge: a message that the service would refuse, as its body and attributes together are
// too large, is not sent.
func TestTooLarge(t *testing.T) {
	empty, err := delivery.Body(receipt(sized(0)))
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{put: eventbridge.PutEventsOutput{Entries: []eventtypes.PutEventsResultEntry{{EventId: aws.String("1")}}}}
	for name, s := range map[string]struct {
		target delivery.Target
		most   int // of the body
	}{
		"sqs":         {awstarget.NewSQS(c, queueURL), 1<<20 - len("webhook-idStringmsg_1typeStringreceiptsequenceNumber9")},
		"sns":         {awstarget.NewSNS(c, topicARN), 256<<10 - len("webhook-idStringmsg_1typeStringreceiptsequenceNumber9")},
		"eventbridge": {awstarget.NewEventBridge(c, busARN, "tollgate"), 1<<20 - len(`"webhook-id":"msg_1",tollgatereceipt`)},
	} {
		if got := s.target.Send(t.Context(), receipt(sized(s.most-len(empty)))); got.Verdict != delivery.Done {
			t.Errorf("%s: at the limit: %+v", name, got)
		}
		*c = clients{put: c.put}
		got := s.target.Send(t.Context(), receipt(sized(s.most-len(empty)+1)))
		if got.Verdict != delivery.Stop || !strings.HasPrefix(got.Err, "too large: ") || c.sqs != nil || c.sns != nil || c.events != nil {
			t.Errorf("%s: above the limit: %+v", name, got)
		}
	}
	broken := receipt(func(d *delivery.Delivery) { d.Event = &delivery.Event{Body: []byte("{")} })
	for name, target := range map[string]delivery.Target{"sqs": awstarget.NewSQS(c, queueURL), "eventbridge": awstarget.NewEventBridge(c, busARN, "x")} {
		if got := target.Send(t.Context(), broken); got.Verdict != delivery.Stop {
			t.Errorf("%s: a body that cannot be encoded: %+v", name, got)
		}
	}
}

// TestAnswers of the services, read by the SDK's clients.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status  int
		code    string
		want    delivery.Verdict
		text    string
		service string // "" for all
	}{
		{200, "", delivery.Done, "", "sqs"},
		{400, "ThrottlingException", delivery.Retry, "", ""},
		{403, "RequestThrottled", delivery.Retry, "", ""},
		{400, "RequestLimitExceeded", delivery.Retry, "", ""},
		{400, "KmsThrottled", delivery.Retry, "", "sqs"},
		{400, "OverLimit", delivery.Retry, "", "sqs"},
		{429, "Odd", delivery.Retry, "", ""},
		{500, "InternalError", delivery.Retry, "", ""},
		{503, "ServiceUnavailable", delivery.Retry, "", ""},
		{403, "ExpiredToken", delivery.Retry, "", ""},
		{400, "SendingPausedException", delivery.Retry, "", ""},
		{403, "InvalidClientTokenId", delivery.Retry, "", ""},
		{403, "AccessDenied", delivery.Stop, "AccessDenied: the sender may not use this destination", ""},
		{403, "AuthorizationError", delivery.Stop, "may not", "sns"},
		{400, "AWS.SimpleQueueService.NonExistentQueue", delivery.Stop, "no such destination", "sqs"},
		{404, "NotFound", delivery.Stop, "no such destination", "sns"},
		{400, "ResourceNotFoundException", delivery.Stop, "no such destination", "eventbridge"},
		{400, "InvalidParameterValue", delivery.Stop, "the service refused the message", ""},
		{400, "ValidationException", delivery.Stop, "the service refused the message", ""},
		{400, "InvalidMessageContents", delivery.Stop, "the service refused the message", "sqs"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			const secret = "arn:aws:iam::123456789012:role/secret"
			if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json") {
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `{"__type":%q,"message":%q}`, c.code, secret)
				return
			}
			w.WriteHeader(c.status)
			fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", c.code, secret)
		}))
		cfg := aws.Config{
			Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		}
		unchecked := sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
		for name, target := range map[string]delivery.Target{
			"sqs": awstarget.NewSQS(unchecked, queueURL), "sns": awstarget.NewSNS(sns.NewFromConfig(cfg), topicARN),
			"eventbridge": awstarget.NewEventBridge(eventbridge.NewFromConfig(cfg), busARN, "x"),
		} {
			if c.service != "" && c.service != name {
				continue
			}
			got := target.Send(t.Context(), receipt())
			refused := got.Verdict != delivery.Done
			if got.Verdict != c.want || !strings.Contains(got.Err, c.text) || strings.Contains(got.Err, "secret") || len(got.Err) > delivery.MaxErr ||
				refused && (got.Status != c.status || !strings.Contains(got.Err, c.code)) {
				t.Errorf("%s, %d %s: %+v", name, c.status, c.code, got)
			}
		}
		server.Close()
	}
}

func TestNoAnswer(t *testing.T) {
	refused := fmt.Errorf("dial tcp 10.0.0.1: %w", errors.New("refused"))
	for err, text := range map[error]string{
		refused:                  "no answer from the service",
		context.DeadlineExceeded: "timeout",
		context.Canceled:         "canceled",
	} {
		if got := awstarget.AnswerOf(fmt.Errorf("operation: %w", err)); got != (delivery.Answer{Verdict: delivery.Retry, Err: text}) {
			t.Errorf("%v: %+v", err, got)
		}
	}
}
