package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/drift"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/outbox"
	"tollgate/pkg/pause"
	"tollgate/pkg/policy"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/stripeapi"
	"tollgate/pkg/telemetry"
)

// wired returns the function and the buffer that it logs to.
func wired(t *testing.T) (*tasks, *bytes.Buffer) {
	t.Helper()
	w, err := wireReconcile(environment(nil), handlers.Register, outbox.NewLogSender)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w.log = telemetry.Logger(&out, telemetry.Options{Stage: "live", Level: slog.LevelInfo})
	w.dead, w.pauses = oldDead{age: -1}, switchOf{}
	return w, &out
}

// TestPassWithoutKey: the alarm on Complete pages for a stage without a key.
func TestPassWithoutKey(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{`{"task":"quarter"}`, "no Stripe API key"},
		{`{"task":"monthly"}`, "no tier is called"},
		{`{}`, "no tier is called"},
	} {
		w, out := wired(t)
		var in input
		if err := json.Unmarshal([]byte(c.input), &in); err != nil {
			t.Fatal(err)
		}
		err := w.run(t.Context(), in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want …%s…", c.input, err, c.want)
		}
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["Complete"] != 0.0 || line["level"] != "WARN" {
			t.Errorf("%s: the line %s, %v", c.input, out, err)
		}
	}
	w, _ := wired(t)
	if err := w.run(t.Context(), input{Task: "nightly"}); !errors.Is(err, stripeapi.ErrNoAPIKey) {
		t.Errorf("error %v, want %v", err, stripeapi.ErrNoAPIKey)
	}
}

// stub is every dependency of a pass, all empty.
type stub struct{}

func (stub) Livemode(context.Context) (bool, error) { return false, nil }
func (stub) ListEvents(context.Context, reconcile.Query) (reconcile.Page, error) {
	return reconcile.Page{}, nil
}
func (stub) Records(context.Context, []string) (map[string]idempotency.Record, error) {
	return nil, nil
}
func (stub) Open(context.Context) (map[string]int64, error)     { return nil, nil }
func (stub) Send(context.Context, event.Envelope, string) error { return nil }
func (stub) Depth(context.Context) (int, error)                 { return 0, nil }
func (stub) Cover(context.Context, reconcile.Covered) error     { return nil }
func (stub) Covered(context.Context, time.Time, time.Time) ([]reconcile.Covered, []string, error) {
	return nil, nil, nil
}
func (stub) Begins(context.Context) (map[reconcile.Stream]time.Time, error) {
	return map[reconcile.Stream]time.Time{}, nil
}
func (stub) Oldest(context.Context, []reconcile.Stream, time.Time, time.Time) (map[reconcile.Stream]time.Time, error) {
	return nil, nil
}
func (stub) PutBegin(_ context.Context, _ reconcile.Stream, at time.Time) (time.Time, error) {
	return at, nil
}

// oldDead is a table whose oldest dead event has an age, negative for none, or that cannot be read.
type oldDead struct {
	age  time.Duration
	down error
}

func (d oldDead) OldestDead(_ context.Context, since, until time.Time) (time.Time, error) {
	at := time.Now().Add(-d.age)
	if d.down != nil || d.age < 0 || at.Before(since) || at.After(until) {
		return time.Time{}, d.down
	}
	return at, nil
}

