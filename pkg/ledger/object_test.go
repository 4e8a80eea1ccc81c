package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger"
)

// guests is whole with a guest's checkout, payment and refund, and a failed payment of a customer.
func guests() table {
	t := whole()
	t.items = append(t.items,
		map[string]any{"pk": "OBJ#test#-#cs_2", "lst": "REF#test#-#order-9", "kind": "checkout", "payment_intent": "pi_9", "client_reference_id": "order-9"},
		map[string]any{"pk": "FACT#test#-#pi_9#succeeded", "lst": "PAY#test#-#pi_9", "kind": "payment", "object_id": "pi_9", "fact": "succeeded", "charge": "ch_9"},
		map[string]any{"pk": "OBJ#test#-#re_9", "lst": "PAY#test#-#pi_9", "kind": "refund", "payment_intent": "pi_9", "charge": "ch_9"},
		map[string]any{"pk": "FACT#test#-#pi_8#failed#ch_8", "lst": cus, "kind": "payment_failure", "object_id": "pi_8", "fact": "failed#ch_8"},
		map[string]any{"pk": "OUT#FACT#test#-#pi_8#failed#payment_failed", "lst": "OUT#3", "kind": "outbox", "name": "payment_failed", "to": "cus_1", "object_id": "pi_8"},
	)
	for _, item := range t.items {
		if item["lst"] == cus {
			item["customer"] = "cus_1" // as real items have it
		}
	}
	return t
}

// parts are the ids in a ledger.
func parts(l ledger.Ledger) (ids []string) {
	for _, x := range l.Subscriptions {
		ids = append(ids, x.ID)
	}
	for _, x := range l.Entitlements {
		ids = append(ids, "entitlement of "+x.Subscription)
	}
	for _, x := range l.Invoices {
		ids = append(ids, x.ID)
	}
	for _, x := range l.Payments {
		ids = append(ids, x.Kind+" "+x.ObjectID)
	}
	for _, x := range l.Refunds {
		ids = append(ids, x.ID)
	}
	for _, x := range l.Disputes {
		ids = append(ids, x.ID)
	}
	for _, x := range l.Checkouts {
		ids = append(ids, x.ID)
	}
	for _, x := range l.Outbox {
		ids = append(ids, x.Name+" about "+x.ObjectID)
	}
	slices.Sort(ids)
	return ids
}

func TestReadObject(t *testing.T) {
	tests := []struct {
		id, customer string
		want         []string
	}{
		{"sub_2", "cus_1", []string{"entitlement of sub_2", "in_1", "payment_failed about in_1", "receipt about pi_1", "sub_2"}},
		{"in_1", "cus_1", []string{"in_1", "invoice_paid in_1", "payment_failed about in_1", "receipt about pi_1"}},
		{"pi_1", "cus_1", []string{"cs_1", "dispute_funds_withdrawn dp_1", "dp_1", "payment pi_1", "payment_failure pi_1", "re_1", "receipt about pi_1"}},
		{"pi_8", "cus_1", []string{"payment_failed about pi_8", "payment_failure pi_8"}},
		{"pi_9", "", []string{"payment pi_9", "re_9"}},
		{"dp_1", "cus_1", []string{"dispute_funds_withdrawn dp_1", "dp_1"}},
		{"re_9", "", []string{"re_9"}},
		{"cs_1", "cus_1", []string{"cs_1"}},
		{"cs_2", "", []string{"cs_2"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			l, err := ledger.ReadObject(t.Context(), guests(), "test", "", tt.id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, parts(l)); diff != "" || l.Customer != tt.customer || l.Mode != "test" {
				t.Errorf("customer %q, mode %q (-want +got):\n%s", l.Customer, l.Mode, diff)
			}
		})
	}
}

func TestReadObjectFails(t *testing.T) {
	for _, tt := range []struct {
		name, mode, account, id string
		table                   table
		says                    string
		unknown                 bool
	}{
		{"unknown", "test", "", "in_7", guests(), "in_7", true},
		{"of the other mode", "live", "", "in_1", guests(), "in_1", true},
		{"of another account", "test", "acct_1", "in_1", guests(), "in_1", true},
		{"only a part of an id", "test", "", "in", guests(), "in", true},
		{"no id", "test", "", "", guests(), "an id", false},
		{"its row cannot be read", "test", "", "in_1", table{items: guests().items, fail: "OBJ#test#-#in_1"}, "throttled", false},
		{"its list cannot be read", "test", "", "in_1", table{items: guests().items, fail: cus}, "throttled", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ledger.ReadObject(t.Context(), tt.table, tt.mode, tt.account, tt.id)
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ledger.ErrUnknown) != tt.unknown {
				t.Errorf("%v, want %q, unknown %v", err, tt.says, tt.unknown)
			}
		})
	}
}

func TestReadReference(t *testing.T) {
	l, err := ledger.ReadReference(t.Context(), guests(), "test", "", "order-9")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cs_2", "payment pi_9", "re_9"}, parts(l)); diff != "" || l.Customer != "" {
		t.Errorf("customer %q (-want +got):\n%s", l.Customer, diff)
	}
	for _, reference := range []string{"order-7", "order", "cus_1"} { // order-7 is a customer's
		if _, err := ledger.ReadReference(t.Context(), guests(), "test", "", reference); !errors.Is(err, ledger.ErrUnknown) {
			t.Errorf("reference %s: %v, want unknown", reference, err)
		}
	}
}

// TestEvents: a customer leads to the events of all its items and payments, an object to those of
// the items that name it.
func TestEvents(t *testing.T) {
	items := guests()
	for i, item := range items.items {
		item["event_id"] = fmt.Sprintf("evt_%02d", i)
	}
	of := func(keys ...string) (ids []string) {
		for _, item := range items.items {
			if slices.Contains(keys, item["pk"].(string)) {
				ids = append(ids, item["event_id"].(string))
			}
		}
		return ids
	}
	for id, want := range map[string][]string{
		"in_1": of("OBJ#test#-#in_1", "FACT#test#-#in_1#paid", "OUT#FACT#test#-#in_1#payment_failed#2#payment_failed", "OUT#FACT#test#-#pi_1#succeeded#receipt"),
		"pi_8": of("FACT#test#-#pi_8#failed#ch_8", "OUT#FACT#test#-#pi_8#failed#payment_failed"),
		"re_9": of("OBJ#test#-#re_9"), "in": nil, "in_7": nil,
	} {
		got, err := ledger.Events(t.Context(), items, "test", "", id)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", id, err, diff)
		}
	}
	got, err := ledger.Events(t.Context(), items, "test", "", "cus_1")
	for _, id := range of("OBJ#test#-#sub_2", "FACT#test#-#pi_1#succeeded", "OBJ#test#-#dp_1", "OUT#FACT#test#-#pi_1#succeeded#receipt", "OBJ#test#-#x_1") {
		if err != nil || !slices.Contains(got, id) {
			t.Errorf("%v, %v lack %s", got, err, id)
		}
	}
	if slices.Contains(got, of("OBJ#test#-#re_9")[0]) || slices.Contains(got, of("OBJ#live#-#sub_3")[0]) {
		t.Errorf("%v has another's event", got)
	}
	if got, err := ledger.Events(t.Context(), table{items: items.items, fail: cus}, "test", "", "cus_1"); err == nil {
		t.Errorf("a list that cannot be read gives %v", got)
	}
}
