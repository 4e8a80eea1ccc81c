package dispatch_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// objects is Stripe: JSON by account and id.
type objects map[string]string

func (o objects) FetchObject(_ context.Context, account, object, id string) ([]byte, error) {
	body, ok := o[account+id]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("no such object"))
	}
	return []byte(body), nil
}

// rows is the table.
type rows map[string]dispatch.Fields

func (r rows) Item(_ context.Context, key string) (map[string]any, bool, error) {
	row, ok := r[key]
	return row, ok, nil
}

// apply commits swaps as the store does.
func (r rows) apply(effects dispatch.Effects) bool {
	for _, e := range effects {
		ver, _ := r[e.Key]["ver"].(int64)
		if e.Kind == dispatch.KindSwap && ver != e.Ver {
			return false
		}
	}
	for _, e := range effects {
		row := maps.Clone(e.Fields)
		row["ver"] = e.Ver + 1
		r[e.Key] = row
	}
	return true
}

const version = stripe.APIVersion

func TestOtherVersionsAreNormalised(t *testing.T) {
	down := errors.New("503")
	for _, c := range []struct {
		name    string
		objects dispatch.Objects
		version string
		object  string
		want    int64  // the amount that the handler sees
		reason  string // of a permanent error
		err     error
		text    string // of a transient error
	}{
		{name: "the pinned version is not fetched", version: version, object: `{"id":"in_1","object":"invoice","amount_paid":1}`, objects: objects{}, want: 1},
		{name: "a newer version is fetched", objects: objects{"in_1": `{"id":"in_1","object":"invoice","amount_paid":7}`}, want: 7},
		{name: "no version at all is fetched", version: "-", objects: objects{"in_1": `{"id":"in_1","object":"invoice","amount_paid":7}`}, want: 7},
		{name: "nowhere to fetch from", reason: dispatch.ReasonAPIVersion},
		{name: "an object without an id", object: `{"object":"invoice"}`, objects: objects{}, reason: dispatch.ReasonAPIVersion},
		{name: "no longer at Stripe", objects: objects{}, reason: dispatch.ReasonAPIVersion},
		{name: "deleted at Stripe", objects: objects{"in_1": `{"id":"in_1","object":"invoice","deleted":true}`}, reason: dispatch.ReasonAPIVersion},
		{name: "no key", objects: failing{dispatch.Park(dispatch.ReasonNoAPIKey, down)}, reason: dispatch.ReasonNoAPIKey},
		{name: "an answer with a second id", objects: objects{"in_1": `{"id":"in_1","ID":"in_2","object":"invoice","amount_paid":7}`}, text: `a key differs from "id"`},
		{name: "an answer with a second kind",
			objects: objects{"in_1": `{"id":"in_1","object":"invoice","Object":"charge","amount_paid":7}`}, text: `a key differs from "object"`},
		{name: "an answer that is deleted in another case",
			objects: objects{"in_1": `{"id":"in_1","object":"invoice","Deleted":true,"amount_paid":7}`}, text: `a key differs from "deleted"`},
		{name: "another object's answer", objects: objects{"in_1": `{"id":"in_2","object":"invoice","amount_paid":7}`}, text: "the response is"},
		{name: "another kind's answer", objects: objects{"in_1": `{"id":"in_1","object":"charge","amount_paid":7}`}, text: "the response is"},
		{name: "Stripe is down", objects: failing{down}, err: down},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: c.objects})
			var got int64
			dispatch.On(mux, "invoice.paid", func(_ context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
				got = e.Object.AmountPaid
				return nil, nil
			})
			_, err := mux.Dispatch(t.Context(), input("invoice.paid", strings.TrimPrefix(stdcmp.Or(c.version, "2025-03-31.basil"), "-"), stdcmp.Or(c.object, `{"id":"in_1","object":"invoice"}`)))
			p, _ := errors.AsType[*dispatch.PermanentError](err)
			if got != c.want || (p != nil) != (c.reason != "") || p != nil && p.Reason != c.reason || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("amount %d, error %v; want %d, reason %q, error %v", got, err, c.want, c.reason, c.err)
			}
			if c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
				t.Errorf("error %v, want %q", err, c.text)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) FetchObject(context.Context, string, string, string) ([]byte, error) {
	return nil, f.err
}

