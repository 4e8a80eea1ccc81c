package dispatch_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// TestNotYetMeasuresOnOneClock: the difference between two machines' clocks never settles an
// event; an age measured on one clock does.
func TestNotYetMeasuresOnOneClock(t *testing.T) {
	queue := time.Unix(1_700_000_000, 0)
	consumer := queue.Add(30 * time.Hour) // is ahead
	cause := errors.New("still open")
	for _, c := range []struct {
		name   string
		change func(*dispatch.Input)
		wait   time.Duration // 0: settled
	}{
		{"first attempt of a consumer that is 30 h ahead", func(*dispatch.Input) {}, 5 * time.Second},
		{"created long ago, as Stripe's clock has it", func(in *dispatch.Input) { in.Created = 1 }, 5 * time.Second},
		{"received by ingest long ago", func(in *dispatch.Input) { in.ReceivedAt = queue.Add(-time.Hour) }, 5 * time.Second},
		{"waited on the queue for just under 10 min", func(in *dispatch.Input) { in.FirstReceived = queue.Add(10*time.Minute - 1) }, 5 * time.Second},
		{"waited on the queue for 10 min", func(in *dispatch.Input) { in.FirstReceived = queue.Add(10 * time.Minute) }, 0},
		{"without the time of the first receive", func(in *dispatch.Input) { in.FirstReceived = time.Time{} }, 5 * time.Second},
		{"without the time of sending", func(in *dispatch.Input) { in.SentAt = time.Time{} }, 5 * time.Second},
		{"claimed 10 min ago", func(in *dispatch.Input) { in.FirstAt = consumer.Add(-10 * time.Minute) }, 0},
		{"claimed just under 10 min ago", func(in *dispatch.Input) { in.FirstAt = consumer.Add(1 - 10*time.Minute) }, 5 * time.Second},
		{"claimed in the future", func(in *dispatch.Input) { in.FirstAt = consumer.Add(time.Hour) }, 5 * time.Second},
		{"without the time of the claim", func(in *dispatch.Input) { in.FirstAt = time.Time{} }, 5 * time.Second},
		{"without a number of the attempt", func(in *dispatch.Input) { in.Attempt = 0 }, 5 * time.Second},
		{"third attempt", func(in *dispatch.Input) { in.Attempt = 3 }, 45 * time.Second},
		{"many attempts", func(in *dispatch.Input) { in.Attempt = 1 << 40 }, 10 * time.Minute},
		{"a faster system", func(in *dispatch.Input) { in.Settle, in.Attempt = 6*time.Second, 2 }, 150 * time.Millisecond},
		{"a faster system, settled", func(in *dispatch.Input) { in.Settle, in.FirstReceived = 6*time.Second, queue.Add(6*time.Second) }, 0},
		{"no wait at all", func(in *dispatch.Input) { in.Settle = -1 }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := dispatch.Input{Attempt: 1, Generation: 1, Now: consumer, FirstAt: consumer, SentAt: queue, FirstReceived: queue.Add(time.Second)}
			in.Created = queue.Unix()
			c.change(&in)
			err := in.NotYet(cause)
			after, _ := errors.AsType[*dispatch.RetryAfterError](err)
			if c.wait == 0 && err != nil || c.wait != 0 && (after == nil || after.Delay != c.wait || !errors.Is(err, cause) || !errors.Is(err, dispatch.ErrNotShown)) {
				t.Errorf("error %v (%+v), want a wait of %v", err, after, c.wait)
			}
		})
	}
}

// active is what the events of these tests announce.
func active(s *stripe.Subscription, _ dispatch.Input) bool {
	return s.Status == stripe.SubscriptionStatusActive
}

