package sqs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/awsjson/awsjsontest"
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

// What a refusal looks like on the wire: HTTP status, __type and the older code.
const (
	wantValue          = "400 InvalidParameterValue InvalidParameterValue"
	wantUnsupported    = "400 UnsupportedOperation AWS.SimpleQueueService.UnsupportedOperation"
	wantAttributeValue = "400 InvalidAttributeValue InvalidAttributeValue"
	wantAttributeName  = "400 InvalidAttributeName InvalidAttributeName"
	wantMissing        = "400 MissingParameter MissingParameter"
	wantContents       = "400 InvalidMessageContents InvalidMessageContents"
	wantSerialization  = "400 SerializationException "
	wantBatch          = "400 %s AWS.SimpleQueueService.%[1]s"
)

type refusal struct{ name, operation, body, want string }

// messageRefusals are those of operations on messages.
func messageRefusals(url string) []refusal {
	big := strings.Repeat("x", 1<<20)
	batch := func(entries ...string) string {
		return `{"QueueUrl":"` + url + `","Entries":[` + strings.Join(entries, ",") + `]}`
	}
	send := func(members string) string { return `{"QueueUrl":"` + url + `",` + members + `}` }
	return []refusal{
		{"no such queue", "SendMessage", `{"QueueUrl":"http://x/000000000000/none","MessageBody":"b"}`, "400 QueueDoesNotExist AWS.SimpleQueueService.NonExistentQueue"},
		{"queue of another account", "GetQueueAttributes", `{"QueueUrl":"http://x/111111111111/q"}`, "400 QueueDoesNotExist AWS.SimpleQueueService.NonExistentQueue"},
		{"no queue URL", "ReceiveMessage", `{}`, wantMissing},
		{"URL that is none", "ReceiveMessage", `{"QueueUrl":"q"}`, "404 InvalidAddress InvalidAddress"},
		{"no JSON", "SendMessage", `{"QueueUrl":`, wantSerialization},
		{"two JSON values", "SendMessage", `{} {}`, wantSerialization},
		{"wrong type", "SendMessage", `{"MessageBody":1}`, wantSerialization},
		{"unknown member", "SendMessage", send(`"MessageBody":"b","Priority":1`), wantUnsupported},
		{"no body", "SendMessage", send(`"DelaySeconds":1`), wantMissing},
		{"empty body", "SendMessage", send(`"MessageBody":""`), wantMissing},
		{"negative delay", "SendMessage", send(`"MessageBody":"b","DelaySeconds":-1`), wantValue},
		{"deduplication on a standard queue", "SendMessage", send(`"MessageBody":"b","MessageDeduplicationId":"d"`), wantUnsupported},
		{"group with a space", "SendMessage", send(`"MessageBody":"b","MessageGroupId":"a b"`), wantValue},
		{"group over 128", "SendMessage", send(`"MessageBody":"b","MessageGroupId":"` + big[:129] + `"`), wantValue},
		{"unknown system attribute", "SendMessage", send(`"MessageBody":"b","MessageSystemAttributes":{"x":{"DataType":"String","StringValue":"v"}}`), wantValue},
		{"trace header without a root", "SendMessage", send(`"MessageBody":"b","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Sampled=1"}}`), wantValue},
		{"trace header with a bad root", "SendMessage", send(`"MessageBody":"b","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1-5759e988"}}`), wantValue},
		{"trace header as bytes", "SendMessage", send(`"MessageBody":"b","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"Binary","BinaryValue":"AQ=="}}`), wantValue},
		{"U+FFFF raw", "SendMessage", send("\"MessageBody\":\"\uffff\""), wantContents},
		{"bytes that are no UTF-8", "SendMessage", send("\"MessageBody\":\"\xff\""), wantContents},
		{"control character in an attribute", "SendMessage", send(`"MessageBody":"b","MessageAttributes":{"a":{"DataType":"String","StringValue":"\u0001"}}`), wantContents},
		{"no id", "DeleteMessageBatch", batch(`{"ReceiptHandle":"x"}`), fmt.Sprintf(wantBatch, "InvalidBatchEntryId")},
		{"too many messages", "ReceiveMessage", send(`"MaxNumberOfMessages":11`), wantValue},
		{"no messages", "ReceiveMessage", send(`"MaxNumberOfMessages":0`), wantValue},
		{"FIFO's attempt id", "ReceiveMessage", send(`"ReceiveRequestAttemptId":"a"`), wantUnsupported},
		{"unknown system attribute asked for", "ReceiveMessage", send(`"AttributeNames":["Nope"]`), wantAttributeName},
		{"unknown receipt", "DeleteMessage", send(`"ReceiptHandle":"AQEB"`), "404 ReceiptHandleIsInvalid ReceiptHandleIsInvalid"},
		{"no receipt", "DeleteMessage", send(`"ReceiptHandle":""`), wantMissing},
		{"no timeout", "ChangeMessageVisibility", send(`"ReceiptHandle":"x"`), wantMissing},
	}
}

