package handlers_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const (
	paidBy      = "pi_3TollgateEJo6uJZkiTqBoDc" // the payment of the golden invoice.paid
	paymentPart = "FACT#test#-#" + paidInvoice + "#paid#"
)

// keysWith returns the table's keys that begin with a prefix.
func (f *fixture) keysWith(prefix string) []string {
	return slices.DeleteFunc(f.Keys(), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// another returns the golden event of a type with another event id.
func another(t *testing.T, typ, id string) []byte {
	t.Helper()
	return golden(t, typ, parse(t, golden(t, typ)).ID, id)
}

// What paid an invoice is in the name of its fact and in its receipt's key.
func TestFactOfAPaidInvoice(t *testing.T) {
	charge := map[string]any{"charge": "ch_1", "payment_intent": nil}
	for _, c := range []struct {
		name    string
		members map[string]any
		fact    string
		pi, ch  string
		subject string // of the receipt, "" for no receipt
	}{
		{"a payment", nil, paidBy, paidBy, "ch_3TollgatehsXXMdgMofmytUT", "FACT#test#-#" + paidBy + "#succeeded"},
		{"a payment, expanded", map[string]any{"payment_intent": map[string]any{"id": "pi_2", "object": "payment_intent"}}, "pi_2", "pi_2", "ch_3TollgatehsXXMdgMofmytUT", "FACT#test#-#pi_2#succeeded"},
		{"a charge without a payment", charge, "charge:ch_1", "", "ch_1", paymentPart + "charge:ch_1"},
		{"outside of Stripe", map[string]any{"paid_out_of_band": true, "payment_intent": nil, "charge": nil}, "out_of_band", "", "", paymentPart + "out_of_band"},
		{"outside of Stripe, after a payment was begun", map[string]any{"paid_out_of_band": true}, "out_of_band", "", "", paymentPart + "out_of_band"},
		{"outside of Stripe, which shows nothing as paid", map[string]any{"paid_out_of_band": true, "amount_paid": 0, "payment_intent": nil, "charge": nil}, "out_of_band", "", "", paymentPart + "out_of_band"},
		{"outside of Stripe, nothing due", map[string]any{"paid_out_of_band": true, "amount_due": 0, "amount_paid": 0, "payment_intent": nil, "charge": nil}, "out_of_band", "", "", ""},
		{"nothing due, as in a trial", map[string]any{"amount_due": 0, "amount_paid": 0, "total": 0, "payment_intent": nil, "charge": nil}, "none", "", "", ""},
		{"the customer's balance", map[string]any{"amount_due": 0, "amount_paid": 0, "starting_balance": -4165, "payment_intent": nil, "charge": nil}, "none", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := once(t, with(t, golden(t, "invoice.paid"), c.members))
			if err != nil {
				t.Fatal(err)
			}
			fact := got[1].Fields
			if got[1].Key != paymentPart+c.fact || fact["payment_intent"] != c.pi || fact["charge"] != c.ch {
				t.Errorf("fact %s names payment %v and charge %v; want %s, %q, %q", got[1].Key, fact["payment_intent"], fact["charge"], paymentPart+c.fact, c.pi, c.ch)
			}
			if c.subject == "" {
				if len(got) != 2 {
					t.Errorf("%d effects, want no receipt", len(got))
				}
				return
			}
			if len(got) != 3 || got[2].Key != "OUT#"+c.subject+"#receipt" {
				t.Fatalf("effects %v, want a receipt about %s", got, c.subject)
			}
			if fact["amount"] != int64(4165) || got[2].Fields["amount"] != int64(4165) {
				t.Errorf("the fact is of %v and the receipt of %v", fact["amount"], got[2].Fields["amount"])
			}
			if outside := c.fact == "out_of_band"; got[2].Fields["paid_out_of_band"] != outside || got[2].Fields["invoice"] != paidInvoice {
				t.Errorf("the receipt of %s says paid_out_of_band %v", got[2].Fields["invoice"], got[2].Fields["paid_out_of_band"])
			}
		})
	}
}

// One receipt per payment, in either order of its event and its invoice's: whether the payment
// names its invoice, in whatever API version, or only the invoice names the payment.
func TestOneReceiptPerPayment(t *testing.T) {
	const receipt = "OUT#FACT#test#-#" + paidBy + "#succeeded#receipt"
	named := func(invoice any, version string) []byte {
		body := golden(t, "payment_intent.succeeded", "pi_3TollgatefEZrEHFEikFfLQt", paidBy, "2023-10-16", version)
		return with(t, body, map[string]any{"amount_received": 4165, "invoice": invoice})
	}
	for _, c := range []struct {
		name    string
		version string
		event   any // the invoice in the payment's event
		stripe  any // and at Stripe
		fact    string
	}{
		{"the payment names its invoice", "2023-10-16", paidInvoice, paidInvoice, paidInvoice},
		{"only the invoice names the payment", "2023-10-16", nil, nil, ""},
		{"a version in which payments name no invoice", basil, nil, paidInvoice, paidInvoice},
	} {
		for _, invoiceFirst := range []bool{false, true} {
			f, payment, invoice := newFixture(), named(c.event, c.version), golden(t, "invoice.paid")
			f.shows(t, named(c.stripe, c.version))
			f.shows(t, invoice)
			for _, body := range map[bool][][]byte{false: {payment, invoice}, true: {invoice, payment}}[invoiceFirst] {
				f.handle(t, body)
			}
			if diff := gocmp.Diff([]string{receipt}, f.keysWith("OUT#")); diff != "" {
				t.Errorf("%s, invoice first %t: messages (-want +got):\n%s", c.name, invoiceFirst, diff)
			}
			if got := f.item(t, "FACT#test#-#"+paidBy+"#succeeded")["invoice"]; got != c.fact {
				t.Errorf("%s, invoice first %t: the payment's fact names invoice %v, want %q", c.name, invoiceFirst, got, c.fact)
			}
		}
	}
}

// A paid invoice whose payment is detached is open again, and is paid by a second payment. In
// every order of the events, each payment is one fact that names it, and the row ends paid.
func TestReopenedInvoice(t *testing.T) {
	first := golden(t, "invoice.paid")
	opened := with(t, golden(t, "invoice.paid", "evt_1TollgateE9ANXlWrBcs6Gw4", "evt_opened", `"type": "invoice.paid"`, `"type": "invoice.updated"`),
		map[string]any{"status": "open", "amount_paid": 0, "amount_remaining": 4165, "payment_intent": nil, "charge": nil, "paid": false})
	opened = []byte(strings.Replace(string(opened), `"data":{`, `"data":{"previous_attributes":{"status":"paid"},`, 1))
	second := with(t, another(t, "invoice.paid", "evt_second"), map[string]any{"payment_intent": "pi_second", "charge": "ch_second"})
	events := [][]byte{first, opened, second}
	for name, order := range map[string][]int{ // an event by its number, -1: Stripe shows the next state
		"as it happened":            {0, -1, 1, -1, 2},
		"first after the reopening": {-1, 0, 1, -1, 2},
		"first after the second":    {-1, 1, -1, 2, 0},
		"all at the end":            {-1, -1, 0, 1, 2},
		"all at the end, backwards": {-1, -1, 2, 1, 0},
		"the reopening at the end":  {0, -1, -1, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, state := newFixture(), 0
			f.age = 10 * time.Minute // an event that Stripe does not show is not waited for
			f.shows(t, events[state])
			for _, step := range order {
				if step >= 0 {
					f.handle(t, events[step])
					if row := f.item(t, "OBJ#test#-#"+paidInvoice); state == 1 && row != nil && (row["status"] != "open" || row["payment_intent"] != "") {
						t.Errorf("between the payments the row has status %v", row["status"])
					}
					continue
				}
				state++
				f.shows(t, events[state])
			}
			if diff := gocmp.Diff([]string{paymentPart + paidBy, paymentPart + "pi_second"}, f.keysWith("FACT#")); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			for _, pi := range []string{paidBy, "pi_second"} {
				if fact := f.item(t, paymentPart+pi); fact["payment_intent"] != pi || fact["amount"] != int64(4165) {
					t.Errorf("the fact of %s names %v and has amount %v", pi, fact["payment_intent"], fact["amount"])
				}
			}
			if row := f.item(t, "OBJ#test#-#"+paidInvoice); row["status"] != "paid" || row["payment_intent"] != "pi_second" {
				t.Errorf("the row ends %v, paid by %v", row["status"], row["payment_intent"])
			}
			for _, key := range f.keysWith("OUT#") { // none about an invoice that is open again
				if !slices.Contains([]string{"OUT#FACT#test#-#" + paidBy + "#succeeded#receipt", "OUT#FACT#test#-#pi_second#succeeded#receipt"}, key) {
					t.Errorf("message %s", key)
				}
			}
		})
	}
}

