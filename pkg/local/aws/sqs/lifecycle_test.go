package sqs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

func TestMessageLife(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	ids := w.send(url, "one", "two", "three")

	got := w.receive(url)
	if len(got) != 3 || *got[0].MessageId != ids[0] || *got[2].Body != "three" {
		t.Fatalf("received %+v", got)
	}
	want := map[string]string{"SenderId": "000000000000", "SentTimestamp": "1700000000000",
		"ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1700000000000"}
	if diff := cmp.Diff(want, got[0].Attributes); diff != "" {
		t.Error(diff)
	}
	if again := w.bodies(url); len(again) != 0 {
		t.Errorf("in flight and received again: %v", again)
	}
	w.delete(url, got[0])
	if diff := cmp.Diff([3]string{"0", "2", "0"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}

	w.pass(30 * time.Second)
	if diff := cmp.Diff([3]string{"2", "0", "0"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
	second := w.receive(url)
	if len(second) != 2 || second[0].Attributes["ApproximateReceiveCount"] != "2" ||
		second[0].Attributes["ApproximateFirstReceiveTimestamp"] != "1700000000000" {
		t.Fatalf("received %+v", second)
	}
	if *second[0].ReceiptHandle == *got[1].ReceiptHandle {
		t.Error("a receipt was given twice")
	}
}

func TestStaleReceiptDeletesNothing(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	w.send(url, "one")
	old := w.receive(url)[0]
	w.pass(31 * time.Second)
	latest := w.receive(url)[0]

	w.delete(url, old)
	if diff := cmp.Diff([3]string{"0", "1", "0"}, w.counts(url)); diff != "" {
		t.Error("deleted by the old receipt: ", diff)
	}
	if err := w.change(url, old, 300); err != nil { // it acts on the receive that is under way
		t.Errorf("change by the old receipt: %v", err)
	}
	w.pass(299 * time.Second)
	if got := w.receive(url); len(got) > 0 {
		t.Error("the old receipt did not hide the message")
	}
	w.pass(2 * time.Second) // its timeout is over
	if err := w.change(url, latest, 60); err != nil {
		t.Errorf("change by a receipt whose timeout is over: %v", err)
	}
	if diff := cmp.Diff([3]string{"0", "1", "0"}, w.counts(url)); diff != "" {
		t.Error("hidden by a receipt whose timeout was over: ", diff)
	}
	w.pass(61 * time.Second)
	w.delete(url, latest) // no longer in flight, and still the latest receipt
	w.delete(url, latest)
	if err := w.change(url, latest, 60); !strings.Contains(fmt.Sprint(err), "InvalidParameterValue") {
		t.Errorf("change of a deleted message: %v", err)
	}
	if diff := cmp.Diff([3]string{"0", "0", "0"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
}

func TestChangeVisibility(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", nil)
	w.send(url, "one")
	m := w.receive(url)[0]

	w.pass(15 * time.Second)
	if err := w.change(url, m, 10); err != nil {
		t.Fatal(err)
	}
	w.pass(9 * time.Second)
	if got := w.bodies(url); len(got) != 0 {
		t.Error("visible before the new timeout's end")
	}
	w.pass(time.Second)
	got := w.receive(url)
	if len(got) != 1 {
		t.Fatal("not visible at the new timeout's end")
	}
	w.pass(29 * time.Second)
	if len(w.bodies(url)) != 0 {
		t.Error("the next receive did not have the queue's own timeout")
	}
	if err := w.change(url, got[0], 0); err != nil {
		t.Fatal(err)
	}
	if len(w.bodies(url)) != 1 {
		t.Error("not visible at once")
	}
}

func TestTwelveHoursInAll(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", map[string]string{"VisibilityTimeout": "43200"})
	w.send(url, "one")
	m := w.receive(url)[0]
	if err := w.change(url, m, 43_200); err != nil {
		t.Errorf("all of it at the receive: %v", err)
	}
	w.pass(time.Hour)
	if err := w.change(url, m, 39_600); err != nil {
		t.Errorf("what is left: %v", err)
	}
	if code := codeOf(w.change(url, m, 39_601)); code != "InvalidParameterValue" {
		t.Errorf("a second more than is left: %q", code)
	}
	if len(w.bodies(url)) != 0 {
		t.Error("the refused change did something")
	}
}

func TestRedrivePolicy(t *testing.T) {
	w := newWorld(t)
	main, dead := w.pair("2")
	ids := w.send(main, "poison")
	for range 2 {
		w.pass(31 * time.Second)
		if len(w.receive(main)) != 1 {
			t.Fatal("not received")
		}
	}
	w.pass(31 * time.Second)
	if diff := cmp.Diff([3]string{"0", "0", "0"}, w.counts(dead)); diff != "" {
		t.Error("moved before a receive: ", diff)
	}
	if len(w.receive(main)) != 0 {
		t.Fatal("received a third time")
	}
	got := w.receive(dead)
	if len(got) != 1 || *got[0].MessageId != ids[0] {
		t.Fatalf("dead letters: %+v", got)
	}
	want := map[string]string{"SenderId": "000000000000", "SentTimestamp": "1700000000000", "ApproximateReceiveCount": "3",
		"ApproximateFirstReceiveTimestamp": "1700000031000", "DeadLetterQueueSourceArn": arn("main")}
	if diff := cmp.Diff(want, got[0].Attributes); diff != "" {
		t.Error(diff)
	}
	out, err := w.ListDeadLetterSourceQueues(context.Background(), &sdk.ListDeadLetterSourceQueuesInput{QueueUrl: &dead})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{main}, out.QueueUrls); diff != "" {
		t.Error(diff)
	}
}

func TestRetentionKeepsItsClockOnAutomaticMoves(t *testing.T) {
	w := newWorld(t)
	dead := w.queue("dead", map[string]string{"MessageRetentionPeriod": "100"})
	main := w.queue("main", map[string]string{"MessageRetentionPeriod": "100", "RedrivePolicy": redrive("dead", "1")})
	w.send(main, "a", "b")
	w.receive(main)
	w.pass(60 * time.Second)
	w.receive(main)
	if diff := cmp.Diff([3]string{"2", "0", "0"}, w.counts(dead)); diff != "" {
		t.Fatal(diff)
	}
	w.pass(39 * time.Second)
	if len(w.receive(dead)) != 2 {
		t.Error("gone too early")
	}
	w.pass(time.Second)
	if diff := cmp.Diff([3]string{"0", "0", "0"}, w.counts(dead)); diff != "" {
		t.Error("in flight or not, retention ends: ", diff)
	}
}

func TestDelays(t *testing.T) {
	w := newWorld(t)
	url := w.queue("q", map[string]string{"DelaySeconds": "10"})
	w.send(url, "queue's delay")
	body := "own delay"
	if _, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: &body, DelaySeconds: 20}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([3]string{"0", "0", "2"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
	w.pass(10 * time.Second)
	if diff := cmp.Diff([]string{"queue's delay"}, w.bodies(url)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([3]string{"0", "1", "1"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
	w.pass(10 * time.Second)
	if diff := cmp.Diff([]string{"own delay"}, w.bodies(url)); diff != "" {
		t.Error(diff)
	}
}

// A policy counts the receives in its own queue, while the message shows those in all.
func TestRedrivePolicyOfADeadLetterQueue(t *testing.T) {
	w := newWorld(t)
	grave := w.queue("grave", nil)
	dead := w.queue("dead", map[string]string{"RedrivePolicy": redrive("grave", "1")})
	main := w.queue("main", map[string]string{"RedrivePolicy": redrive("dead", "2")})
	w.send(main, "one")
	seen := []string{}
	look := func(name, url string) {
		w.pass(31 * time.Second)
		for _, m := range w.receive(url) {
			seen = append(seen, name+m.Attributes["ApproximateReceiveCount"]+m.Attributes["DeadLetterQueueSourceArn"])
		}
	}
	for range 3 {
		look("main", main)
	}
	for range 2 {
		look("dead", dead)
	}
	look("grave", grave)
	want := []string{"main1", "main2", "dead3" + arn("main"), "grave4" + arn("dead")}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}
