package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// free fails the test unless anyone may work on the dead letters.
func (s *system) free() {
	s.t.Helper()
	ops, err := dynamostore.NewOperator(s.dynamo, s.info.Table, dynamostore.Options{})
	check(s.t, err)
	now := time.Now()
	check(s.t, ops.LockDLQ(s.t.Context(), redrive.Lock{Owner: "test", Until: now}, now))
}

var stamps = regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
var messageIDs = regexp.MustCompile(`"message_id":"[0-9a-f-]{36}"`)

// masked takes out what a queue makes anew each time.
func masked(out string) string {
	return messageIDs.ReplaceAllString(stamps.ReplaceAllString(out, `"TIME"`), `"message_id":"ID"`)
}

func TestDLQListNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, args := range []string{"dlq list", "dlq list --events"} {
		if got := s.tollgate(strings.Fields(args)...).ok(t); got.out != "No dead letters.\n" || got.err != "" {
			t.Errorf("%s: %+v", args, got)
		}
		if got := s.tollgate(strings.Fields(args + " --json")...).ok(t); got.out != "" {
			t.Errorf("%s --json: %+v", args, got)
		}
	}
	s.free()
}

// groupLine is a group as dlq list --json prints it.
type groupLine struct {
	Count                            int
	Type, Reason, Error, Fingerprint string
	Attempts                         int64
	Oldest, Newest                   *string
	EventID                          string `json:"event_id"`
	Done                             int
}

func TestDLQList(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	print := func(reason, text string) string {
		return queue.Fingerprint("invoice.paid", strings.TrimPrefix(reason, "max_receives"), text)
	}
	s.deadLetter(envelope("evt_a", "invoice.paid"), "handler", "no row 17", 3)
	s.deadLetter(envelope("evt_b", "invoice.paid"), "handler", "no row 4", 1)
	s.deadLetter(envelope("evt_c", "invoice.paid"), "api_version", "2020-08-27", 1)
	s.failed("evt_d", "invoice.paid", "", "timeout", 0)
	s.moved(encoded(t, envelope("evt_d", "invoice.paid")))
	s.done("evt_e", "invoice.paid", idempotency.Applied, nil)
	s.moved(encoded(t, envelope("evt_e", "invoice.paid")))
	s.moved("no message of ours")

	group := func(g groupLine) groupLine { g.Count = max(g.Count, 1); return g }
	want := []groupLine{
		group(groupLine{Type: "invoice.paid", Reason: "handler", Fingerprint: print("handler", "no row 4"), Count: 2, Attempts: 3}),
		group(groupLine{Type: "invoice.paid", Reason: "api_version", Error: "2020-08-27", Fingerprint: print("api_version", "2020-08-27"), Attempts: 1, EventID: "evt_c"}),
		group(groupLine{Type: "invoice.paid", Reason: "max_receives", Error: "timeout", Fingerprint: print("max_receives", "timeout"), Attempts: 1, EventID: "evt_d"}),
		group(groupLine{Type: "invoice.paid", Reason: "max_receives", Fingerprint: print("max_receives", ""), Attempts: 1, EventID: "evt_e", Done: 1}),
		group(groupLine{Reason: "undecodable"}),
	}
	got := lines[groupLine](t, s.tollgate("dlq", "list", "--json").ok(t).out)
	for i := range got {
		g := &got[i]
		if g.Oldest == nil || g.Newest == nil || stamped(t, *g.Oldest).After(stamped(t, *g.Newest)) {
			t.Errorf("the times of %+v", *g)
		}
		g.Oldest, g.Newest = nil, nil
		switch g.Reason {
		case "handler": // either dead letter may be the newest: they may share a millisecond
			if g.EventID+g.Error != "evt_ano row 17" && g.EventID+g.Error != "evt_bno row 4" {
				t.Errorf("the newest is %s, %s", g.EventID, g.Error)
			}
			g.EventID, g.Error = "", ""
		case "undecodable":
			if !strings.HasPrefix(g.Error, "undecodable message: not the JSON") || g.Fingerprint == "" {
				t.Errorf("undecodable as %+v", *g)
			}
			g.Error, g.Fingerprint = "", ""
		}
	}
	byCause := cmpopts.SortSlices(func(a, b groupLine) bool { return a.Reason+a.Error < b.Reason+b.Error })
	if diff := cmp.Diff(want, got, byCause); diff != "" || got[0].Count != 2 {
		t.Error(diff)
	}
	table := regexp.MustCompile(`(?s)^COUNT +TYPE +REASON +ATTEMPTS .* ERROR\n.*\n1 +invoice\.paid +max_receives +1 [^\n]+evt_d +timeout\n`)
	if text := s.tollgate("dlq", "list").ok(t).out; strings.Count(text, "\n") != 6 || strings.Contains(text, "card") || !table.MatchString(text) {
		t.Errorf("the table is\n%s", text)
	}
	if diff := cmp.Diff([]string{"", "evt_a", "evt_b", "evt_c", "evt_d", "evt_e"}, s.deadIDs()); diff != "" {
		t.Error(diff)
	}
	if text := s.tollgate("dlq", "list", "--events").ok(t).out; strings.Count(text, "\n") != 7 || !strings.HasPrefix(text, "EVENT ") {
		t.Errorf("the table is\n%s", text)
	}
	few := s.tollgate("dlq", "list", "--events", "--json", "--limit=4").ok(t)
	if n := len(lines[letterLine](t, few.out)); n != 4 || !strings.Contains(few.err, "read 4 dead letters; there may be more") {
		t.Errorf("a limit of 4 gives %d and prints %q", n, few.err)
	}
	s.allVisible(6)
	s.free()
}

