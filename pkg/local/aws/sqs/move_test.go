package sqs_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/local/aws/sqs"
)

func (w *world) startMove(in *sdk.StartMessageMoveTaskInput) (string, error) {
	out, err := w.StartMessageMoveTask(context.Background(), in)
	if err != nil {
		return "", err
	}
	return *out.TaskHandle, nil
}

func (w *world) moves(source string, n int32) []types.ListMessageMoveTasksResultEntry {
	w.t.Helper()
	out, err := w.ListMessageMoveTasks(context.Background(), &sdk.ListMessageMoveTasksInput{SourceArn: &source, MaxResults: &n})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Results
}

// deadLetters makes n dead letters of main.
func (w *world) deadLetters(n int) (main, dead string) {
	w.t.Helper()
	main, dead = w.pair("1")
	for i := range n {
		w.send(main, fmt.Sprint(i))
	}
	for range (n + 9) / 10 {
		w.receive(main)
	}
	w.pass(31 * time.Second)
	w.receive(main)
	if diff := cmp.Diff([3]string{fmt.Sprint(n), "0", "0"}, w.counts(dead)); diff != "" {
		w.t.Fatal(diff)
	}
	return main, dead
}

func TestMoveBackToTheSource(t *testing.T) {
	w := newWorld(t)
	main, dead := w.deadLetters(1)
	before := w.receive(dead)[0]
	if err := w.change(dead, before, 0); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if _, err := w.startMove(&sdk.StartMessageMoveTaskInput{SourceArn: aws.String(arn("dead"))}); err != nil {
		t.Fatal(err)
	}
	got := w.moves(arn("dead"), 1)
	want := []types.ListMessageMoveTasksResultEntry{{Status: aws.String("RUNNING"), SourceArn: aws.String(arn("dead")),
		ApproximateNumberOfMessagesMoved: 1, ApproximateNumberOfMessagesToMove: aws.Int64(1), StartedTimestamp: w.now().UnixMilli()}}
	ignore := cmp.Options{cmpopts.IgnoreUnexported(types.ListMessageMoveTasksResultEntry{}),
		cmpopts.IgnoreFields(types.ListMessageMoveTasksResultEntry{}, "TaskHandle")}
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Error(diff)
	}
	after := w.receive(main)
	if len(after) != 1 {
		t.Fatalf("in the source: %v", after)
	}
	if *after[0].MessageId == *before.MessageId {
		t.Error("a moved message kept its id")
	}
	attributes := map[string]string{"SenderId": "000000000000", "ApproximateReceiveCount": "1",
		"SentTimestamp": fmt.Sprint(w.now().UnixMilli()), "ApproximateFirstReceiveTimestamp": fmt.Sprint(w.now().UnixMilli())}
	if diff := cmp.Diff(attributes, after[0].Attributes); diff != "" {
		t.Error(diff)
	}
	w.pass(time.Second)
	w.counts(dead) // a turn
	if got := *w.moves(arn("dead"), 1)[0].Status; got != "COMPLETED" {
		t.Errorf("status %s", got)
	}
}

func TestMoveFailures(t *testing.T) {
	w := newWorld(t)
	main, dead := w.deadLetters(1)
	w.send(dead, "sent by hand")
	status := func() string {
		w.pass(time.Second)
		w.counts(dead)
		m := w.moves(arn("dead"), 1)[0]
		return fmt.Sprint(*m.Status, " ", aws.ToString(m.FailureReason), " ", m.ApproximateNumberOfMessagesMoved)
	}
	if _, err := w.startMove(&sdk.StartMessageMoveTaskInput{SourceArn: aws.String(arn("dead"))}); err != nil {
		t.Fatal(err)
	}
	if got, want := status(), "FAILED CouldNotDetermineMessageSource 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if diff := cmp.Diff([2][3]string{{"1", "0", "0"}, {"1", "0", "0"}}, [2][3]string{w.counts(main), w.counts(dead)}); diff != "" {
		t.Error(diff)
	}
	w.queue("other", nil)
	if _, err := w.startMove(&sdk.StartMessageMoveTaskInput{SourceArn: aws.String(arn("dead")), DestinationArn: aws.String(arn("other")),
		MaxNumberOfMessagesPerSecond: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	if got, want := status(), "COMPLETED  1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(w.moves(arn("dead"), 10)) != 2 {
		t.Error("the list does not hold both tasks")
	}
}

