package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

func TestCoverageComesBackWhole(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	c, reader := f.Store, f.reader
	// Two months, and more than a page of the second.
	begin := time.Date(2026, 10, 31, 20, 0, 0, 0, time.UTC)
	var want []reconcile.Covered
	for n := range 300 {
		from := begin.Add(time.Duration(n) * time.Hour)
		note := reconcile.Covered{
			Livemode: n%2 == 0, Account: []string{"", "acct_1"}[n%2], Tier: reconcile.Nightly, From: from, To: from.Add(time.Hour - time.Second),
			Listed: 10, Known: 7, Enqueued: 2, Errors: 1, DoneAt: time.UnixMilli(1_800_000_000_123).UTC(),
		}
		if n == 5 {
			if err := c.Cover(t.Context(), note); err != nil { // its earlier look is replaced
				t.Fatal(err)
			}
			note.Known, note.Enqueued = 9, 0
		}
		check(t, c.Cover(t.Context(), note))
		if n > 0 && n < 299 {
			want = append(want, note)
		}
	}
	got, _, err := c.Covered(t.Context(), begin.Add(time.Second), begin.Add(299*time.Hour))
	check(t, err)
	slices.SortFunc(got, func(a, b reconcile.Covered) int { return a.From.Compare(b.From) })
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	it, found, err := reader.Item(t.Context(), "COVER#test#acct_1#nightly#2026-10-31T21:00:00Z")
	if err != nil || !found || it["lst"] != "COVER#2026-10" || it["at"] != "2026-10-31T21:00:00Z" || it["exp"] != time.Unix(1_800_000_000, 0).Add(limits.AWS().RecordTTL).Unix() {
		t.Errorf("the item %v, %v", it, err)
	}
	if _, found, _ := reader.Item(t.Context(), "COVER#live#-#nightly#2026-10-31T20:00:00Z"); !found {
		t.Error("the platform's own note has another key")
	}
}

// TestCoverageOfNothing: the notes of the accounts that are to be compared have an empty
// slice at midnight, the first of a month as well.
func TestCoverageOfNothing(t *testing.T) {
	c := serveEmbedded(t).fixture(t, http.DefaultTransport).Store
	day := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	var want []reconcile.Covered
	for _, account := range []string{"", "acct_1"} {
		want = append(want, reconcile.Covered{Account: account, Tier: reconcile.Configured, From: day, To: day.Add(-time.Second), DoneAt: day})
	}
	want[0].Since, want[0].Endpoint = day.Add(-time.Hour), "default"
	want[1].Excluded, want[1].Endpoint = "livemode", "connect"
	before := reconcile.Covered{Tier: reconcile.Nightly, From: day.Add(-time.Hour), To: day.Add(-time.Second), DoneAt: day}
	after := reconcile.Covered{Tier: reconcile.Frequent, From: day.Add(time.Second), To: day.Add(time.Hour), DoneAt: day}
	for _, n := range append(want, before, after) {
		check(t, c.Cover(t.Context(), n))
	}
	got, _, err := c.Covered(t.Context(), day, day.Add(time.Second))
	slices.SortFunc(got, func(a, b reconcile.Covered) int { return cmp.Compare(a.Account, b.Account) })
	if d := gocmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestNoteThatCannotBeRead is passed over and named, and hides no other.
func TestNoteThatCannotBeRead(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	c, reader, raw := f.Store, f.reader, f.raw
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	note := reconcile.Covered{Tier: reconcile.Nightly, From: at, To: at.Add(time.Hour), DoneAt: at}
	check(t, c.Cover(t.Context(), note))
	whole, err := reader.get(t.Context(), coverKey(note))
	check(t, err)
	var want []string
	for name, wrong := range map[string]types.AttributeValue{
		"to": str("tomorrow"), "account": num(1), "done_at": nil, "since": str("then"), "excluded": num(0), "errors": num(0),
	} {
		broken := maps.Clone(whole)
		broken["pk"] = str("COVER#" + name)
		if broken[name] = wrong; wrong == nil {
			delete(broken, name)
		}
		if name != "errors" { // which is whole
			want = append(want, "COVER#"+name)
		}
		check(t, errOf(raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &reader.table, Item: broken})))
	}
	notes, broken, err := c.Covered(t.Context(), at, at.Add(time.Second))
	slices.Sort(want)
	slices.Sort(broken)
	if d := gocmp.Diff(want, broken); d != "" || err != nil || len(notes) != 2 {
		t.Errorf("%v, %d notes, broken (-want +got):\n%s", err, len(notes), d)
	}
}

