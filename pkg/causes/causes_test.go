package causes_test

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"

	"tollgate/pkg/causes"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

var start = time.UnixMilli(1_700_000_000_123).UTC()

func at(d time.Duration) time.Time { return start.Add(d) }

// failed is the record of an invoice.paid that failed some times, once a minute, with receives left.
func failed(id, text string, times int, left int64) idempotency.Record {
	r := idempotency.Record{
		ID: id, State: idempotency.Failed, Type: "invoice.paid", Attempt: int64(times), Fails: int64(times), Generation: 1, Err: text,
		ReceivesLeft: left, FirstAt: start, Updated: at(time.Duration(times-1)*time.Minute + time.Second),
	}
	for n := range times {
		r.History = append(r.History, idempotency.Attempt{
			Number: int64(n + 1), Start: at(time.Duration(n) * time.Minute), Took: time.Second,
			Fingerprint: queue.Fingerprint(r.Type, "", text), Frame: "handlers.paid invoice.go:42",
		})
	}
	return r
}

// letter is a dead letter of an invoice.paid.
func letter(id, reason, text string, sent time.Duration) redrive.DeadLetter {
	return redrive.DeadLetter{
		MessageID: "m-" + id, Event: event.Envelope{ID: id, Type: "invoice.paid"}, SentAt: at(sent),
		Cause: queue.DeadLetter{Reason: reason, Error: text, Fingerprint: queue.Fingerprint("invoice.paid", strings.TrimPrefix(reason, redrive.ReasonMaxReceives), text)},
	}
}

// text describes a cause, with times since the start.
func text(c causes.Cause) string {
	since := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Sub(start).String()
	}
	return fmt.Sprintf("%s %q %s: %d (%d retrying, %d dead), %d letters (%d leftovers), %s to %s, left %d to %d, next %s to %s, %s of %v, %s %s",
		cmp.Or(c.Type, "-"), c.What(), cmp.Or(c.Reason, "-"), c.Events, c.Retrying, c.Dead, c.Letters, c.Leftovers, since(c.First), since(c.Last),
		c.LeftMin, c.LeftMax, since(c.NextFirst), since(c.NextLast), cmp.Or(c.EventID, "-"), c.IDs, c.Alarm, strings.TrimPrefix(c.Section, "infra/README.md#"))
}

