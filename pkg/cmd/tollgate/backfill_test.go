package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/local/stripe"
)

// withStripe gives the system a fake Stripe with events of so many hours ago,
// called evt_<hours>.
func (s *system) withStripe(types map[int]string) *stripe.Fake {
	s.t.Helper()
	var events [][]byte
	for hours, typ := range types {
		events = append(events, fmt.Appendf(nil,
			`{"id":"evt_%d","object":"event","api_version":"2023-10-16","created":%d,"data":{"object":{"id":"in_%d","object":"invoice"}},"livemode":false,"type":%q}`,
			hours, time.Now().Add(-time.Duration(hours)*time.Hour).Unix(), hours, typ))
	}
	fakeStripe, url := localtest.Stripe(s.t, events...)
	s.info.StripeURL = url
	// A real clock's slices: at the harness's scale two days would be thousands of them.
	s.info.TimeScale = 1
	s.writeInfo()
	return fakeStripe
}

// backfillReport is what backfill --json prints, as far as tests read it.
type backfillReport struct {
	Types                                                                   []string
	DryRun                                                                  bool `json:"dry_run"`
	Slices, Finished, Listed, Enqueued, Unrecorded, Ignored, Deferred, Open int
	Held                                                                    *int
	Complete                                                                bool
}

func TestBackfill(t *testing.T) {
	s := newSystem(t)
	s.withStripe(map[int]string{1: "invoice.paid", 2: "payment_intent.succeeded", 3: "charge.failed", 30: "invoice.paid", 100: "invoice.paid"})
	var dry, done, again backfillReport
	for _, run := range []struct {
		into *backfillReport
		args []string
	}{
		{&dry, []string{"--dry-run"}}, {&done, []string{"--note", "ticket 7"}},
	} {
		a := s.keyed(append([]string{"backfill", "--since", "48h", "--json"}, run.args...)...).ok(t)
		check(t, json.Unmarshal([]byte(a.out), run.into))
		if run.into == &dry {
			if n := len(s.takeAll()); n != 0 {
				t.Errorf("a dry run sent %d messages", n)
			}
			if a := s.keyed("reconcile", "report", "--days", "1"); a.code != verb.ExitFailed || !strings.Contains(a.err, "nothing of the last 1 days was compared") {
				t.Errorf("a dry run covers: %+v", a)
			}
		}
	}
	if dry.Listed != 3 || dry.Enqueued != 3 || !dry.DryRun || done.Enqueued != 3 || done.Unrecorded != 3 || !done.Complete || done.Slices < 48 || done.Finished != done.Slices {
		t.Errorf("dry %+v\ndone %+v", dry, done)
	}
	got := map[string]string{}
	for _, e := range s.messages() {
		got[e.ID] = string(e.Source) + " " + e.Endpoint
		if e.Body == nil || e.Source != event.Backfill {
			t.Errorf("%+v", e)
		}
	}
	if d := cmp.Diff(map[string]string{"evt_1": "backfill default", "evt_2": "backfill default", "evt_30": "backfill default"}, got); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
	// Two days are covered now, the third is not.
	if a := s.keyed("reconcile", "report", "--days", "1"); a.code != verb.ExitDone || !strings.HasPrefix(a.out, "no gap in the last 1 days") {
		t.Errorf("%+v", a)
	}
	a := s.keyed("reconcile", "report", "--days", "3", "--json")
	var r reconcile.View
	check(t, json.Unmarshal([]byte(a.out), &r))
	if a.code != verb.ExitFailed || r.Whole || len(r.Gaps) != 1 || r.Gaps[0].Kind != "gap" || len(r.Streams) != 1 || r.Streams[0] != "- test" {
		t.Errorf("%+v %+v", a, r)
	}
	// One type alone proves nothing about the others.
	a = s.keyed("backfill", "--since", "120h", "--types", "invoice.*", "--json").ok(t)
	check(t, json.Unmarshal([]byte(a.out), &again))
	if again.Listed != 3 || again.Unrecorded != 3 || len(again.Types) != 6 {
		t.Errorf("%+v", again)
	}
	if a := s.keyed("reconcile", "report", "--days", "3"); a.code != verb.ExitFailed {
		t.Errorf("%+v", a)
	}
	trail := lines[audit.View](t, s.tollgate("audit", "list", "--verb", "backfill", "--json").ok(t).out)
	if len(trail) != 2 || trail[0].Why != "" || trail[1].Why != "ticket 7" {
		t.Errorf("the audit trail has %+v", trail)
	}
}

