package dynamostore

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// A usual event that fails keeps its record under 1 KB: ten attempts with one cause have some 220
// bytes, with an error of up to 500. Ten with a cause each have 601 at most, with an error of up to
// 150. A longer error costs a second unit for each write, as one of over 650 bytes always did.
func TestRecordWithHistory(t *testing.T) {
	for _, c := range []struct {
		name           string
		err            int
		causes         int
		record, attrib int
	}{
		{"one cause", 500, 1, 1024, 260},
		{"ten causes", 150, 10, 1024, 601},
	} {
		f := serveEmbedded(t).fixture(t, http.DefaultTransport)
		req := claimRequest()
		req.Event.Type = "customer.subscription.pending_update_expired"
		for n := range 99 {
			begun := now.Add(time.Duration(n) * time.Hour)
			req.Owner, req.Receives, req.Now, req.Lease, req.LeaseExpiredBefore = idempotency.NewOwner(), 2, begun, begun.Add(time.Minute), begun
			got, err := f.Claim(t.Context(), req)
			check(t, err)
			failure := idempotency.Failure{Now: begun.Add(29_999 * time.Millisecond), Err: strings.Repeat("e", c.err), ReceivesLeft: 14}
			failure.Fingerprint, failure.Frame = strings.Repeat(string(rune('0'+n%c.causes)), 12), strings.Repeat(string(rune('a'+n%c.causes)), limits.MaxFrame)
			check(t, errOf(f.Fail(t.Context(), got.Claim, failure)))
		}
		row, err := f.reader.get(t.Context(), idempotency.Key(req.Event.ID))
		check(t, err)
		if n, h := sizeOf(row), sizeOfValue(row["hist"]); n > c.record || h > c.attrib || h < c.attrib*8/10 {
			t.Errorf("%s: a record of %d bytes, %d of them its history; want %d and %d at most", c.name, n, h, c.record, c.attrib)
		} else {
			t.Logf("%s: a record of %d bytes, %d of them its history", c.name, n, h)
		}
		r, _, err := f.reader.Get(t.Context(), req.Event.ID)
		check(t, err)
		if len(r.History) != 10 || r.History[0].Number != 90 || r.History[9].Number != 99 {
			t.Errorf("%s: history %+v", c.name, r.History)
		}
	}
}

// TestOlderReleasesWrites: a release that knows no history leaves it as it is, so its own failures
// are not in it; a record that it completed keeps one until the next completion or replay.
func TestOlderReleasesWrites(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	claim := func() *idempotency.Claim {
		req := claimRequest()
		req.Owner = idempotency.NewOwner()
		got, err := f.Claim(t.Context(), req)
		check(t, err)
		return got.Claim
	}
	older := func(c *idempotency.Claim, expression string, values item) {
		u := f.fenced(c, expression, values)
		u.ExpressionAttributeNames = openName()
		if fault := f.update(t.Context(), u); fault != nil {
			t.Fatal(fault.text)
		}
	}
	numbers := func(want ...int64) {
		t.Helper()
		r, _, err := f.reader.Get(t.Context(), claimRequest().Event.ID)
		check(t, err)
		var got []int64
		for _, a := range r.History {
			got = append(got, a.Number)
		}
		if diff := cmp.Diff(want, got); diff != "" || r.Broken != "" {
			t.Errorf("%s record (%s), attempts of its history (-want +got):\n%s", r.State, r.Broken, diff)
		}
	}
	fail := func(c *idempotency.Claim) {
		check(t, errOf(f.Fail(t.Context(), c, idempotency.Failure{Now: now, Err: "no"})))
	}

	fail(claim())
	older(claim(), strings.Replace(failTransient, ", hist=:hist", "", 1), item{
		":failed": str("FAILED"), ":now": millis(now), ":shard": str("o#1"), ":err": str("no"), ":left": num(9), ":zero": num(0), ":one": num(1),
	})
	numbers(1)
	fail(claim())
	numbers(1, 3)
	older(claim(), strings.Replace(completePlain, " hist,", "", 1), item{":done": str("DONE"), ":now": millis(now), ":outcome": str("applied"), ":exp": num(9_999_999_999)})
	numbers(1, 3)
	check(t, f.operator.Replay(t.Context(), idempotency.ReplayRequest{EventID: claimRequest().Event.ID, Generation: 1, Now: now, By: "ann"}))
	numbers()
	fail(claim())
	numbers(5)
	check(t, errOf(f.Complete(t.Context(), claim(), idempotency.Applied, nil, now)))
	numbers()
}

// TestUnreadableHistory: whatever an item has under this name, the event is handled, and the next
// failure is recorded.
func TestUnreadableHistory(t *testing.T) {
	for name, v := range map[string]types.AttributeValue{
		"of another type": num(1), "of a newer release": str("2|whatever"), "empty": str(""), "cut off": str("1|1,mwmwlsgz"), "not a number": str("1|x,mwmwlsgz,1,,"),
	} {
		f := serveEmbedded(t).fixture(t, http.DefaultTransport)
		req := claimRequest()
		got, err := f.Claim(t.Context(), req)
		check(t, err)
		u := f.fenced(got.Claim, "SET hist=:hist", item{":hist": v})
		if fault := f.update(t.Context(), u); fault != nil {
			t.Fatal(fault.text)
		}
		req.Owner, req.LeaseExpiredBefore = idempotency.NewOwner(), req.Lease.Add(time.Second)
		if got, err = f.Claim(t.Context(), req); err != nil || got.Verdict != idempotency.Claimed || got.Claim.History != nil {
			t.Fatalf("%s: claim %+v, %v", name, got, err)
		}
		check(t, errOf(f.Fail(t.Context(), got.Claim, idempotency.Failure{Now: now, Err: "no"})))
		if r, _, err := f.reader.Get(t.Context(), req.Event.ID); err != nil || len(r.History) != 1 || r.History[0].Number != 2 {
			t.Errorf("%s: history %+v, %v", name, r.History, err)
		}
	}
}

// FuzzHistory: what is read is written in the same way.
func FuzzHistory(f *testing.F) {
	f.Add("1|1,mwmwlsgz,6fhc,0a1b2c3d4e5f,handlers.paid invoice.go:42|2,mwmwlsgz,6fhc,,")
	f.Add("1|1,0,0,-,-|9,-1,zz,a,|10,1,1,-,f x.go:1")
	f.Add("1|9223372036854775807,1y2p0ij32e8e7,zik0zj,,")
	f.Fuzz(func(t *testing.T, s string) {
		read := historyAttempts(str(s))
		if len(read) > idempotency.MaxHistory {
			t.Fatalf("%d attempts", len(read))
		}
		if again := historyAttempts(historyString(read)); !cmp.Equal(read, again) {
			t.Errorf("%q is read as %+v and again as %+v", s, read, again)
		}
	})
}