func TestRecordsAreReadTogether(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	r, raw := f.reader, f.raw
	var ids []string
	for n := range 250 {
		id := fmt.Sprintf("evt_%d", n)
		ids = append(ids, id)
		if n%10 != 0 {
			continue
		}
		if _, err := raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: item{
			"pk": str(idempotency.Key(id)), "st": str("FAILED"), "ident": str("x"), "upd": num(5000), "rc_left": num(int64(n)),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Records(t.Context(), ids)
	if err != nil || len(got) != 25 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if rec := got["evt_240"]; rec.ID != "evt_240" || rec.ReceivesLeft != 240 || rec.State != idempotency.Failed || !rec.Updated.Equal(time.UnixMilli(5000)) {
		t.Errorf("%+v", rec)
	}
	if got, err := r.Records(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("of no events: %v, %v", got, err)
	}
}

// lagging is a table whose eventually consistent reads are old.
type lagging struct {
	ReaderClient
	old, now         map[string]string // states by id
	eventual, others []string          // ids read
}

func (l *lagging) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	ask := in.RequestItems["t"]
	states, read := l.old, &l.eventual
	if ask.ConsistentRead != nil && *ask.ConsistentRead {
		states, read = l.now, &l.others
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for _, key := range ask.Keys {
		a := attributeReader{item: key}
		id := strings.TrimPrefix(a.str("pk"), idempotency.KeyPrefix)
		*read = append(*read, id)
		if state, found := states[id]; found {
			out.Responses["t"] = append(out.Responses["t"], item{"pk": key["pk"], "st": str(state), "lease": num(1)})
		}
	}
	return out, nil
}

// TestRecordsAreReadAgain, consistently, if they are not done or missing; the others cost half.
func TestRecordsAreReadAgain(t *testing.T) {
	l := &lagging{
		old: map[string]string{"evt_1": "DONE", "evt_2": "RUNNING", "evt_4": "FAILED", "evt_6": "DONE"},
		now: map[string]string{"evt_1": "FAILED", "evt_2": "DONE", "evt_3": "DONE", "evt_5": "DONE", "evt_6": "DONE"},
	}
	got, err := newReader(t, l, "t").Records(t.Context(), []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6", "evt_7"})
	check(t, err)
	states := map[string]string{}
	for id, r := range got {
		states[id] = string(r.State)
	}
	want := map[string]string{"evt_1": "DONE", "evt_2": "DONE", "evt_3": "DONE", "evt_5": "DONE", "evt_6": "DONE"}
	if d := gocmp.Diff(want, states); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := gocmp.Diff([]string{"evt_2", "evt_3", "evt_4", "evt_5", "evt_7"}, l.others); d != "" || len(l.eventual) != 7 {
		t.Errorf("%d read eventually; consistently (-want +got):\n%s", len(l.eventual), d)
	}
}

// TestPurgedRecordsStayInTheIndex, where Open finds what failed or was replayed, until it is done.
func TestPurgedRecordsStayInTheIndex(t *testing.T) {
	w := &wireWrites{t: t, store: serveEmbedded(t).fixture(t, http.DefaultTransport)}
	id := wireEvent().ID
	for _, step := range []struct {
		name string
		do   func()
		open bool
	}{
		{"claimed", func() { w.claim(1) }, false},
		{"failed", func() { w.fail("no such plan", "handler", 0) }, true},
		{"purged", w.markPurged, true},
		{"claimed again", func() { w.claim(1) }, true},
		{"done", func() { w.complete(idempotency.Applied) }, false},
		{"replayed", w.replay, true},
	} {
		step.do()
		open, err := w.store.reader.Open(t.Context())
		check(t, err)
		if created, is := open[id]; is != step.open || is && created != wireEvent().Created {
			t.Errorf("%s: in the index %v, created %d; want %v", step.name, is, created, step.open)
		}
		page, err := w.store.reader.List(t.Context(), ListRequest{})
		check(t, err)
		if listed := len(page.Records) > 0; listed != (step.open && step.name != "purged") {
			t.Errorf("%s: listed as failed: %v", step.name, listed)
		}
	}
}

// miserly reads one key of each request, and nothing at all once it is empty.
type miserly struct {
	ReaderClient
	calls, left int
	err         error
}

func (m *miserly) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	m.calls++
	if m.err != nil {
		return nil, m.err
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	ask := in.RequestItems["t"]
	if m.left > 0 {
		m.left--
		out.Responses["t"] = []map[string]types.AttributeValue{{"pk": ask.Keys[0]["pk"], "st": str("DONE")}}
		ask.Keys = ask.Keys[1:]
	}
	if len(ask.Keys) > 0 {
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{"t": ask}
	}
	return out, nil
}

func TestRecordsLeftUnreadAreAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     miserly
		calls int
		fails string
	}{
		{"in time", miserly{left: 3}, 3, ""},
		{"never", miserly{left: 1}, maxTries, "unread"},
		{"refused", miserly{err: errors.New("no access")}, 1, "no access"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := newReader(t, &c.m, "t").Records(t.Context(), []string{"evt_1", "evt_2", "evt_3"})
				if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) || err == nil && len(got) != 3 {
					t.Errorf("%d records, %v", len(got), err)
				}
				if c.m.calls != cmp.Or(c.calls, 1) {
					t.Errorf("%d requests, want %d", c.m.calls, c.calls)
				}
			})
		})
	}
}