// TestOldestDeadIsCounted by the frequent passes, also by one that fails. A dead letter that SQS has
// deleted does not count, and what could not be read is not zero.
func TestOldestDeadIsCounted(t *testing.T) {
	for _, c := range []struct {
		name string
		task string
		dead oldDead
		want any
	}{
		{"eight days", "quarter", oldDead{age: 8 * 24 * time.Hour}, float64(8 * 24 * 3600)},
		{"deleted by SQS", "quarter", oldDead{age: 15 * 24 * time.Hour}, 0.0},
		{"none", "quarter", oldDead{age: -1}, 0.0},
		{"one that changed just now, as waiting ones do", "quarter", oldDead{age: time.Hour}, 0.0},
		{"unreadable", "quarter", oldDead{down: errors.New("throttled")}, nil},
		{"of another tier", "nightly", oldDead{age: 8 * 24 * time.Hour}, nil},
	} {
		w, out := wired(t)
		w.dead = c.dead
		if err := w.run(t.Context(), input{Task: c.task}); !errors.Is(err, stripeapi.ErrNoAPIKey) {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		var pass map[string]any
		if err := json.Unmarshal(lines[len(lines)-1], &pass); err != nil {
			t.Fatal(err)
		}
		got := pass["OldestDead"]
		if age, some := got.(float64); some { // in whole minutes: the clock runs on
			got = math.Round(age/60) * 60
		}
		if got != c.want || pass["Complete"] != 0.0 {
			t.Errorf("%s: OldestDead %v, want %v, in %v", c.name, pass["OldestDead"], c.want, pass)
		}
	}
}

// switchOf is a stored switch, or the error of reading it.
type switchOf struct {
	state pause.State
	down  error
}

func (s switchOf) Pauses(context.Context) (pause.State, error) { return s.state, s.down }

// TestPausedForIsCounted by the frequent passes: how long the oldest pause of a type lasts, also while
// it is resumed. What waits while everything is paused is in another queue.
func TestPausedForIsCounted(t *testing.T) {
	ago := func(days int) time.Time { return time.Now().Add(-time.Duration(days) * 24 * time.Hour) }
	for name, c := range map[string]struct {
		task string
		s    switchOf
		want any
	}{
		"none":            {"quarter", switchOf{}, 0.0},
		"two":             {"quarter", switchOf{state: pause.State{Paused: map[string]pause.Mark{"a.b": {At: ago(2)}, "c.d": {At: ago(11)}}}}, 11 * 24 * 3600.0},
		"being resumed":   {"quarter", switchOf{state: pause.State{Resuming: map[string]pause.Span{"a.b": {From: ago(3), Until: ago(1)}}}}, 3 * 24 * 3600.0},
		"everything":      {"quarter", switchOf{state: pause.State{Paused: map[string]pause.Mark{pause.All: {At: ago(11)}}}}, 0.0},
		"ahead":           {"quarter", switchOf{state: pause.State{Paused: map[string]pause.Mark{"a.b": {At: ago(-1)}}}}, 0.0},
		"unreadable":      {"quarter", switchOf{down: pause.ErrUnreadable}, nil},
		"of another tier": {"nightly", switchOf{state: pause.State{Paused: map[string]pause.Mark{"a.b": {At: ago(2)}}}}, nil},
	} {
		w, out := wired(t)
		w.pauses = c.s
		if err := w.run(t.Context(), input{Task: c.task}); !errors.Is(err, stripeapi.ErrNoAPIKey) {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		var pass map[string]any
		if err := json.Unmarshal(lines[len(lines)-1], &pass); err != nil {
			t.Fatal(err)
		}
		got := pass["PausedFor"]
		if age, some := got.(float64); some { // in whole minutes: the clock runs on
			got = math.Round(age/60) * 60
		}
		if got != c.want {
			t.Errorf("%s: PausedFor %v, want %v, in %v", name, pass["PausedFor"], c.want, pass)
		}
	}
}

// TestExclusionsAreCounted by endpoint and reason, each in its own line, in addition to the
// pass.
func TestExclusionsAreCounted(t *testing.T) {
	w, out := wired(t)
	var err error
	w.passes, err = reconcile.New(reconcile.Config{
		Lister: stub{}, Records: stub{}, Sender: stub{}, Depth: stub{}, Coverage: stub{}, Begins: stub{}, Types: []string{"invoice.paid"},
		Accounts: map[string]string{"": "default", "acct_1": "connect"}, Policies: map[string]policy.Policy{"connect": {Livemode: []bool{true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run(t.Context(), input{Task: "quarter"}); err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for raw := range bytes.Lines(out.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(raw, &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 2 || lines[0]["PolicyIgnored"] != 1.0 || lines[0]["endpoint"] != "connect" || lines[0]["reason"] != "livemode" || lines[0]["account"] != "acct_1" {
		t.Fatalf("lines %v", lines)
	}
	pass := lines[1]
	_, missed := pass["Missed"]
	_, stuck := pass["Stuck"]
	if pass["Complete"] != 1.0 || pass["Requeued"] != 0.0 || missed || stuck {
		t.Errorf("the pass %v; want it complete, with the metric Requeued and without Missed and Stuck", pass)
	}
}

// box is an outbox with one unsent message, or none, and three held ones. Its sender may fail.
type box struct {
	refuse error
	empty  bool
	down   error // of every list
	sent   []string
	marked []string
}

func (b *box) Unsent(_ context.Context, q outbox.Query) ([]outbox.Message, string, error) {
	if q.Shard != 0 || len(b.marked) > 0 || b.empty || b.down != nil {
		return nil, "", b.down
	}
	return []outbox.Message{{Key: "OUT#1", Name: "receipt", Queued: time.Now().Add(-time.Hour)}}, "", nil
}

func (b *box) CountHeld(_ context.Context, shard, most int) (int, error) {
	if shard == 4 {
		return 3, b.down
	}
	return 0, b.down
}

func (b *box) MarkSent(_ context.Context, key string, _ time.Time) error {
	b.marked = append(b.marked, key)
	return nil
}

func (b *box) Send(_ context.Context, m outbox.Message) error {
	b.sent = append(b.sent, m.Key)
	return b.refuse
}

// TestOutboxKnowsTheRestoresEnd: what was queued before it is held.
func TestOutboxKnowsTheRestoresEnd(t *testing.T) {
	w, err := wireReconcile(environment(map[string]string{"TOLLGATE_HOLD_BEFORE": "2026-11-28T22:30:00Z"}), handlers.Register, outbox.NewLogSender)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC); !w.drains.HoldBefore.Equal(want) || w.drains.Holder == nil {
		t.Errorf("holds before %v by %v, want %v", w.drains.HoldBefore, w.drains.Holder, want)
	}
}

func TestOutboxTask(t *testing.T) {
	for _, c := range []struct {
		name string
		box  box
		want map[string]any
	}{
		{"sent", box{}, map[string]any{"OutboxSent": 1.0, "OutboxFailed": 0.0, "OutboxUnsent": 0.0, "OutboxOldest": 0.0, "OutboxHeld": 3.0, "level": "INFO"}},
		{"refused", box{refuse: errors.New("no")}, map[string]any{"OutboxSent": 0.0, "OutboxFailed": 1.0, "OutboxUnsent": 1.0, "OutboxOldest": 3600.0, "OutboxHeld": 3.0, "level": "WARN"}},
		{"idle", box{empty: true}, map[string]any{"OutboxSent": 0.0, "OutboxFailed": 0.0, "OutboxUnsent": 0.0, "OutboxOldest": 0.0, "OutboxHeld": 3.0, "level": "INFO"}},
		{"unreadable", box{down: errors.New("throttled")}, map[string]any{"OutboxSent": 0.0, "OutboxFailed": 1.0, "OutboxUnsent": nil, "OutboxOldest": nil, "OutboxHeld": nil, "level": "WARN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, out := wired(t)
			b := &c.box
			w.outbox, w.sender = b, b
			if err := w.run(t.Context(), input{Task: "outbox"}); err != nil {
				t.Fatal(err)
			}
			lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
			var line map[string]any
			if err := json.Unmarshal(lines[len(lines)-1], &line); err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			for name := range c.want {
				got[name] = line[name]
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("sent %v, line %v (-want +got):\n%s", b.sent, line, diff)
			}
		})
	}
}

// noRows is a table without rows whose position may be unreadable.
type noRows struct{ broken error }

func (r noRows) Kept(context.Context, string) ([]drift.Kept, string, error) { return nil, "", nil }
func (r noRows) Position(context.Context) (drift.Position, error) {
	return drift.Position{Ver: 1, Began: time.Now().Add(-time.Hour)}, r.broken
}
func (r noRows) SavePosition(context.Context, drift.Position) (bool, error) { return true, nil }

// TestVerifyLine: every run counts drift and, where it is known, the age, also without a key.
func TestVerifyLine(t *testing.T) {
	for _, c := range []struct {
		name        string
		table, mode error
		age, fails  bool
	}{
		{"a run", nil, nil, true, false},
		{"no key", nil, stripeapi.ErrNoAPIKey, true, true},
		{"an unreadable position", errors.New("format 2"), nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, out := wired(t)
			w.verify.table, w.verify.log = noRows{c.table}, w.log
			w.verify.mode = func(context.Context) (bool, error) { return false, c.mode }
			if err := w.run(t.Context(), input{Task: "verify"}); (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			_, age := line["LedgerVerifiedAge"]
			if line["LedgerDrift"] != 0.0 || age != c.age || (line["level"] == "WARN") != c.fails {
				t.Errorf("line %s", out)
			}
			if c.mode != nil && line["LedgerVerifiedAge"].(float64) < 3600 {
				t.Errorf("without a key the age does not grow: %s", out)
			}
		})
	}
}
