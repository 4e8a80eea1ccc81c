package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
)

// exported reads the lines of a file that only its owner may read.
func exported(t *testing.T, name string) (ids []string, raw string) {
	t.Helper()
	info, err := os.Stat(name)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s is %v", name, info.Mode())
	}
	b, err := os.ReadFile(name)
	check(t, err)
	for _, v := range lines[letterLine](t, string(b)) {
		ids = append(ids, v.EventID)
	}
	slices.Sort(ids)
	return ids, string(b)
}

func absent(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", name, err)
	}
}

func TestDLQExport(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deadLetter(envelope("evt_a", "invoice.paid"), "handler", "no <row> 17", 3)
	s.deadLetter(envelope("evt_b", "charge.failed"), "handler", "no row", 1)
	s.moved("no message of ours")
	name := filepath.Join(s.data, "dead-letters.jsonl")

	all := s.tollgate("dlq", "export").ok(t)
	if got := lines[letterLine](t, all.out); len(got) != 3 || strings.Contains(all.out, "card") || strings.Contains(all.out, "payload") || strings.Contains(all.out, "of ours") {
		t.Errorf("the export is %s", all.out)
	}
	if strings.Contains(all.err, "audit") {
		t.Errorf("a redacted export is audited: %s", all.err)
	}
	if got := s.tollgate("dlq", "export", "--type=invoice.*", "--out="+name).ok(t); !strings.HasPrefix(got.out, "wrote 1 dead letters to ") {
		t.Errorf("the output is %q", got.out)
	}
	if ids, raw := exported(t, name); !slices.Equal(ids, []string{"evt_a"}) || !strings.Contains(raw, "no <row> 17") || strings.Contains(raw, "card") {
		t.Errorf("the file is %s", raw)
	}
	s.tollgate("dlq", "export", "--out="+name).refused(t, verb.ExitUsage, "exists: name another")

	s.tollgate("dlq", "export", "--payload").refused(t, verb.ExitUsage, "--payload needs --note")
	full := s.tollgate("dlq", "export", "--payload", "--note=ticket 12").ok(t)
	payloads := map[string]string{}
	for _, v := range lines[letterLine](t, full.out) {
		payloads[v.EventID] = *v.Payload
	}
	if diff := cmp.Diff(map[string]string{"evt_a": `{"card":"4242"}`, "evt_b": `{"card":"4242"}`, "": "no message of ours"}, payloads); diff != "" {
		t.Error(diff)
	}
	if trail := s.tollgate("audit", "list", "--json").ok(t).out; !strings.Contains(trail, `"verb":"dlq export"`) || !strings.Contains(trail, "ticket 12") || strings.Contains(trail, "card") || strings.Count(trail, "\n") != 1 {
		t.Errorf("the audit trail is %s", trail)
	}
	if got := s.tollgate("dlq", "export", "--limit=2").ok(t); strings.Count(got.out, "\n") != 2 || !strings.Contains(got.err, "there may be more") {
		t.Errorf("a limit of 2 gives %+v", got)
	}
	s.tollgate("dlq", "export", "--limit=0").refused(t, verb.ExitUsage, "--limit")
	s.tollgate("dlq", "export", "--out="+filepath.Join(name, "below")).refused(t, verb.ExitFailed, "create export")
	s.allVisible(3)
	s.free()
}

// TestDLQExportInterrupt leaves no half of a file and no hidden dead letter.
func TestDLQExportInterrupt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 25 {
		s.deadLetter(envelope(fmt.Sprint("evt_", i), "invoice.paid"), "handler", "no row", 3)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var receives atomic.Int64
	interrupt := func(operation string) {
		if operation == "AmazonSQS.ReceiveMessage" && receives.Add(1) == 2 {
			cancel()
		}
	}
	s.called.Store(&interrupt)
	name := filepath.Join(s.data, "dead-letters.jsonl")
	tollgate(ctx, nil, "dlq", "export", "--out="+name, "--data", s.data).refused(t, verb.ExitFailed, "interrupted")
	s.called.Store(nil)
	absent(t, name)
	s.allVisible(25)
	s.free()
}

// purgeReport is what dlq purge --json prints, as far as tests read it.
type purgeReport struct {
	File                               string
	Read, Selected, Deleted, Leftovers int
	Marked                             int `json:"given_up"`
	NoPolicy                           int `json:"no_policy"`
	NoRecord                           int `json:"no_record"`
	Excluded, Busy, Hidden             int
	Certain                            bool
}

