package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
)

// waiting is a fresh table with n messages of receipts and welcomes in turn, one for each
// minute; every third is held.
func waiting(t *testing.T, n int) (fixture, []string) {
	t.Helper()
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	keys := make([]string, n)
	for i := range keys {
		name := []string{"receipt", "welcome"}[i%2]
		keys[i] = fmt.Sprintf("OUT#OBJ#live#-#in_%03d#%s", i, name)
		it := item{
			"pk": str(keys[i]), "name": str(name), "to": str("cus_1"), "event_id": str(fmt.Sprintf("evt_%03d", i)),
			"lst": str(dispatch.OutboxList(dispatch.OutboxShard(keys[i]))), "queued_at": num(1),
			"at": str(second(outboxStart.Add(time.Duration(i) * time.Minute))),
		}
		if i%3 == 0 {
			it["lst"], it["held"] = str(dispatch.HeldList(dispatch.OutboxShard(keys[i]))), str("old")
		}
		check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: it})))
	}
	return f, keys
}

func TestOutboxRelease(t *testing.T) {
	f, keys := waiting(t, 2)
	key, unheld := keys[0], keys[1]
	now := outboxStart.Add(time.Hour)
	k := &keySender{sent: map[string]int{}}
	drain := func() outbox.Result {
		t.Helper()
		r, err := outbox.Drain(t.Context(), f.Store, k, outbox.Options{})
		check(t, err)
		return r
	}
	release := func(name, key string, at time.Time, want outbox.Release) {
		t.Helper()
		if got, err := f.operator.Release(t.Context(), key, at); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	release("one that is to be sent", unheld, now, outbox.NotHeld)
	if r := drain(); r.Sent != 1 || r.Left.Held != 1 || k.sent[key] != 0 {
		t.Fatalf("a held message was sent, or not counted: %+v", r)
	}
	release("one that was sent", unheld, now, outbox.AlreadySent)
	// No write of ours makes such an item; the release must not rely on that.
	both := "OUT#OBJ#live#-#in_8#receipt"
	if _, err := f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: item{
		"pk": str(both), "lst": str(dispatch.HeldList(dispatch.OutboxShard(both))), "at": str(second(outboxStart)), "sent_at": num(1),
	}}); err != nil {
		t.Fatal(err)
	}
	release("one that is listed as held and was sent", both, now, outbox.AlreadySent)
	release("none", "OUT#OBJ#live#-#in_9#receipt", now, outbox.NoMessage)
	release("the held one", key, now, outbox.Released)
	release("the same, whose answer was lost", key, now, outbox.Released)
	release("the same again", key, now.Add(time.Second), outbox.NotHeld)
	it, _, err := f.reader.Item(t.Context(), key)
	if it["queued_at"] != now.UnixMilli() || it["released_at"] != now.UnixMilli() || it["held"] != "old" || err != nil {
		t.Errorf("the item is %v, %v", it, err)
	}
	if r := drain(); r.Sent != 1 || r.Left.Held != 1 {
		t.Errorf("after the release: %+v", r)
	}
	if r := drain(); r.Sent != 0 || k.sent[key] != 1 || k.sent[unheld] != 1 {
		t.Errorf("sent %v", k.sent)
	}
	release("one that was held and sent", key, now.Add(time.Minute), outbox.AlreadySent)
	if r := drain(); r.Sent != 0 {
		t.Errorf("sent again: %+v", r)
	}
}

// TestOutboxHold: a message that waited in a restored table is held once, unless it was sent, or
// released since.
func TestOutboxHold(t *testing.T) {
	f, keys := waiting(t, 6) // 0 and 3 are held already
	end := outboxStart.Add(time.Hour)
	check(t, f.MarkSent(t.Context(), keys[1], end))
	if got, err := f.operator.Release(t.Context(), keys[3], end.Add(time.Second)); got != outbox.Released || err != nil {
		t.Fatalf("%v, %v", got, err)
	}
	check(t, f.Hold(t.Context(), keys[3], end)) // by a run that read it before its release
	old := "OUT#OBJ#live#-#in_old#receipt"      // of a release that wrote no queued_at
	check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: item{
		"pk": str(old), "name": str("receipt"), "lst": str(dispatch.OutboxList(dispatch.OutboxShard(old))), "at": str(second(outboxStart)),
	}})))
	k := &keySender{sent: map[string]int{}}
	r, err := outbox.Drain(t.Context(), f.Store, k, outbox.Options{HoldBefore: end, Holder: f.Store})
	check(t, err)
	if r.Sent != 1 || k.sent[keys[3]] != 1 || r.Failed != 0 || r.Left.Unsent != 0 {
		t.Errorf("%+v, sent %v, want the released one", r, k.sent)
	}
	for i, want := range []string{"old", "", "hold_before", "old", "hold_before", "hold_before"} {
		check(t, f.Hold(t.Context(), keys[i], end)) // again, and where there is nothing to hold
		it, _, err := f.reader.Item(t.Context(), keys[i])
		check(t, err)
		got, _ := it["held"].(string)
		list, _ := it["lst"].(string)
		if got != want || dispatch.IsHeldList(list) != (want != "" && i != 3) {
			t.Errorf("message %d: held %q in %q, want %q", i, got, list, want)
		}
	}
	if it, _, err := f.reader.Item(t.Context(), old); it["held"] != "hold_before" || err != nil {
		t.Errorf("one without the time of its request: %v, %v", it, err)
	}
	check(t, f.Hold(t.Context(), "OUT#OBJ#live#-#in_none#receipt", end))
	if got, err := f.operator.Release(t.Context(), keys[2], end.Add(time.Minute)); got != outbox.Released || err != nil {
		t.Errorf("release of what was held: %v, %v", got, err)
	}
	if r, err := outbox.Drain(t.Context(), f.Store, k, outbox.Options{HoldBefore: end, Holder: f.Store}); err != nil || r.Sent != 1 || k.sent[keys[2]] != 1 {
		t.Errorf("after the release: %+v, %v", r, err)
	}
}

