package handlers_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
)

func newMux() *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	handlers.Register(mux, handlers.Deps{})
	return mux
}

// golden returns the sample of an event type, with some text of it replaced. Each pair
// must be there, so that a test cannot pass on an unchanged event.
func golden(t *testing.T, typ string, oldnew ...string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("../../testdata/events", typ+".json"))
	if err != nil {
		t.Fatalf("a handled type needs a golden event: %v", err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !bytes.Contains(body, []byte(oldnew[i])) {
			t.Fatalf("%s has no %s", typ, oldnew[i])
		}
		body = bytes.Replace(body, []byte(oldnew[i]), []byte(oldnew[i+1]), 1)
	}
	return body
}

// run takes a body the way that a message's goes: header, then handler.
func run(t *testing.T, mux *dispatch.Mux, body []byte) (dispatch.Effects, error) {
	t.Helper()
	env, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	env.Body = body
	now := time.Unix(env.Created, 0)
	return mux.Dispatch(t.Context(), dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, FirstAt: now, Now: now})
}

func TestHandledTypes(t *testing.T) {
	want := []string{"invoice.paid", "payment_intent.succeeded"}
	if diff := cmp.Diff(want, newMux().Types()); diff != "" {
		t.Error(diff)
	}
}

// Every handled type has a golden event that its handler can read, and its handler
// takes no other object: a wrong pair of type and Go struct shows here.
func TestEveryHandledTypeHasItsGoldenEvent(t *testing.T) {
	mux := newMux()
	for _, typ := range mux.Types() {
		t.Run(typ, func(t *testing.T) {
			effects, err := run(t, mux, golden(t, typ))
			if err != nil || len(effects) == 0 {
				t.Errorf("golden event: %d effects, %v", len(effects), err)
			}
			_, err = run(t, mux, wrongObject(typ))
			if p, ok := errors.AsType[*dispatch.PermanentError](err); !ok || p.Reason != dispatch.ReasonWrongObject {
				t.Errorf("another object under this type: %v, want a permanent failure with reason %s", err, dispatch.ReasonWrongObject)
			}
		})
	}
}

// wrongObject makes an event of a type with an object that no type has.
func wrongObject(typ string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_1","object":"event","api_version":%q,"created":1795046464,"livemode":false,"type":%q,"data":{"object":{"id":"x_1","object":"no_such_object"}}}`,
		stripe.APIVersion, typ)
}

func TestUnhandledTypesAreLeftAlone(t *testing.T) {
	mux := newMux()
	env, err := event.Parse(wrongObject("no_such_object.created"))
	if err != nil || mux.Handles(env) {
		t.Errorf("no_such_object.created is handled (%v)", err)
	}
}

