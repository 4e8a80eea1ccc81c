package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/sqs"
)

// bubble runs a test on synthetic time, with operations called as plain functions.
func bubble(t *testing.T, o sqs.Options, run func(t *testing.T, s *sqs.Service)) {
	path := filepath.Join(t.TempDir(), "sqs.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := sqs.Open(path, o)
		check(t, err)
		defer s.Close()
		run(t, s)
	})
}

type object = map[string]any

type received struct {
	Messages []struct{ Body, ReceiptHandle, MessageId string }
}

func (r received) bodies() []string {
	bodies := []string{}
	for _, m := range r.Messages {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

const plainURL = "http://localhost/000000000000/q"

func must[Out any](t *testing.T, s *sqs.Service, name string, in object) Out {
	t.Helper()
	out, err := call[Out](t, context.Background(), s, name, in)
	check(t, err)
	return out
}

// poll receives in the background and reports what came and after which time.
func poll(t *testing.T, ctx context.Context, s *sqs.Service, in object) <-chan pollResult {
	t.Helper()
	done := make(chan pollResult, 1)
	in["QueueUrl"] = plainURL
	start := time.Now()
	go func() {
		out, err := call[received](t, ctx, s, "ReceiveMessage", in)
		done <- pollResult{out, err, time.Since(start).Round(10 * time.Millisecond)}
	}()
	synctest.Wait()
	return done
}

type pollResult struct {
	received
	err   error
	after time.Duration
}

func TestLongPoll(t *testing.T) {
	cases := []struct {
		name  string
		speed int
		queue object
		in    object
		act   func(t *testing.T, s *sqs.Service)
		want  []string
		after time.Duration
	}{
		{"ends empty at its time", 1, object{}, object{"WaitTimeSeconds": 20}, nil, []string{}, 20 * time.Second},
		{"takes the queue's own time", 1, object{"ReceiveMessageWaitTimeSeconds": "7"}, object{}, nil, []string{}, 7 * time.Second},
		{"0 overrides the queue's own time", 1, object{"ReceiveMessageWaitTimeSeconds": "7"}, object{"WaitTimeSeconds": 0}, nil, []string{}, 0},
		{"ends ten times as early at speed 10", 10, object{}, object{"WaitTimeSeconds": 20}, nil, []string{}, 2 * time.Second},
		{"wakes at a send", 1, object{}, object{"WaitTimeSeconds": 20}, func(t *testing.T, s *sqs.Service) {
			time.Sleep(3 * time.Second)
			must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "sent"})
		}, []string{"sent"}, 3 * time.Second},
		{"wakes at the end of a delay", 1, object{}, object{"WaitTimeSeconds": 20}, func(t *testing.T, s *sqs.Service) {
			must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "delayed", "DelaySeconds": 5})
		}, []string{"delayed"}, 5 * time.Second},
		{"wakes at the end of a delay at speed 10", 10, object{}, object{"WaitTimeSeconds": 20}, func(t *testing.T, s *sqs.Service) {
			must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "delayed", "DelaySeconds": 5})
		}, []string{"delayed"}, 500 * time.Millisecond},
		{"not by a delay beyond it", 1, object{}, object{"WaitTimeSeconds": 4}, func(t *testing.T, s *sqs.Service) {
			must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "delayed", "DelaySeconds": 5})
		}, []string{}, 4 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, sqs.Options{Speed: c.speed}, func(t *testing.T, s *sqs.Service) {
				must[object](t, s, "CreateQueue", object{"QueueName": "q", "Attributes": c.queue})
				done := poll(t, t.Context(), s, c.in)
				if c.act != nil {
					c.act(t, s)
				}
				got := <-done
				if got.err != nil || got.after != c.after {
					t.Errorf("after %v: %v", got.after, got.err)
				}
				if diff := cmp.Diff(c.want, got.bodies()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestLongPollWakesWhenAMessageComesBack(t *testing.T) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		must[object](t, s, "CreateQueue", object{"QueueName": "q"})
		must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "one"})
		must[received](t, s, "ReceiveMessage", object{"QueueUrl": plainURL, "VisibilityTimeout": 8})
		back := <-poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		if back.after != 8*time.Second || len(back.Messages) != 1 {
			t.Fatalf("end of the timeout: %+v", back)
		}
		released := poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		time.Sleep(2 * time.Second)
		must[object](t, s, "ChangeMessageVisibility", object{"QueueUrl": plainURL, "VisibilityTimeout": 0,
			"ReceiptHandle": back.Messages[0].ReceiptHandle})
		if got := <-released; got.after != 2*time.Second || len(got.Messages) != 1 {
			t.Errorf("released: %+v", got)
		}
	})
}