func TestCauses(t *testing.T) {
	type records = []idempotency.Record
	type letters = []redrive.DeadLetter
	change := func(r idempotency.Record, c func(*idempotency.Record)) idempotency.Record {
		c(&r)
		return r
	}
	leftover := letter("evt_3", "livemode", "test mode", 2*time.Hour)
	leftover.Done = true
	const (
		frame   = " (handlers.paid invoice.go:42)"
		failing = "consumer-failures alarm-consumer-failures"
		dead    = "dead-letters redrive-after-a-bug-fix"
	)
	for _, c := range []struct {
		name    string
		records records
		letters letters
		want    []string
	}{
		{"before it is dead", records{failed("evt_1", "no row 17", 3, 13)}, nil, []string{
			`invoice.paid "no row 17` + frame + `" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 0s to 2m1s, left 13 to 13, next 4m1s to 4m1s, evt_1 of [evt_1], ` + failing,
		}},
		{"several, one of them dead, with its letters", records{failed("evt_2", "no row 2", 5, 11), failed("evt_1", "no row 17", 3, 13), failed("evt_3", "no row 3", 9, 0)},
			letters{letter("evt_3", redrive.ReasonMaxReceives, "no row 3", -time.Hour), letter("evt_3", redrive.ReasonMaxReceives, "no row 3", -time.Hour)}, []string{
				`invoice.paid "no row 3` + frame + `" max_receives: 3 (2 retrying, 1 dead), 2 letters (0 leftovers), 0s to 8m1s, left 11 to 13, next 4m1s to 12m1s, evt_3 of [evt_3 evt_2 evt_1], ` + dead,
			}},
		{"the largest first; each type and each error apart", records{
			failed("evt_1", "no row", 1, 15), change(failed("evt_2", "no row", 1, 15), func(r *idempotency.Record) { r.Type, r.History = "charge.failed", nil }), failed("evt_3", "503", 1, 15), failed("evt_4", "503", 2, 14),
		}, nil, []string{
			`invoice.paid "503` + frame + `" -: 2 (2 retrying, 0 dead), 0 letters (0 leftovers), 0s to 1m1s, left 14 to 15, next 31s to 2m1s, evt_4 of [evt_4 evt_3], ` + failing,
			`charge.failed "no row" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 0s to 1s, left 15 to 15, next 31s to 31s, evt_2 of [evt_2], ` + failing,
			`invoice.paid "no row` + frame + `" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 0s to 1s, left 15 to 15, next 31s to 31s, evt_1 of [evt_1], ` + failing,
		}},
		{"letters without a record, of no event, and of a done one", nil, letters{letter("evt_1", "livemode", "test mode", 0), letter("", "livemode", "test mode", time.Hour), leftover}, []string{
			`invoice.paid "test mode" livemode: 2 (0 retrying, 2 dead), 3 letters (1 leftovers), 0s to 1h0m0s, left 0 to 0, next - to -, - of [m- evt_1], ` + dead,
		}},
		{"a leftover alone", nil, letters{leftover}, []string{
			`invoice.paid "no error is recorded: its messages are of events that are done" livemode: 0 (0 retrying, 0 dead), 1 letters (1 leftovers), - to -, left 0 to 0, next - to -, - of [], ` + dead,
		}},
		{"moved by the queue, without a record", nil, letters{letter("evt_1", redrive.ReasonMaxReceives, "", 0)}, []string{
			`invoice.paid "no error is recorded: the queue moved its messages, and no record tells why" max_receives: 1 (0 retrying, 1 dead), 1 letters (0 leftovers), 0s to 0s, left 0 to 0, next - to -, evt_1 of [evt_1], ` + dead,
		}},
		{"a second message of the event is refused: two causes", records{failed("evt_1", "no row", 1, 15)}, letters{letter("evt_1", "corrupt", "other id", 0)}, []string{
			`invoice.paid "no row` + frame + `" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 0s to 1s, left 15 to 15, next 31s to 31s, evt_1 of [evt_1], ` + failing,
			`invoice.paid "other id" corrupt: 1 (0 retrying, 1 dead), 1 letters (0 leftovers), 0s to 0s, left 0 to 0, next - to -, evt_1 of [evt_1], dead-letters corrupt-dead-letters`,
		}},
		{"killed, or runs: no failure is written", records{
			{ID: "evt_1", State: idempotency.Running, Type: "invoice.paid", Attempt: 2, Generation: 1, Lease: at(time.Minute), FirstAt: start, Updated: at(time.Second), ReceivesLeft: 14},
		}, nil, []string{
			`invoice.paid "no failure was written: an attempt was killed or timed out, or runs now" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 0s to 1s, left 14 to 14, next - to -, evt_1 of [evt_1], consumer-errors alarm-consumer-errors`,
		}},
		{"runs again: the failure before, whose reason the claim removed", records{change(failed("evt_1", "no plan", 2, 14), func(r *idempotency.Record) {
			r.State, r.Attempt, r.Updated, r.Lease, r.History[1].Fingerprint = idempotency.Running, 3, at(time.Hour), at(2*time.Hour), "permanent..."
		})}, nil, []string{
			`invoice.paid "no plan` + frame + `" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 1m0s to 1m1s, left 14 to 14, next - to -, evt_1 of [evt_1], ` + failing,
		}},
		{"failed last in a release without history", records{change(failed("evt_1", "503", 2, 14), func(r *idempotency.Record) { r.Attempt, r.Err = 3, "gone" })}, nil, []string{
			`invoice.paid "gone" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 1m1s to 1m1s, left 14 to 14, next 2m1s to 2m1s, evt_1 of [evt_1], ` + failing,
		}},
		{"a history of another cause too", records{change(failed("evt_1", "503", 3, 14), func(r *idempotency.Record) { r.History[0].Fingerprint = "other" })}, nil, []string{
			`invoice.paid "503` + frame + `" -: 1 (1 retrying, 0 dead), 0 letters (0 leftovers), 1m0s to 2m1s, left 14 to 14, next 3m1s to 3m1s, evt_1 of [evt_1], ` + failing,
		}},
		{"broken", records{{ID: "evt_1", State: "ODD", Broken: "state is unknown", ReceivesLeft: -1}}, nil, []string{
			`- "state is unknown" broken: 1 (0 retrying, 0 dead), 0 letters (0 leftovers), - to -, left 0 to 0, next - to -, evt_1 of [evt_1], events-mismatched alarm-events-mismatched`,
		}},
		{"done, purged, or waiting for a replay", records{
			{ID: "evt_1", State: idempotency.Done, Err: "503"}, change(failed("evt_2", "503", 1, 0), func(r *idempotency.Record) { r.Purged = start }),
			{ID: "evt_3", State: idempotency.Failed, Generation: 2, ReceivesLeft: -1, Updated: start},
		}, nil, nil},
	} {
		g := causes.New(start, limits.AWS())
		for _, r := range c.records {
			g.AddRecord(r)
		}
		for _, d := range c.letters {
			g.AddLetter(d)
		}
		var got []string
		for _, cause := range g.Sorted() {
			got = append(got, text(cause))
		}
		if diff := godiff.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestManyEvents: a cause names the newest events only, and its fingerprint is that of redrive.
func TestManyEvents(t *testing.T) {
	g := causes.New(start, limits.AWS())
	for n := range 250 {
		g.AddRecord(failed(fmt.Sprintf("evt_%d", n), fmt.Sprintf("no row %d", n), 1+n, 10))
	}
	got := g.Sorted()
	if len(got) != 1 || got[0].Events != 250 || len(got[0].IDs) != causes.MaxIDs || got[0].IDs[0] != "evt_249" || got[0].IDs[99] != "evt_150" {
		t.Fatalf("%+v", got)
	}
	if d := letter("evt_1", redrive.ReasonMaxReceives, "no row 4", 0); got[0].Fingerprint != d.Cause.Fingerprint {
		t.Errorf("fingerprint %s, that of dead letters is %s", got[0].Fingerprint, d.Cause.Fingerprint)
	}
}

// TestRunbook: every alarm and section that a cause names is a heading of infra/README.md.
func TestRunbook(t *testing.T) {
	raw, err := os.ReadFile("../../infra/README.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "##"); ok {
			slug := strings.ToLower(strings.TrimSpace(strings.TrimLeft(name, "#")))
			headings[strings.ReplaceAll(strings.ReplaceAll(slug, ":", ""), " ", "-")] = true
		}
	}
	g := causes.New(start, limits.AWS())
	g.AddRecord(failed("evt_1", "503", 1, 15))
	g.AddRecord(idempotency.Record{ID: "evt_2", State: "ODD"})
	g.AddRecord(idempotency.Record{ID: "evt_3", State: idempotency.Running, Lease: start, Type: "invoice.paid"})
	g.AddLetter(letter("evt_4", "corrupt", "x", 0))
	g.AddLetter(letter("evt_5", "handler", "x", 0))
	list := g.Sorted()
	if len(list) != 5 {
		t.Fatalf("%d causes: %+v", len(list), list)
	}
	for _, c := range list {
		section, ours := strings.CutPrefix(c.Section, "infra/README.md#")
		if !ours || !headings[section] || !headings["alarm-"+c.Alarm] {
			t.Errorf("%s: alarm %q, section %q: no such heading", c.What(), c.Alarm, c.Section)
		}
	}
}
