package dynamostore

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency"
)

// TestOldestDead: events that wait, are done or were purged do not count, nor what is outside the
// times.
func TestOldestDead(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	find := func(since, until int) time.Time {
		t.Helper()
		got, err := f.reader.OldestDead(t.Context(), at(since), at(until))
		check(t, err)
		return got
	}
	if got := find(0, 1000); !got.IsZero() {
		t.Errorf("of an empty table: %v", got)
	}
	for i, state := range []string{"failed", "rerun", "running", "done", "ignored", "purged", "dead", "crashed", "dead2"} {
		as := strings.TrimSuffix(state, "2")
		if as == "purged" {
			as = "dead"
		}
		f.given(t, "evt_"+state, as, "invoice.paid", at(i))
	}
	e := claimRequest().Event
	e.ID, e.Type = "evt_purged", "invoice.paid"
	_, err := f.operator.Purge(t.Context(), idempotency.PurgeRequest{EventID: e.ID, Identities: idempotency.IdentitiesOf(e), Any: true, By: "me", Now: at(5)})
	check(t, err)
	for _, c := range []struct{ since, until, want int }{{0, 1000, 6}, {6, 6, 6}, {7, 1000, 7}, {8, 1000, 8}, {0, 5, -1}, {9, 1000, -1}} {
		want := at(c.want)
		if c.want < 0 {
			want = time.Time{}
		}
		if got := find(c.since, c.until); !got.Equal(want) {
			t.Errorf("since %d until %d: %v, want %v", c.since, c.until, got, want)
		}
	}
}

// TestOldestDeadGivesUp: the read is bounded, and what was not read is an error, not "none".
func TestOldestDeadGivesUp(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	row := item{
		"st": str("FAILED"), "ident": str("x"), "upd": num(5000), "rc_left": num(0), "purged": num(5000),
		"open": str(idempotency.ShardName(3)),
	}
	for n := range maxNotDead {
		row["pk"] = str(idempotency.Key(fmt.Sprint("evt_", n)))
		check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})))
		if n == maxNotDead-2 {
			got, err := f.reader.OldestDead(t.Context(), time.UnixMilli(1), time.UnixMilli(9999))
			if err != nil || !got.IsZero() {
				t.Fatalf("%d purged events: %v, %v", n+1, got, err)
			}
		}
	}
	if got, err := f.reader.OldestDead(t.Context(), time.UnixMilli(1), time.UnixMilli(9999)); err == nil || !got.IsZero() {
		t.Errorf("%d purged events: %v, %v", maxNotDead, got, err)
	}
}
