package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// dead leaves an event that exhausted its retries, with its dead letter.
func (s *system) dead(id, typ, text string) {
	s.t.Helper()
	s.failed(id, typ, "handler", text, 0)
	s.deadLetter(envelope(id, typ), "handler", text, 1)
}

// handle consumes the queue of events until the test or stop ends it: an event is done,
// or fails permanently if fails returns true.
func (s *system) handle(fails func(id string) bool) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			out, err := s.sqs.ReceiveMessage(ctx, &sdksqs.ReceiveMessageInput{QueueUrl: &s.info.QueueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, VisibilityTimeout: 40_000})
			if err != nil {
				continue
			}
			for _, m := range out.Messages {
				s.handleOne(aws.ToString(m.Body), fails)
				if err := s.queue.Delete(context.WithoutCancel(ctx), []string{aws.ToString(m.ReceiptHandle)}); err != nil {
					s.t.Error(err)
				}
			}
		}
	}()
	stop = func() { cancel(); <-ended }
	s.t.Cleanup(stop)
	return stop
}

func (s *system) handleOne(body string, fails func(id string) bool) {
	e, err := queue.Decode(body)
	if err != nil {
		s.t.Error(err)
		return
	}
	ctx, now := context.WithoutCancel(s.t.Context()), time.Now()
	got, err := s.store.Claim(ctx, idempotency.ClaimRequest{Event: e, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now, Receives: 1, ReceivesLeft: 15})
	if err != nil || got.Claim == nil {
		if got.Verdict != idempotency.Duplicate {
			s.t.Errorf("claim of %s: %s, %v", e.ID, got.Verdict, err)
		}
		return
	}
	if fails(e.ID) {
		if _, err := s.store.Fail(ctx, got.Claim, idempotency.Failure{Now: now, Err: "no row yet", Reason: "handler"}); err != nil {
			s.t.Error(err)
		}
		s.deadLetter(e, "handler", "no row yet", got.Claim.Attempt)
		return
	}
	if _, err := s.store.Complete(ctx, got.Claim, idempotency.Applied, heldEffects(e), now); err != nil {
		s.t.Error(err)
	}
}

func never(string) bool { return false }

// deadIDs are the events of the dead letters.
func (s *system) deadIDs() (ids []string) {
	s.t.Helper()
	for _, l := range lines[letterLine](s.t, s.tollgate("dlq", "list", "--events", "--json").ok(s.t).out) {
		ids = append(ids, l.EventID)
	}
	slices.Sort(ids)
	return ids
}

// redriveReport is what redrive --json prints, as far as tests read it.
type redriveReport struct {
	DryRun                                   bool `json:"dry_run"`
	Read, Selected, Leftovers, Hidden, Moved int
	Left, Held                               *int
	Certain                                  bool
	Canary, Outcomes                         *struct{ Done int }
}

// letterLine is a dead letter as dlq list --events --json prints it, as far as tests read it.
type letterLine struct {
	MessageID   string `json:"message_id"`
	EventID     string `json:"event_id"`
	Undecodable string
	Payload     *string
}

func TestRedriveSelects(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	connect := envelope("evt_c", "invoice.paid")
	connect.Account = "acct_1"
	s.deadLetter(envelope("evt_a", "invoice.paid"), "handler", "no row 17", 3)
	s.deadLetter(envelope("evt_b", "invoice.voided"), "handler", "no column", 3)
	s.deadLetter(connect, "livemode", "a test event", 1)
	s.deadLetter(envelope("evt_d", "charge.failed"), "no_plan", "of a handler's own reason", 1)
	s.moved("no message of ours")
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for args, want := range map[string]int{
		"--type invoice.*": 3, "--error " + queue.Fingerprint("invoice.paid", "handler", "no row 4"): 1, "--reason livemode": 1,
		"--reason undecodable": 1, "--reason no_plan": 1, "--reason api_version": 0, "--account acct_1": 1, "--id evt_b": 1, "--since 1h": 5,
		"--since " + later: 0, "--until 1h": 0, "--type invoice.* --reason handler --id evt_a": 1, "": 5,
	} {
		plan := lines[redriveReport](t, s.tollgate(append(strings.Fields("redrive --dry-run --json "), strings.Fields(args)...)...).ok(t).out)[0]
		if plan.Selected != want || plan.Read != 5 || !plan.DryRun || plan.Moved != 0 {
			t.Errorf("%q plans %+v, want %v", args, plan, want)
		}
	}
	s.tollgate("redrive", "--reason=typo").refused(t, verb.ExitUsage, "no dead letter has this reason", "--note")
	s.allVisible(5)
	if got := s.takeAll(); len(got) != 0 {
		t.Fatalf("plans alone sent %v", got)
	}
	s.tollgate("redrive", "--account=acct_1").ok(t)
	if diff := cmp.Diff([]string{encoded(t, connect)}, s.takeAll()); diff != "" {
		t.Errorf("what was sent: %s", diff)
	}
	if diff := cmp.Diff([]string{"", "evt_a", "evt_b", "evt_d"}, s.deadIDs()); diff != "" {
		t.Error(diff)
	}
	s.allVisible(4)
	s.free()
}

