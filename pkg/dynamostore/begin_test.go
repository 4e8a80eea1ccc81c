package dynamostore

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/reconcile"
)

func TestBeginIsPutOnce(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	c, reader := f.Store, f.reader
	at := time.Date(2026, 11, 21, 12, 0, 7, 654_321_000, time.UTC)
	want := map[reconcile.Stream]time.Time{}
	for n, s := range []reconcile.Stream{{}, {Livemode: true}, {Account: "acct_1"}, {Livemode: true, Account: "acct_1"}} {
		if _, found, err := reader.Begin(t.Context(), s.Livemode, s.Account); found || err != nil {
			t.Fatalf("%+v has a begin before one is put, or %v", s, err)
		}
		want[s] = at.Truncate(time.Second).Add(time.Duration(n) * time.Hour)
		for _, later := range []time.Duration{0, -time.Hour, time.Hour} {
			got, err := c.PutBegin(t.Context(), s, at.Add(time.Duration(n)*time.Hour+later))
			if err != nil || !got.Equal(want[s]) {
				t.Errorf("%+v put %v later: %v, %v; want %v", s, later, got, err, want[s])
			}
		}
		if got, found, err := reader.Begin(t.Context(), s.Livemode, s.Account); !found || err != nil || !got.Equal(want[s]) {
			t.Errorf("%+v reads as %v, %v, %v", s, got, found, err)
		}
	}
	got, err := c.Begins(t.Context())
	if d := gocmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	it, found, err := reader.Item(t.Context(), "BEGIN#live#acct_1")
	if err != nil || !found || it["exp"] != nil || it["kind"] != "begin" {
		t.Errorf("the item %v, %v", it, err)
	}
}

// TestBeginThatCannotBeRead is an error for its account alone, and is not replaced.
func TestBeginThatCannotBeRead(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	c, reader, raw := f.Store, f.reader, f.raw
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for key, it := range map[string]item{
		"BEGIN#test#acct_text":  {"mode": str("test"), "account": str("acct_text"), "begin": str("now")},
		"BEGIN#test#acct_bare":  {},
		"BEGIN#test#acct_other": {"mode": str("test"), "account": str("acct_1"), "begin": millis(at)},
		"BEGIN#test#acct_live":  {"mode": str("live"), "account": str("acct_live"), "begin": millis(at)},
	} {
		it["pk"], it["lst"], it["at"] = str(key), str("BEGIN"), str(second(at))
		check(t, errOf(raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &reader.table, Item: it})))
		account := strings.TrimPrefix(key, "BEGIN#test#")
		if got, err := c.PutBegin(t.Context(), reconcile.Stream{Account: account}, at); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, %v; want an error that names it", key, got, err)
		}
		if _, found, err := reader.Begin(t.Context(), false, account); found || err == nil {
			t.Errorf("%s is read", key)
		}
	}
	check(t, errOf(c.PutBegin(t.Context(), reconcile.Stream{}, at)))
	got, err := c.Begins(t.Context())
	if d := gocmp.Diff(map[reconcile.Stream]time.Time{{}: at}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestOldestNote: of passes, not of backfills, each account and mode separately, over
// the borders of months and pages.
func TestOldestNote(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	c, reader, raw := f.Store, f.reader, f.raw
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.Add(-time.Duration(days) * 24 * time.Hour) }
	note := func(tier, account string, live bool, from time.Time) {
		n := reconcile.Covered{Livemode: live, Account: account, Tier: tier, From: from, To: from.Add(time.Minute), DoneAt: now}
		check(t, c.Cover(t.Context(), n))
	}
	for n := range 300 { // more than a page
		note(reconcile.Backfill, "", false, ago(150).Add(time.Duration(n)*time.Minute))
	}
	for _, n := range []struct {
		tier, account string
		live          bool
		days          int
	}{
		{reconcile.Frequent, "", false, 1}, {reconcile.Weekly, "", false, 149}, {reconcile.Nightly, "", false, 3},
		{reconcile.Nightly, "", true, 40}, {reconcile.Configured, "acct_1", false, 12}, {reconcile.Frequent, "acct_1", false, 11},
		{reconcile.Backfill, "acct_new", false, 20}, {reconcile.Weekly, "acct_2", true, 208},
	} {
		note(n.tier, n.account, n.live, ago(n.days))
	}
	excluded := reconcile.Covered{Account: "acct_new", Tier: reconcile.Configured, From: ago(30), To: ago(30), DoneAt: now, Excluded: "livemode"}
	check(t, c.Cover(t.Context(), excluded))
	broken := item{"pk": str("COVER#test#acct_new#weekly#yesterday"), "lst": str(coverList(now)), "at": str(second(ago(1)))}
	check(t, errOf(raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &reader.table, Item: broken})))
	want := map[reconcile.Stream]time.Time{
		{}: ago(149), {Livemode: true}: ago(40), {Account: "acct_1"}: ago(12), {Livemode: true, Account: "acct_2"}: ago(208),
	}
	asked := []reconcile.Stream{{}, {Livemode: true}, {Account: "acct_1"}, {Livemode: true, Account: "acct_2"}, {Account: "acct_new"}}
	got, err := c.Oldest(t.Context(), asked, ago(209), now)
	if d := gocmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if got, err := c.Oldest(t.Context(), asked[:1], ago(209), now); err != nil || len(got) != 1 || !got[reconcile.Stream{}].Equal(ago(149)) {
		t.Errorf("one account: %v, %v", got, err)
	}
}

// counting counts the queries of a reader, of at most 100 items each.
type counting struct {
	Client
	queries int
}

func (c *counting) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	c.queries++
	in.Limit = aws.Int32(100)
	return c.Client.Query(ctx, in, o...)
}

// TestOldestNoteIsCheap: reading ends at the first month that has a note of each account.
func TestOldestNoteIsCheap(t *testing.T) {
	s := serveEmbedded(t)
	client := &counting{Client: s.client(http.DefaultTransport, true)}
	c := newStore(t, client, s.table(t))
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for n := range 29 * 24 {
		from := now.Add(-29 * 24 * time.Hour).Add(time.Duration(n) * time.Hour)
		check(t, c.Cover(t.Context(), reconcile.Covered{Tier: reconcile.Weekly, From: from, To: from.Add(time.Hour - time.Second), DoneAt: now}))
	}
	for _, want := range []struct {
		account string
		queries int
	}{{"", 7}, {"acct_new", 14}} { // from April to the first page of October; all of October's 228 and November's 468 notes
		client.queries = 0
		_, err := c.Oldest(t.Context(), []reconcile.Stream{{Account: want.account}}, now.Add(-209*24*time.Hour), now)
		if err != nil || client.queries != want.queries {
			t.Errorf("account %q: %d queries, %v; want %d", want.account, client.queries, err, want.queries)
		}
	}
}