// An invoice that an earlier release booked as paid has a fact without its payment in the name.
// A second event of that payment writes nothing more; one of another payment does.
func TestInvoicePaidUnderAnEarlierRelease(t *testing.T) {
	const oldFact, oldReceipt = "FACT#test#-#" + paidInvoice + "#paid", "OUT#FACT#test#-#" + paidInvoice + "#paid#receipt"
	for name, c := range map[string]struct {
		payment string
		facts   []string
	}{
		"the same payment": {paidBy, []string{oldFact}},
		"another payment":  {"pi_second", []string{oldFact, paymentPart + "pi_second"}},
	} {
		f := newFixture()
		f.commit(t, dispatch.Insert(oldFact, dispatch.Fields{"payment_intent": paidBy}), dispatch.Insert(oldReceipt, nil),
			dispatch.Swap("OBJ#test#-#"+paidInvoice, 0, dispatch.Fields{"payment_intent": paidBy, "outbox": []any{oldReceipt}}))
		body := with(t, golden(t, "invoice.paid"), map[string]any{"payment_intent": c.payment})
		f.shows(t, body)
		f.handle(t, body)
		if diff := gocmp.Diff(c.facts, f.keysWith("FACT#")); diff != "" {
			t.Errorf("%s: facts (-want +got):\n%s", name, diff)
		}
		if got := len(f.keysWith("OUT#")); got != len(c.facts) {
			t.Errorf("%s: %d receipts, want %d", name, got, len(c.facts))
		}
		if row := f.item(t, "OBJ#test#-#"+paidInvoice); row["status"] != "paid" || !slices.Contains(row["outbox"].([]any), any(oldReceipt)) {
			t.Errorf("%s: row %v", name, row)
		}
	}
}