// A message that a long poll on its queue sends to the dead-letter queue wakes the long poll there, and more of them
// than one turn moves all arrive.
func TestLongPollOnTheDeadLetterQueue(t *testing.T) {
	t.Run("one", func(t *testing.T) { pollBothQueues(t, 1) })
	t.Run("more than a turn moves", func(t *testing.T) { pollBothQueues(t, 250) })
}

func pollBothQueues(t *testing.T, count int) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		const dead = "http://localhost/000000000000/dead"
		must[object](t, s, "CreateQueue", object{"QueueName": "dead"})
		must[object](t, s, "CreateQueue", object{"QueueName": "q", "Attributes": object{"RedrivePolicy": redrive("dead", "1")}})
		for range count {
			must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "one"})
			must[received](t, s, "ReceiveMessage", object{"QueueUrl": plainURL, "VisibilityTimeout": 2})
		}
		onDead := make(chan pollResult, 1)
		start := time.Now()
		go func() {
			out, err := call[received](t, t.Context(), s, "ReceiveMessage", object{"QueueUrl": dead, "WaitTimeSeconds": 20})
			onDead <- pollResult{out, err, time.Since(start).Round(10 * time.Millisecond)}
		}()
		onMain := poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		if got := <-onDead; got.after != 2*time.Second || len(got.Messages) != 1 {
			t.Errorf("on the dead-letter queue: %+v", got)
		}
		if got := <-onMain; got.after != 20*time.Second || len(got.Messages) != 0 {
			t.Errorf("on the source: %+v", got)
		}
		out := must[struct{ Attributes map[string]string }](t, s, "GetQueueAttributes",
			object{"QueueUrl": dead, "AttributeNames": []string{"ApproximateNumberOfMessages"}})
		if got := out.Attributes["ApproximateNumberOfMessages"]; got != fmt.Sprint(count-1) {
			t.Errorf("%s dead letters visible", got)
		}
	})
}

// Each of many waiting receivers gets one message, the longest waiting first.
func TestLongPollsAreServedInTurn(t *testing.T) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		must[object](t, s, "CreateQueue", object{"QueueName": "q"})
		first := poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		second := poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		must[object](t, s, "SendMessageBatch", object{"QueueUrl": plainURL, "Entries": []object{
			{"Id": "a", "MessageBody": "one"}, {"Id": "b", "MessageBody": "two"}}})
		if diff := cmp.Diff([][]string{{"one"}, {"two"}}, [][]string{(<-first).bodies(), (<-second).bodies()}); diff != "" {
			t.Error(diff)
		}
	})
}

// A caller who went away gets no message: it stays visible for the next.
func TestLongPollOfACallerWhoLeft(t *testing.T) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		must[object](t, s, "CreateQueue", object{"QueueName": "q"})
		ctx, cancel := context.WithCancel(t.Context())
		left := poll(t, ctx, s, object{"WaitTimeSeconds": 20})
		cancel()
		if got := <-left; got.err != nil || len(got.Messages) != 0 || got.after != 0 {
			t.Errorf("the one who left: %+v", got)
		}
		must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "one"})
		if got := must[received](t, s, "ReceiveMessage", object{"QueueUrl": plainURL}); len(got.Messages) != 1 {
			t.Error("no receiver got the message")
		}
	})
}

