package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/destinations"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/history"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// sends gives a system destinations, crm and erp, in queues of their own.
type sends struct {
	*system
	rows *dynamostore.Deliveries
}

func newSends(t *testing.T) *sends {
	t.Helper()
	s := &sends{system: newSystem(t)}
	s.info.SendDLQURL = s.aws.Queue(t, "tollgate-send-dead", nil)
	for _, group := range []string{"crm", "erp"} {
		s.aws.Queue(t, "tollgate-send-"+group, nil)
	}
	s.info.Destinations = `{"crm":{"type":"http","url":"http://127.0.0.1:1/hooks/hidden?key=hidden","secret":"crm","messages":["receipt"],"events":["invoice.*"],"insecure_http":true,"allow":["127.0.0.0/8"]},
		"erp":{"type":"sqs","queue":"http://127.0.0.1:1/000000000000/q","messages":["*"]}}`
	s.writeInfo()
	var err error
	s.rows, err = dynamostore.NewDeliveries(s.dynamo, local.TableName, dynamostore.Options{Limits: limits.Scaled(scale)})
	check(t, err)
	return s
}

func (s *sends) url(group string) string {
	return strings.TrimSuffix(s.info.SendDLQURL, "dead") + group
}

// over makes a delivery that ended with a status.
func (s *sends) over(j delivery.Job, status delivery.Status, httpStatus int) {
	s.t.Helper()
	now := time.Now()
	begun, err := s.rows.Begin(s.t.Context(), delivery.BeginRequest{Job: j, First: true, Owner: "o", Now: now, Lease: now.Add(time.Second), Cutoff: now})
	check(s.t, err)
	_, err = s.rows.End(s.t.Context(), *begun.Started, delivery.Result{Status: status, Now: now, Attempt: delivery.Attempt{At: now, Status: httpStatus, Err: "answered"}})
	check(s.t, err)
}

// dead makes a dead letter of a delivery that ended so.
func (s *sends) dead(n int, to string, status delivery.Status) delivery.Job {
	s.t.Helper()
	j := delivery.Job{Message: fmt.Sprintf("OUT#FACT#live#-#pi_%d#succeeded#receipt", n), Destination: to}
	s.over(j, status, 410)
	q := sqsqueue.New(s.sqs, s.url(to), s.info.SendDLQURL, limits.Scaled(scale))
	check(s.t, q.DeadLetter(s.t.Context(), queue.Message{Body: j.Encode()}, queue.DeadLetter{Reason: string(status), Destination: to, Error: "answered 410"}))
	return j
}