// TestBackfillKeepsToThePolicy of the endpoint that is named.
func TestBackfillKeepsToThePolicy(t *testing.T) {
	s := newSystem(t)
	s.withStripe(map[int]string{1: "invoice.paid", 2: "invoice.paid", 40: "invoice.paid"})
	s.info.Endpoints = fmt.Sprintf(`{"live":{"livemode":[true]},"late":{"from":%q}}`, time.Now().Add(-24*time.Hour).Format(time.RFC3339))
	s.writeInfo()
	a := s.keyed("backfill", "--since", "48h", "--endpoint", "live")
	if a.code != verb.ExitFailed || !strings.Contains(a.err, `endpoint "live" does not take test events`) || !strings.Contains(a.err, "--endpoint") || len(s.takeAll()) != 0 {
		t.Errorf("%+v", a)
	}
	a = s.keyed("backfill", "--since", "48h", "--endpoint", "late", "--json").ok(t)
	var done backfillReport
	check(t, json.Unmarshal([]byte(a.out), &done))
	if sent := len(s.takeAll()); done.Listed != 3 || done.Enqueued != 2 || done.Ignored != 1 || sent != 2 {
		t.Errorf("%d sent, %+v", sent, done)
	}
}

// takeAll takes every message off the queue.
func (s *system) takeAll() (bodies []string) {
	s.t.Helper()
	for {
		out, err := s.sqs.ReceiveMessage(s.t.Context(), &sdksqs.ReceiveMessageInput{QueueUrl: &s.info.QueueURL, MaxNumberOfMessages: 10})
		check(s.t, err)
		if len(out.Messages) == 0 {
			return bodies
		}
		for _, m := range out.Messages {
			bodies = append(bodies, *m.Body)
			check(s.t, s.queue.Delete(s.t.Context(), []string{*m.ReceiptHandle}))
		}
	}
}

// fill puts n messages on the queue, ten at a time.
func (s *system) fill(n int) {
	s.t.Helper()
	for range n / 10 {
		var batch []sqstypes.SendMessageBatchRequestEntry
		for i := range 10 {
			batch = append(batch, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String("x")})
		}
		_, err := s.sqs.SendMessageBatch(s.t.Context(), &sdksqs.SendMessageBatchInput{QueueUrl: &s.info.QueueURL, Entries: batch})
		check(s.t, err)
	}
}

func TestBackfillRefuses(t *testing.T) {
	s := newSystem(t)
	s.withStripe(nil)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "since"},
		{[]string{"--since", "soon"}, "--since"},
		{[]string{"--since", "721h"}, "30 days"},
		{[]string{"--since", "1h", "--until", "2h"}, "not before"},
		{[]string{"--since", "1h", "--until", "x"}, "--until"},
		{[]string{"--since", "1m"}, "5m0s ago"},
		{[]string{"--since", "1h", "--types", "no_such_object.*"}, "no type with a handler"},
		{[]string{"--since", "1h", "--rate", "0"}, "--rate"},
		{[]string{"--since", "1h", "--account", "me"}, "--account"},
		{[]string{"--since", "1h", "--endpoint", "A"}, "--endpoint"},
	} {
		if a := s.keyed(append([]string{"backfill"}, c.args...)...); a.code != verb.ExitUsage || !strings.Contains(a.err, c.want) {
			t.Errorf("%v: %+v, want exit 2 and %q", c.args, a, c.want)
		}
	}
	if a := s.keyed("reconcile", "report", "--days", "30"); a.code != verb.ExitUsage {
		t.Errorf("%+v", a)
	}
}

// TestBackfillStopsAtAFullQueue: what is deferred is reported, and the command fails.
func TestBackfillStopsAtAFullQueue(t *testing.T) {
	s := newSystem(t)
	s.withStripe(map[int]string{1: "invoice.paid"})
	s.fill(1000)
	a := s.keyed("backfill", "--since", "2h", "--json")
	var d backfillReport
	check(t, json.Unmarshal([]byte(a.out), &d))
	if a.code != verb.ExitFailed || d.Deferred != 1 || d.Complete || !strings.Contains(a.err, "deferred") {
		t.Errorf("%+v", a)
	}
}

// TestBackfillNamesWhatItCannotCompare has a record that is not the listed event's.
func TestBackfillNamesWhatItCannotCompare(t *testing.T) {
	s := newSystem(t)
	s.withStripe(map[int]string{1: "invoice.paid"})
	s.done("evt_1", "charge.failed", idempotency.Applied, nil)
	a := s.keyed("backfill", "--since", "2h")
	if a.code != verb.ExitFailed || !strings.Contains(a.err, "event=evt_1") || !strings.Contains(a.err, "1 events cannot be compared") {
		t.Errorf("%+v", a)
	}
}