func stamped(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	check(t, err)
	return at
}

func TestDLQShapes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deadLetter(envelope("evt_a", "invoice.paid"), "handler", "no <row> 17", 3)
	const end = `{"read":1,"hidden":0,"certain":true}` + "\n"
	tests := []struct{ args, want, end string }{
		{"dlq list", `{"count":1,"type":"invoice.paid","reason":"handler","error":"no <row> 17","fingerprint":"FINGERPRINT","attempts":3,"oldest":"TIME","newest":"TIME","event_id":"evt_a","done":0}`, end},
		{"dlq list --events", `{LETTER}`, end},
		{"dlq show evt_a", `{LETTER,"copies":1,"record":null}`, ""},
		{"dlq show evt_a --payload --note=x", `{LETTER,"copies":1,"record":null,"payload":"{\"card\":\"4242\"}"}`, ""},
	}
	deadLetter := `"message_id":"ID","event_id":"evt_a","type":"invoice.paid","reason":"handler","error":"no <row> 17","fingerprint":"FINGERPRINT","attempt":3,"cause_from":"message","done":false,"undecodable":"",` +
		`"receives":RECEIVES,"sent_at":"TIME","first_received_at":"TIME","object":"event","object_id":"in_1","endpoint":"default","account":"","livemode":false,"api_version":"2023-10-16","source":"webhook","created":"TIME","received_at":"TIME","id_only":false`
	for i, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			want := strings.NewReplacer("LETTER", deadLetter).Replace(tt.want) + "\n"
			want = strings.NewReplacer("FINGERPRINT", queue.Fingerprint("invoice.paid", "handler", "no <row> 17"), "RECEIVES", fmt.Sprint(i+1)).Replace(want)
			got := s.tollgate(append(strings.Fields(tt.args), "--json")...).ok(t)
			if diff := cmp.Diff(want, masked(got.out)); diff != "" || got.err != "" && !strings.Contains(tt.args, "--payload") && got.err != tt.end {
				t.Errorf("%s\nstderr %q, want %q, and the audit entry", diff, got.err, tt.end)
			}
		})
	}
}

func TestDLQShow(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_a", "invoice.paid", "handler", "no row 17", 0)
	s.deadLetter(envelope("evt_a", "invoice.paid"), "handler", "no row 17", 1)
	s.deadLetter(envelope("evt_a", "invoice.paid"), "handler", "no row 17", 1)
	idOnly := envelope("evt_b", "invoice.paid")
	idOnly.Body = nil
	s.moved(encoded(t, idOnly))
	s.moved("no message of ours")
	var broken string
	for _, l := range lines[letterLine](t, s.tollgate("dlq", "list", "--events", "--json").ok(t).out) {
		if l.Undecodable != "" {
			broken = l.MessageID
		}
	}
	tests := []struct {
		args  string
		says  []string
		lacks []string
	}{
		{
			"evt_a", []string{"event        evt_a", "reason       handler", "error        no row 17", "cause from   the message, by the consumer", "attempts     1",
				"copies       2", "object       in_1", "record:\n", "status         dead"}, []string{"4242", "payload"},
		},
		{"evt_a --payload --note=x", []string{"payload:\n{\"card\":\"4242\"}\n"}, nil},
		{"evt_b", []string{"event        evt_b", "reason       max_receives", "there is no record", "record: none"}, []string{"payload"}},
		{"evt_b --payload --note=x", []string{"payload: the message carries none"}, nil},
		{broken, []string{"event        -", "reason       undecodable", "undecodable  undecodable message", "record: none"}, []string{"no message of ours"}},
		{broken + " --payload --note=x", []string{"payload:\nno message of ours\n"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			text := s.tollgate(append([]string{"dlq", "show"}, strings.Fields(tt.args)...)...).ok(t).out
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("the text lacks %q:\n%s", want, text)
				}
			}
			for _, not := range tt.lacks {
				if strings.Contains(text, not) {
					t.Errorf("the text has %q:\n%s", not, text)
				}
			}
		})
	}
	type shownDeadLetter struct {
		Copies int
		Record *verb.RecordView
	}
	v := lines[shownDeadLetter](t, s.tollgate("dlq", "show", "evt_a", "--json").ok(t).out)[0]
	if v.Copies != 2 || v.Record == nil || v.Record.ID != "evt_a" || v.Record.Status != "dead" {
		t.Errorf("its record is %+v of %d copies", v.Record, v.Copies)
	}
	s.tollgate("dlq", "show", "evt_unknown").refused(t, verb.ExitFailed, "evt_unknown is in no dead letter of the local system", "tollgate events show evt_unknown")
	s.tollgate("dlq", "show", "evt_unknown", "--limit=2").refused(t, verb.ExitFailed, "more dead letters than were read")
	s.allVisible(4)
	s.free()
}