// queueRefusals are those of operations on queues.
func queueRefusals(url string) []refusal {
	send := func(members string) string { return `{"QueueUrl":"` + url + `",` + members + `}` }
	create := func(attribute, value string) string {
		return fmt.Sprintf(`{"QueueName":"new","Attributes":{%q:%q}}`, attribute, value)
	}
	return []refusal{
		{"FIFO by name", "CreateQueue", `{"QueueName":"q.fifo"}`, wantValue},
		{"FIFO by attribute", "CreateQueue", create("FifoQueue", "true"), wantAttributeName},
		{"KMS key", "CreateQueue", create("KmsMasterKeyId", "alias/x"), wantAttributeName},
		{"no name", "CreateQueue", `{}`, wantMissing},
		{"other attributes", "CreateQueue", `{"QueueName":"q","Attributes":{"DelaySeconds":"1"}}`, "400 QueueNameExists QueueAlreadyExists"},
		{"unknown attribute", "CreateQueue", create("Colour", "red"), wantAttributeName},
		{"attribute that is only shown", "CreateQueue", create("QueueArn", "x"), wantAttributeName},
		{"visibility out of range", "CreateQueue", create("VisibilityTimeout", "43201"), wantAttributeValue},
		{"delay that is not a number", "CreateQueue", create("DelaySeconds", "1s"), wantAttributeValue},
		{"policy that is no JSON", "CreateQueue", create("Policy", "{"), wantAttributeValue},
		{"encryption maybe", "CreateQueue", create("SqsManagedSseEnabled", "maybe"), wantAttributeValue},
		{"own dead-letter queue", "CreateQueue", create("RedrivePolicy", redrive("new", "3")), wantValue},
		{"no count", "CreateQueue", create("RedrivePolicy", `{"deadLetterTargetArn":"`+arn("q")+`"}`), wantValue},
		{"count 0", "CreateQueue", create("RedrivePolicy", redrive("q", "0")), wantValue},
		{"count 1001", "CreateQueue", create("RedrivePolicy", redrive("q", "1001")), wantValue},
		{"unknown key in a policy", "CreateQueue", create("RedrivePolicy", `{"deadLetterTargetArn":"x","maxReceiveCount":1,"x":1}`), wantValue},
		{"who may use a dead-letter queue", "CreateQueue", create("RedriveAllowPolicy", `{"redrivePermission":"allowAll"}`), wantAttributeName},
		{"FIFO's attribute asked for", "GetQueueAttributes", send(`"AttributeNames":["FifoQueue"]`), wantAttributeName},
		{"no attributes to set", "SetQueueAttributes", `{"QueueUrl":"` + url + `"}`, wantMissing},
		{"page of none", "ListQueues", `{"MaxResults":0}`, wantValue},
		{"made-up token", "ListQueues", `{"NextToken":"!"}`, wantValue},
		{"operation that is not there", "StartMessageMoveTask", `{}`, "400 UnknownOperationException "},
	}
}

func TestRefusals(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	w.send(url, "one")
	for _, c := range append(messageRefusals(url), queueRefusals(url)...) {
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
func (w *fixture) post(operation, body string) string {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.server.URL, strings.NewReader(body))
	check(w.t, err)
	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	resp, err := http.DefaultClient.Do(r)
	check(w.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	check(w.t, err)
	_, code, _ := bytes.Cut(answer, []byte(`"com.amazonaws.sqs#`))
	code, _, _ = bytes.Cut(code, []byte(`"`))
	older, _, _ := strings.Cut(resp.Header.Get("X-Amzn-Query-Error"), ";")
	return fmt.Sprintf("%d %s %s", resp.StatusCode, code, older)
}

func TestQueueURLOfAnyHost(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	if want := w.server.URL + "/000000000000/q"; url != want {
		t.Errorf("queue URL %s, want %s", url, want)
	}
	w.send("https://sqs.us-east-1.amazonaws.com/000000000000/q", "one")
	if got := w.bodies(url); len(got) != 1 {
		t.Errorf("received %v", got)
	}
}

func TestOperationsAreDocumented(t *testing.T) {
	awsjsontest.Documented(t, newFixture(t).service.Service())
}