func TestRedriveWait(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 25 {
		s.dead(fmt.Sprint("evt_good", i), "invoice.paid", "no row")
	}
	s.dead("evt_bad", "invoice.voided", "no column")
	s.done("evt_left", "invoice.paid", idempotency.Applied, nil)
	s.deadLetter(envelope("evt_left", "invoice.paid"), "handler", "no row", 1)
	s.handle(func(id string) bool { return id == "evt_bad" })

	good := s.tollgate("redrive", "--type=invoice.paid", "--rate=500", "--wait", "--note=fixed in 1.2", "--json", "-v").ok(t)
	none := 0
	want := redriveReport{Read: 27, Selected: 26, Certain: true, Leftovers: 1, Moved: 26, Left: &none, Outcomes: &struct{ Done int }{26}, Held: &none}
	if diff := cmp.Diff(want, lines[redriveReport](t, good.out)[0]); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(good.err, "fixed in 1.2") {
		t.Errorf("with -v, stderr lacks the audit entry: %q", good.err)
	}

	bad := s.tollgate("redrive", "--all", "--wait")
	bad.failed(t, "1 of 1 messages failed again: evt_bad: no row yet", "tollgate events show evt_bad")
	if !strings.HasPrefix(bad.out, "redriven 1 of 1 dead letters; outcomes: 0 done, 1 failed again; 0 messages about old states held; it took") {
		t.Errorf("the report is %q", bad.out)
	}
	if diff := cmp.Diff([]string{"evt_bad"}, s.deadIDs()); diff != "" {
		t.Error(diff)
	}
	s.free()
}

func TestRedriveCanary(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 12 {
		s.dead(fmt.Sprint("evt_", i), "invoice.paid", "no row")
	}
	s.deadLetter(envelope("evt_new", "charge.failed"), "handler", "no row", 1) // without a record
	stop := s.handle(func(string) bool { return true })
	s.tollgate("redrive", "--type=invoice.paid", "--canary=3").failed(t, "of 3 canary messages failed again, nothing more was sent: evt_", "no row yet")
	stop()
	if n := len(s.deadIDs()); n != 13 {
		t.Errorf("%d dead letters after a canary that failed, want all 13", n)
	}
	stop = s.handle(never)
	got := lines[redriveReport](t, s.tollgate("redrive", "--type=invoice.paid", "--canary=3", "--wait", "--rate=500", "--json").ok(t).out)[0]
	if got.Canary == nil || got.Canary.Done != 3 || got.Moved != 12 || got.Outcomes.Done != 12 {
		t.Errorf("the report is %+v", got)
	}
	s.tollgate("redrive", "--all", "--canary=3", "--json").ok(t)
	stop()
	s.moved("no message of ours")
	s.tollgate("redrive", "--all", "--canary=2").failed(t, "no selected message can serve as a canary", "run it without --canary")
	s.allVisible(1)
	s.free()
}

// failed fails the test unless the command failed with an error.
func (a answer) failed(t *testing.T, says ...string) {
	t.Helper()
	answer{a.code, "", a.err}.refused(t, verb.ExitFailed, says...)
}

