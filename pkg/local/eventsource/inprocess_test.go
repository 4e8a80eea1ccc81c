package eventsource

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/sqs"
)

// TestQueueInProcess: a source gets the same from the embedded queues in its process as by
// requests.
func TestQueueInProcess(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	service, err := sqs.Open(filepath.Join(t.TempDir(), "sqs.db"), sqs.Options{})
	check(t, err)
	t.Cleanup(func() { service.Close() })
	server := httptest.NewServer(awsjson.Handler(service.Service()))
	t.Cleanup(server.Close)
	client := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	made, err := client.CreateQueue(ctx, &sdk.CreateQueueInput{QueueName: aws.String("main"), Attributes: map[string]string{"VisibilityTimeout": "0"}})
	check(t, err)
	_, err = client.SendMessage(ctx, &sdk.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String(`{"a":"\"ü\\n"}`),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
			"s": {DataType: aws.String("String.kind"), StringValue: aws.String("v")},
		},
	})
	check(t, err)

	want, err := NewSQS(client, *made.QueueUrl).Receive(ctx, 10, time.Second)
	check(t, err)
	direct := service.Queue(*made.QueueUrl)
	got, err := direct.Receive(ctx, 10, time.Second/2)
	check(t, err)
	want[0].Attributes["ApproximateReceiveCount"] = "2"
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(events.SQSMessage{}, "ReceiptHandle")); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	bad := events.SQSMessage{ReceiptHandle: "bad"}
	if err := direct.Delete(ctx, []events.SQSMessage{bad, got[0]}); err == nil || !strings.Contains(err.Error(), "1 of 2 refused, first ") {
		t.Errorf("delete with a bad receipt: %v", err)
	}
	if left, err := direct.Receive(ctx, 10, 0); err != nil || len(left) > 0 {
		t.Errorf("%v are left, error %v", left, err)
	}
	check(t, service.Close())
	if _, err := direct.Receive(ctx, 10, 0); err == nil {
		t.Error("no error from closed queues")
	}
	if err := direct.Delete(ctx, got); err == nil {
		t.Error("no error from closed queues")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
