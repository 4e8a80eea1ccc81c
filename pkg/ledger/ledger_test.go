package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger"
)

// table is what a test keeps, item by item; lists come in pages of two.
type table struct {
	items []map[string]any
	fail  string // name of a list, or key of an item, that cannot be read
}

func (t table) Page(_ context.Context, list, cursor string) (page []map[string]any, next string, err error) {
	if list == t.fail {
		return nil, "", errors.New("throttled")
	}
	from, _ := strconv.Atoi(cursor)
	n := 0
	for _, item := range t.items {
		if item["lst"] != list {
			continue
		}
		if n++; n <= from {
			continue
		}
		if page = append(page, item); len(page) == 2 {
			return page, strconv.Itoa(n), nil
		}
	}
	return page, "", nil
}

func (t table) Item(_ context.Context, key string) (map[string]any, bool, error) {
	if key == t.fail {
		return nil, false, errors.New("throttled")
	}
	for _, item := range t.items {
		if item["pk"] == key {
			return item, true, nil
		}
	}
	return nil, false, nil
}

const cus = "CUS#test#-#cus_1"

// whole is a customer with one of everything.
func whole() table {
	return table{items: []map[string]any{
		{"pk": "FACT#test#-#pi_1#succeeded", "lst": cus, "kind": "payment", "object_id": "pi_1", "fact": "succeeded", "amount": int64(9007199254740993),
			"currency": "jpy", "occurred": int64(30), "event_id": "evt_1", "outbox": []any{"OUT#FACT#test#-#pi_1#succeeded#receipt"}},
		// Sent: no list has it.
		{"pk": "OUT#FACT#test#-#pi_1#succeeded#receipt", "name": "receipt", "to": "cus_1", "object_id": "pi_1", "amount": int64(5), "currency": "jpy", "at": "1970-01-01T00:00:30Z", "event_id": "evt_1", "sent_at": int64(99)},
		{"pk": "FACT#test#-#pi_1#failed#ch_1", "lst": cus, "kind": "payment_failure", "object_id": "pi_1", "fact": "failed#ch_1", "amount": int64(5), "currency": "jpy", "occurred": int64(20)},
		{"pk": "FACT#test#-#in_1#paid", "lst": cus, "kind": "invoice_paid", "object_id": "in_1", "fact": "paid", "amount": int64(5), "currency": "jpy", "occurred": int64(10)},
		{"pk": "OBJ#test#-#sub_2", "lst": cus, "kind": "subscription", "status": "active", "currency": "eur", "items": []any{map[string]any{"price": "price_1", "product": "prod_1", "quantity": int64(3)}},
			"current_period_end": int64(7), "cancel_at_period_end": true, "cancel_at": int64(7), "canceled_at": int64(6), "ended_at": nil, "trial_end": int64(5), "pause_collection": map[string]any{"behavior": "void", "resumes_at": int64(8)}, "created": int64(4)},
		{"pk": "OBJ#test#-#sub_1", "lst": cus, "kind": "subscription", "status": "canceled", "created": int64(4)},
		{"pk": "ENT#test#-#sub_2", "lst": cus, "kind": "entitlement", "subscription": "sub_2", "status": "active", "active": true, "until": int64(7), "pause_collection": map[string]any{"behavior": "void"}, "products": []any{"prod_1", "prod_2"}},
		{"pk": "OBJ#test#-#in_1", "lst": cus, "kind": "invoice", "number": "A-1", "status": "open", "currency": "eur", "total": int64(1), "amount_due": int64(2), "amount_paid": int64(3), "amount_remaining": int64(4),
			"subscription": "sub_2", "payment_intent": "pi_2", "attempt_count": int64(2), "next_payment_attempt": int64(8), "billing_reason": "manual", "paid_out_of_band": true, "created": int64(9),
			"outbox": []any{"OUT#FACT#test#-#in_1#payment_failed#2#payment_failed", "OUT#FACT#test#-#pi_1#succeeded#receipt"}},
		{"pk": "OUT#FACT#test#-#in_1#payment_failed#2#payment_failed", "lst": "HELD#3", "name": "payment_failed", "to": "cus_1", "object_id": "in_1", "billing_reason": "manual", "next_payment_attempt": int64(8), "decline_code": "do_not_honor"},
		{"pk": "OBJ#test#-#cs_1", "lst": cus, "kind": "checkout", "status": "complete", "payment_status": "paid", "mode_of": "payment", "amount_total": int64(5), "currency": "jpy", "payment_intent": "pi_1", "subscription": "", "invoice": "in_9", "client_reference_id": "order-7", "created": int64(1)},
		{"pk": "OBJ#test#-#dp_1", "lst": "PAY#test#-#pi_1", "kind": "dispute", "status": "needs_response", "reason": "fraudulent", "amount": int64(5), "currency": "jpy", "charge": "ch_2", "payment_intent": "pi_1", "evidence_due_by": int64(60), "created": int64(40)},
		{"pk": "OBJ#test#-#re_1", "lst": "PAY#test#-#pi_1", "kind": "refund", "status": "failed", "amount": int64(2), "currency": "jpy", "charge": "ch_2", "payment_intent": "pi_1", "reason": "duplicate", "failure_reason": "lost_or_stolen_card", "created": int64(41)},
		{"pk": "FACT#test#-#dp_1#txn_1", "lst": "PAY#test#-#pi_1", "kind": "dispute_funds_withdrawn", "object_id": "dp_1", "fact": "txn_1", "amount": int64(5), "currency": "jpy", "payment_intent": "pi_1", "invoice": "in_9", "charge": "ch_2", "fee": int64(15), "occurred": int64(42)},
		{"pk": "OBJ#test#-#ch_2", "lst": cus, "kind": "charge", "status": "succeeded", "amount": int64(5), "amount_refunded": int64(5), "refunded": true, "currency": "jpy", "payment_intent": "pi_1", "invoice": "in_9", "created": int64(30)},
		{"pk": "OBJ#test#-#issfr_1", "lst": "PAY#test#-#pi_1", "kind": "early_fraud_warning", "charge": "ch_2", "payment_intent": "pi_1", "fraud_type": "misc", "actionable": true, "created": int64(43)},
		{"pk": "OBJ#test#-#cus_1", "lst": cus, "kind": "customer", "deleted": true},
		{"pk": "OBJ#test#-#x_1", "lst": cus, "kind": "of a later version"},
		{"pk": "OBJ#live#-#sub_3", "lst": "CUS#live#-#cus_1", "kind": "subscription", "status": "live"},
		{"pk": "OBJ#test#acct_1#sub_4", "lst": "CUS#test#acct_1#cus_1", "kind": "subscription", "status": "connected", "created": "not a number"},
	}}
}

