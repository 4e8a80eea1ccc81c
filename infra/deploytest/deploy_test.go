// Package deploytest runs the functions' adapters on a stack that moto, an independent
// implementation of AWS, has deployed from the template. It has tests only, which run if
// TOLLGATE_ORACLES names moto.
package deploytest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// patience bounds every wait.
const patience = 2 * time.Minute

func golden(t *testing.T, stage string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "tollgate-"+stage+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestDeployed(t *testing.T) {
	cfg := localtest.Config(localtest.Moto(t), awsclient.Options{Attempts: 1, Try: patience})
	outputs := localtest.Deploy(t, cfg, "tollgate-test", golden(t, "test"))
	queues := sqs.NewFromConfig(cfg)
	t.Run("queues carry events and dead letters", func(t *testing.T) { queuesCarry(t, queues, outputs) })
	t.Run("the table keeps records and effects", func(t *testing.T) { tableKeeps(t, dynamodb.NewFromConfig(cfg), outputs, "in_1") })
	full := localtest.Deploy(t, cfg, "tollgate-full", golden(t, "full"))
	if url := full[limits.OutputWebhookURL]; url != "https://hooks.example.com/webhooks/stripe" {
		t.Errorf("with a domain the command registers %s", url)
	}
	sends := localtest.Deploy(t, cfg, "tollgate-send", golden(t, "send"))
	t.Run("each group has its queue of deliveries", func(t *testing.T) { jobsGo(t, queues, sends["SendDlqUrl"]) })
}

// jobsGo hands over as the consumer does, and receives, retries and dead-letters as the sender does.
func jobsGo(t *testing.T, client *sqs.Client, dead string) {
	l := limits.AWS()
	to := config.Sending{DLQURL: dead}
	for _, group := range []string{"bus", "crm-eu", "jobs", "mail", "news"} {
		body := delivery.Job{Message: "OUT#receipt#live#-#in_1", Destination: group}.Encode()
		if err := sqsqueue.NewJobs(client, to.QueueURL).SendJobs(t.Context(), group, []string{body, body}); err != nil {
			t.Fatalf("%s: %v", group, err)
		}
		url := to.QueueURL(group)
		got := receiveOne(t, client, url)
		if *got.Body != body {
			t.Errorf("%s: %s", group, *got.Body)
		}
		sender := sqsqueue.New(client, url, dead, l)
		if err := sender.SetVisibility(t.Context(), *got.ReceiptHandle, l.Sender.BackoffCap); err != nil {
			t.Errorf("%s: the longest back-off: %v", group, err)
		}
		cause := queue.DeadLetter{Reason: "exhausted", Destination: group, Attempt: 15}
		if err := sender.DeadLetter(t.Context(), queue.Message{Body: *got.Body}, cause); err != nil {
			t.Fatal(err)
		}
		letters, err := sender.DeadLetters().Receive(t.Context(), 10, time.Hour)
		if err != nil || len(letters) != 1 || letters[0].Attributes["destination"] != group {
			t.Errorf("%s: dead letters %v, %v", group, letters, err)
		}
	}
}

func anEvent(id string) event.Envelope {
	return event.Envelope{
		ID: id, Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "default", APIVersion: "2023-10-16",
		Created: 1700000000, ReceivedAt: time.UnixMilli(1700000001000), ObjectID: "in_1", Source: event.Webhook, Body: []byte(`{"id":"` + id + `"}`),
	}
}

// queuesCarry sends as ingest does, retries and dead-letters as the consumer does, and
// receives as an operator does.
func queuesCarry(t *testing.T, client *sqs.Client, outputs map[string]string) {
	l := limits.AWS()
	url, dead := outputs["QueueUrl"], outputs["DlqUrl"]
	want := anEvent("evt_carried")
	consumer := sqsqueue.New(client, url, dead, l)
	if err := consumer.Send(t.Context(), want, ""); err != nil {
		t.Fatal(err)
	}
	first := receiveOne(t, client, url)
	if err := consumer.SetVisibility(t.Context(), *first.ReceiptHandle, 0); err != nil {
		t.Fatal(err)
	}
	again := receiveOne(t, client, url)
	got, err := queue.Decode(*again.Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the event (-sent +received):\n%s", diff)
	}
	cause := queue.DeadLetter{Reason: "permanent", Error: "no such plan", EventID: want.ID}
	if err := consumer.DeadLetter(t.Context(), queue.Message{Body: *again.Body}, cause); err != nil {
		t.Fatal(err)
	}
	if err := consumer.Delete(t.Context(), []string{*again.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	received, err := consumer.DeadLetters().Receive(t.Context(), 10, time.Minute)
	if err != nil || len(received) != 1 || received[0].Body != *again.Body {
		t.Fatalf("%d dead letters, %v", len(received), err)
	}
	if diff := cmp.Diff(cause.Attributes(), received[0].Attributes); diff != "" {
		t.Errorf("the dead letter's reason (-sent +received):\n%s", diff)
	}
}

func receiveOne(t *testing.T, client *sqs.Client, url string) sqstypes.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 {
			return out.Messages[0]
		}
	}
}

// tableKeeps claims events, completes one with an effect, and lists the failed one.
func tableKeeps(t *testing.T, client *dynamodb.Client, outputs map[string]string, object string) {
	store, err := dynamostore.New(client, outputs["TableName"], dynamostore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := dynamostore.NewReader(client, outputs["TableName"])
	if err != nil {
		t.Fatal(err)
	}
	fact, id := "FACT#test#-#"+object+"#paid", "evt_done_"+object
	done, failed := claim(t, store, id), claim(t, store, "evt_failed")
	effects := dispatch.Effects{dispatch.Insert(fact, dispatch.Fields{"amount": 100})}
	if _, err := store.Complete(t.Context(), done, idempotency.Applied, effects, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Fail(t.Context(), failed, idempotency.Failure{Now: time.Now(), Err: "boom", ReceivesLeft: 3}); err != nil {
		t.Fatal(err)
	}
	if fact, found, err := reader.Item(t.Context(), fact); err != nil || !found || fact["amount"] != int64(100) {
		t.Errorf("the effect: %v, %v", fact, err)
	}
	again, err := store.Claim(t.Context(), request(id))
	if err != nil || again.Verdict != idempotency.Duplicate {
		t.Errorf("a second claim of a done event: %v, %v", again.Verdict, err)
	}
	page, err := reader.List(t.Context(), dynamostore.ListRequest{})
	if err != nil || len(page.Records) != 1 || page.Records[0].ID != "evt_failed" {
		t.Errorf("what failed: %+v, %v", page, err)
	}
}

func request(id string) idempotency.ClaimRequest {
	now := time.Now()
	return idempotency.ClaimRequest{
		Event: anEvent(id), Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now.Add(-time.Second), Receives: 1, ReceivesLeft: 15,
	}
}

func claim(t *testing.T, store *dynamostore.Store, id string) *idempotency.Claim {
	t.Helper()
	got, err := store.Claim(t.Context(), request(id))
	if err != nil || got.Verdict != idempotency.Claimed {
		t.Fatalf("claim %s: %v, %v", id, got.Verdict, err)
	}
	return got.Claim
}
