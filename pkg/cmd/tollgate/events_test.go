package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// fill puts one event of each kind into the table.
func fill(t *testing.T, s *system) {
	t.Helper()
	hour := time.Now().Add(time.Hour)
	s.done("evt_done", "invoice.paid", idempotency.Applied, dispatch.Effects{
		dispatch.Insert("FACT#test#-#in_1#paid", dispatch.Fields{"amount": 1000, "currency": "eur", "final": true, "note": nil}),
	})
	s.done("evt_ignored", "charge.failed", idempotency.Ignored, nil)
	s.failed("evt_retrying", "invoice.paid", "", "no row for cus_1", 15)
	s.failed("evt_dead", "invoice.paid", "handler", "no plan", 0)
	s.claim("evt_running", "invoice.paid", 0, 15, hour)
	s.claim("evt_crashed", "invoice.paid", 0, 15, after(30))
	s.claim("evt_last", "invoice.paid", 0, 0, hour)
	c := s.done("evt_replayed", "invoice.paid", idempotency.Applied, nil)
	check(t, s.writer.Replay(t.Context(), idempotency.ReplayRequest{
		EventID: c.EventID, Generation: c.Generation, Now: after(5), By: "ann", Why: "wrong rate",
	}))
}

func TestEventsShow(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	fill(t, s)
	const (
		none  = `"history":{"failed":[],"no_failure":[],"earlier":0},`
		times = `"source":"webhook","created":"2023-11-14T22:13:10Z","first_at":"2023-11-14T22:13:20.123Z",`
		first = times + `"updated_at":"2023-11-14T22:13:20.123Z","done_at":null,` + none + `"effects":[]}`
		done  = times + `"updated_at":"2023-11-14T22:13:22.123Z","done_at":"2023-11-14T22:13:22.123Z",` + none
		tried = times + `"updated_at":"2023-11-14T22:13:21.123Z","done_at":null,"history":{"failed":[{"number":1,"start":"2023-11-14T22:13:20.123Z","ms":1000,"fingerprint":"PRINT","frame":"handlers.paid invoice.go:42"}],"no_failure":[],"earlier":0},"effects":[]}`
	)
	tests := []struct{ id, want string }{
		{"evt_done", `{"id":"evt_done","type":"invoice.paid","status":"done","dead":false,"reason":"","where":"done","where_inferred":false,"attempt":1,"generation":1,"fails":0,"receives_left":null,"error":"","outcome":"applied",` +
			done + `"effects":[{"amount":1000,"currency":"eur","final":true,"note":null,"pk":"FACT#test#-#in_1#paid"}]}`},
		{"evt_ignored", `{"id":"evt_ignored","type":"charge.failed","status":"ignored","dead":false,"reason":"","where":"done","where_inferred":false,"attempt":1,"generation":1,"fails":0,"receives_left":null,"error":"","outcome":"ignored",` +
			done + `"effects":[]}`},
		{"evt_retrying", `{"id":"evt_retrying","type":"invoice.paid","status":"retrying","dead":false,"reason":"","where":"queue_or_dlq","where_inferred":true,"attempt":1,"generation":1,"fails":1,"receives_left":15,"error":"no row for cus_1","outcome":"",` + tried},
		{"evt_dead", `{"id":"evt_dead","type":"invoice.paid","status":"dead","dead":true,"reason":"handler","where":"dlq","where_inferred":true,"attempt":1,"generation":1,"fails":1,"receives_left":0,"error":"no plan","outcome":"",` + tried},
		{"evt_running", `{"id":"evt_running","type":"invoice.paid","status":"running","dead":false,"reason":"","where":"in_flight","where_inferred":true,"attempt":1,"generation":1,"fails":0,"receives_left":15,"error":"","outcome":"",` + first},
		{"evt_crashed", `{"id":"evt_crashed","type":"invoice.paid","status":"running","dead":false,"reason":"","where":"queue_or_dlq","where_inferred":true,"attempt":1,"generation":1,"fails":0,"receives_left":15,"error":"","outcome":"",` + first},
		{"evt_last", `{"id":"evt_last","type":"invoice.paid","status":"dead","dead":true,"reason":"","where":"in_flight","where_inferred":true,"attempt":1,"generation":1,"fails":0,"receives_left":0,"error":"","outcome":"",` + first},
		{"evt_replayed", `{"id":"evt_replayed","type":"invoice.paid","status":"retrying","dead":false,"reason":"","where":"queue_or_dlq","where_inferred":true,"attempt":1,"generation":2,"fails":0,"receives_left":null,"error":"","outcome":"applied",` +
			times + `"updated_at":"2023-11-14T22:13:25.123Z","done_at":"2023-11-14T22:13:22.123Z","replay_by":"ann","replay_why":"wrong rate",` + none + `"effects":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			got := s.tollgate("events", "show", tt.id, "--json").ok(t)
			for reason, text := range map[string]string{"": "no row for cus_1", "handler": "no plan"} {
				got.out = strings.ReplaceAll(got.out, queue.Fingerprint("invoice.paid", reason, text), "PRINT")
			}
			if diff := cmp.Diff(tt.want+"\n", got.out); diff != "" || got.err != "" {
				t.Errorf("%s\nstderr %q", diff, got.err)
			}
			var v events.View
			check(t, json.Unmarshal([]byte(got.out), &v))
			text := s.tollgate("events", "show", tt.id).ok(t).out
			for _, want := range []string{tt.id, v.Type, v.Status, strings.Replace(string(v.Where), "_or_", ", or ", 1), v.Error, v.Outcome, v.Reason} {
				if !strings.Contains(text, want) {
					t.Errorf("the text lacks %q:\n%s", want, text)
				}
			}
			if v.WhereInferred != strings.Contains(text, "inferred from the record") {
				t.Errorf("the text does not say rightly whether the place is inferred:\n%s", text)
			}
		})
	}
	text := s.tollgate("events", "show", "evt_replayed").ok(t).out
	if !strings.Contains(text, "ann") || !strings.Contains(text, "wrong rate") {
		t.Errorf("who replayed, and why, is missing:\n%s", text)
	}
	if text = s.tollgate("events", "show", "evt_done").ok(t).out; !strings.Contains(text, "FACT#test#-#in_1#paid\n    amount=1000 currency=eur final=true") {
		t.Errorf("the effects are not shown:\n%s", text)
	}
}

// TestRecordLines: what people read of a record that waits for its next attempt.
func TestRecordLines(t *testing.T) {
	l := limits.AWS()
	for name, c := range map[string]struct {
		left int64
		ago  time.Duration
		want []string
	}{
		"the last receive may have missed the table": {1, 0, []string{"queue, or dlq if its last receives could not reach the table", "tollgate dlq show evt_1", time.Now().UTC().Add(time.Hour).Format("2006-01-02 15:")}},
		"waits": {15, 0, []string{"queue (inferred", "[next attempt " + time.Now().UTC().Format("2006-")}},
		"due":   {15, time.Minute, []string{"[next attempt due]"}},
		"stuck": {15, 91 * time.Minute, []string{"queue, or dlq", "[next attempt -]"}},
	} {
		r := idempotency.Record{ID: "evt_1", State: idempotency.Failed, ReceivesLeft: c.left, Updated: time.Now().Add(-c.ago)}
		v := verb.ViewOf(r, time.Now(), l)
		text := fmt.Sprint(v.Lines(r))
		for _, want := range c.want {
			if v.Status != "retrying" || !strings.Contains(text, want) {
				t.Errorf("%s: %s lacks %q:\n%s", name, v.Status, want, text)
			}
		}
	}
}

// TestEventsShowPurged: an event that an operator purged has its own status.
func TestEventsShowPurged(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.dead("evt_1", "invoice.paid", "no plan")
	s.done("evt_ignored", "charge.failed", idempotency.Ignored, nil)
	s.tollgate("dlq", "purge", "--id=evt_1", "--note=ticket 1204", "--out="+filepath.Join(s.data, "purged.jsonl")).ok(t)
	entry := lines[audit.View](t, s.tollgate("audit", "list", "--json").ok(t).out)[0]
	v := lines[events.View](t, s.tollgate("events", "show", "evt_1", "--json").ok(t).out)[0]
	if v.Status != "purged" || v.Where != idempotency.AtPurged || !v.Purged || v.PurgeBy != verb.Operator() || v.PurgeWhy != "ticket 1204" || v.PurgeAudit != entry.ID || v.Error != "no plan" {
		t.Errorf("%+v", v)
	}
	text := s.tollgate("events", "show", "evt_1").ok(t).out
	if !strings.Contains(text, " UTC by "+verb.Operator()+` because "ticket 1204" (audit entry `+entry.ID+")") {
		t.Errorf("%s", text)
	}
	if text := s.tollgate("events", "list", "--status=purged").ok(t).out; !strings.Contains(text, "evt_1") || strings.Contains(text, "evt_ignored") {
		t.Errorf("%s", text)
	}
	if text := s.tollgate("events", "list").ok(t).out; strings.Contains(text, "evt_1") {
		t.Errorf("a purged event is among those that failed: %s", text)
	}
	if got := s.tollgate("events", "show", "evt_ignored", "--json").ok(t).out; strings.Contains(got, "purge") {
		t.Errorf("%s", got)
	}
}

// TestEventsOfAnOlderPurge: a release before the mark completed purged events as ignored.
func TestEventsOfAnOlderPurge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	got, err := s.store.Claim(t.Context(), idempotency.ClaimRequest{
		Event: envelope("evt_1", "invoice.paid"), Owner: "purge-0123456789abcdef0123456789ab", Now: at, Lease: after(30), LeaseExpiredBefore: at, Receives: 2,
	})
	check(t, err)
	_, err = s.store.Complete(t.Context(), got.Claim, idempotency.Ignored, nil, after(1))
	check(t, err)
	v := lines[events.View](t, s.tollgate("events", "show", "evt_1", "--json").ok(t).out)[0]
	if v.Status != "ignored" || !v.Purged || v.PurgedAt != nil {
		t.Errorf("%+v", v)
	}
	if text := s.tollgate("events", "list", "--status=ignored").ok(t).out; !strings.Contains(text, "ignored, purged\n") {
		t.Errorf("%s", text)
	}
}

// TestEventsBroken: a row that cannot be read is shown as broken, and hides no other.
func TestEventsBroken(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.done("evt_done", "invoice.paid", idempotency.Applied, nil)
	s.row("evt_odd", map[string]types.AttributeValue{"st": &types.AttributeValueMemberS{Value: "DONE"}, "att": &types.AttributeValueMemberS{Value: "one"}})
	v := lines[verb.RecordView](t, s.tollgate("events", "show", "evt_odd", "--json").ok(t).out)[0]
	if v.Status != "broken" || v.Where != idempotency.AtUnknown || v.Broken == "" {
		t.Errorf("%+v", v)
	}
	if text := s.tollgate("events", "list", "--status=broken").ok(t).out; !strings.Contains(text, "evt_odd") || strings.Contains(text, "evt_done") {
		t.Errorf("%s", text)
	}
	if text := s.tollgate("events", "list", "--status=done").ok(t).out; !strings.Contains(text, "evt_done") {
		t.Errorf("%s", text)
	}
	s.tollgate("events", "purge", "evt_odd", "--note=x").refused(t, verb.ExitFailed, "is broken", "EVT#evt_odd")
}

// row puts a row that no write of ours makes.
func (s *system) row(id string, attributes map[string]types.AttributeValue) {
	s.t.Helper()
	attributes["pk"] = &types.AttributeValueMemberS{Value: idempotency.Key(id)}
	_, err := s.dynamo.PutItem(s.t.Context(), &sdkdynamodb.PutItemInput{TableName: &s.info.Table, Item: attributes})
	check(s.t, err)
}

func TestEventsShowWait(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_dead", "invoice.paid", "handler", "no plan", 0)
	s.failed("evt_retrying", "invoice.paid", "", "no row", 15)
	s.tollgate("events", "show", "evt_dead", "--wait", "1h").ok(t)
	got := s.tollgate("events", "show", "evt_retrying", "--wait", "200ms", "--json")
	if got.code != verb.ExitFailed || !strings.Contains(got.err, "evt_retrying is still retrying after 200ms") || len(lines[events.View](t, got.out)) != 1 {
		t.Errorf("%+v", got)
	}
	s.tollgate("events", "show", "evt_unknown", "--wait", "200ms").refused(t, verb.ExitFailed, "event evt_unknown is not known in the local system in "+s.data, "it never arrived")

	waiting := make(chan answer, 1)
	go func() {
		waiting <- tollgate(t.Context(), nil, "events", "show", "evt_new", "--wait", "1m", "--json", "--data", s.data)
	}()
	s.done("evt_new", "invoice.paid", idempotency.Applied, nil)
	if v := lines[events.View](t, (<-waiting).ok(t).out); len(v) != 1 || v[0].Status != "done" {
		t.Errorf("waited for %+v", v)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	tollgate(ctx, nil, "events", "show", "evt_unknown", "--wait", "1h", "--data", s.data).refused(t, verb.ExitFailed)

	stopped, stop := context.WithCancel(t.Context())
	looked := func(string) { stop() }
	s.called.Store(&looked)
	tollgate(stopped, nil, "events", "show", "evt_unknown", "--wait", "1h", "--data", s.data).refused(t, verb.ExitFailed, "evt_unknown: interrupted")
}

func TestEventsList(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	fill(t, s)
	open := []string{"evt_dead", "evt_replayed", "evt_retrying"}
	all := []string{"evt_crashed", "evt_dead", "evt_done", "evt_ignored", "evt_last", "evt_replayed", "evt_retrying", "evt_running"}
	tests := []struct {
		args  string
		want  []string
		scans bool
	}{
		{"", open, false},
		{"--status=failed", open, false},
		{"--status=dead", []string{"evt_dead"}, false},
		{"--status=retrying", []string{"evt_replayed", "evt_retrying"}, false},
		{"--status=done", []string{"evt_done", "evt_ignored"}, true},
		{"--status=ignored", []string{"evt_ignored"}, true},
		{"--status=running", []string{"evt_crashed", "evt_last", "evt_running"}, true},
		{"--type=charge.failed", []string{"evt_ignored"}, true},
		{"--type=charge.*", []string{"evt_ignored"}, true},
		{"--type=charge", nil, true},
		{"--type=*", all, true},
		{"--type=invoice.* --status=dead", []string{"evt_dead"}, false},
		{"--type=charge.* --status=failed", nil, false},
		{"--since=2023-11-14T22:13:22Z", []string{"evt_done", "evt_ignored", "evt_replayed"}, true},
		{"--since=2023-11-14T22:13:23Z --status=failed", []string{"evt_replayed"}, false},
		{"--since=2020-01-01", all, true},
		{"--since=1h", nil, true},
		{"--since=1h --status=failed", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			args := append([]string{"events", "list"}, strings.Fields(tt.args)...)
			got := s.tollgate(append(args, "--json")...).ok(t)
			var ids []string
			for _, v := range lines[verb.RecordView](t, got.out) {
				ids = append(ids, v.ID)
			}
			slices.Sort(ids)
			if diff := cmp.Diff(tt.want, ids); diff != "" {
				t.Error(diff)
			}
			if scans := strings.Contains(got.err, "reading the whole table, at most 10000 items"); scans != tt.scans {
				t.Errorf("stderr is %q", got.err)
			}
			text := s.tollgate(args...).ok(t).out
			if len(tt.want) == 0 && !strings.HasPrefix(text, "No event") {
				t.Errorf("nothing is printed as %q", text)
			}
			for _, id := range tt.want {
				if !strings.Contains(text, id+"  ") {
					t.Errorf("the table lacks %s:\n%s", id, text)
				}
			}
		})
	}
}

// TestEventsListAbout: by an id the ledger's items lead to events, in both modes and of one account,
// and with --scan every event that wrote an item of the id.
func TestEventsListAbout(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	row := func(key, list, event string, ver int64) dispatch.Effect {
		return dispatch.Swap(key, ver, dispatch.Fields{"kind": "subscription", "customer": "cus_1", "lst": list, "at": "2023-11-14T22:13:10Z", "event_id": event})
	}
	s.done("evt_1", "customer.subscription.created", idempotency.Applied, dispatch.Effects{row("OBJ#test#-#sub_1", "CUS#test#-#cus_1", "evt_1", 0)})
	s.done("evt_2", "customer.subscription.updated", idempotency.Applied, dispatch.Effects{row("OBJ#test#-#sub_1", "CUS#test#-#cus_1", "evt_2", 1)})
	s.done("evt_3", "customer.subscription.created", idempotency.Applied, dispatch.Effects{row("OBJ#live#-#sub_2", "CUS#live#-#cus_1", "evt_3", 0)})
	s.done("evt_4", "customer.subscription.created", idempotency.Applied, dispatch.Effects{row("OBJ#test#acct_1#sub_3", "CUS#test#acct_1#cus_1", "evt_4", 0)})
	s.done("evt_5", "customer.subscription.created", idempotency.Applied, dispatch.Effects{row("OBJ#test#-#sub_5", "CUS#test#-#cus_1", "evt_gone", 0)})
	s.failed("evt_failed", "invoice.paid", "", "no row", 15)
	for args, want := range map[string][]string{
		"--about=cus_1":                                    {"evt_2", "evt_3"},
		"--about=cus_1 --mode=live":                        {"evt_3"},
		"--about=cus_1 --account=acct_1":                   {"evt_4"},
		"--about=cus_1 --account=- --mode=test":            {"evt_2"},
		"--about=sub_1":                                    {"evt_2"},
		"--about=sub_1 --scan":                             {"evt_1", "evt_2"},
		"--about=sub_1 --scan --status=retrying":           nil,
		"--about=cus_1 --status=failed":                    nil,
		"--about=cus_1 --type=customer.*":                  {"evt_2", "evt_3"},
		"--about=cus_1 --until=2023-11-14":                 nil,
		"--about=evt_failed":                               {"evt_failed"},
		"--about=evt_failed --status=done":                 nil,
		"--about=evt_none":                                 nil,
		"--about=cus_2":                                    nil,
		"--account=acct_1":                                 {"evt_4"},
		"--mode=live":                                      {"evt_3"},
		"--mode=test --type=customer.subscription.updated": {"evt_2"},
	} {
		got := s.tollgate(append([]string{"events", "list", "--json"}, strings.Fields(args)...)...).ok(t)
		var ids []string
		for _, v := range lines[verb.RecordView](t, got.out) {
			ids = append(ids, v.ID)
		}
		slices.Sort(ids)
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%s: %s", args, diff)
		}
	}
	s.tollgate("events", "list", "--scan").refused(t, verb.ExitUsage, "--about")
	s.tollgate("events", "list", "--mode=prod").refused(t, verb.ExitUsage, "--mode")
	s.as("Reader")
	s.tollgate("events", "list", "--about=cus_1").ok(t)
	s.tollgate("events", "list", "--mode=live").ok(t)
}

func TestEventsListShape(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_dead", "invoice.paid", "handler", "no\tplan\x1b[31m\nfor <you>", 0)
	const want = `{"id":"evt_dead","type":"invoice.paid","status":"dead","dead":true,"reason":"handler","where":"dlq","where_inferred":true,"attempt":1,"generation":1,"fails":1,"receives_left":0,` +
		`"error":"no\tplan\u001b[31m\nfor <you>","outcome":"","source":"webhook","created":"2023-11-14T22:13:10Z","first_at":"2023-11-14T22:13:20.123Z","updated_at":"2023-11-14T22:13:21.123Z","done_at":null}` + "\n"
	if diff := cmp.Diff(want, s.tollgate("events", "list", "--json").ok(t).out); diff != "" {
		t.Error(diff)
	}
	text := s.tollgate("events", "list").ok(t).out
	rows := strings.Split(strings.TrimSpace(text), "\n")
	if len(rows) != 2 || !strings.HasPrefix(rows[0], "EVENT     TYPE") || !strings.HasSuffix(rows[1], "no plan [31m for <you>") {
		t.Errorf("the table is\n%q", text)
	}
}

// TestEventsListPages follows cursors through the index and through the table.
func TestEventsListPages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var want []string
	for i := range 23 {
		id := fmt.Sprintf("evt_%02d", i)
		typ := "invoice.paid"
		if i%3 == 0 {
			typ = "charge.failed"
		} else {
			want = append(want, id)
		}
		s.failed(id, typ, "", "no row", 15)
	}
	for _, filter := range []string{"--type=invoice.*", "--type=invoice.paid --status=retrying"} {
		for _, bound := range []string{"--limit=4", "--limit=100 --max-read=9"} {
			t.Run(filter+" "+bound, func(t *testing.T) {
				var ids []string
				cursor := ""
				pages := 0
				for ok := true; ok; ok = cursor != "" {
					args := append([]string{"events", "list", "--json", "--cursor", cursor}, strings.Fields(filter+" "+bound)...)
					got := s.tollgate(args...).ok(t)
					page := lines[verb.RecordView](t, got.out)
					if pages++; pages > 50 || bound == "--limit=4" && len(page) > 4 {
						t.Fatalf("page %d has %d events", pages, len(page))
					}
					for _, v := range page {
						ids = append(ids, v.ID)
					}
					cursor = cursorOf(got.err)
				}
				slices.Sort(ids)
				if diff := cmp.Diff(want, ids); diff != "" || pages < 3 {
					t.Errorf("%d pages: %s", pages, diff)
				}
			})
		}
	}
	got := s.tollgate("events", "list", "--limit=3").ok(t)
	if !strings.Contains(got.err, "there may be more") || !strings.Contains(got.err, "--cursor ") {
		t.Errorf("the text output is %q", got.err)
	}
	s.tollgate("events", "list", "--cursor=zzz").refused(t, verb.ExitUsage, "cursor")
}

// cursorOf finds the cursor in stderr.
func cursorOf(text string) string {
	for line := range strings.Lines(text) {
		var c struct{ Cursor string }
		if json.Unmarshal([]byte(line), &c) == nil && c.Cursor != "" {
			return c.Cursor
		}
	}
	return ""
}
