package sqs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// codeOf is the code that a client sees, "" for no error.
func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// Every refusal on the wire: HTTP status, __type and the older code.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	w.queue("closed", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`})
	w.send(url, "one")
	big := strings.Repeat("x", 1<<20)
	entry := func(id string) string { return `{"Id":"` + id + `","MessageBody":"b"}` }
	batch := func(entries ...string) string {
		return `{"QueueUrl":"` + url + `","Entries":[` + strings.Join(entries, ",") + `]}`
	}
	send := func(members string) string { return `{"QueueUrl":"` + url + `",` + members + `}` }
	create := func(attribute, value string) string {
		return fmt.Sprintf(`{"QueueName":"new","Attributes":{%q:%q}}`, attribute, value)
	}
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = entry(fmt.Sprint(i))
	}
	const (
		value  = "400 InvalidParameterValue InvalidParameterValue"
		unsup  = "400 UnsupportedOperation AWS.SimpleQueueService.UnsupportedOperation"
		attr   = "400 InvalidAttributeValue InvalidAttributeValue"
		name   = "400 InvalidAttributeName InvalidAttributeName"
		miss   = "400 MissingParameter MissingParameter"
		chars  = "400 InvalidMessageContents InvalidMessageContents"
		serial = "400 SerializationException "
		batchE = "400 %s AWS.SimpleQueueService.%[1]s"
	)
	cases := []struct{ name, operation, body, want string }{
		{"no such queue", "SendMessage", `{"QueueUrl":"http://x/000000000000/none","MessageBody":"b"}`, "400 QueueDoesNotExist AWS.SimpleQueueService.NonExistentQueue"},
		{"queue of another account", "GetQueueAttributes", `{"QueueUrl":"http://x/111111111111/q"}`, "400 QueueDoesNotExist AWS.SimpleQueueService.NonExistentQueue"},
		{"no queue URL", "ReceiveMessage", `{}`, miss},
		{"URL that is none", "ReceiveMessage", `{"QueueUrl":"q"}`, "404 InvalidAddress InvalidAddress"},
		{"no JSON", "SendMessage", `{"QueueUrl":`, serial},
		{"two JSON values", "SendMessage", `{} {}`, serial},
		{"wrong type", "SendMessage", `{"MessageBody":1}`, serial},
		{"unknown member", "SendMessage", send(`"MessageBody":"b","Priority":1`), unsup},
		{"no body", "SendMessage", send(`"DelaySeconds":1`), miss},
		{"empty body", "SendMessage", send(`"MessageBody":""`), miss},
		{"body over 1 MiB", "SendMessage", send(`"MessageBody":"` + big + `x"`), value},
		{"attributes count", "SendMessage", send(`"MessageBody":"` + big[:1<<20-6] + `","MessageAttributes":{"a":{"DataType":"String","StringValue":"v"}}`), value},
		{"delay over 900", "SendMessage", send(`"MessageBody":"b","DelaySeconds":901`), value},
		{"negative delay", "SendMessage", send(`"MessageBody":"b","DelaySeconds":-1`), value},
		{"deduplication on a standard queue", "SendMessage", send(`"MessageBody":"b","MessageDeduplicationId":"d"`), value},
		{"group with a space", "SendMessage", send(`"MessageBody":"b","MessageGroupId":"a b"`), value},
		{"group over 128", "SendMessage", send(`"MessageBody":"b","MessageGroupId":"` + big[:129] + `"`), value},
		{"unknown system attribute", "SendMessage", send(`"MessageBody":"b","MessageSystemAttributes":{"x":{"DataType":"String","StringValue":"v"}}`), value},
		{"trace header as bytes", "SendMessage", send(`"MessageBody":"b","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"Binary","BinaryValue":"AQ=="}}`), value},
		{"NUL", "SendMessage", send(`"MessageBody":"a\u0000"`), chars},
		{"U+FFFE", "SendMessage", send(`"MessageBody":"\ufffe"`), chars},
		{"U+FFFF raw", "SendMessage", send("\"MessageBody\":\"\uffff\""), chars},
		{"lone high surrogate", "SendMessage", send(`"MessageBody":"\ud83d"`), chars},
		{"lone low surrogate", "SendMessage", send(`"MessageBody":"x\\\udc00"`), chars},
		{"high surrogate twice", "SendMessage", send(`"MessageBody":"\ud83d\ud83d\ude00"`), chars},
		{"bytes that are no UTF-8", "SendMessage", send("\"MessageBody\":\"\xff\""), chars},
		{"control character in an attribute", "SendMessage", send(`"MessageBody":"b","MessageAttributes":{"a":{"DataType":"String","StringValue":"\u0001"}}`), chars},
		{"empty batch", "SendMessageBatch", batch(), fmt.Sprintf(batchE, "EmptyBatchRequest")},
		{"eleven entries", "SendMessageBatch", batch(eleven...), fmt.Sprintf(batchE, "TooManyEntriesInBatchRequest")},
		{"id twice", "SendMessageBatch", batch(entry("a"), entry("a")), fmt.Sprintf(batchE, "BatchEntryIdsNotDistinct")},
		{"bad id", "SendMessageBatch", batch(entry("a b")), fmt.Sprintf(batchE, "InvalidBatchEntryId")},
		{"no id", "DeleteMessageBatch", batch(`{"ReceiptHandle":"x"}`), fmt.Sprintf(batchE, "InvalidBatchEntryId")},
		{"batch over 1 MiB", "SendMessageBatch", batch(`{"Id":"a","MessageBody":"`+big+`"}`, entry("b")), fmt.Sprintf(batchE, "BatchRequestTooLong")},
		{"too many messages", "ReceiveMessage", send(`"MaxNumberOfMessages":11`), value},
		{"no messages", "ReceiveMessage", send(`"MaxNumberOfMessages":0`), value},
		{"wait over 20", "ReceiveMessage", send(`"WaitTimeSeconds":21`), value},
		{"visibility over 12 h", "ReceiveMessage", send(`"VisibilityTimeout":43201`), value},
		{"FIFO's attempt id", "ReceiveMessage", send(`"ReceiveRequestAttemptId":"a"`), value},
		{"unknown system attribute asked for", "ReceiveMessage", send(`"AttributeNames":["Nope"]`), name},
		{"receipt of nobody", "DeleteMessage", send(`"ReceiptHandle":"AQEB"`), "404 ReceiptHandleIsInvalid ReceiptHandleIsInvalid"},
		{"no receipt", "DeleteMessage", send(`"ReceiptHandle":""`), miss},
		{"no timeout", "ChangeMessageVisibility", send(`"ReceiptHandle":"x"`), miss},
		{"timeout over 12 h", "ChangeMessageVisibility", send(`"ReceiptHandle":"x","VisibilityTimeout":43201`), value},
		{"FIFO by name", "CreateQueue", `{"QueueName":"q.fifo"}`, unsup},
		{"FIFO by attribute", "CreateQueue", create("FifoQueue", "true"), unsup},
		{"KMS key", "CreateQueue", create("KmsMasterKeyId", "alias/x"), unsup},
		{"no name", "CreateQueue", `{}`, miss},
		{"name over 80", "CreateQueue", `{"QueueName":"` + big[:81] + `"}`, value},
		{"name with a dot", "CreateQueue", `{"QueueName":"a.b"}`, value},
		{"other attributes", "CreateQueue", `{"QueueName":"q","Attributes":{"DelaySeconds":"1"}}`, "400 QueueNameExists QueueAlreadyExists"},
		{"unknown attribute", "CreateQueue", create("Colour", "red"), name},
		{"attribute that is only shown", "CreateQueue", create("QueueArn", "x"), name},
		{"visibility out of range", "CreateQueue", create("VisibilityTimeout", "43201"), attr},
		{"delay that is no number", "CreateQueue", create("DelaySeconds", "1s"), attr},
		{"retention under a minute", "CreateQueue", create("MessageRetentionPeriod", "59"), attr},
		{"size over 1 MiB", "CreateQueue", create("MaximumMessageSize", "1048577"), attr},
		{"wait out of range", "CreateQueue", create("ReceiveMessageWaitTimeSeconds", "21"), attr},
		{"policy that is no JSON", "CreateQueue", create("Policy", "{"), attr},
		{"encryption maybe", "CreateQueue", create("SqsManagedSseEnabled", "maybe"), attr},
		{"dead-letter queue that is not there", "CreateQueue", create("RedrivePolicy", redrive("none", "3")), value},
		{"own dead-letter queue", "CreateQueue", create("RedrivePolicy", redrive("new", "3")), value},
		{"dead-letter queue that denies", "CreateQueue", create("RedrivePolicy", redrive("closed", "3")), value},
		{"no count", "CreateQueue", create("RedrivePolicy", `{"deadLetterTargetArn":"`+arn("q")+`"}`), value},
		{"count 0", "CreateQueue", create("RedrivePolicy", redrive("q", "0")), value},
		{"count 1001", "CreateQueue", create("RedrivePolicy", redrive("q", "1001")), value},
		{"unknown key in a policy", "CreateQueue", create("RedrivePolicy", `{"deadLetterTargetArn":"x","maxReceiveCount":1,"x":1}`), value},
		{"permission that is none", "CreateQueue", create("RedriveAllowPolicy", `{"redrivePermission":"some"}`), value},
		{"byQueue without queues", "CreateQueue", create("RedriveAllowPolicy", `{"redrivePermission":"byQueue"}`), value},
		{"FIFO's attribute asked for", "GetQueueAttributes", send(`"AttributeNames":["FifoQueue"]`), name},
		{"no attributes to set", "SetQueueAttributes", `{"QueueUrl":"` + url + `"}`, miss},
		{"page of none", "ListQueues", `{"MaxResults":0}`, value},
		{"made-up token", "ListQueues", `{"NextToken":"!"}`, value},
		{"move without a source", "StartMessageMoveTask", `{}`, miss},
		{"move from nowhere", "StartMessageMoveTask", `{"SourceArn":"` + arn("none") + `"}`, "404 ResourceNotFoundException ResourceNotFoundException"},
		{"move from a queue that is no DLQ", "StartMessageMoveTask", `{"SourceArn":"` + arn("q") + `"}`, value},
		{"move too fast", "StartMessageMoveTask", `{"SourceArn":"` + arn("q") + `","MaxNumberOfMessagesPerSecond":501}`, value},
		{"cancel of nothing", "CancelMessageMoveTask", `{"TaskHandle":"x"}`, "404 ResourceNotFoundException ResourceNotFoundException"},
		{"operation that is not there", "AddPermission", `{}`, "400 UnknownOperationException "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := w.post(c.operation, c.body); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if diff := cmp.Diff([3]string{"1", "0", "0"}, w.counts(url)); diff != "" {
		t.Error("a refused request changed the queue: ", diff)
	}
}

// post sends a raw request and returns status, code of __type and code of the header.
func (w *world) post(operation, body string) string {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.server.URL, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	_, code, _ := bytes.Cut(answer, []byte(`"com.amazonaws.sqs#`))
	code, _, _ = bytes.Cut(code, []byte(`"`))
	older, _, _ := strings.Cut(resp.Header.Get("X-Amzn-Query-Error"), ";")
	return fmt.Sprintf("%d %s %s", resp.StatusCode, code, older)
}

func TestQueueURLOfAnyHost(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	if want := w.server.URL + "/000000000000/q"; url != want {
		t.Errorf("queue URL %s, want %s", url, want)
	}
	w.send("https://sqs.us-east-1.amazonaws.com/000000000000/q", "one")
	if got := w.bodies(url); len(got) != 1 {
		t.Errorf("received %v", got)
	}
	w.options.BaseURL = "http://queues.local:4566/"
	w.restart()
	out, err := w.GetQueueUrl(context.Background(), &sdk.GetQueueUrlInput{QueueName: aws.String("q")})
	if err != nil || *out.QueueUrl != "http://queues.local:4566/000000000000/q" {
		t.Errorf("queue URL with a base: %v %v", out, err)
	}
	_, err = w.GetQueueUrl(context.Background(), &sdk.GetQueueUrlInput{QueueName: aws.String("none")})
	var typed *types.QueueDoesNotExist
	if !errors.As(err, &typed) {
		t.Errorf("no queue: %v", err)
	}
}
