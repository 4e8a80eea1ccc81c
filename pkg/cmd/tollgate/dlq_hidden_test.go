package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
)

// killedAfter runs the command in a process of its own and kills it when it begins the given
// request of an operation, so that nothing of it still runs.
func (s *system) killedAfter(operation string, n int, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], append(args, "--data", s.data)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	begun := make(chan struct{})
	var once sync.Once
	s.watch(func(o string) {
		if o == operation {
			if n--; n <= 0 {
				once.Do(func() { close(begun) })
			}
		}
	})
	check(s.t, cmd.Start())
	<-begun
	s.watch(nil)
	check(s.t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Fatalf("it ended before it was killed: %v", err)
	}
}

// TestRedriveAfterAKill: dead letters that the dead process hides are neither overlooked nor
// reported as none.
func TestRedriveAfterAKill(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const total = 45
	var want []string
	for i := range total {
		want = append(want, fmt.Sprintf("evt_%02d", i))
		s.deadLetter(envelope(want[i], "invoice.paid"), "handler", "no row", 1)
	}
	s.killedAfter("AmazonSQS.DeleteMessageBatch", 3, "redrive", "--all", "--rate=4")

	list := s.tollgate("dlq", "list", "--json")
	if list.code != verb.ExitFailed || !strings.Contains(list.err, "hidden by another reader and left out, visible again within 10s") || !strings.Contains(list.err, `"certain":false`) {
		t.Errorf("list: %+v", list)
	}
	if dry := s.tollgate("redrive", "--dry-run", "--json"); dry.code != verb.ExitFailed || lines[redriveReport](t, dry.out)[0].Hidden == 0 {
		t.Errorf("dry run: %+v", dry)
	}
	again := s.tollgate("redrive", "--all", "--rate=500", "--json")
	v := lines[redriveReport](t, again.out)[0]
	if again.code != verb.ExitFailed || v.Hidden == 0 || v.Certain || !strings.Contains(again.err, "--wait-hidden") {
		t.Errorf("again: exit %d, %+v, %s", again.code, v, again.err)
	}
	if purge := s.tollgate("dlq", "purge", "--all", "--out="+t.TempDir()+"/out", "--note=x", "--json"); purge.code != verb.ExitFailed || lines[purgeReport](t, purge.out)[0].Hidden == 0 {
		t.Errorf("purge: %+v", purge)
	}
	if text := s.tollgate("dlq", "list"); text.code != verb.ExitFailed || strings.Contains(text.out, "No dead letters") {
		t.Errorf("list: %+v", text)
	}
	waited := s.tollgate("redrive", "--all", "--wait-hidden", "--rate=500", "--json").ok(t)
	if v := lines[redriveReport](t, waited.out)[0]; v.Hidden != 0 || !v.Certain || !strings.Contains(waited.err, "that another reader hides") {
		t.Errorf("waited: %+v %s", v, waited.err)
	}
	if got := s.tollgate("dlq", "list").ok(t).out; got != "No dead letters.\n" {
		t.Errorf("then the list is %q", got)
	}
	var got []string
	for _, e := range s.messages() {
		got = append(got, e.ID)
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("%d events are in the queue, want %d", len(got), total)
	}
}

// TestDeadLettersThatAnotherToolHides are counted in addition to those that can be read.
func TestDeadLettersThatAnotherToolHides(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 9 {
		s.deadLetter(envelope(fmt.Sprint("evt_", i), "invoice.paid"), "handler", "no row", 1)
	}
	out, err := s.sqs.ReceiveMessage(t.Context(), &sdksqs.ReceiveMessageInput{QueueUrl: &s.info.DLQURL, MaxNumberOfMessages: 4, VisibilityTimeout: 40_000})
	check(t, err)
	if len(out.Messages) != 4 {
		t.Fatalf("received %d dead letters, want 4", len(out.Messages))
	}
	plan := s.tollgate("redrive", "--dry-run")
	if plan.code != verb.ExitFailed || !strings.Contains(plan.out, "selected: 5 of 5 dead letters") || !strings.Contains(plan.out, "4 more are hidden by another reader") {
		t.Errorf("plan: %+v", plan)
	}
	if show := s.tollgate("dlq", "show", "evt_unknown"); show.code != verb.ExitFailed || !strings.Contains(show.err, "4 more are hidden") {
		t.Errorf("show: %+v", show)
	}
	var readings atomic.Int64
	s.watch(func(operation string) {
		if operation == "AmazonSQS.GetQueueAttributes" && readings.Add(1) == 3 {
			for _, m := range out.Messages { // makes them visible again
				_, err := s.sqs.ChangeMessageVisibility(t.Context(), &sdksqs.ChangeMessageVisibilityInput{QueueUrl: &s.info.DLQURL, ReceiptHandle: m.ReceiptHandle})
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
	waited := s.tollgate("dlq", "list", "--events", "--wait-hidden", "--json").ok(t)
	s.watch(nil)
	if n := len(lines[letterLine](t, waited.out)); n != 9 || !strings.Contains(waited.err, "waiting up to 20s for 4 dead letters that another reader hides") || !strings.Contains(waited.err, `"certain":true`) {
		t.Errorf("%d dead letters after the wait: %s", n, waited.err)
	}
}
