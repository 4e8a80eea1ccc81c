package dispatch_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// counting counts fetches.
type counting struct {
	objects
	fetches *int
}

func (c counting) FetchObject(ctx context.Context, account, object, id string) ([]byte, error) {
	*c.fetches++
	return c.objects.FetchObject(ctx, account, object, id)
}

func TestCoalesce(t *testing.T) {
	const row, updated = "OBJ#test#-#sub_1", "customer.subscription.updated"
	fetched := time.UnixMilli(1_700_000_000_000)
	kept := dispatch.Fields{"ver": int64(3), "status": "active", "fetched_at": int64(1), "fetched_after": fetched.UnixMilli()}
	without := func(name string) dispatch.Fields {
		f := maps.Clone(kept)
		delete(f, name)
		return f
	}
	for _, c := range []struct {
		name    string
		row     dispatch.Fields
		change  func(*dispatch.Input)
		plain   bool // registered without Coalesce
		skipped bool
	}{
		{name: "sent long before the kept fetch", row: kept, skipped: true},
		{name: "sent just so much before it", row: kept, change: func(in *dispatch.Input) { in.SentAt = fetched.Add(-5 * time.Second) }, skipped: true},
		{name: "sent a millisecond less before it", row: kept, change: func(in *dispatch.Input) { in.SentAt = fetched.Add(-5*time.Second + time.Millisecond) }},
		{name: "sent after it", row: kept, change: func(in *dispatch.Input) { in.SentAt = fetched.Add(time.Second) }},
		{name: "sent at an unknown time", row: kept, change: func(in *dispatch.Input) { in.SentAt = time.Time{} }},
		{name: "a replay", row: kept, change: func(in *dispatch.Input) { in.Generation = 2 }},
		{name: "a later attempt", row: kept, change: func(in *dispatch.Input) { in.Attempt = 4 }, skipped: true},
		{name: "not registered for it", row: kept, plain: true},
		{name: "no row yet"},
		{name: "a row of an earlier release", row: dispatch.Fields{"ver": int64(3), "fetched_at": fetched.Add(time.Hour).UnixMilli()}},
		{name: "without the consumer's time", row: without("fetched_at"), skipped: true},
		{name: "a row with a malformed time", row: dispatch.Fields{"ver": int64(3), "fetched_after": "2023-11-14"}},
		{name: "a consumer whose clock is behind", row: kept, change: func(in *dispatch.Input) { in.Now = fetched.Add(-time.Hour) }, skipped: true},
		{name: "a consumer whose clock is ahead", row: kept, change: func(in *dispatch.Input) {
			in.Now, in.SentAt = fetched.Add(time.Hour), fetched
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := rows{}
			if c.row != nil {
				table[row] = c.row
			}
			fetches, runs := 0, 0
			shown := counting{objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"canceled"}`}, &fetches}
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: shown, Rows: table})
			var options []dispatch.CurrentOption
			if !c.plain {
				options = append(options, dispatch.Coalesce)
			}
			dispatch.OnCurrent(mux, updated, func(ctx context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
				runs++
				return keepStatus(ctx, e)
			}, options...)
			in := subscription(updated, version, "trialing")
			in.Now, in.SentAt, in.Attempt, in.Generation = fetched.Add(time.Minute), fetched.Add(-time.Minute), 1, 1
			if c.change != nil {
				c.change(&in)
			}
			effects, err := mux.Dispatch(t.Context(), in)
			switch {
			case c.skipped && (!errors.Is(err, dispatch.ErrCoalesced) || fetches != 0 || runs != 0 || effects != nil):
				t.Errorf("error %v, %d fetches, %d runs, effects %v; want it skipped", err, fetches, runs, effects)
			case !c.skipped && (err != nil || fetches != 1 || runs != 1 || len(effects) != 1):
				t.Errorf("error %v, %d fetches, %d runs, effects %v; want a fetch and a run", err, fetches, runs, effects)
			}
		})
	}
}

// TestOnlyKept: without a row there is no fetch and no run, whatever the event and its attempt;
// with one the event is handled as without the option.
func TestOnlyKept(t *testing.T) {
	const row = "OBJ#test#-#sub_1"
	sent := time.UnixMilli(1_700_000_000_000)
	only, both := []dispatch.CurrentOption{dispatch.OnlyKept}, []dispatch.CurrentOption{dispatch.Coalesce, dispatch.OnlyKept}
	announced := []dispatch.CurrentOption{dispatch.OnlyKept, dispatch.Announces(active)}
	replay := func(in *dispatch.Input) { in.Generation = 2 }
	for _, c := range []struct {
		name    string
		options []dispatch.CurrentOption
		rows    rows
		change  func(*dispatch.Input)
		skipped bool
	}{
		{name: "no row", options: only, skipped: true},
		{name: "no row, a replay", options: only, change: replay, skipped: true},
		{name: "no row, another API version", options: only, change: func(in *dispatch.Input) { in.APIVersion = "2025-03-31.basil" }, skipped: true},
		{name: "no row, and Stripe does not show the event", options: announced, skipped: true},
		{name: "no row, and coalescing", options: both, skipped: true},
		{name: "a row of another account", options: only, rows: rows{"OBJ#test#acct_1#sub_1": {"ver": int64(1)}}, skipped: true},
		{name: "a row", options: only, rows: rows{row: {"ver": int64(1)}}},
		{name: "a row, a replay", options: only, rows: rows{row: {"ver": int64(1)}}, change: replay},
		{name: "a row of an older fetch", options: both, rows: rows{row: {"ver": int64(1), "fetched_after": sent.UnixMilli()}}},
		{name: "a row of a later fetch", options: both, rows: rows{row: {"ver": int64(1), "fetched_after": sent.Add(time.Minute).UnixMilli()}}, skipped: true},
		{name: "a row of a later fetch, not coalescing", options: only, rows: rows{row: {"ver": int64(1), "fetched_after": sent.Add(time.Minute).UnixMilli()}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fetches := 0
			shown := counting{objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"canceled"}`}, &fetches}
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: shown, Rows: c.rows})
			dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus, c.options...)
			in := subscription("customer.subscription.updated", version, "active")
			in.Now, in.SentAt, in.Generation = sent.Add(time.Hour), sent, 1
			if c.change != nil {
				c.change(&in)
			}
			effects, err := mux.Dispatch(t.Context(), in)
			if errors.Is(err, dispatch.ErrCoalesced) != c.skipped || (fetches == 0) != c.skipped || (len(effects) == 0) != c.skipped {
				t.Errorf("error %v, %d fetches, effects %v; want it skipped: %v", err, fetches, effects, c.skipped)
			}
		})
	}
}

