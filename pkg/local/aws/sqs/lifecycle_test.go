package sqs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTwelveHoursInAll(t *testing.T) {
	w := newFixture(t)
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

func TestRetentionKeepsItsClockOnAutomaticMoves(t *testing.T) {
	w := newFixture(t)
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

// A policy counts the receives in its own queue, while the message shows those in all.
func TestRedrivePolicyOfADeadLetterQueue(t *testing.T) {
	w := newFixture(t)
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