func TestRead(t *testing.T) {
	want := ledger.Ledger{
		Customer: "cus_1", Mode: "test", Deleted: true,
		Subscriptions: []ledger.Subscription{
			{ID: "sub_1", Status: "canceled", Items: []ledger.Item{}, Created: 4},
			{ID: "sub_2", Status: "active", Currency: "eur", Items: []ledger.Item{{Price: "price_1", Product: "prod_1", Quantity: 3}}, CurrentPeriodEnd: 7, CancelAtPeriodEnd: true, CancelAt: 7, CanceledAt: 6, TrialEnd: 5, PauseCollection: &ledger.Pause{Behavior: "void", ResumesAt: 8}, Created: 4},
		},
		Entitlements: []ledger.Entitlement{{Subscription: "sub_2", Status: "active", Active: true, Products: []string{"prod_1", "prod_2"}, Until: 7, PauseCollection: &ledger.Pause{Behavior: "void"}}},
		Invoices: []ledger.Invoice{{ID: "in_1", Number: "A-1", Status: "open", Currency: "eur", Total: 1, AmountDue: 2, AmountPaid: 3, AmountRemaining: 4,
			Subscription: "sub_2", PaymentIntent: "pi_2", AttemptCount: 2, NextPaymentAttempt: 8, BillingReason: "manual", PaidOutOfBand: true, Created: 9}},
		Payments: []ledger.Payment{
			{Kind: "invoice_paid", ObjectID: "in_1", Fact: "paid", Amount: 5, Currency: "jpy", Occurred: 10},
			{Kind: "payment_failure", ObjectID: "pi_1", Fact: "failed#ch_1", Amount: 5, Currency: "jpy", Occurred: 20},
			{Kind: "payment", ObjectID: "pi_1", Fact: "succeeded", Amount: 9007199254740993, Currency: "jpy", Occurred: 30, Event: "evt_1"},
			{Kind: "dispute_funds_withdrawn", ObjectID: "dp_1", Fact: "txn_1", Amount: 5, Currency: "jpy", PaymentIntent: "pi_1", Invoice: "in_9", Charge: "ch_2", Fee: 15, Occurred: 42},
		},
		Refunds:       []ledger.Refund{{ID: "re_1", Status: "failed", Amount: 2, Currency: "jpy", Charge: "ch_2", PaymentIntent: "pi_1", Reason: "duplicate", FailureReason: "lost_or_stolen_card", Created: 41}},
		Charges:       []ledger.Charge{{ID: "ch_2", Status: "succeeded", Amount: 5, AmountRefunded: 5, Refunded: true, Currency: "jpy", PaymentIntent: "pi_1", Invoice: "in_9", Created: 30}},
		FraudWarnings: []ledger.FraudWarning{{ID: "issfr_1", Charge: "ch_2", PaymentIntent: "pi_1", FraudType: "misc", Actionable: true, Created: 43}},
		Disputes:      []ledger.Dispute{{ID: "dp_1", Status: "needs_response", Reason: "fraudulent", Amount: 5, Currency: "jpy", Charge: "ch_2", PaymentIntent: "pi_1", EvidenceDueBy: 60, Created: 40}},
		Checkouts:     []ledger.Checkout{{ID: "cs_1", Status: "complete", PaymentStatus: "paid", Mode: "payment", Amount: 5, Currency: "jpy", PaymentIntent: "pi_1", Invoice: "in_9", ClientReferenceID: "order-7", Created: 1}},
		Outbox: []ledger.Message{
			{Key: "OUT#FACT#test#-#in_1#payment_failed#2#payment_failed", Name: "payment_failed", To: "cus_1", ObjectID: "in_1", Attempt: 2, Held: true,
				BillingReason: "manual", NextPaymentAttempt: 8, DeclineCode: "do_not_honor"},
			{Key: "OUT#FACT#test#-#pi_1#succeeded#receipt", Name: "receipt", To: "cus_1", ObjectID: "pi_1", Amount: 5, Currency: "jpy", At: "1970-01-01T00:00:30Z", Event: "evt_1", SentAt: 99},
		},
	}
	got, err := ledger.Read(t.Context(), whole(), "test", "", "cus_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// wholeWith is whole, with the rows of a subscription and of a paid invoice in their customer's
// list, as an earlier release stored them, or led to.
func wholeWith(led bool) table {
	by := map[string]string{"OBJ#test#-#sub_2": "ENT#test#-#sub_2", "OBJ#test#-#in_1": "FACT#test#-#in_1#paid"}
	t := whole()
	for row, leads := range by {
		for _, item := range t.items {
			switch item["pk"] {
			case row:
				if item["customer"] = "cus_1"; led {
					delete(item, "lst")
				}
			case leads:
				item["outbox"] = []any{row}
			}
		}
	}
	return t
}

// A row that is in no list is found by the item that leads to it, with its messages.
func TestReadFollowsWhatLeadsToRows(t *testing.T) {
	read := func(items table, id string) ledger.Ledger {
		if id == "cus_1" {
			l, err := ledger.Read(t.Context(), items, "test", "", id)
			if err != nil {
				t.Error(id, err)
			}
			return l
		}
		l, err := ledger.ReadObject(t.Context(), items, "test", "", id)
		if err != nil {
			t.Error(id, err)
		}
		return l
	}
	for _, id := range []string{"cus_1", "sub_2", "in_1", "pi_1", "ch_2", "dp_1"} {
		want := read(wholeWith(false), id)
		if diff := cmp.Diff(want, read(wholeWith(true), id)); diff != "" {
			t.Errorf("%s (-listed +led to):\n%s", id, diff)
		}
	}
	gone := wholeWith(true)
	gone.items = slices.DeleteFunc(gone.items, func(item map[string]any) bool { return item["pk"] == "OBJ#test#-#sub_2" })
	if l := read(gone, "cus_1"); len(l.Subscriptions) != 1 || len(l.Entitlements) != 1 {
		t.Errorf("without the row of an entitlement: %+v", l)
	}
	failing := wholeWith(true)
	failing.fail = "OBJ#test#-#sub_2"
	if l, err := ledger.Read(t.Context(), failing, "test", "", "cus_1"); err == nil {
		t.Errorf("a row that cannot be read is left out: %+v", l)
	}
}

// A ledger is one mode's and one account's.
func TestReadKeepsModesAndAccountsApart(t *testing.T) {
	for _, tt := range []struct{ mode, account, status string }{{"live", "", "live"}, {"test", "acct_1", "connected"}} {
		l, err := ledger.Read(t.Context(), whole(), tt.mode, tt.account, "cus_1")
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Subscriptions) != 1 || l.Subscriptions[0].Status != tt.status || len(l.Payments) != 0 || l.Account != tt.account {
			t.Errorf("%s %s: %+v", tt.mode, tt.account, l)
		}
	}
}

func TestReadFails(t *testing.T) {
	lost := whole()
	lost.items = append(lost.items[:1:1], lost.items[2:]...) // the receipt
	endless := whole()
	for i := range 2100 {
		endless.items = append(endless.items, map[string]any{"pk": fmt.Sprint("OBJ#test#-#sub_x", i), "lst": cus, "kind": "subscription"})
	}
	tests := []struct {
		name           string
		table          table
		mode, customer string
		says           string
		is             error
	}{
		{"an unknown customer", whole(), "test", "cus_2", "cus_2", ledger.ErrUnknown},
		{"only an unknown kind", table{items: []map[string]any{{"pk": "OBJ#test#-#x", "lst": cus, "kind": "x"}}}, "test", "cus_1", "cus_1", ledger.ErrUnknown},
		{"no mode", whole(), "", "cus_1", "live or test", nil},
		{"no customer", whole(), "test", "", "an id", nil},
		{"the list cannot be read", table{fail: cus}, "test", "cus_1", "throttled", nil},
		{"a payment's list cannot be read", table{items: whole().items, fail: "PAY#test#-#pi_1"}, "test", "cus_1", "throttled", nil},
		{"a message cannot be read", table{items: whole().items, fail: "OUT#FACT#test#-#pi_1#succeeded#receipt"}, "test", "cus_1", "throttled", nil},
		{"a message is not there", lost, "test", "cus_1", "does not exist", nil},
		{"too much to show", endless, "test", "cus_1", "pages", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := ledger.Read(t.Context(), tt.table, tt.mode, "", tt.customer)
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ledger.ErrUnknown) != (tt.is != nil) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if diff := cmp.Diff(ledger.Ledger{}, l); diff != "" {
				t.Errorf("half a ledger comes with the error:\n%s", diff)
			}
		})
	}
}