func TestAnnounced(t *testing.T) {
	const row = "OBJ#test#-#sub_1"
	const updated, deleted = "customer.subscription.updated", "customer.subscription.deleted"
	shows := func(members string) objects {
		return objects{"sub_1": `{"id":"sub_1","object":"subscription",` + members + `}`}
	}
	for _, c := range []struct {
		name     string
		typ      string
		object   string // members of the event's snapshot
		previous string
		stripe   objects
		row      dispatch.Fields
		old      bool // the event is settled
		version  string
		options  []dispatch.CurrentOption

		again  bool // the attempt is retried
		behind bool
		shown  any // the row's ShownCreated
	}{
		{name: "shown", stripe: shows(`"status":"active"`), options: []dispatch.CurrentOption{dispatch.Announces(active)}, shown: int64(1_700_000_000)},
		{name: "not shown", stripe: shows(`"status":"trialing"`), options: []dispatch.CurrentOption{dispatch.Announces(active)}, again: true},
		{name: "not shown, settled", stripe: shows(`"status":"trialing"`), old: true, options: []dispatch.CurrentOption{dispatch.Announces(active)}, behind: true},
		{name: "not shown, settled, another version", stripe: shows(`"status":"trialing"`), old: true, version: "2025-03-31.basil",
			options: []dispatch.CurrentOption{dispatch.Announces(active)}, behind: true},
		{name: "not shown, and the row shows a later event", stripe: shows(`"status":"trialing"`), row: dispatch.Fields{"shown_created": int64(1_700_000_001)},
			options: []dispatch.CurrentOption{dispatch.Announces(active)}, behind: true, shown: int64(1_700_000_001)},
		{name: "not shown, and the row shows one of the same second", stripe: shows(`"status":"trialing"`), row: dispatch.Fields{"shown_created": int64(1_700_000_000)},
			options: []dispatch.CurrentOption{dispatch.Announces(active)}, again: true},
		{name: "shown, and the row shows a later event", stripe: shows(`"status":"active"`), row: dispatch.Fields{"shown_created": int64(1_700_000_009)},
			options: []dispatch.CurrentOption{dispatch.Announces(active)}, shown: int64(1_700_000_009)},
		{name: "announces nothing", stripe: shows(`"status":"trialing"`)},
		{name: "deleted", typ: deleted, stripe: objects{}, options: []dispatch.CurrentOption{dispatch.Announces(active)}},

		{name: "as before the change", object: `"status":"active"`, previous: `{"status":"trialing"}`, stripe: shows(`"status":"trialing"`), again: true},
		{name: "as after the change", object: `"status":"active"`, previous: `{"status":"trialing"}`, stripe: shows(`"status":"active","n":1`), shown: int64(1_700_000_000)},
		{name: "as after a later change", object: `"status":"active"`, previous: `{"status":"trialing"}`, stripe: shows(`"status":"canceled"`)},
		{name: "as before, settled", object: `"status":"active"`, previous: `{"status":"trialing"}`, stripe: shows(`"status":"trialing"`), old: true, behind: true},
		{name: "as before in one of two", object: `"status":"active","n":2`, previous: `{"status":"trialing","n":1}`, stripe: shows(`"status":"trialing","n":2`)},
		{name: "as before in a hash", object: `"items":{"data":[{"id":"si_1","n":2}]}`, previous: `{"items":{"data":[{"id":"si_1","n":1}]}}`,
			stripe: shows(`"items":{"object":"list","data":[{"id":"si_1","n":1}]}`), again: true},
		{name: "a longer list", object: `"items":{"data":[{"id":"a"},{"id":"b"}]}`, previous: `{"items":{"data":[{"id":"a"}]}}`, stripe: shows(`"items":{"data":[{"id":"a"},{"id":"b"}]}`), shown: int64(1_700_000_000)},
		{name: "a member added to a hash, not shown", object: `"metadata":{"a":"1"}`, previous: `{"metadata":{"a":null}}`, stripe: shows(`"metadata":{}`), again: true},
		{name: "a member added to a hash, shown", object: `"metadata":{"a":"1"}`, previous: `{"metadata":{"a":null}}`, stripe: shows(`"metadata":{"a":"1"}`), shown: int64(1_700_000_000)},
		{name: "a member of another version", object: `"x":1`, previous: `{"x":null}`, stripe: shows(`"status":"trialing"`)},
		{name: "numbers beyond a float", object: `"n":9007199254740993`, previous: `{"n":9007199254740992}`, stripe: shows(`"n":9007199254740993`), shown: int64(1_700_000_000)},
		{name: "an expanded reference, not shown", object: `"latest_invoice":"in_2"`, previous: `{"latest_invoice":"in_1"}`, stripe: shows(`"latest_invoice":{"id":"in_1"}`), again: true},
		{name: "an expanded reference, shown", object: `"latest_invoice":"in_2"`, previous: `{"latest_invoice":"in_1"}`, stripe: shows(`"latest_invoice":{"id":"in_2"}`), shown: int64(1_700_000_000)},
		{name: "a hash added, shown", object: `"pause_collection":{"behavior":"void"}`, previous: `{"pause_collection":null}`, stripe: shows(`"pause_collection":{"behavior":"void"}`), shown: int64(1_700_000_000)},
		{name: "a hash added, not shown", object: `"pause_collection":{"behavior":"void"}`, previous: `{"pause_collection":null}`, stripe: shows(`"pause_collection":null`), again: true},
		{name: "an expanded reference, added", object: `"latest_invoice":"in_2"`, previous: `{"latest_invoice":null}`, stripe: shows(`"latest_invoice":{"id":"in_2"}`), shown: int64(1_700_000_000)},
		{name: "a snapshot that cannot be read", object: `"status":7`, stripe: shows(`"status":"active"`)},
		{name: "nothing before", object: `"status":"active"`, previous: `{}`, stripe: shows(`"status":"trialing"`)},
		{name: "null before", object: `"status":"active"`, previous: `null`, stripe: shows(`"status":"trialing"`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := rows{}
			if c.row != nil {
				c.row["ver"] = int64(3)
				table[row] = c.row
			}
			var got *dispatch.Current[stripe.Subscription]
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: c.stripe, Rows: table})
			typ := cmp.Or(c.typ, updated)
			dispatch.OnCurrent(mux, typ, func(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
				got = &e
				return dispatch.Effects{e.KeepRow(nil)}, nil
			}, c.options...)
			in := input(typ, cmp.Or(c.version, version), fmt.Sprintf(`{"id":"sub_1","object":"subscription",%s}`, cmp.Or(c.object, `"status":"active"`)))
			if c.previous != "" {
				in.Body = []byte(strings.Replace(string(in.Body), `{"paid":false}`, c.previous, 1))
			}
			in.Created, in.Now, in.FirstAt, in.Attempt, in.Generation = 1_700_000_000, time.Unix(1_700_000_000, 0), time.Unix(1_700_000_000, 0), 1, 1
			if c.old {
				in.FirstAt = in.Now.Add(-10 * time.Minute)
			}
			effects, err := mux.Dispatch(t.Context(), in)
			if c.again {
				if _, again := errors.AsType[*dispatch.RetryAfterError](err); !again || got != nil {
					t.Errorf("error %v, handler ran %t; want another attempt", err, got != nil)
				}
				return
			}
			if err != nil || got == nil {
				t.Fatalf("error %v, handler ran %t", err, got != nil)
			}
			if got.Behind != c.behind || effects[0].Fields[dispatch.ShownCreated] != c.shown {
				t.Errorf("behind %t, shown_created %v; want %t, %v", got.Behind, effects[0].Fields[dispatch.ShownCreated], c.behind, c.shown)
			}
			readable := c.version == "" && c.object != `"status":7`
			if own := got.Snapshot; (own != nil) != readable || own != nil && own.ID != "sub_1" {
				t.Errorf("snapshot %+v, want one: %t", own, readable)
			}
		})
	}
}
