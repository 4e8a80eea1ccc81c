package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/audit"
	verbs "tollgate/pkg/cmd/tollgate/outbox"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/outbox"
)

// asked inserts a done event that requested a message, held or not, and returns the message's
// key. The state of the nth is n minutes younger than at.
func (s *system) asked(n int, name, held string) (key string) {
	s.t.Helper()
	key = fmt.Sprintf("OUT#FACT#live#acct_1#in_%03d#paid#%s", n, name)
	fields := dispatch.Fields{
		"kind": "outbox", "name": name, "to": "cus_1", "object": "invoice", "object_id": fmt.Sprintf("in_%03d", n), "mode": "live", "account": "acct_1",
		"amount": int64(4165), "currency": "eur", "event_id": fmt.Sprintf("evt_%03d", n),
		"lst": dispatch.OutboxList(dispatch.OutboxShard(key)), "at": after(60 * n).Format(time.RFC3339), "queued_at": at.UnixMilli(),
	}
	if held != "" {
		fields["lst"], fields["held"] = dispatch.HeldList(dispatch.OutboxShard(key)), held
	}
	s.done(fmt.Sprintf("evt_%03d", n), "invoice.paid", idempotency.Applied, dispatch.Effects{dispatch.Insert("FACT#"+key[9:], nil), dispatch.Insert(key, fields)})
	return key
}

// sends runs the outbox once and returns how many messages it took.
func (s *system) sends() int {
	s.t.Helper()
	r, err := outbox.Drain(s.t.Context(), s.store, silentSender{}, outbox.Options{})
	check(s.t, err)
	return r.Sent
}

type silentSender struct{}

func (silentSender) Send(context.Context, outbox.Message) error { return nil }