// keepStatus keeps a subscription's status.
func keepStatus(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	return dispatch.Effects{e.KeepRow(dispatch.Fields{"status": string(e.Object.Status), "gone": e.Deleted})}, nil
}

func subscription(typ, version, status string) dispatch.Input {
	in := input(typ, version, fmt.Sprintf(`{"id":"sub_1","object":"subscription","status":%q}`, status))
	in.Now = time.UnixMilli(1_700_000_000_000)
	return in
}

func TestOnCurrentUsesTheObjectAtStripe(t *testing.T) {
	const row = "OBJ#test#-#sub_1"
	stripeSays := objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"canceled"}`}
	keptCanceled := func(deleted bool) dispatch.Fields {
		return dispatch.Fields{"status": "canceled", "gone": deleted, "fetched_at": int64(1_700_000_000_000), "object": "subscription"}
	}
	const updated, deleted = "customer.subscription.updated", "customer.subscription.deleted"
	for _, c := range []struct {
		name    string
		in      dispatch.Input
		objects objects
		rows    rows
		want    dispatch.Fields
		ver     int64
		reason  string
	}{
		{name: "a first event", in: subscription(updated, version, "active"), objects: stripeSays, want: keptCanceled(false)},
		{name: "a late event finds the row", in: subscription(updated, version, "trialing"), objects: stripeSays,
			rows: rows{row: {"ver": int64(4)}}, want: keptCanceled(false), ver: 4},
		{name: "another version", in: subscription(updated, "2026-08-26.dahlia", "active"), objects: stripeSays, want: keptCanceled(false)},
		{name: "deleted, with its snapshot", in: subscription(deleted, version, "canceled"), objects: objects{}, want: keptCanceled(true)},
		{name: "deleted, with a snapshot of another version", in: subscription(deleted, "2026-08-26.dahlia", "canceled"), objects: objects{}, reason: dispatch.ReasonObjectGone},
		{name: "deleted, described by Stripe, with a snapshot of another version", in: subscription(deleted, "2026-08-26.dahlia", "canceled"),
			objects: objects{"sub_1": `{"id":"sub_1","object":"subscription","deleted":true}`},
			want:    dispatch.Fields{"status": "", "gone": true, "fetched_at": int64(1_700_000_000_000), "object": "subscription"}},
		{name: "deleted, described by Stripe, under another type", in: subscription(updated, version, "active"),
			objects: objects{"sub_1": `{"id":"sub_1","object":"subscription","deleted":true}`}, reason: dispatch.ReasonObjectGone},
		{name: "deleted, under another type", in: subscription(updated, version, "active"), objects: objects{}, reason: dispatch.ReasonObjectGone},
		{name: "no id", in: input(updated, version, `{"object":"subscription"}`), objects: stripeSays, reason: dispatch.ReasonHandler},
		{name: "the row of an object of another kind with this id", in: subscription(updated, version, "active"), objects: stripeSays,
			rows: rows{row: {"ver": int64(2), "object": "invoice"}}, reason: dispatch.ReasonWrongObject},
		{name: "a row without a version", in: subscription(updated, version, "active"), objects: stripeSays, rows: rows{row: {"status": "x"}}, reason: dispatch.ReasonHandler},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: c.objects, Rows: c.rows})
			dispatch.OnCurrent(mux, updated, keepStatus)
			dispatch.OnCurrent(mux, deleted, keepStatus)
			effects, err := mux.Dispatch(t.Context(), c.in)
			if p, _ := errors.AsType[*dispatch.PermanentError](err); c.reason != "" {
				if p == nil || p.Reason != c.reason {
					t.Errorf("error %v, want a permanent one for %q", err, c.reason)
				}
				return
			}
			want := dispatch.Effects{{Kind: dispatch.KindSwap, Key: row, Ver: c.ver, Fields: c.want}}
			if diff := cmp.Diff(want, effects); diff != "" || err != nil {
				t.Errorf("effects (-want +got):\n%s, error %v", diff, err)
			}
		})
	}
}

// hooked calls functions at the points where another attempt may run in between.
type hooked struct {
	objects
	rows
	beforeRow, beforeFetch, afterFetch func()
}

func (h hooked) Item(ctx context.Context, key string) (map[string]any, bool, error) {
	h.beforeRow()
	return h.rows.Item(ctx, key)
}

func (h hooked) FetchObject(ctx context.Context, account, object, id string) ([]byte, error) {
	h.beforeFetch()
	defer h.afterFetch()
	return h.objects.FetchObject(ctx, account, object, id)
}

// TestRowNeverGoesBack changes the object at Stripe, and runs another attempt for the event of
// that change, at every point of a slow attempt: the row never goes back to an older state,
// and ends as the object at Stripe ends.
func TestRowNeverGoesBack(t *testing.T) {
	const row = "OBJ#test#-#sub_1"
	for _, point := range []string{"before the row is read", "before the fetch", "after the fetch", "before the commit"} {
		t.Run(point, func(t *testing.T) {
			table := rows{}
			atStripe := objects{"sub_1": `{"id":"sub_1","object":"subscription","status":"active"}`}
			var seen []any
			commit := func(effects dispatch.Effects) bool {
				ok := table.apply(effects)
				seen = append(seen, table[row]["status"])
				return ok
			}
			attempt := func(at func(string)) {
				h := hooked{atStripe, table, func() { at("before the row is read") }, func() { at("before the fetch") }, func() { at("after the fetch") }}
				mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: h, Rows: h})
				dispatch.OnCurrent(mux, "customer.subscription.updated", keepStatus)
				for runs := 0; ; runs++ {
					effects, err := mux.Dispatch(t.Context(), subscription("customer.subscription.updated", version, "whatever"))
					if err != nil || runs > 5 {
						t.Fatalf("run %d: %v", runs, err)
					}
					at("before the commit")
					if commit(effects) {
						return
					}
				}
			}
			changed := false
			attempt(func(at string) {
				if at != point || changed {
					return
				}
				changed = true
				atStripe["sub_1"] = `{"id":"sub_1","object":"subscription","status":"canceled"}`
				attempt(func(string) {})
			})
			canceled := false
			for _, status := range seen {
				if canceled && status != "canceled" {
					t.Errorf("the row went back: %v", seen)
				}
				canceled = canceled || status == "canceled"
			}
			if table[row]["status"] != "canceled" {
				t.Errorf("the row ends as %v, want canceled", table[row]["status"])
			}
		})
	}
}

// TestEffectsOfOnCurrent: effects need KeepRow, so that they are committed only with the row.
// With Coalesce the only inserts are messages keyed by the row, which every other handler of the
// object writes too.
func TestEffectsOfOnCurrent(t *testing.T) {
	type current = dispatch.Current[stripe.Subscription]
	stripeSays := objects{"sub_1": `{"id":"sub_1","object":"subscription"}`}
	entitlement, fact := func(e current) dispatch.Effect { return e.KeepWith("ENT#1", nil) }, dispatch.Insert("FACT#1", nil)
	type handler struct {
		effects func(current) dispatch.Effects
		options []dispatch.CurrentOption
		ok      bool
	}
	about := func(subject string, ok bool) handler {
		return handler{func(e current) dispatch.Effects {
			return dispatch.Effects{e.KeepRow(nil), dispatch.Message(dispatch.MessageKey(subject, "welcome"), noon, nil)}
		}, []dispatch.CurrentOption{dispatch.Coalesce}, ok}
	}
	for name, c := range map[string]handler{
		"nothing":               {func(current) dispatch.Effects { return nil }, nil, true},
		"KeepRow and KeepWith":  {func(e current) dispatch.Effects { return dispatch.Effects{e.KeepRow(nil), entitlement(e)} }, nil, true},
		"KeepWith only":         {func(e current) dispatch.Effects { return dispatch.Effects{entitlement(e)} }, nil, false},
		"KeepRow and an insert": {func(e current) dispatch.Effects { return dispatch.Effects{e.KeepRow(nil), fact} }, nil, true},
		"a swap of another version": {func(e current) dispatch.Effects {
			return dispatch.Effects{dispatch.Swap(dispatch.ObjectKey(e.Envelope), 9, nil)}
		}, nil, false},
		"coalesced: KeepRow and KeepWith": {func(e current) dispatch.Effects { return dispatch.Effects{e.KeepRow(nil), entitlement(e)} }, []dispatch.CurrentOption{dispatch.Coalesce}, true},
		"coalesced: KeepRow and a check": {func(e current) dispatch.Effects {
			return dispatch.Effects{e.KeepRow(nil), dispatch.CheckAbsent("STOP#1", errors.New("stopped"))}
		}, []dispatch.CurrentOption{dispatch.Coalesce}, true},
		"coalesced: KeepRow and an insert":                 {func(e current) dispatch.Effects { return dispatch.Effects{e.KeepRow(nil), fact} }, []dispatch.CurrentOption{dispatch.Coalesce}, false},
		"coalesced: a message about the row":               about("OBJ#test#-#sub_1", true),
		"coalesced: one of several messages about the row": about("OBJ#test#-#sub_1#1700000000", true),
		"coalesced: a message about another row":           about("OBJ#test#-#sub_12", false),
		"coalesced: one about a row of another account":    about("OBJ#test#acct_1#sub_1", false),
		"coalesced: one about the row in live mode":        about("OBJ#live#-#sub_1", false),
		"coalesced: a message about a fact":                about("FACT#test#-#sub_1#paid", false),
	} {
		t.Run(name, func(t *testing.T) {
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: stripeSays, Rows: rows{}})
			dispatch.OnCurrent(mux, "customer.subscription.updated", func(_ context.Context, e current) (dispatch.Effects, error) { return c.effects(e), nil }, c.options...)
			_, err := mux.Dispatch(t.Context(), subscription("customer.subscription.updated", version, "active"))
			if p, _ := errors.AsType[*dispatch.PermanentError](err); (err == nil) != c.ok || !c.ok && p == nil {
				t.Errorf("error %v, want ok %v", err, c.ok)
			}
		})
	}
}

// TestRaw: a handler finds members that its Go type lacks in the JSON of the object that it
// gets, which is not always the event's.
func TestRaw(t *testing.T) {
	const snapshot = `{"id":"sub_1","object":"subscription","customer_account":"acct_old"}`
	const fetched = `{"id":"sub_1","object":"subscription","customer_account":"acct_new"}`
	for _, c := range []struct {
		name, typ, version string
		stripe             objects
		want               string
	}{
		{"of the event", "on", version, nil, snapshot},
		{"fetched in the pinned version", "on", "2025-03-31.basil", objects{"sub_1": fetched}, fetched},
		{"current", "current.updated", version, objects{"sub_1": fetched}, fetched},
		{"deleted", "current.deleted", version, nil, snapshot},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: c.stripe, Rows: rows{}})
			dispatch.On(mux, "on", func(_ context.Context, e dispatch.Event[stripe.Subscription]) (dispatch.Effects, error) {
				got = string(e.Raw)
				return nil, nil
			})
			for _, typ := range []string{"current.updated", "current.deleted"} {
				dispatch.OnCurrent(mux, typ, func(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
					got = string(e.Raw)
					return nil, nil
				})
			}
			if _, err := mux.Dispatch(t.Context(), input(c.typ, c.version, snapshot)); err != nil || got != c.want {
				t.Errorf("raw object %s, error %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestOnThin(t *testing.T) {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: version})
	var got dispatch.Thin
	dispatch.OnThin(mux, "v1.billing.meter.error_report_triggered", func(_ context.Context, e dispatch.Thin) (dispatch.Effects, error) {
		got = e
		return nil, nil
	})
	body := `{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","created":"2024-09-17T06:20:52.246Z","related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"}}`
	env, err := event.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	env.Body = []byte(body)
	if _, err := mux.Dispatch(t.Context(), dispatch.Input{Envelope: env}); err != nil {
		t.Fatal(err)
	}
	want := dispatch.Related{ID: "mtr_1", Type: "billing.meter", URL: "/v1/billing/meters/mtr_1"}
	if diff := cmp.Diff(want, got.Related); diff != "" || len(mux.Types()) != 0 || len(mux.ThinTypes()) != 1 {
		t.Errorf("related (-want +got):\n%s; types %v, thin types %v", diff, mux.Types(), mux.ThinTypes())
	}
	snapshot := env
	snapshot.Object = event.ObjectSnapshot
	if mux.Handles(snapshot) {
		t.Error("a snapshot goes to the handler of thin events")
	}
	dispatch.On(mux, "invoice.paid", none[stripe.Invoice])
	if mux.Handles(event.Envelope{Object: event.ObjectThin, Type: "invoice.paid"}) {
		t.Error("a thin event goes to the handler of snapshots")
	}
}