func TestOutboxCountHeld(t *testing.T) {
	o, _ := waiting(t, 90) // 30 are held
	all := 0
	for shard := range dispatch.OutboxShards {
		n, err := o.CountHeld(t.Context(), shard, 1000)
		check(t, err)
		if few, err := o.CountHeld(t.Context(), shard, 2); few != min(n, 2) || err != nil {
			t.Errorf("shard %d: at most 2 are %d, %v", shard, few, err)
		}
		all += n
	}
	if all != 30 {
		t.Errorf("%d held, want 30", all)
	}
}

func TestOutboxList(t *testing.T) {
	o, keys := waiting(t, 40)
	minute := func(n int) time.Time { return outboxStart.Add(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		name string
		req  OutboxRequest
		want func(i int) bool
	}{
		{"all", OutboxRequest{}, func(int) bool { return true }},
		{"held and unsent", OutboxRequest{Held: true, Unsent: true}, func(int) bool { return true }},
		{"held", OutboxRequest{Held: true}, func(i int) bool { return i%3 == 0 }},
		{"unsent", OutboxRequest{Unsent: true}, func(i int) bool { return i%3 != 0 }},
		{"of one name", OutboxRequest{Held: true, Name: "welcome"}, func(i int) bool { return i%3 == 0 && i%2 == 1 }},
		{"of a time", OutboxRequest{Since: minute(5), Until: minute(20)}, func(i int) bool { return i >= 5 && i <= 20 }},
		{"since", OutboxRequest{Since: minute(35)}, func(i int) bool { return i >= 35 }},
		{"of no such name", OutboxRequest{Name: "nothing"}, func(int) bool { return false }},
	} {
		for _, limit := range []int{1, 7, 0} {
			t.Run(fmt.Sprintf("%s/%d", c.name, limit), func(t *testing.T) {
				var got, want []string
				for i, key := range keys {
					if c.want(i) {
						want = append(want, fmt.Sprint(key, i%3 == 0))
					}
				}
				req := c.req
				req.Limit = limit
				for pages := 0; ; pages++ {
					page, next, err := o.Waiting(t.Context(), req)
					if err != nil || limit > 0 && len(page) > limit || pages > len(keys) {
						t.Fatalf("page %d of %d, %v", pages, len(page), err)
					}
					for _, m := range page {
						got = append(got, fmt.Sprint(m.Key, m.Held))
					}
					if req.Cursor = next; next == "" {
						break
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the oldest state first (-want +got):\n%s", diff)
				}
			})
		}
	}
	if _, _, err := o.Waiting(t.Context(), OutboxRequest{Cursor: "x"}); !errors.Is(err, ErrCursor) {
		t.Errorf("a cursor of nothing: %v", err)
	}
}

// TestOutboxListLeavesOutWhatIsMarked, as the index lags behind the table.
func TestOutboxListLeavesOutWhatIsMarked(t *testing.T) {
	o := newStore(t, onlyShard{}, "t")
	page, next, err := o.Waiting(t.Context(), OutboxRequest{Unsent: true})
	if err != nil || next != "" || len(page) != 1 || page[0].Key != "OUT#2" {
		t.Errorf("page %v, next %q, %v", page, next, err)
	}
}

// onlyShard has items in the first list only.
type onlyShard struct{ staleIndex }

func (o onlyShard) Query(ctx context.Context, q *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if (&attributeReader{item: q.ExpressionAttributeValues}).str(":lst") == "OUT#0" {
		return o.staleIndex.Query(ctx, q, opts...)
	}
	return &dynamodb.QueryOutput{}, nil
}
