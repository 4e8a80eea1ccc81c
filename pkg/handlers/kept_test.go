package handlers_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/handlers"
)

// A null at Stripe becomes an empty field, never a panic; amounts are unchanged in every
// currency. The compared field is that of the first effect that has it.
func TestVariants(t *testing.T) {
	const pi, failed, invoice, checkout, dispute = "payment_intent.succeeded", "payment_intent.payment_failed", "invoice.paid", "checkout.session.completed", "charge.dispute.created"
	tests := []struct {
		name, typ string
		members   map[string]any
		field     string
		want      any
	}{
		{"customer null", pi, map[string]any{"customer": nil}, "customer", ""},
		{"charge null", pi, map[string]any{"latest_charge": nil}, "charge", ""},
		{"expanded customer", pi, map[string]any{"customer": map[string]any{"id": "cus_2", "object": "customer"}}, "customer", "cus_2"},
		{"deleted customer", pi, map[string]any{"customer": map[string]any{"id": "cus_2", "object": "customer", "deleted": true}}, "customer", "cus_2"},
		{"currency without decimals", pi, map[string]any{"currency": "jpy"}, "amount", int64(4900)},
		{"currency with three", pi, map[string]any{"currency": "kwd", "amount_received": 1234567}, "amount", int64(1234567)},
		{"partial capture", pi, map[string]any{"amount_received": 1200}, "amount", int64(1200)},
		{"beyond a float's digits", pi, map[string]any{"amount_received": 9007199254740993}, "amount", int64(9007199254740993)},
		{"failure in yen", failed, map[string]any{"currency": "jpy"}, "amount", int64(12900)},
		{"failure without customer", failed, map[string]any{"customer": nil}, "customer", ""},
		{"invoice of nothing", invoice, map[string]any{"amount_paid": 0}, "amount", int64(0)},
		{"invoice in yen", invoice, map[string]any{"currency": "jpy"}, "amount", int64(4165)},
		{"invoice without subscription", invoice, map[string]any{"subscription": nil}, "subscription", ""},
		{"invoice without payment", invoice, map[string]any{"payment_intent": nil, "charge": nil}, "payment_intent", ""},
		{"invoice paid elsewhere", invoice, map[string]any{"paid_out_of_band": true}, "paid_out_of_band", true},
		{"invoice without number", invoice, map[string]any{"number": nil}, "number", ""},
		{"invoice without paid_at", invoice, map[string]any{"status_transitions": map[string]any{"paid_at": nil}}, "occurred", int64(1795046464)},
		{"invoice without transitions", invoice, map[string]any{"status_transitions": nil}, "occurred", int64(1795046464)},
		{"invoice of a huge amount", invoice, map[string]any{"total": 9007199254740993}, "total", int64(9007199254740993)},
		{"checkout of a new customer", checkout, map[string]any{"customer": nil}, "customer", ""},
		{"checkout of a setup", checkout, map[string]any{"mode": "setup", "amount_total": nil, "currency": nil, "payment_intent": nil}, "currency", ""},
		{"checkout of a subscription", checkout, map[string]any{"subscription": map[string]any{"id": "sub_1", "object": "subscription"}}, "subscription", "sub_1"},
		{"dispute without charge", dispute, map[string]any{"charge": nil}, "charge", ""},
		{"dispute without a date", dispute, map[string]any{"evidence_details": nil}, "evidence_due_by", int64(0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := once(t, with(t, golden(t, tt.typ), tt.members))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range got {
				if v, there := e.Fields[tt.field]; there {
					if diff := cmp.Diff(tt.want, v); diff != "" {
						t.Error(diff)
					}
					return
				}
			}
			t.Errorf("no effect has %s", tt.field)
		})
	}
}

// Without a customer there is no message. A payment is then in its own list; any other item is
// in none, as an index takes no empty names.
func TestWithoutACustomer(t *testing.T) {
	payments := map[string]any{"payment": "PAY#test#-#pi_3TollgatefEZrEHFEikFfLQt", "payment_failure": "PAY#test#-#pi_3TollgatemJ1pOSao3BHsK2V"}
	for _, typ := range []string{"payment_intent.succeeded", "payment_intent.payment_failed", "invoice.paid", "invoice.payment_failed", created, updated, deleted} {
		got, err := once(t, with(t, golden(t, typ), map[string]any{"customer": nil}))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			list := payments[fmt.Sprint(e.Fields["kind"])]
			if e.Fields["lst"] != list || (e.Fields["at"] != nil) != (list != nil) || e.Fields["outbox"] != nil || e.Fields["kind"] == "outbox" {
				t.Errorf("%s: %s is in list %v, want %v; or it has messages: %v", typ, e.Key, e.Fields["lst"], list, e.Fields)
			}
		}
	}
}