func TestCloseEndsLongPolls(t *testing.T) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		must[object](t, s, "CreateQueue", object{"QueueName": "q"})
		done := poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		check(t, errors.Join(s.Close(), s.Close()))
		if got := <-done; got.err != nil || len(got.Messages) != 0 || got.after != 0 {
			t.Errorf("poll: %+v", got)
		}
		_, err := call[object](t, t.Context(), s, "ListQueues", object{})
		e, ok := errors.AsType[*awsjson.Error](err)
		if !ok || e.Status != http.StatusServiceUnavailable {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestDeletingTheQueueEndsLongPolls(t *testing.T) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		must[object](t, s, "CreateQueue", object{"QueueName": "q"})
		done := poll(t, t.Context(), s, object{"WaitTimeSeconds": 20})
		must[object](t, s, "DeleteQueue", object{"QueueUrl": plainURL})
		if got := <-done; got.err == nil || !strings.HasPrefix(got.err.Error(), "QueueDoesNotExist") || got.after != 0 {
			t.Errorf("poll: %+v", got)
		}
	})
}

func TestLimitOfMessagesInFlight(t *testing.T) {
	bubble(t, sqs.Options{}, func(t *testing.T, s *sqs.Service) {
		s.SetInFlightLimit(2)
		must[object](t, s, "CreateQueue", object{"QueueName": "q"})
		for _, body := range []string{"one", "two", "three"} {
			must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": body})
		}
		got := must[received](t, s, "ReceiveMessage", object{"QueueUrl": plainURL, "MaxNumberOfMessages": 10})
		if len(got.Messages) != 2 {
			t.Fatalf("received %v", got.bodies())
		}
		_, err := call[received](t, t.Context(), s, "ReceiveMessage", object{"QueueUrl": plainURL})
		if e, ok := errors.AsType[*awsjson.Error](err); !ok || e.Code != "OverLimit" || e.Status != http.StatusForbidden {
			t.Errorf("short poll: %v", err)
		}
		if long := <-poll(t, t.Context(), s, object{"WaitTimeSeconds": 5}); long.err != nil || len(long.Messages) != 0 || long.after != 5*time.Second {
			t.Errorf("long poll: %+v", long)
		}
		woken := poll(t, t.Context(), s, object{"WaitTimeSeconds": 5})
		must[object](t, s, "DeleteMessage", object{"QueueUrl": plainURL, "ReceiptHandle": got.Messages[0].ReceiptHandle})
		if diff := cmp.Diff([]string{"three"}, (<-woken).bodies()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSpeedDividesTimeouts(t *testing.T) {
	bubble(t, sqs.Options{Speed: 10}, func(t *testing.T, s *sqs.Service) {
		must[object](t, s, "CreateQueue", object{"QueueName": "q", "Attributes": object{"MessageRetentionPeriod": "100"}})
		must[object](t, s, "SendMessage", object{"QueueUrl": plainURL, "MessageBody": "one"})
		must[received](t, s, "ReceiveMessage", object{"QueueUrl": plainURL, "VisibilityTimeout": 30})
		visible := func() string {
			out := must[struct{ Attributes map[string]string }](t, s, "GetQueueAttributes",
				object{"QueueUrl": plainURL, "AttributeNames": []string{"All"}})
			return out.Attributes["ApproximateNumberOfMessages"] + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
		}
		got := []string{}
		for _, d := range []time.Duration{2990 * time.Millisecond, 10 * time.Millisecond, 6990 * time.Millisecond, 10 * time.Millisecond} {
			time.Sleep(d)
			got = append(got, visible())
		}
		if diff := cmp.Diff([]string{"01", "10", "10", "00"}, got); diff != "" {
			t.Error("hidden, visible, kept, expired: ", diff)
		}
	})
}