// An invoice fails twice, is paid, opened again and paid by a second payment. In every order of
// its events, with Stripe showing the newest state that an event announced so far, or the last one
// from the start, its facts are the two payments, its row ends paid by the second one, and no
// message is about an attempt that was not unpaid when its event was handled.
func TestInvoiceInEveryOrder(t *testing.T) {
	state := func(id, typ string, members map[string]any) []byte {
		return with(t, golden(t, "invoice.paid", "evt_1TollgateE9ANXlWrBcs6Gw4", id, `"type": "invoice.paid"`, `"type": "`+typ+`"`), members)
	}
	events := [][]byte{
		state("evt_0", "invoice.payment_failed", map[string]any{"status": "open", "amount_paid": 0}),
		state("evt_1", "invoice.payment_failed", map[string]any{"status": "open", "amount_paid": 0, "attempt_count": 2}),
		state("evt_2", "invoice.paid", map[string]any{"attempt_count": 2}),
		state("evt_3", "invoice.updated", map[string]any{"status": "open", "amount_paid": 0, "attempt_count": 2, "payment_intent": nil, "charge": nil}),
		state("evt_4", "invoice.paid", map[string]any{"attempt_count": 2, "payment_intent": "pi_second", "charge": "ch_second"}),
	}
	for _, order := range permutations(len(events)) {
		for _, newest := range []int{0, len(events) - 1} {
			f, due := newFixture(), map[string]bool{}
			f.age = 10 * time.Minute
			for _, n := range order {
				newest = max(newest, n)
				f.shows(t, events[newest])
				f.handle(t, events[n])
				if n < 2 && (newest < 2 || newest == 3) && n+1 >= min(newest+1, 2) {
					due[fmt.Sprintf("OUT#FACT#test#-#%s#payment_failed#%d#payment_failed", paidInvoice, min(newest+1, 2))] = true
				}
			}
			if diff := gocmp.Diff([]string{paymentPart + paidBy, paymentPart + "pi_second"}, f.keysWith("FACT#")); diff != "" {
				t.Fatalf("order %v: facts (-want +got):\n%s", order, diff)
			}
			row := f.item(t, "OBJ#test#-#"+paidInvoice)
			if row["status"] != "paid" || row["payment_intent"] != "pi_second" {
				t.Fatalf("order %v: the row ends %v, paid by %v", order, row["status"], row["payment_intent"])
			}
			if told := f.keysWith("OUT#FACT#test#-#" + paidInvoice); !slices.Equal(told, slices.Sorted(maps.Keys(due))) {
				t.Fatalf("order %v: messages %v about failures, want %v", order, told, due)
			}
			if f.item(t, "OUT#FACT#test#-#pi_second#succeeded#receipt") == nil {
				t.Fatalf("order %v: no receipt of the second payment", order)
			}
		}
	}
}

// permutations returns all orders of n things.
func permutations(n int) (orders [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, order := range permutations(n - 1) {
		for at := range n {
			orders = append(orders, slices.Insert(slices.Clone(order), at, n-1))
		}
	}
	return orders
}