// failingRows is a table that cannot be read.
type failingRows struct{}

func (failingRows) Item(context.Context, string) (map[string]any, bool, error) {
	return nil, false, errors.New("throttled")
}

// TestOnlyKeptNeedsTheRow: a row that cannot be read is not an absent one.
func TestOnlyKeptNeedsTheRow(t *testing.T) {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: objects{}, Rows: failingRows{}})
	dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus, dispatch.OnlyKept)
	if _, err := mux.Dispatch(t.Context(), subscription("customer.subscription.updated", version, "active")); err == nil || errors.Is(err, dispatch.ErrCoalesced) {
		t.Errorf("error %v, want that of the table", err)
	}
}

// TestRowBeginsAfterASkippedEvent: the event that begins the row shows the change of one that
// was skipped before, and later ones are handled.
func TestRowBeginsAfterASkippedEvent(t *testing.T) {
	table, atStripe := rows{}, objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"active"}`}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: atStripe, Rows: table})
	dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus, dispatch.OnlyKept)
	dispatch.OnCurrent(mux, "customer.subscription.paused", keepStatus)
	handle := func(typ, status string) {
		atStripe["sub_1"] = `{"id":"sub_1","object":"subscription","status":"` + status + `"}`
		effects, err := mux.Dispatch(t.Context(), subscription(typ, version, "active"))
		if err != nil && !errors.Is(err, dispatch.ErrCoalesced) {
			t.Fatal(err)
		}
		table.apply(effects)
	}
	for _, step := range []struct {
		typ, status string
		want        any
	}{
		{"customer.subscription.updated", "past_due", nil},
		{"customer.subscription.paused", "paused", "paused"},
		{"customer.subscription.updated", "unpaid", "unpaid"},
	} {
		handle(step.typ, step.status)
		if got := table[subscriptionRow]["status"]; got != step.want {
			t.Errorf("after %s of a subscription that is %s the row has %v, want %v", step.typ, step.status, got, step.want)
		}
	}
}

// TestCoalesceChecksTheEventFirst: an event with a wrong object or without an id fails as it
// does without Coalesce and OnlyKept.
func TestCoalesceChecksTheEventFirst(t *testing.T) {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: objects{}, Rows: rows{}})
	dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus, dispatch.Coalesce, dispatch.OnlyKept)
	for _, c := range []struct{ name, object, reason string }{
		{"another object", `{"id":"sub_1","object":"invoice"}`, dispatch.ReasonWrongObject},
		{"no id", `{"object":"subscription"}`, dispatch.ReasonHandler},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := input("customer.subscription.updated", version, c.object)
			in.Now, in.SentAt = time.Unix(1_700_000_000, 0), time.Unix(1_600_000_000, 0)
			_, err := mux.Dispatch(t.Context(), in)
			if p, _ := errors.AsType[*dispatch.PermanentError](err); p == nil || p.Reason != c.reason {
				t.Errorf("error %v, want a permanent one for %s", err, c.reason)
			}
		})
	}
}

// TestKeptTimeIsBeforeTheFetch: a fetch may miss a change that is made while it runs, so the
// kept times must not be later than its start.
func TestKeptTimeIsBeforeTheFetch(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	clock := start
	shown := objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"active"}`}
	slow := hooked{shown, rows{}, func() {}, func() {}, func() { clock = clock.Add(7 * time.Second) }}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: slow, Rows: slow})
	dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus, dispatch.Coalesce)
	in := subscription("customer.subscription.updated", version, "active")
	in.Now, in.SentAt, in.FirstReceived = clock, start.Add(-time.Minute), start.Add(-time.Second)
	effects, err := mux.Dispatch(t.Context(), in)
	if err != nil || clock != start.Add(7*time.Second) {
		t.Fatalf("error %v, the fetch ended at %v", err, clock)
	}
	row := effects[0].Fields
	if row[dispatch.FetchedAt] != start.UnixMilli() || row[dispatch.FetchedAfter] != start.Add(-time.Second).UnixMilli() {
		t.Errorf("the row keeps %v and, by the queue's clock, %v", row[dispatch.FetchedAt], row[dispatch.FetchedAfter])
	}
}

