package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

func input(typ, version, object string) dispatch.Input {
	body := fmt.Sprintf(`{"id":"evt_1","object":"event","type":%q,"api_version":%q,"created":1,"data":{"object":%s,"previous_attributes":{"paid":false}}}`, typ, version, object)
	env, err := event.Parse([]byte(body))
	if err != nil {
		panic(err)
	}
	env.Body = []byte(body)
	return dispatch.Input{Envelope: env, Attempt: 1, Generation: 1}
}

func none[T any](context.Context, dispatch.Event[T]) (dispatch.Effects, error) { return nil, nil }

func TestDispatchPassesTheTypedSnapshot(t *testing.T) {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	var got dispatch.Event[stripe.Invoice]
	dispatch.On(mux, stripe.EventTypeInvoicePaid, func(_ context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
		got = e
		return dispatch.Effects{dispatch.Insert("FACT#1", dispatch.Fields{"amount": e.Object.AmountPaid})}, nil
	})
	effects, err := mux.Dispatch(t.Context(), input("invoice.paid", "2023-10-16", `{"id":"in_1","object":"invoice","amount_paid":9007199254740993,"customer":"cus_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Object.AmountPaid != 9007199254740993 || got.Object.Customer.ID != "cus_1" || string(got.Previous) != `{"paid":false}` || got.ID != "evt_1" {
		t.Errorf("handler got %+v, previous %s", got.Object, got.Previous)
	}
	want := dispatch.Effects{{Kind: dispatch.KindInsert, Key: "FACT#1", Fields: dispatch.Fields{"amount": int64(9007199254740993)}}}
	if diff := cmp.Diff(want, effects); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestDispatchErrors(t *testing.T) {
	boom := errors.New("boom")
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, "invoice.paid", none[stripe.Invoice])
	dispatch.On(mux, "checkout.session.completed", none[stripe.CheckoutSession])
	dispatch.On(mux, "charge.succeeded", none[stripe.PaymentIntent]) // wrong pair
	dispatch.On(mux, "sigma.scheduled_query_run.created", none[stripe.SigmaScheduledQueryRun])
	dispatch.On(mux, "own.type", none[struct{ ID string }])
	dispatch.On(mux, "panics", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) {
		panic("oops")
	})
	dispatch.On(mux, "fails", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) { return nil, boom })
	dispatch.On(mux, "bad.effect", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) {
		return dispatch.Effects{dispatch.Insert("EVT#evt_1", nil)}, nil
	})
	const v = stripe.APIVersion
	for _, c := range []struct {
		name   string
		in     dispatch.Input
		reason string // of a permanent error
		is     error
		text   string
	}{
		{name: "fits", in: input("invoice.paid", v, `{"object":"invoice"}`)},
		{name: "fits with a dotted object", in: input("checkout.session.completed", v, `{"object":"checkout.session"}`)},
		{name: "fits the odd name", in: input("sigma.scheduled_query_run.created", v, `{"object":"scheduled_query_run"}`)},
		{name: "a type outside stripe-go is not checked", in: input("own.type", v, `{"object":"anything"}`)},
		{name: "no handler", in: input("customer.created", v, `{}`), is: dispatch.ErrNoHandler},
		{name: "newer version", in: input("invoice.paid", "2026-08-26.dahlia", `{"object":"invoice"}`), reason: dispatch.ReasonAPIVersion},
		{name: "no version", in: input("invoice.paid", "", `{"object":"invoice"}`), reason: dispatch.ReasonAPIVersion},
		{name: "wrong pair", in: input("charge.succeeded", v, `{"object":"charge"}`), reason: dispatch.ReasonWrongObject},
		{name: "null object", in: input("invoice.paid", v, `null`), reason: dispatch.ReasonHandler},
		{name: "object without a name", in: input("invoice.paid", v, `{}`), reason: dispatch.ReasonHandler},
		{name: "a field of another kind", in: input("invoice.paid", v, `{"object":"invoice","amount_paid":"secret"}`), reason: dispatch.ReasonHandler, text: "amount_paid"},
		{name: "panic", in: input("panics", v, `{"object":"x"}`), text: "handler panicked: oops at pkg/dispatch_test/mux_test.go:59 (dispatch_test.TestDispatchErrors."},
		{name: "the handler's own error", in: input("fails", v, `{"object":"x"}`), is: boom},
		{name: "effects that cannot be committed", in: input("bad.effect", v, `{"object":"x"}`), reason: dispatch.ReasonRejected},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mux.Dispatch(t.Context(), c.in)
			p, _ := errors.AsType[*dispatch.PermanentError](err)
			switch {
			case c.reason != "" && (p == nil || p.Reason != c.reason):
				t.Errorf("error %v, want permanent with reason %q", err, c.reason)
			case c.reason == "" && p != nil:
				t.Errorf("permanent error %v, want none", err)
			case c.is != nil && !errors.Is(err, c.is):
				t.Errorf("error %v, want %v", err, c.is)
			case c.reason == "" && c.is == nil && c.text == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)):
				t.Errorf("error %v, want %q in it", err, c.text)
			case err != nil && strings.Contains(err.Error(), "secret"):
				t.Errorf("error %v quotes the payload", err)
			}
		})
	}
}

func TestRegistrationPanics(t *testing.T) {
	const updated = "customer.subscription.updated"
	mux := dispatch.NewMux(dispatch.Config{APIVersion: "v"})
	dispatch.On(mux, "b", none[stripe.Invoice])
	dispatch.On(mux, "a", none[stripe.Invoice])
	if diff := cmp.Diff([]string{"a", "b"}, mux.Types()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	for name, register := range map[string]func(){
		"twice":       func() { dispatch.On(mux, "a", none[stripe.Invoice]) },
		"no type":     func() { dispatch.On(mux, "", none[stripe.Invoice]) },
		"nil handler": func() { dispatch.On[stripe.Invoice](mux, "c", nil) },
		"no objects":  func() { dispatch.OnCurrent(dispatch.NewMux(dispatch.Config{Rows: rows{}}), updated, keepStatus) },
		"no rows":     func() { dispatch.OnCurrent(dispatch.NewMux(dispatch.Config{Objects: objects{}}), updated, keepStatus) },
		"announces another Go type": func() {
			dispatch.OnCurrent(dispatch.NewMux(dispatch.Config{Objects: objects{}, Rows: rows{}}), updated, keepStatus,
				dispatch.Announces(func(*stripe.Invoice, dispatch.Input) bool { return true }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			register()
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	first := time.Unix(1_700_000_000, 0)
	in := dispatch.Input{Envelope: event.Envelope{ID: "evt_1"}, FirstAt: first}
	for attempt, age := range []time.Duration{0, time.Hour, 23 * time.Hour} {
		in.Attempt, in.Now = int64(attempt+1), first.Add(age)
		if key, err := in.IdempotencyKey("refund"); key != "evt_1:refund" || err != nil {
			t.Errorf("attempt %d: key %q, %v; want the same key in every attempt", in.Attempt, key, err)
		}
	}
	in.Now = first.Add(23*time.Hour + 1)
	if _, err := in.IdempotencyKey("refund"); err == nil {
		t.Error("a key that Stripe may have forgotten was given out")
	}
}

func TestEffectsValidate(t *testing.T) {
	boom := errors.New("boom")
	many := make(dispatch.Effects, dispatch.MaxEffects+1)
	for i := range many {
		many[i] = dispatch.Insert(fmt.Sprint("K", i), nil)
	}
	big := func(n int) dispatch.Fields { return dispatch.Fields{"a": strings.Repeat("x", n)} }
	deep := dispatch.Fields{}
	for range 40 {
		deep = dispatch.Fields{"a": deep}
	}
	eleven := make(dispatch.Effects, 11)
	for i := range eleven {
		eleven[i] = dispatch.Insert(fmt.Sprint("K", i), big(380_000))
	}
	for _, c := range []struct {
		name    string
		effects dispatch.Effects
		ok      bool
	}{
		{"none", nil, true},
		{"every type", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"s": "x", "i": 1, "l": int64(2), "b": true, "y": []byte("z"), "n": nil, "m": dispatch.Fields{"k": []any{"a", nil}}})}, true},
		{"index attributes are free", dispatch.Effects{dispatch.Swap("K", 0, dispatch.Fields{"lst": "CUS#1", "at": "2026"})}, true},
		{"checks", dispatch.Effects{dispatch.CheckAbsent("A", boom), dispatch.CheckEqual("B", dispatch.Fields{"ver": 3}, boom)}, true},
		{"99", many[:dispatch.MaxEffects], true},
		{"100", many, false},
		{"one key twice", dispatch.Effects{dispatch.Insert("K", nil), dispatch.CheckAbsent("K", boom)}, false},
		{"no key", dispatch.Effects{dispatch.Insert("", nil)}, false},
		{"a long key", dispatch.Effects{dispatch.Insert(strings.Repeat("k", 2049), nil)}, false},
		{"a record's key", dispatch.Effects{dispatch.Insert("EVT#evt_1", nil)}, false},
		{"a record's attribute", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"exp": 1})}, false},
		{"the index's attribute", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"open": "o#1"})}, false},
		{"an empty place in a list", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"lst": "", "at": "2026"})}, false},
		{"a list's name too long", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"lst": strings.Repeat("x", 2049)})}, false},
		{"a place in a list that is not text", dispatch.Effects{dispatch.Swap("K", 0, dispatch.Fields{"lst": "CUS#1", "at": 2026})}, false},
		{"a place in a list too long", dispatch.Effects{dispatch.Swap("K", 0, dispatch.Fields{"lst": "CUS#1", "at": strings.Repeat("x", 1025)})}, false},
		{"the longest place in a list", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"lst": strings.Repeat("x", 2048), "at": strings.Repeat("x", 1024)})}, true},
		{"the version", dispatch.Effects{dispatch.Swap("K", 1, dispatch.Fields{"ver": 9})}, false},
		{"negative version", dispatch.Effects{dispatch.Swap("K", -1, nil)}, false},
		{"check without an error", dispatch.Effects{dispatch.CheckAbsent("K", nil)}, false},
		{"unknown kind", dispatch.Effects{{Kind: "put", Key: "K"}}, false},
		{"a float", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"f": 1.5})}, false},
		{"no UTF-8", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"s": "\xff"})}, false},
		{"empty field name", dispatch.Effects{dispatch.Insert("K", dispatch.Fields{"": 1})}, false},
		{"too deep", dispatch.Effects{dispatch.Insert("K", deep)}, false},
		{"an item too large", dispatch.Effects{dispatch.Insert("K", big(dispatch.MaxItemBytes))}, false},
		{"a transaction too large", eleven, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.effects.Validate(); (err == nil) != c.ok {
				t.Errorf("error %v, want ok %v", err, c.ok)
			}
		})
	}
}

// A handler of a snapshot reads an item of the table, and learns when it cannot.
func TestItemOfTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		rows   dispatch.Rows
		found  bool
		failed string
	}{
		"there":            {rows{"FACT#1": {"amount": int64(7)}}, true, ""},
		"absent":           {rows{}, false, ""},
		"unreadable":       {failingRows{}, false, "read item: throttled"},
		"no table for mux": {nil, false, "the Mux has no Rows"},
	} {
		mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Rows: c.rows})
		dispatch.On(mux, "invoice.paid", func(ctx context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
			item, found, err := e.Item(ctx, "FACT#1")
			if found != c.found || found && item["amount"] != int64(7) {
				t.Errorf("%s: item %v, found %t", name, item, found)
			}
			return nil, err
		})
		_, err := mux.Dispatch(t.Context(), input("invoice.paid", "2023-10-16", `{"id":"in_1","object":"invoice"}`))
		if (err != nil) != (c.failed != "") || err != nil && !strings.Contains(err.Error(), c.failed) {
			t.Errorf("%s: error %v, want %q", name, err, c.failed)
		}
	}
}