func TestPaymentIntentSucceeded(t *testing.T) {
	const typ = "payment_intent.succeeded"
	got, err := run(t, newMux(), golden(t, typ))
	if err != nil {
		t.Fatal(err)
	}
	want := dispatch.Effects{dispatch.Insert("FACT#test#-#pi_3TollgatefEZrEHFEikFfLQt#succeeded", dispatch.Fields{
		"fact": "succeeded", "object": "payment_intent", "object_id": "pi_3TollgatefEZrEHFEikFfLQt", "mode": "test", "account": "",
		"amount": int64(4900), "currency": "eur", "customer": "cus_TollgateolKvYZ", "charge": "ch_3TollgateHKCDXCba9gRveya", "invoice": "",
		"event_id": "evt_3TollgateDb3Q4wtPFCuAroQ", "occurred": int64(1795053664),
	})}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInvoicePaid(t *testing.T) {
	body := golden(t, "invoice.paid")
	got, err := run(t, newMux(), body)
	if err != nil {
		t.Fatal(err)
	}
	in := wantInvoice(t, body)
	want := dispatch.Effects{dispatch.Insert("FACT#test#-#"+in.ObjectID+"#paid", dispatch.Fields{
		"fact": "paid", "object": "invoice", "object_id": in.ObjectID, "mode": "test", "account": "",
		"amount": int64(4165), "total": int64(4165), "tax": int64(665), "currency": "eur", "customer": "cus_TollgateolKvYZ",
		"number": "7D1A4C0E-0001", "paid_out_of_band": false,
		"charge": text(t, body, "charge"), "payment_intent": text(t, body, "payment_intent"), "subscription": text(t, body, "subscription"),
		"event_id": in.ID, "occurred": int64(1795046463), // its paid_at, a second before the event
	})}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func wantInvoice(t *testing.T, body []byte) event.Envelope {
	t.Helper()
	env, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// text reads a text member of data.object straight from the golden file's layout.
func text(t *testing.T, body []byte, name string) string {
	t.Helper()
	_, after, ok := strings.Cut(string(body), "\n      \""+name+"\": \"")
	value, _, closed := strings.Cut(after, `"`)
	if !ok || !closed {
		t.Fatalf("no %s", name)
	}
	return value
}

// What Stripe may leave null or zero becomes an empty field, never a crash.
func TestVariants(t *testing.T) {
	tests := []struct {
		name, typ string
		oldnew    []string
		field     string
		want      any
	}{
		{"customer null", "payment_intent.succeeded", []string{`"customer": "cus_TollgateolKvYZ"`, `"customer": null`}, "customer", ""},
		{"charge null", "payment_intent.succeeded", []string{`"latest_charge": "ch_3TollgateHKCDXCba9gRveya"`, `"latest_charge": null`}, "charge", ""},
		{"pays an invoice", "payment_intent.succeeded", []string{`"invoice": null`, `"invoice": "in_1"`}, "invoice", "in_1"},
		{"expanded customer", "payment_intent.succeeded", []string{`"customer": "cus_TollgateolKvYZ"`, `"customer": {"id":"cus_2","object":"customer"}`}, "customer", "cus_2"},
		{"currency without decimals", "payment_intent.succeeded", []string{`"currency": "eur"`, `"currency": "jpy"`}, "amount", int64(4900)},
		{"partial capture", "payment_intent.succeeded", []string{`"amount_received": 4900`, `"amount_received": 1200`}, "amount", int64(1200)},
		{"beyond a float's digits", "payment_intent.succeeded", []string{`"amount_received": 4900`, `"amount_received": 9007199254740993`}, "amount", int64(9007199254740993)},
		{"connected account", "payment_intent.succeeded", []string{`"object": "event",`, `"object": "event", "account": "acct_1",`}, "account", "acct_1"},
		{"live", "payment_intent.succeeded", []string{"  \"livemode\": false,\n  \"pending_webhooks\"", "  \"livemode\": true,\n  \"pending_webhooks\""}, "mode", "live"},
		{"invoice of nothing", "invoice.paid", []string{`"amount_paid": 4165`, `"amount_paid": 0`}, "amount", int64(0)},
		{"invoice in yen", "invoice.paid", []string{"\"created\": 1795046460,\n      \"currency\": \"eur\"", "\"created\": 1795046460,\n      \"currency\": \"jpy\""}, "amount", int64(4165)},
		{"invoice without subscription", "invoice.paid", []string{"\n      \"subscription\": \"", "\n      \"was_subscription\": \""}, "subscription", ""},
		{"invoice paid elsewhere", "invoice.paid", []string{`"paid_out_of_band": false`, `"paid_out_of_band": true`}, "paid_out_of_band", true},
		{"invoice without paid_at", "invoice.paid", []string{`"paid_at": 1795046463`, `"paid_at": null`}, "occurred", int64(1795046464)},
		{"invoice without transitions", "invoice.paid", []string{`"status_transitions"`, `"no_transitions"`}, "occurred", int64(1795046464)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := run(t, newMux(), golden(t, tt.typ, tt.oldnew...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got[0].Fields[tt.field]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	mux := newMux()
	key := func(oldnew ...string) string {
		t.Helper()
		effects, err := run(t, mux, golden(t, "payment_intent.succeeded", oldnew...))
		if err != nil {
			t.Fatal(err)
		}
		return effects[0].Key
	}
	plain := key()
	second := key(`"evt_3TollgateDb3Q4wtPFCuAroQ"`, `"evt_another"`, `"created": 1795053664`, `"created": 1795053700`)
	if second != plain {
		t.Errorf("two events for one fact have keys %s and %s", plain, second)
	}
	others := []string{
		key(`"pi_3TollgatefEZrEHFEikFfLQt"`, `"pi_another"`),
		key(`"object": "event",`, `"object": "event", "account": "acct_1",`),
		key("  \"livemode\": false,\n  \"pending_webhooks\"", "  \"livemode\": true,\n  \"pending_webhooks\""),
	}
	if slices.Contains(others, plain) {
		t.Errorf("another object, account or mode has the key %s: %v", plain, others)
	}
	want := []string{"FACT#test#-#pi_another#succeeded", "FACT#test#acct_1#pi_3TollgatefEZrEHFEikFfLQt#succeeded", "FACT#live#-#pi_3TollgatefEZrEHFEikFfLQt#succeeded"}
	if diff := cmp.Diff(want, others); diff != "" {
		t.Error(diff)
	}
}

func TestPermanentFailures(t *testing.T) {
	invoiceID := wantInvoice(t, golden(t, "invoice.paid")).ObjectID
	tests := []struct {
		name, typ string
		oldnew    []string
		want      string
	}{
		{"invoice without id", "invoice.paid", []string{`      "id": "` + invoiceID + `",` + "\n      \"object\": \"invoice\"", `      "object": "invoice"`}, "invoice has no id"},
		{"payment intent with an empty id", "payment_intent.succeeded", []string{`"pi_3TollgatefEZrEHFEikFfLQt"`, `""`}, "payment_intent has no id"},
		{"no currency", "payment_intent.succeeded", []string{`"currency": "eur"`, `"currency": null`}, "has no currency"},
		{"open invoice", "invoice.paid", []string{`"status": "paid"`, `"status": "open"`}, "has status open"},
		{"payment intent still processing", "payment_intent.succeeded", []string{`"status": "succeeded"`, `"status": "processing"`}, "has status processing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			effects, err := run(t, newMux(), golden(t, tt.typ, tt.oldnew...))
			if p, ok := errors.AsType[*dispatch.PermanentError](err); !ok || p.Reason != dispatch.ReasonHandler || !strings.Contains(err.Error(), tt.want) || effects != nil {
				t.Errorf("%d effects, error %v; want a permanent failure: %s", len(effects), err, tt.want)
			}
		})
	}
}