func (s *sends) jobs(group string) (bodies []string) {
	s.t.Helper()
	url := s.url(group)
	out, err := s.sqs.ReceiveMessage(s.t.Context(), &sdksqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 36_000})
	check(s.t, err)
	for _, m := range out.Messages {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

func (s *sends) disable(name string) {
	s.t.Helper()
	_, err := s.rows.SwapState(s.t.Context(), name, delivery.State{Since: time.Now(), Off: time.Now(), Why: "status 410", By: "o"})
	check(s.t, err)
}

func TestDestinationListAndShow(t *testing.T) {
	s := newSends(t)
	s.disable("crm")
	s.dead(1, "crm", delivery.Disabled)
	s.dead(2, "crm", delivery.Failed)
	s.dead(3, "erp", delivery.Failed)
	all := lines[destinations.View](t, s.tollgate("destination", "list", "--json").ok(t).out)
	if len(all) != 2 || all[0].Name != "crm" || all[0].Status != "disabled" || all[0].To != "http://127.0.0.1:1" || all[1].Status != "ok" || all[1].To != "q" {
		t.Errorf("%+v", all)
	}
	shown := lines[destinations.Shown](t, s.tollgate("destination", "show", "crm", "--json").ok(t).out)[0]
	if shown.Why != "status 410" || shown.Off == nil || shown.Dead["disabled"] != 1 || shown.Dead["failed"] != 1 || len(shown.Dead) != 2 || shown.Rate != 50 {
		t.Errorf("%+v", shown)
	}
	for _, args := range [][]string{{"list"}, {"show", "crm"}} {
		out := s.tollgate(append([]string{"destination"}, args...)...).ok(t).out
		if !strings.Contains(out, "disabled") || strings.Contains(out, "hidden") {
			t.Errorf("%v prints %s", args, out)
		}
	}
	one := lines[destinations.Delivery](t, s.tollgate("destination", "show", "crm", "--message", "OUT#FACT#live#-#pi_1#succeeded#receipt", "--json").ok(t).out)[0]
	if one.Status != "disabled" || one.Attempt != 1 || len(one.History) != 1 || one.History[0].Status != 410 || !strings.HasPrefix(one.ID, "msg_") {
		t.Errorf("%+v", one)
	}
	s.tollgate("destination", "show", "crm", "--message", "OUT#none").refused(t, verb.ExitFailed, "has begun")
	s.tollgate("destination", "show", "x").refused(t, verb.ExitUsage, `no destination "x"`)
	newSystem(t).tollgate("destination", "list").refused(t, verb.ExitUsage, "--send-to")
}

func TestDevTakesOneKindOfDestinations(t *testing.T) {
	newSystem(t).tollgate("dev", "--destinations", "x", "--send-to", "http://127.0.0.1:1").refused(t, verb.ExitUsage, "--send-to is a destination of its own")
}

// TestDestinationRedrive moves the jobs of one destination, whose deliveries begin anew.
func TestDestinationRedrive(t *testing.T) {
	s := newSends(t)
	jobs := []delivery.Job{s.dead(1, "crm", delivery.Disabled), s.dead(2, "crm", delivery.Failed)}
	other := s.dead(3, "erp", delivery.Failed)
	s.disable("crm")
	s.tollgate("destination", "redrive", "crm").refused(t, verb.ExitUsage, "is disabled", "destination enable crm")
	for _, changed := range []bool{true, false} {
		if e := lines[destinations.Enabled](t, s.tollgate("destination", "enable", "crm", "--json", "--note", "it is back").ok(t).out)[0]; e.Changed != changed {
			t.Errorf("enable: %+v", e)
		}
	}
	state, err := s.rows.State(t.Context(), "crm")
	if check(t, err); !state.Off.IsZero() || !state.Since.IsZero() || state.Why != "" {
		t.Errorf("%+v: its old failures would disable it again", state)
	}
	redriven := func(args ...string) destinations.Redriven {
		t.Helper()
		return lines[destinations.Redriven](t, s.tollgate(append([]string{"destination", "redrive", "crm", "--json"}, args...)...).ok(t).out)[0]
	}
	if r := redriven("--dry-run"); r.Selected != 2 || r.Read != 3 || r.Moved != 0 || len(s.jobs("crm")) != 0 {
		t.Errorf("dry run: %+v", r)
	}
	if r := redriven("--rate", "500"); r.Moved != 2 || r.Left != 0 {
		t.Errorf("%+v", r)
	}
	if r := redriven(); r.Selected != 0 || r.Read != 1 {
		t.Errorf("again: %+v", r)
	}
	if got := s.jobs("crm"); len(got) != 2 || len(s.jobs("erp")) != 0 {
		t.Errorf("jobs %v", got)
	}
	for _, j := range append(jobs, other) {
		row, _, err := s.rows.Row(t.Context(), j)
		if check(t, err); (row.Status == delivery.Waiting) != (j != other) {
			t.Errorf("%v: %+v", j, row)
		}
	}
	entries := lines[audit.View](t, s.tollgate("audit", "list", "--json").ok(t).out)
	if len(entries) != 2 || entries[0].Verb != "destination redrive" || entries[1].Why != "it is back" {
		t.Errorf("audit %+v", entries)
	}
}

// TestDestinationTest sends through the destination's queue; the test is the sender.
func TestDestinationTest(t *testing.T) {
	s := newSends(t)
	s.info.Destinations = `{"post":{"type":"email","from":"a@example.com","messages":["receipt"]},` +
		strings.Replace(s.info.Destinations, `"messages":["*"]`, `"messages":["*"],"livemode":[true],"accounts":["acct_1"]`, 1)[1:]
	s.writeInfo()
	for _, c := range []struct {
		to     string
		status delivery.Status
		code   int
		key    string
	}{
		{"crm", delivery.Delivered, verb.ExitDone, "OUT#TEST#test#-#"},
		{"crm", delivery.Failed, verb.ExitFailed, "OUT#TEST#test#-#"},
		{"erp", delivery.Delivered, verb.ExitDone, "OUT#TEST#live#acct_1#"}, // which takes no other
	} {
		sent := make(chan answer, 1)
		go func() { sent <- s.tollgate("destination", "test", c.to, "--json") }()
		var got []string
		for len(got) == 0 {
			got = s.jobs(c.to)
		}
		j, err := delivery.DecodeJob(got[0])
		check(t, err)
		m, found, err := s.rows.Message(t.Context(), j.Message)
		if check(t, err); !found || m.Name != "test" || !strings.HasPrefix(j.Message, c.key) || m.Queued.IsZero() || m.Since.IsZero() {
			t.Errorf("%+v, %v", m, found)
		}
		s.over(j, c.status, 200)
		if a := <-sent; a.code != c.code || lines[destinations.Delivery](t, a.out)[0].Status != history.StatusOf(delivery.Row{Status: c.status}) {
			t.Errorf("%+v: %+v", c, a)
		} else if hint := strings.Contains(a.err, "tollgate destination show "+j.Destination+" --message '"+j.Message+"'"); hint != (c.code != verb.ExitDone) {
			t.Errorf("%+v: errors %q", c, a.err)
		}
	}
	s.tollgate("destination", "test", "post").refused(t, verb.ExitUsage, "no test message has them")
	s.disable("crm")
	s.tollgate("destination", "test", "crm").refused(t, verb.ExitUsage, "is disabled")
}

// TestDeliveriesToken: the last two tokens of a destination are valid, and none after a revocation; a
// destination without a history gets none.
func TestDeliveriesToken(t *testing.T) {
	s := newSends(t)
	s.info.Destinations = strings.Replace(s.info.Destinations, `"messages":["*"]`, `"messages":["*"],"history":true`, 1)
	s.writeInfo()
	reader, err := dynamostore.NewReader(s.dynamo, local.TableName)
	check(t, err)
	valid := func(tokens ...string) {
		t.Helper()
		var want []string
		for _, token := range tokens {
			want = append(want, history.Digest(token))
		}
		if got, err := reader.Tokens(t.Context(), "erp"); err != nil || !slices.Equal(got.Digests, want) {
			t.Errorf("digests %v, %v, want those of %v", got.Digests, err, tokens)
		}
	}
	var made []string
	for range 3 {
		made = append(made, strings.TrimSpace(s.tollgate("deliveries", "token", "erp").ok(t).out))
	}
	valid(made[1:]...)
	if made[0] == made[1] || !strings.HasPrefix(made[0], "tgd_erp_") || strings.Contains(s.tollgate("audit", "list", "--json").ok(t).out, made[2]) {
		t.Errorf("tokens %v", made)
	}
	s.tollgate("deliveries", "token", "erp", "--revoke").ok(t)
	valid()
	s.tollgate("deliveries", "token", "crm").refused(t, verb.ExitUsage, "has no history")
	s.tollgate("deliveries", "show", "erp", "OUT#none").refused(t, verb.ExitFailed, "has begun")
}