// queueClock is a Stripe, a table and a queue on one virtual clock. Each delivery has its
// consumer's clock.
type queueClock struct {
	t       *testing.T
	shown   counting
	fetches int
	table   rows
	mux     *dispatch.Mux
}

const subscriptionRow = "OBJ#test#-#sub_1"

func newQueueClock(t *testing.T) *queueClock {
	w := &queueClock{t: t, table: rows{}}
	w.shown = counting{objects{}, &w.fetches}
	w.mux = dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: w.shown, Rows: w.table})
	dispatch.OnCurrent(w.mux, "customer.subscription.updated", keepStatus, dispatch.Coalesce)
	return w
}

// shows changes the subscription at Stripe.
func (w *queueClock) shows(status string) {
	w.shown.objects["sub_1"] = `{"id":"sub_1","object":"subscription","status":"` + status + `"}`
}

// deliver handles a message: sent and received are by the queue's clock, now is by the
// consumer's.
func (w *queueClock) deliver(sent, received, now time.Time) {
	w.t.Helper()
	in := subscription("customer.subscription.updated", version, "active")
	in.SentAt, in.FirstReceived, in.Now, in.Generation = sent, received, now, 1
	effects, err := w.mux.Dispatch(w.t.Context(), in)
	if err == nil {
		w.table.apply(effects)
	} else if !errors.Is(err, dispatch.ErrCoalesced) {
		w.t.Fatal(err)
	}
}

// TestConsumersClockIsNotUsed: each change is delivered and handled at once by consumers with
// wrong clocks. After each delivery the row shows the change.
func TestConsumersClockIsNotUsed(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	for name, c := range map[string]struct {
		skews        []time.Duration // of the consumer of each message, in turn
		receiveKnown bool            // the queue gives the time of the first receive
		every        time.Duration   // between two changes
	}{
		"right":                               {[]time.Duration{0}, true, time.Second},
		"30 s ahead":                          {[]time.Duration{30 * time.Second}, true, time.Second},
		"30 s behind":                         {[]time.Duration{-30 * time.Second}, true, time.Second},
		"two that differ by 60 s":             {[]time.Duration{30 * time.Second, -30 * time.Second}, true, time.Second},
		"a day ahead, slow changes":           {[]time.Duration{24 * time.Hour, 0}, true, time.Minute},
		"first receive unknown":               {[]time.Duration{30 * time.Second, 0}, false, time.Second},
		"first receive unknown, slow changes": {[]time.Duration{-30 * time.Second, 30 * time.Second}, false, 20 * time.Second},
		"one that jumps by the hour":          {[]time.Duration{0, time.Hour, -time.Hour, 2 * time.Hour}, true, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newQueueClock(t)
			for i, status := range []string{"trialing", "active", "past_due", "active", "unpaid", "canceled"} {
				sent := start.Add(time.Duration(i) * c.every)
				w.shows(status)
				received := sent.Add(200 * time.Millisecond)
				if !c.receiveKnown {
					received = time.Time{}
				}
				w.deliver(sent, received, sent.Add(300*time.Millisecond+c.skews[i%len(c.skews)]))
				if got := w.table[subscriptionRow]["status"]; got != status {
					t.Fatalf("after change %d the row has %v, Stripe has %s", i, got, status)
				}
			}
		})
	}
}

// TestBurstCostsOneFetch: updates that were sent before a fetch need no other; an update that
// is sent later does.
func TestBurstCostsOneFetch(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	for name, skew := range map[string]time.Duration{"right": 0, "ahead": 30 * time.Second, "behind": -30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			w := newQueueClock(t)
			w.shows("past_due")
			received := start.Add(10 * time.Second)
			for i := range 20 { // a backlog that is worked off ten seconds later
				w.deliver(start.Add(time.Duration(i)*100*time.Millisecond), received, received.Add(skew+time.Duration(i)*time.Millisecond))
			}
			if w.fetches != 1 {
				t.Errorf("%d fetches for a burst, want 1", w.fetches)
			}
			w.shows("canceled")
			w.deliver(start.Add(11*time.Second), start.Add(12*time.Second), start.Add(12*time.Second+skew))
			if w.fetches != 2 || w.table[subscriptionRow]["status"] != "canceled" {
				t.Errorf("%d fetches, the row has %v; want the last change to be fetched", w.fetches, w.table[subscriptionRow]["status"])
			}
		})
	}
}