// A customer's row is in its list, or an item in that list leads to it: from the row's first
// commit on, whatever comes later.
func TestRowsAreListedOrLedTo(t *testing.T) {
	for _, typ := range handlers.Types() {
		effects, err := once(t, golden(t, typ))
		if err != nil {
			t.Fatal(err)
		}
		var found []any
		for _, e := range effects {
			if _, rows := effect.Named(e.Fields); e.Fields["lst"] != nil {
				found = append(found, rows...)
			}
		}
		for _, e := range effects {
			listed, led := e.Fields["lst"] != nil, slices.Contains(found, any(e.Key))
			if e.Kind == dispatch.KindSwap && e.Fields["customer"] != "" && (!listed && !led || led != (e.Fields["led"] == true)) {
				t.Errorf("%s: %s is listed %v, led to %v, and says %v", typ, e.Key, listed, led, e.Fields["led"])
			}
		}
	}
}

// A row stays in its list, or out of it, as it began: an item that leads to a row is written
// once, and an earlier release listed every row.
func TestRowsStayWhereTheyBegan(t *testing.T) {
	for _, c := range []struct {
		first, then, row string
		led              any
	}{
		{"invoice.payment_failed", "invoice.paid", "OBJ#test#-#in_1", nil},
		{"invoice.paid", "invoice.payment_failed", "OBJ#test#-#in_1", true},
		{"invoice.paid", "invoice.voided", "OBJ#test#-#in_1", true},
		{"invoice.paid", "invoice.updated", "OBJ#test#-#in_1", true},
	} {
		f := newFixture()
		for _, typ := range []string{c.first, c.then} {
			body := []byte(strings.ReplaceAll(string(golden(t, typ)), parse(t, golden(t, typ)).ObjectID, "in_1"))
			f.shows(t, body)
			f.handle(t, body)
			if row := f.item(t, c.row); row["led"] != c.led || (row["lst"] == nil) != (c.led == true) {
				t.Errorf("%s, then %s: after %s the row is in list %v and led to %v", c.first, c.then, typ, row["lst"], row["led"])
			}
		}
	}
	f := newFixture()
	f.handleShown(t, golden(t, created))
	row, ent := f.item(t, subRow), f.item(t, entKey)
	delete(row, "led")
	delete(ent, "outbox")
	row["lst"], row["at"] = listed, "2026-11-19T00:01:00Z" // as an earlier release wrote it
	f = newFixture()
	f.commit(t, dispatch.Swap(subRow, 0, without(row, "pk", "ver")), dispatch.Swap(entKey, 0, without(ent, "pk", "ver")))
	f.handleShown(t, golden(t, updated))
	if row := f.item(t, subRow); row["led"] != nil || row["lst"] != listed || row["status"] != "active" {
		t.Errorf("a row of an earlier release: %v", row)
	}
}

func (f *fixture) handleShown(t *testing.T, body []byte) {
	t.Helper()
	f.shows(t, body)
	f.handle(t, body)
}

// without returns fields without some of them.
func without(f dispatch.Fields, names ...string) dispatch.Fields {
	f = maps.Clone(f)
	for _, name := range names {
		delete(f, name)
	}
	return f
}

// An invoice over nothing, such as a trial's first, has no receipt.
func TestNoReceiptForNothing(t *testing.T) {
	for amount, want := range map[int]int{4165: 1, 0: 0} {
		got, err := once(t, with(t, golden(t, "invoice.paid"), map[string]any{"amount_paid": amount}))
		if err != nil {
			t.Fatal(err)
		}
		messages := 0
		for _, e := range got {
			if e.Fields["kind"] == "outbox" {
				messages++
			}
		}
		if messages != want {
			t.Errorf("%d paid: %d messages, want %d", amount, messages, want)
		}
	}
}

// An absent field decodes as zero: such a payment must not become a fact.
func TestNoPaymentOfNothing(t *testing.T) {
	for _, received := range []any{nil, 0, -1} {
		effects, err := once(t, with(t, golden(t, "payment_intent.succeeded"), map[string]any{"amount_received": received}))
		if len(effects) != 0 || permanent(err) != dispatch.ReasonHandler {
			t.Errorf("received %v: %d effects, error %v, want a permanent failure", received, len(effects), err)
		}
	}
}