func TestOneActiveMoveAndItsCancellation(t *testing.T) {
	w := newWorld(t)
	main, dead := w.deadLetters(3)
	slow := &sdk.StartMessageMoveTaskInput{SourceArn: aws.String(arn("dead")), MaxNumberOfMessagesPerSecond: aws.Int32(1)}
	handle, err := w.startMove(slow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.startMove(slow); codeOf(err) != "AWS.SimpleQueueService.UnsupportedOperation" {
		t.Errorf("a second task: %v", err)
	}
	out, err := w.CancelMessageMoveTask(context.Background(), &sdk.CancelMessageMoveTaskInput{TaskHandle: &handle})
	if err != nil || out.ApproximateNumberOfMessagesMoved != 1 {
		t.Errorf("cancel: %v %v", out, err)
	}
	_, err = w.CancelMessageMoveTask(context.Background(), &sdk.CancelMessageMoveTaskInput{TaskHandle: &handle})
	if codeOf(err) != "AWS.SimpleQueueService.UnsupportedOperation" {
		t.Errorf("cancel again: %v", err)
	}
	w.pass(time.Hour)
	if diff := cmp.Diff([2][3]string{{"1", "0", "0"}, {"2", "0", "0"}}, [2][3]string{w.counts(main), w.counts(dead)}); diff != "" {
		t.Error("cancelled and went on: ", diff)
	}
	if m := w.moves(arn("dead"), 1)[0]; *m.Status != "CANCELLED" || m.TaskHandle != nil {
		t.Errorf("task %+v", m)
	}
}

func TestMoveTakesOnlyWhatWasThere(t *testing.T) {
	w := newWorld(t)
	main, dead := w.deadLetters(2)
	if _, err := w.startMove(&sdk.StartMessageMoveTaskInput{SourceArn: aws.String(arn("dead")), MaxNumberOfMessagesPerSecond: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	w.receive(main) // the first, which then dies again
	w.pass(31 * time.Second)
	w.receive(main)
	for range 5 {
		w.pass(2 * time.Second)
		w.counts(dead)
	}
	if m := w.moves(arn("dead"), 1)[0]; *m.Status != "COMPLETED" || m.ApproximateNumberOfMessagesMoved != 2 {
		t.Errorf("%s after %d", *m.Status, m.ApproximateNumberOfMessagesMoved)
	}
	if got := w.counts(dead); got[0] == "0" {
		t.Errorf("the message that came back during the task was moved again: %v", got)
	}
}

func TestListKeepsTenTasks(t *testing.T) {
	w := newWorld(t)
	_, dead := w.deadLetters(0)
	for range 12 {
		if _, err := w.startMove(&sdk.StartMessageMoveTaskInput{SourceArn: aws.String(arn("dead"))}); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.counts(dead)
	}
	w.restart()
	if got := w.moves(arn("dead"), 10); len(got) != 10 || got[0].StartedTimestamp-got[9].StartedTimestamp != 9000 {
		t.Errorf("%d tasks", len(got))
	}
}

// The rate is kept, and a task that was running goes on after a restart.
func TestMoveRateAndRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sqs.db")
	const dead = "http://localhost/000000000000/dead"
	synctest.Test(t, func(t *testing.T) {
		s, err := sqs.Open(path, sqs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		must[object](t, s, "CreateQueue", object{"QueueName": "dead"})
		must[object](t, s, "CreateQueue", object{"QueueName": "q", "Attributes": object{"RedrivePolicy": redrive("dead", "1")}})
		for range 20 {
			must[object](t, s, "SendMessage", object{"QueueUrl": dead, "MessageBody": "x"})
		}
		must[object](t, s, "StartMessageMoveTask", object{"SourceArn": arn("dead"), "DestinationArn": arn("q"), "MaxNumberOfMessagesPerSecond": 2})
		moved := func() string {
			time.Sleep(time.Millisecond)
			out := must[struct {
				Results []struct {
					Status                           string
					ApproximateNumberOfMessagesMoved int
				}
			}](t, s, "ListMessageMoveTasks", object{"SourceArn": arn("dead")})
			return fmt.Sprint(out.Results[0].Status, out.Results[0].ApproximateNumberOfMessagesMoved)
		}
		got := []string{moved()}
		time.Sleep(2 * time.Second)
		got = append(got, moved())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if s, err = sqs.Open(path, sqs.Options{}); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got = append(got, moved())
		time.Sleep(2 * time.Second)
		got = append(got, moved())
		time.Sleep(6 * time.Second)
		got = append(got, moved())
		if diff := cmp.Diff([]string{"RUNNING1", "RUNNING5", "RUNNING6", "RUNNING10", "COMPLETED20"}, got); diff != "" {
			t.Error(diff)
		}
	})
}