func TestOutboxList(t *testing.T) {
	s := newSystem(t)
	var keys []string
	for n := range 9 {
		keys = append(keys, s.asked(n, []string{"receipt", "welcome"}[n%2], []string{"", "old", "before_begin"}[n%3]))
	}
	for _, c := range []struct {
		args []string
		want []int
	}{
		{nil, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{[]string{"--held"}, []int{1, 2, 4, 5, 7, 8}},
		{[]string{"--unsent"}, []int{0, 3, 6}},
		{[]string{"--held", "--type", "welcome"}, []int{1, 5, 7}},
		{[]string{"--since", after(60 * 3).Format(time.RFC3339), "--before", after(60 * 6).Format(time.RFC3339)}, []int{3, 4, 5}},
		{[]string{"--before", after(60*6 + 1).Format(time.RFC3339)}, []int{0, 1, 2, 3, 4, 5, 6}},
		{[]string{"--type", "nothing"}, nil},
	} {
		var got, want []string
		for _, n := range c.want {
			want = append(want, keys[n])
		}
		for _, v := range lines[verbs.View](t, s.tollgate(append([]string{"outbox", "list", "--json"}, c.args...)...).ok(t).out) {
			got = append(got, v.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.args, diff)
		}
	}
	first := lines[verbs.View](t, s.tollgate("outbox", "list", "--held", "--limit", "1", "--json").ok(t).out)
	want := []verbs.View{{
		Key: keys[1], Status: "held", Held: "old", Name: "welcome", To: "cus_1", Object: "invoice", ObjectID: "in_001", Amount: 4165, Currency: "eur",
		Mode: "live", Account: "acct_1", EventID: "evt_001", StateAt: after(60).Format(time.RFC3339), QueuedAt: verb.Stamp(at),
	}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("for machines (-want +got):\n%s", diff)
	}
	people := s.tollgate("outbox", "list").ok(t)
	for _, part := range []string{"MESSAGE", "held: old", "held: before begin", "unsent", "4165 eur", keys[8]} {
		if !strings.Contains(people.out, part) {
			t.Errorf("%q is not in\n%s", part, people.out)
		}
	}
	if got := s.tollgate("outbox", "list", "--type", "nothing").ok(t); !strings.Contains(got.out, "No messages") {
		t.Errorf("an empty list is %q", got.out)
	}
}

func TestOutboxListGoesOn(t *testing.T) {
	s := newSystem(t)
	for n := range 5 {
		s.asked(n, "receipt", "old")
	}
	seen, cursor := 0, ""
	for range 5 {
		args := []string{"outbox", "list", "--held", "--limit", "2", "--json"}
		if cursor != "" {
			args = append(args, "--cursor", cursor)
		}
		a := s.tollgate(args...).ok(t)
		seen += len(lines[verbs.View](t, a.out))
		if a.err == "" {
			break
		}
		var more struct{ Cursor string }
		check(t, json.Unmarshal([]byte(a.err), &more))
		cursor = more.Cursor
	}
	if seen != 5 {
		t.Errorf("%d messages over all pages", seen)
	}
	if got := s.tollgate("outbox", "list", "--limit", "2").ok(t); !strings.Contains(got.err, "--cursor ") {
		t.Errorf("the text output is %q", got.err)
	}
	s.tollgate("outbox", "list", "--cursor", "x").refused(t, verb.ExitUsage, "--cursor")
	s.tollgate("outbox", "list", "--limit", "0").refused(t, verb.ExitUsage, "--limit")
	s.tollgate("outbox", "list", "--since", "1h", "--before", "2h").refused(t, verb.ExitUsage, "--since is not before")
}

func TestOutboxRelease(t *testing.T) {
	s := newSystem(t)
	var keys []string
	for n := range 6 {
		keys = append(keys, s.asked(n, []string{"receipt", "welcome"}[n%2], "old"))
	}
	unheld := s.asked(6, "receipt", "")

	// Nothing is released without a reason, a choice, and a yes.
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--all"}, "--note"},
		{[]string{"--note", "x"}, "--all"},
		{[]string{"--all", "--type", "receipt", "--note", "x"}, "leave the filters out"},
		{[]string{keys[0], "--all", "--note", "x"}, "not both"},
		{[]string{keys[0], "--type", "receipt", "--note", "x"}, "not both"},
		{[]string{"FACT#1", "--note", "x"}, "OUT#"},
	} {
		s.tollgate(append([]string{"outbox", "release"}, c.args...)...).refused(t, verb.ExitUsage, c.says)
	}
	if got := s.tollgate("outbox", "release", "--all", "--dry-run").ok(t); !strings.Contains(got.out, "would release 6 held messages (3 receipt, 3 welcome)") {
		t.Errorf("a dry run prints %q", got.out)
	}
	if n := s.sends(); n != 1 {
		t.Fatalf("%d were sent before any release", n)
	}

	// By key: a sent one and a missing one are named; the others are released.
	got := s.tollgate("outbox", "release", keys[0], unheld, "OUT#FACT#live#-#in_9#paid#receipt", "--note", "asked for by ann", "--json")
	if got.code != verb.ExitFailed || !strings.Contains(got.err, "2 of 3 messages were not released") || !strings.Contains(got.err, "the local system in") {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.err)
	}
	if diff := cmp.Diff([]verbs.Result{{Selected: 3, Released: 1, AlreadySent: 1, NoMessage: 1}}, lines[verbs.Result](t, got.out)); diff != "" {
		t.Errorf("by key (-want +got):\n%s", diff)
	}
	if n := s.sends(); n != 1 {
		t.Errorf("%d were sent after a release of one", n)
	}
	if got := s.tollgate("outbox", "release", keys[0], "--note", "again"); got.code != verb.ExitFailed || !strings.Contains(got.out, "1 sent before") {
		t.Errorf("a sent one: exit %d: %s%s", got.code, got.out, got.err)
	}

	// By filter, then the rest.
	if got := s.tollgate("outbox", "release", "--type", "welcome", "--before", after(60*4).Format(time.RFC3339), "--note", "x").ok(t); !strings.Contains(got.out, "released 2 of 2 messages") {
		t.Errorf("by filter: %q", got.out)
	}
	view := lines[verbs.View](t, s.tollgate("outbox", "list", "--unsent", "--json").ok(t).out)
	if len(view) != 2 || view[0].ReleasedAt == nil || view[0].Held != "old" || view[0].Status != "unsent" {
		t.Errorf("released ones are %+v", view)
	}
	if got := s.tollgate("outbox", "release", "--all", "--note", "all of them").ok(t); !strings.Contains(got.out, "released 3 of 3 messages") {
		t.Errorf("all: %q", got.out)
	}
	if n := s.sends() + s.sends(); n != 5 {
		t.Errorf("%d were sent in two runs, want each of five once", n)
	}
	if got := s.tollgate("outbox", "release", "--all", "--note", "nothing is left").ok(t); !strings.Contains(got.out, "0 held messages") {
		t.Errorf("nothing held: %q", got.out)
	}

	var trail []string
	for _, e := range lines[audit.View](t, s.tollgate("audit", "list", "--verb", "outbox", "--json").ok(t).out) {
		trail = append(trail, e.Why+": "+e.Outcome)
		if e.Verb != "outbox release" || !strings.Contains(e.Detail, "messages") {
			t.Errorf("the audit trail has %+v", e)
		}
	}
	wantTrail := []string{
		"all of them: released 3 of 3 messages", "x: released 2 of 2 messages",
		"again: released 0 of 1 messages, 1 sent before; failed: 1 of 1 messages were not released",
		"asked for by ann: released 1 of 3 messages, 1 sent before, 1 not there; failed: 2 of 3 messages were not released",
	}
	if diff := cmp.Diff(wantTrail, trail); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
}

// TestOutboxReleaseAsks: a system that is not local needs a yes.
func TestOutboxReleaseAsks(t *testing.T) {
	s := newSystem(t)
	key := s.asked(1, "receipt", "old")
	env := s.environment()
	got := tollgate(t.Context(), env, "outbox", "release", key, "--note", "x")
	got.refused(t, verb.ExitUsage, "table "+s.info.Table, "release 1 named messages", "--yes")
	if n := s.sends(); n != 0 {
		t.Error("it was released all the same")
	}
	tollgate(t.Context(), env, "outbox", "release", key, "--note", "x", "--yes").ok(t)
	if n := s.sends(); n != 1 {
		t.Errorf("%d sent", n)
	}
}

