package sqs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

func TestQueueAttributes(t *testing.T) {
	w := newFixture(t)
	w.queue("dead", nil)
	url := w.queue("q", map[string]string{"VisibilityTimeout": "60", "RedrivePolicy": redrive("dead", `"5"`)})
	want := map[string]string{
		"QueueArn": arn("q"), "CreatedTimestamp": "1700000000", "LastModifiedTimestamp": "1700000000",
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
		"DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
		"ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "60", "SqsManagedSseEnabled": "true",
		"RedrivePolicy": redrive("dead", `"5"`),
	}
	if diff := cmp.Diff(want, w.attributes(url, "All")); diff != "" {
		t.Error(diff)
	}

	w.pass(time.Minute)
	set := map[string]string{"DelaySeconds": "5", "Policy": `{"Version":"2012-10-17"}`, "RedrivePolicy": "", "SqsManagedSseEnabled": "false"}
	check(t, errOf(w.SetQueueAttributes(context.Background(), &sdk.SetQueueAttributesInput{QueueUrl: &url, Attributes: set})))
	w.restart()
	for name, value := range set {
		want[name] = value
	}
	delete(want, "RedrivePolicy")
	want["LastModifiedTimestamp"] = "1700000060"
	url = w.server.URL + "/000000000000/q"
	if diff := cmp.Diff(want, w.attributes(url, "All")); diff != "" {
		t.Error(diff)
	}
}

func TestCreateAgain(t *testing.T) {
	w := newFixture(t)
	w.queue("dead", nil)
	first := w.queue("q", map[string]string{"DelaySeconds": "5", "RedrivePolicy": redrive("dead", "5")})
	spaced := `{ "maxReceiveCount": 5, "deadLetterTargetArn": "` + arn("dead") + `" }`
	for name, attributes := range map[string]map[string]string{
		"none": nil, "the same": {"DelaySeconds": "5"}, "a default": {"VisibilityTimeout": "30"}, "policy laid out otherwise": {"RedrivePolicy": spaced},
	} {
		if again := w.queue("q", attributes); again != first {
			t.Errorf("%s: %s", name, again)
		}
	}
	_, err := w.CreateQueue(context.Background(), &sdk.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "31"}})
	if codeOf(err) != "QueueAlreadyExists" {
		t.Errorf("another value: %v", err)
	}
}

func TestDeleteQueueBlocksItsName(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	w.send(url, "one")
	old := w.receive(url)[0]
	check(t, errOf(w.DeleteQueue(context.Background(), &sdk.DeleteQueueInput{QueueUrl: &url})))
	create := func() string {
		_, err := w.CreateQueue(context.Background(), &sdk.CreateQueueInput{QueueName: aws.String("q")})
		return codeOf(err)
	}
	w.pass(59 * time.Second)
	w.restart()
	if got := create(); got != "AWS.SimpleQueueService.QueueDeletedRecently" {
		t.Errorf("after 59 s: %q", got)
	}
	w.pass(time.Second)
	if got := create(); got != "" {
		t.Errorf("after 60 s: %q", got)
	}
	url = w.server.URL + "/000000000000/q"
	if diff := cmp.Diff([3]string{"0", "0", "0"}, w.counts(url)); diff != "" {
		t.Error("a new queue has old messages: ", diff)
	}
	_, err := w.DeleteMessage(context.Background(), &sdk.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: old.ReceiptHandle})
	if codeOf(err) != "ReceiptHandleIsInvalid" {
		t.Errorf("receipt of the old queue: %v", err)
	}
}

func TestPurge(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	w.send(url, "in flight")
	inFlight := w.receive(url)[0]
	w.send(url, "visible")
	check(t, errOf(w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("delayed"), DelaySeconds: 9})))
	purge := func() string {
		_, err := w.PurgeQueue(context.Background(), &sdk.PurgeQueueInput{QueueUrl: &url})
		return codeOf(err)
	}
	if got := purge(); got != "" {
		t.Fatal(got)
	}
	if diff := cmp.Diff([3]string{"0", "0", "0"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
	w.delete(url, inFlight)
	w.send(url, "after")
	if got := purge(); got != "AWS.SimpleQueueService.PurgeQueueInProgress" {
		t.Errorf("again at once: %q", got)
	}
	if diff := cmp.Diff([]string{"after"}, w.bodies(url)); diff != "" {
		t.Error(diff)
	}
	w.pass(time.Minute)
	if got := purge(); got != "" {
		t.Errorf("a minute later: %q", got)
	}
}

// When the dead-letter queue is gone a message is handed out on, it is not lost.
func TestDeletedDeadLetterQueueTakesNothing(t *testing.T) {
	w := newFixture(t)
	main, dead := w.pair("1")
	w.send(main, "one")
	w.receive(main)
	check(t, errOf(w.DeleteQueue(context.Background(), &sdk.DeleteQueueInput{QueueUrl: &dead})))
	w.pass(31 * time.Second)
	if diff := cmp.Diff([]string{"one"}, w.bodies(main)); diff != "" {
		t.Error(diff)
	}
}
