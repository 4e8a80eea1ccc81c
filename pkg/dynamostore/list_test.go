package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// at is a time some seconds after the beginning of these tests.
func at(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }

// given brings an event into a state at a time: "failed", "dead", "rerun", "crashed",
// "done", "ignored" or "running".
func (f fixture) given(t *testing.T, id, state, etype string, when time.Time) {
	t.Helper()
	req := claimRequest()
	req.Event.ID, req.Event.Type, req.Now, req.Lease = id, etype, when, when.Add(time.Minute)
	switch state {
	case "rerun":
		req.Receives, req.ReceivesLeft = 3, 13
	case "crashed":
		req.Receives, req.ReceivesLeft = 16, 0
	}
	got, err := f.Claim(t.Context(), req)
	check(t, err)
	switch c := got.Claim; state {
	case "failed":
		_, err = f.Fail(t.Context(), c, idempotency.Failure{Now: when, Err: "boom", ReceivesLeft: 3})
	case "dead":
		_, err = f.Fail(t.Context(), c, idempotency.Failure{Now: when, Err: "boom", Reason: "permanent"})
	case "done":
		_, err = f.Complete(t.Context(), c, idempotency.Applied, dispatch.Effects{dispatch.Insert("FACT#"+id, nil)}, when)
	case "ignored":
		_, err = f.Complete(t.Context(), c, idempotency.Ignored, nil, when)
	}
	check(t, err)
}

func ids(records []idempotency.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

func TestList(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	for i, state := range []string{"failed", "dead", "rerun", "crashed", "done", "ignored", "running"} {
		f.given(t, state+"1", state, "invoice.paid", at(i))
		f.given(t, state+"2", state, "charge.failed", at(100+i))
	}
	cases := []struct {
		name    string
		req     ListRequest
		want    []string
		scanned bool
	}{
		{"no filter", ListRequest{}, []string{"crashed2", "rerun2", "dead2", "failed2", "crashed1", "rerun1", "dead1", "failed1"}, false},
		{"failed", ListRequest{Status: Failed}, []string{"crashed2", "rerun2", "dead2", "failed2", "crashed1", "rerun1", "dead1", "failed1"}, false},
		{"dead", ListRequest{Status: Dead}, []string{"crashed2", "dead2", "crashed1", "dead1"}, false},
		{"retrying", ListRequest{Status: Retrying}, []string{"rerun2", "failed2", "rerun1", "failed1"}, false},
		{"failed of a type", ListRequest{Status: Failed, Type: "invoice.paid"}, []string{"crashed1", "rerun1", "dead1", "failed1"}, false},
		{"failed of a pattern", ListRequest{Status: Failed, Type: "charge.*"}, []string{"crashed2", "rerun2", "dead2", "failed2"}, false},
		{"every type", ListRequest{Status: Ignored, Type: "*"}, []string{"ignored1", "ignored2"}, true},
		{"dead since", ListRequest{Status: Dead, Since: at(50)}, []string{"crashed2", "dead2"}, false},
		{"done", ListRequest{Status: Done}, []string{"done1", "done2", "ignored1", "ignored2"}, true},
		{"ignored", ListRequest{Status: Ignored}, []string{"ignored1", "ignored2"}, true},
		{"running", ListRequest{Status: Running}, []string{"crashed1", "crashed2", "rerun1", "rerun2", "running1", "running2"}, true},
		{"type alone", ListRequest{Type: "charge.failed"}, []string{"crashed2", "dead2", "done2", "failed2", "ignored2", "rerun2", "running2"}, true},
		{"since alone", ListRequest{Since: at(105)}, []string{"ignored2", "running2"}, true},
		{"since, to the millisecond", ListRequest{Since: at(106).Add(time.Millisecond)}, nil, true},
		{"nothing", ListRequest{Status: Done, Type: "no.such"}, nil, true},
		{"until alone", ListRequest{Until: at(1)}, []string{"failed1"}, true},
		{"between", ListRequest{Since: at(4), Until: at(6)}, []string{"done1", "ignored1"}, true},
		{"failed until", ListRequest{Status: Failed, Until: at(2)}, []string{"dead1", "failed1"}, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			page, err := f.reader.List(t.Context(), tc.req)
			if err != nil || page.Cursor != "" || page.Scanned != tc.scanned {
				t.Fatalf("list = %+v, %v; want all at once, scanned %v", page, err, tc.scanned)
			}
			got := ids(page.Records)
			if tc.scanned {
				slices.Sort(got)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			for _, limit := range []int{1, 3} {
				f.samePages(t, tc.req, limit, 10_000, ids(page.Records))
			}
			f.samePages(t, tc.req, 100, 1, ids(page.Records)) // as little at a time as is read at all
		})
	}
}

// TestListByEffects: mode, account and object are those of the items that an event wrote, all three
// of one item; an event without items matches none.
func TestListByEffects(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	f.given(t, "evt_nothing", "ignored", "invoice.paid", at(0))
	for id, keys := range map[string][]string{
		"evt_live":   {"FACT#live#-#in_1#paid", "OUT#FACT#live#-#in_1#paid#receipt"},
		"evt_test":   {"OBJ#test#acct_1#in_1"},
		"evt_both":   {"OBJ#test#-#in_2", "OBJ#live#acct_1#in_3"},
		"evt_spoof":  {"OBJ#odd#acct_1#in_1", "OUT#live", "live#in_12"},
		"evt_mailed": {"OUT#OBJ#live#acct_2#sub_1#welcome"},
	} {
		req := claimRequest()
		req.Event.ID, req.Now, req.Lease = id, at(1), at(60)
		got, err := f.Claim(t.Context(), req)
		check(t, err)
		var effects dispatch.Effects
		for _, key := range keys {
			effects = append(effects, dispatch.Insert(key, nil))
		}
		check(t, errOf(f.Complete(t.Context(), got.Claim, idempotency.Applied, effects, at(2))))
	}
	for _, tc := range []struct {
		req  ListRequest
		want []string
	}{
		{ListRequest{Mode: "live"}, []string{"evt_both", "evt_live", "evt_mailed"}},
		{ListRequest{Mode: "test"}, []string{"evt_both", "evt_test"}},
		{ListRequest{Account: "-"}, []string{"evt_both", "evt_live"}},
		{ListRequest{Account: "acct_1"}, []string{"evt_both", "evt_test"}},
		{ListRequest{Account: "acct_1", Mode: "test"}, []string{"evt_test"}},
		{ListRequest{About: "in_1"}, []string{"evt_live", "evt_spoof", "evt_test"}},
		{ListRequest{About: "in"}, nil},
		{ListRequest{About: "sub_1", Mode: "live"}, []string{"evt_mailed"}},
		{ListRequest{About: "in_1", Status: Ignored}, nil},
	} {
		page, err := f.reader.List(t.Context(), tc.req)
		got := ids(page.Records)
		slices.Sort(got)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" || !page.Scanned {
			t.Errorf("%+v: %v (-want +got):\n%s", tc.req, err, diff)
		}
	}
}