func TestHeldBy(t *testing.T) {
	s := newSystem(t)
	s.asked(1, "receipt", "old")
	released := s.asked(2, "receipt", "old")
	s.asked(3, "receipt", "")
	s.asked(4, "welcome", "before_begin")
	s.tollgate("outbox", "release", released, "--note", "x").ok(t)
	a, to, _ := auditing(t, s)
	for _, c := range []struct {
		ids  []string
		want int
	}{
		{nil, 0}, {[]string{"evt_001"}, 1}, {[]string{"evt_001", "evt_002", "evt_003", "evt_004", "evt_none"}, 2},
	} {
		if n, err := a.CountHeld(t.Context(), to, c.ids); n != c.want || err != nil {
			t.Errorf("%v: %d held, %v; want %d", c.ids, n, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.CountHeld(ctx, to, []string{"evt_001"}); err == nil {
		t.Error("what cannot be read counts as nothing held")
	}
}

// heldEffects are a held message for an event named evt_held…, or for one that a backfill
// found a day after it arose; none for others.
func heldEffects(e event.Envelope) dispatch.Effects {
	late := e.Source == event.Backfill && time.Since(time.Unix(e.Created, 0)) > 24*time.Hour
	if !late && !strings.HasPrefix(e.ID, "evt_held") {
		return nil
	}
	key := "OUT#FACT#test#-#" + e.ID + "#receipt"
	return dispatch.Effects{dispatch.Insert(key, dispatch.Fields{"lst": dispatch.HeldList(dispatch.OutboxShard(key)), "at": "2023-11-14T22:13:10Z"})}
}

func TestVerbsSayWhatIsHeld(t *testing.T) {
	t.Parallel()
	const one, sofar = "1 message about old states held", "held so far"
	t.Run("redrive", func(t *testing.T) {
		s := newSystem(t)
		s.dead("evt_held", "invoice.paid", "no row")
		s.dead("evt_other", "invoice.paid", "no row")
		s.handle(never)
		got := lines[redriveReport](t, s.tollgate("redrive", "--all", "--wait", "--json").ok(t).out)[0]
		if got.Held == nil || *got.Held != 1 {
			t.Errorf("%+v", got)
		}
		s.dead("evt_held2", "invoice.paid", "no row")
		if people := s.tollgate("redrive", "--all", "--wait").ok(t); !strings.Contains(people.out, one) || strings.Contains(people.out, sofar) {
			t.Errorf("the text output is %q", people.out)
		}
		s.dead("evt_held3", "invoice.paid", "no row")
		if got := lines[redriveReport](t, s.tollgate("redrive", "--all", "--json").ok(t).out)[0]; got.Held != nil {
			t.Errorf("without a wait it says %d", *got.Held)
		}
	})
	t.Run("replay", func(t *testing.T) {
		s := newSystem(t)
		body := paid("evt_held", "in_1")
		withStripe(t, s, body)
		s.ended(body, "", idempotency.Applied)
		if got := s.keyed("events", "replay", "evt_held", "--note=x").ok(t); !strings.Contains(got.err, "0 messages about old states held so far") {
			t.Errorf("before it ran: %q", got.err)
		}
		s.messages() // lost: the second replay's is the one that runs
		s.handle(never)
		if got := s.keyed("events", "replay", "evt_held", "--note=x", "--wait=1m").ok(t); !strings.Contains(got.err, one) || strings.Contains(got.err, sofar) {
			t.Errorf("after it ran: %q", got.err)
		}
	})
	t.Run("backfill", func(t *testing.T) {
		s := newSystem(t)
		s.withStripe(map[int]string{1: "invoice.paid", 30: "invoice.paid", 40: "invoice.paid"})
		var got backfillReport
		check(t, json.Unmarshal([]byte(s.keyed("backfill", "--since", "20h", "--json").ok(t).out), &got))
		if got.Enqueued != 1 || got.Open != 1 || got.Held == nil || *got.Held != 0 {
			t.Errorf("without a wait: %+v, held %v", got, got.Held)
		}
		s.handle(never)
		people := s.keyed("backfill", "--since", "48h", "--wait", "1m").ok(t)
		if !strings.Contains(people.out, "2 messages about old states held\n") {
			t.Errorf("with a wait: %q", people.out)
		}
		trail := lines[audit.View](t, s.tollgate("audit", "list", "--verb", "backfill", "--json").ok(t).out)
		if !strings.Contains(trail[0].Outcome, "2 messages about old states held") || !strings.Contains(trail[1].Outcome, sofar) {
			t.Errorf("audit trail %+v", trail)
		}
		s.keyed("backfill", "--since", "48h", "--wait", "1m", "--dry-run").refused(t, verb.ExitUsage, "--wait")
	})
}