func TestDLQPurge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 12 {
		s.dead(fmt.Sprintf("evt_%02d", i), "charge.updated", "no row")
	}
	s.dead("evt_kept", "invoice.paid", "no row")
	s.done("evt_left", "charge.updated", idempotency.Applied, nil)
	s.deadLetter(envelope("evt_left", "charge.updated"), "handler", "no row", 1)
	s.moved("no message of ours")
	name := filepath.Join(s.data, "purged.jsonl")

	var exports, deletes atomic.Int64
	s.watch(func(operation string) {
		if operation == "AmazonSQS.DeleteMessageBatch" && deletes.Add(1) == 1 {
			b, _ := os.ReadFile(name)
			exports.Store(int64(strings.Count(string(b), "\n")))
		}
	})
	got := s.tollgate("dlq", "purge", "--type=charge.*", "--out="+name, "--note=not needed", "--json").ok(t)
	s.watch(nil)
	if exports.Load() != 13 {
		t.Errorf("%d dead letters were in the file before the first delete, want 13", exports.Load())
	}
	v := lines[purgeReport](t, got.out)[0]
	if diff := cmp.Diff(purgeReport{File: name, Read: 15, Selected: 13, Deleted: 13, Marked: 12, Leftovers: 1, Certain: true}, v); diff != "" {
		t.Error(diff)
	}
	if ids, raw := exported(t, name); len(ids) != 13 || strings.Contains(raw, "card") {
		t.Errorf("the file is %s", raw)
	}
	if diff := cmp.Diff([]string{"", "evt_kept"}, s.deadIDs()); diff != "" {
		t.Error(diff)
	}
	if st := lines[verb.RecordView](t, s.tollgate("events", "show", "evt_03", "--json").ok(t).out)[0]; st.Status != "purged" || st.PurgeBy != verb.Operator() || st.PurgedAt == nil || st.PurgeWhy != "not needed" {
		t.Errorf("a purged event is %+v", st)
	}
	if trail := s.tollgate("audit", "list", "--json").ok(t).out; !strings.Contains(trail, `"outcome":"deleted 13 of 13 dead letters, 12 purged, 1 leftovers of done events; exported to `) {
		t.Errorf("the audit trail is %s", trail)
	}

	// What cannot be read is nowhere else: all of it is in the file.
	odd := filepath.Join(s.data, "odd.jsonl")
	s.tollgate("dlq", "purge", "--reason=undecodable", "--note=cannot be read", "--out="+odd).ok(t)
	if _, raw := exported(t, odd); !strings.Contains(raw, `"payload":"no message of ours"`) {
		t.Errorf("the file is %s", raw)
	}
	full := filepath.Join(s.data, "full.jsonl")
	s.tollgate("dlq", "purge", "--all", "--note=a new start", "--payload", "--out="+full).ok(t)
	if _, raw := exported(t, full); !strings.Contains(raw, "card") {
		t.Errorf("the file is %s", raw)
	}
	nothing := filepath.Join(s.data, "nothing.jsonl")
	if got := s.tollgate("dlq", "purge", "--all", "--note=a new start", "--out="+nothing).ok(t); got.out != "Nothing to purge: none of 0 dead letters is selected.\n" {
		t.Errorf("the output is %q", got.out)
	}
	absent(t, nothing)
	s.tollgate("dlq", "purge", "--limit=0").refused(t, verb.ExitUsage, "--limit")
	s.tollgate("dlq", "purge", "--note=a new start").refused(t, verb.ExitUsage, "--all purges every")
	s.tollgate("dlq", "purge", "--all").refused(t, verb.ExitUsage, "purge needs --note")
	s.tollgate("dlq", "purge", "--all", "--reason=handler", "--note=x").refused(t, verb.ExitUsage, "exclude each other")
	s.allVisible(0)
	s.free()
}

func (s *system) watch(f func(operation string)) {
	if f == nil {
		s.called.Store(nil)
		return
	}
	s.called.Store(&f)
}

// TestDLQPurgeAsks: without a terminal nothing is deleted, and no export stays.
func TestDLQPurgeAsks(t *testing.T) {
	s := newSystem(t)
	s.dead("evt_a", "invoice.paid", "no row")
	env := s.environment()
	name := filepath.Join(s.data, "p.jsonl")
	for _, args := range [][]string{{"dlq", "purge", "--all", "--note=x", "--out=" + name}, {"redrive", "--all"}} {
		got := tollgate(t.Context(), env, args...)
		// Whether an empty stdin looks like a terminal is the machine's.
		if got.code != verb.ExitUsage || !strings.Contains(got.err, "confirm with --yes") && !strings.Contains(got.err, "nothing was changed") {
			t.Errorf("%v: exit %d, %s", args, got.code, got.err)
		}
	}
	absent(t, name)
	s.allVisible(1)
	tollgate(t.Context(), env, "redrive", "--all", "--yes").ok(t)
	s.allVisible(0)
}