// samePages walks a list in small pages and wants the same records in the same order.
func (f fixture) samePages(t *testing.T, req ListRequest, limit, maxRead int, want []string) {
	t.Helper()
	req.Limit, req.MaxRead = limit, maxRead
	var got []string
	for range 200 {
		page, err := f.reader.List(t.Context(), req)
		if err != nil || len(page.Records) > limit || page.Read > max(maxRead, idempotency.Shards) {
			t.Fatalf("page = %+v, %v", page, err)
		}
		got = append(got, ids(page.Records)...)
		if req.Cursor = page.Cursor; req.Cursor == "" {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("limit %d, max read %d (-want +got):\n%s", limit, maxRead, diff)
			}
			return
		}
	}
	t.Errorf("limit %d, max read %d: no end after 200 pages, %d records", limit, maxRead, len(got))
}

// Many records of one moment: order among them is open, but each comes exactly once.
func TestListTies(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	for i := range 60 {
		f.given(t, fmt.Sprintf("evt_%02d", i), []string{"failed", "dead"}[i%2], "invoice.paid", now)
	}
	for _, limit := range []int{1, 7, 60} {
		seen := make(map[string]int)
		req := ListRequest{Status: Dead, Limit: limit}
		for range 100 {
			page, err := f.reader.List(t.Context(), req)
			check(t, err)
			for _, id := range ids(page.Records) {
				seen[id]++
			}
			if req.Cursor = page.Cursor; req.Cursor == "" {
				break
			}
		}
		if len(seen) != 30 || req.Cursor != "" {
			t.Errorf("limit %d: %d records, want 30; cursor %q", limit, len(seen), req.Cursor)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("limit %d: %s came %d times", limit, id, n)
			}
		}
	}
}

func TestListRefuses(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	for name, req := range map[string]ListRequest{
		"status":          {Status: "lost"},
		"limit":           {Limit: -1},
		"max read":        {MaxRead: -1},
		"cursor":          {Cursor: "%"},
		"cursor, no JSON": {Cursor: "eA"},
		"other cursor":    {Cursor: cursor{{PK: "EVT#x"}}.encode()},
	} {
		if page, err := f.reader.List(t.Context(), req); err == nil {
			t.Errorf("%s: %+v, want an error", name, page)
		}
	}
	if _, err := f.reader.List(t.Context(), ListRequest{Status: Done, Cursor: make(cursor, idempotency.Shards).encode()}); !errors.Is(err, ErrCursor) {
		t.Errorf("index cursor for a scan: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.reader.List(ctx, ListRequest{}); err == nil {
		t.Error("list with an ended context has no error")
	}
	gone := newReader(t, f.raw, "no-such-table")
	for _, req := range []ListRequest{{}, {Status: Done}} {
		if _, err := gone.List(t.Context(), req); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
			t.Errorf("missing table: %v", err)
		}
	}
	if _, _, err := gone.Get(t.Context(), "evt_1"); err == nil {
		t.Error("get from a missing table without an error")
	}
}

// A row that something else broke is listed as broken, and its neighbours are listed as
// before.
func TestListBrokenRecord(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	f.claim(t)
	for _, row := range []item{
		{"pk": str("EVT#evt_broken"), "st": str("DONE"), "att": str("one")},
		{"pk": str("EVT#evt_open"), "st": str("FAILED"), "att": str("one"), "open": str(idempotency.Shard("evt_open")), "upd": num(5)},
	} {
		check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})))
	}
	for status, want := range map[Filter][]string{
		Broken: {"evt_broken", "evt_open"}, Running: {claimRequest().Event.ID}, Failed: {"evt_open"}, Retrying: nil, Done: {"evt_broken"},
	} {
		page, err := f.reader.List(t.Context(), ListRequest{Status: status})
		got := ids(page.Records)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", status, err, diff)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("%")
	f.Add(cursor{{PK: "EVT#1"}}.encode())
	f.Add(cursor{{PK: "EVT#1", Updated: -5}, {End: true}}.encode())
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range []int{1, idempotency.Shards} {
			c, err := positionsOf(s, n)
			if err != nil {
				continue
			}
			if len(c) != n {
				t.Fatalf("%d positions, want %d", len(c), n)
			}
			if s == "" || c.encode() == "" {
				continue // a list that has ended has no cursor
			}
			again, err := positionsOf(c.encode(), n)
			if err != nil || !cmp.Equal(c, again) {
				t.Errorf("%+v came back as %+v, %v", c, again, err)
			}
		}
	})
}