func TestRedriveUsage(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"--rate=0": "--rate is 1 to 500", "--rate=501": "--rate is 1 to 500", "--limit=-1": "--limit", "--canary=-1": "--canary",
		"--timeout=0s": "--timeout", "--type=in*.paid": "a type is", "--error=no.row": "12 hex digits", "--since=soon": "--since",
		"--until=soon": `--until "soon"`, "--since=1h --until=2h": "since is not before until", "": "--all redrives every", "--canary=3": "--all", "--all --type=invoice.paid": "exclude each other",
	} {
		tollgate(t.Context(), nil, append([]string{"redrive"}, strings.Fields(args)...)...).refused(t, verb.ExitUsage, says)
	}
	tollgate(t.Context(), nil, "redrive", "--reason", "the fix is deployed").refused(t, verb.ExitUsage, "is not the reason of a dead letter", "--note")
	tollgate(t.Context(), nil, "redrive", "--cause=handler").refused(t, verb.ExitUsage, "unknown flag --cause")
}

func TestRedriveNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if got := s.tollgate("redrive", "--all").ok(t).out; got != "Nothing to redrive: none of 0 dead letters is selected.\n" {
		t.Errorf("the output is %q", got)
	}
	s.dead("evt_a", "invoice.paid", "no row")
	text := s.tollgate("redrive", "--dry-run", "--rate=1").ok(t).out
	for _, want := range []string{"invoice.paid  handler  1 ", "selected: 1 of 1 dead letters, 1 a second, in about 1s; the oldest is of 20"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan lacks %q:\n%s", want, text)
		}
	}
	s.allVisible(1)
}

// TestRedriveInterrupt: what an interrupt cuts off is given back, what was sent is reported,
// and the next run does the rest.
func TestRedriveInterrupt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 35 {
		s.dead(fmt.Sprintf("evt_%02d", i), "invoice.paid", "no row")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sends atomic.Int64
	interrupt := func(operation string) {
		if operation == "AmazonSQS.SendMessageBatch" && sends.Add(1) == 2 {
			cancel()
		}
	}
	s.called.Store(&interrupt)
	got := tollgate(ctx, nil, "redrive", "--all", "--rate=100", "--json", "--data", s.data)
	got.failed(t, "move dead letters: stopped after 20: ", "interrupted", "run it again to go on")
	if v := lines[redriveReport](t, got.out)[0]; v.Moved != 20 || *v.Left != 15 {
		t.Errorf("the report is %+v", v)
	}
	s.called.Store(nil)
	s.allVisible(15)
	s.free()
	s.tollgate("redrive", "--all", "--rate=500").ok(t)
	s.allVisible(0)
	if n := len(s.takeAll()); n != 35 {
		t.Errorf("%d messages in the queue, want 35", n)
	}
}

func TestRedriveHeldByAnother(t *testing.T) {
	t.Parallel()
	s := newSends(t)
	s.system.dead("evt_a", "invoice.paid", "no row")
	ops, err := dynamostore.NewOperator(s.dynamo, s.info.Table, dynamostore.Options{})
	check(t, err)
	held := redrive.Lock{Owner: "o", By: "ann@laptop (process 7)", What: "redrive", Until: time.Now().Add(time.Hour)}
	check(t, ops.LockDLQ(t.Context(), held, time.Now()))
	for _, args := range []string{"redrive --all", "dlq list", "dlq show evt_a", "dlq export", "dlq purge --all --note=x --out=" + s.data + "/p.jsonl", "destination show crm", "destination redrive crm"} {
		s.tollgate(strings.Fields(args)...).refused(t, verb.ExitFailed, "in use: redrive by ann@laptop (process 7) until", "try again when it is done")
	}
	held.By = verb.Operator() // of this process, which lives
	check(t, ops.LockDLQ(t.Context(), held, time.Now()))
	s.tollgate("redrive", "--all").refused(t, verb.ExitFailed, "in use: redrive by")

	gone := exec.Command(os.Args[0], "-test.run=^$")
	check(t, gone.Run())
	held.By = verb.OperatorAs(gone.Process.Pid)
	for _, args := range []string{"redrive --all", "destination redrive crm"} {
		check(t, ops.LockDLQ(t.Context(), held, time.Now()))
		if got := s.tollgate(strings.Fields(args)...).ok(t); !strings.Contains(got.err, "has ended; taking it over") {
			t.Errorf("%s prints %q", args, got.err)
		}
	}
	s.allVisible(0)
	s.free()
}
