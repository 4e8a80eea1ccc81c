package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const (
	disputeID  = "dp_1TollgateNKKTrGPadBSPvMu"
	disputeRow = "OBJ#test#-#" + disputeID
	opened     = "OUT#OBJ#test#-#" + disputeID + "#dispute_opened"
	inquired   = "OUT#OBJ#test#-#" + disputeID + "#inquiry#dispute_opened"
	chargeID   = "ch_3TollgateHKCDXCba9gRveya"
	paymentID  = "pi_3TollgatefEZrEHFEikFfLQt"
)

// aCharge is the charge of the golden events, expanded.
func aCharge(members map[string]any) map[string]any {
	charge := map[string]any{"id": chargeID, "object": "charge", "amount": 4900, "currency": "eur", "customer": customer, "payment_intent": paymentID, "invoice": nil}
	for name, v := range members {
		charge[name] = v
	}
	return charge
}

// TestDisputeCreated: a dispute is listed under the customer of its expanded charge, else
// under its payment, or that of its charge.
func TestDisputeCreated(t *testing.T) {
	const eventID, txn = "evt_1TollgatecKt1o3tpM4d1I3P", "txn_1TollgateznCYArWdvkAzBpa"
	noPayment := map[string]any{"payment_intent": nil}
	for _, c := range []struct {
		name              string
		members           map[string]any
		customer, payment string
		list              any // nil: not listed
	}{
		{"charge not expanded", nil, "", paymentID, "PAY#test#-#" + paymentID},
		{"charge expanded", map[string]any{"charge": aCharge(nil)}, customer, paymentID, listed},
		{"customer expanded", map[string]any{"charge": aCharge(map[string]any{"customer": map[string]any{"id": customer}})}, customer, paymentID, listed},
		{"customer of an account", map[string]any{"charge": aCharge(map[string]any{"customer": nil, "customer_account": "acct_9"})}, "acct_9", paymentID, "CUS#test#-#acct_9"},
		{"a guest's", map[string]any{"charge": aCharge(map[string]any{"customer": nil})}, "", paymentID, "PAY#test#-#" + paymentID},
		{"charge names the payment", map[string]any{"charge": aCharge(map[string]any{"customer": nil}), "payment_intent": nil}, "", paymentID, "PAY#test#-#" + paymentID},
		{"charge without payment names the customer", map[string]any{"charge": aCharge(noPayment), "payment_intent": nil}, customer, "", listed},
		{"neither", noPayment, "", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := once(t, with(t, golden(t, "charge.dispute.created"), c.members))
			if err != nil {
				t.Fatal(err)
			}
			row := dispatch.Fields{
				"kind": "dispute", "object": "dispute", "object_id": disputeID, "mode": "test", "account": "", "customer": c.customer, "event_id": eventID,
				"status": "needs_response", "reason": "fraudulent", "amount": int64(4900), "currency": "eur", "charge": chargeID, "payment_intent": c.payment,
				"evidence_due_by": int64(1795996799), "created": int64(1795219200), "outbox": []any{opened}, "fetched_at": int64(1795219201000),
			}
			fact := dispatch.Fields{
				"kind": "dispute_funds_withdrawn", "object": "dispute", "object_id": disputeID, "fact": txn, "mode": "test", "account": "", "customer": c.customer,
				"event_id": eventID, "amount": int64(4900), "currency": "eur", "fee": int64(2000), "charge": chargeID, "payment_intent": c.payment, "occurred": int64(1795219200),
			}
			if c.list != nil {
				row["lst"], row["at"] = c.list, "2026-11-21T00:00:00Z"
				fact["lst"], fact["at"] = c.list, "2026-11-21T00:00:00Z"
			}
			want := dispatch.Effects{
				dispatch.Swap(disputeRow, 0, row),
				dispatch.Insert("FACT#test#-#"+disputeID+"#"+txn, fact),
				dispatch.Insert(opened, dispatch.Fields{
					"kind": "outbox", "name": "dispute_opened", "to": c.customer, "object": "dispute", "object_id": disputeID, "mode": "test", "account": "",
					"amount": int64(4900), "currency": "eur", "charge": chargeID, "payment_intent": c.payment, "evidence_due_by": int64(1795996799),
					"status": "needs_response", "reason": "fraudulent", "inquiry": false,
					"event_id": eventID, "lst": "OUT#1", "at": "2026-11-21T00:00:00Z", "queued_at": int64(1795219201000),
				}),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// messagesOf returns the keys of the messages in effects.
func messagesOf(effects dispatch.Effects) []string {
	keys := []string{}
	for _, e := range effects {
		if e.Fields["kind"] == "outbox" {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// The business gets a message only while evidence can be given, whichever event shows it, and
// an inquiry's differs from that of a chargeback.
func TestDisputeOpenedWhereEvidenceCanBeGiven(t *testing.T) {
	for status, want := range map[string][]string{
		"needs_response": {opened}, "warning_needs_response": {inquired},
		"under_review": {}, "won": {}, "lost": {}, "warning_under_review": {}, "warning_closed": {}, "a status of the future": {},
	} {
		for _, typ := range []string{"created", "updated", "funds_withdrawn", "funds_reinstated", "closed"} {
			f := newFixture()
			f.age = 1e12 // settled: the event may have announced another status
			body := with(t, golden(t, "charge.dispute."+typ), map[string]any{"status": status})
			f.shows(t, body)
			got, err := f.run(t, body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, messagesOf(got)); diff != "" || got[0].Fields["status"] != status {
				t.Errorf("%s under %s: row has %v, messages (-want +got): %s", status, typ, got[0].Fields["status"], diff)
			}
			for _, e := range got {
				if e.Fields["kind"] == "outbox" && (e.Fields["inquiry"] != strings.HasPrefix(status, "warning_") || e.Fields["status"] != status) {
					t.Errorf("%s under %s: the message has %v", status, typ, e.Fields)
				}
			}
		}
	}
}

// An inquiry that becomes a chargeback is reported again, as of now; the report of an old
// chargeback is as old as its withdrawal.
func TestEscalatedInquiry(t *testing.T) {
	inquiry := with(t, golden(t, "charge.dispute.created"), map[string]any{"status": "warning_needs_response", "balance_transactions": []any{}, "created": 1790000000})
	escalated := with(t, golden(t, "charge.dispute.funds_withdrawn"), map[string]any{"created": 1790000000})
	f := newFixture()
	f.shows(t, inquiry)
	f.handle(t, inquiry)
	f.shows(t, escalated)
	f.handle(t, escalated)
	for key, at := range map[string]string{inquired: "2026-09-21T14:13:20Z", opened: "2026-11-21T00:00:01Z"} {
		if m := f.item(t, key); m["at"] != at || m["inquiry"] != (key == inquired) {
			t.Errorf("%s: %v, want at %s", key, m, at)
		}
	}
	if diff := cmp.Diff([]any{inquired, opened}, f.item(t, disputeRow)["outbox"]); diff != "" {
		t.Error(diff)
	}
	f = newFixture() // seen first by the late event of the inquiry's begin
	f.shows(t, inquiry)
	f.handle(t, inquiry)
	f.shows(t, escalated)
	f.handle(t, golden(t, "charge.dispute.created", "evt_1TollgatecKt1o3tpM4d1I3P", "evt_late", `"created": 1795219201`, `"created": 1790000000`))
	if m := f.item(t, opened); m["at"] != "2026-11-21T00:00:00Z" {
		t.Errorf("%v", m)
	}
	f = newFixture() // without the inquiry's row
	f.shows(t, escalated)
	f.handle(t, escalated)
	if m := f.item(t, opened); m["at"] != "2026-11-21T00:00:00Z" {
		t.Errorf("%v", m)
	}
}

// Each balance transaction is one fact, in its own currency, from whichever event shows it
// first; the last state is kept in any order of events.
func TestMoneyOfADispute(t *testing.T) {
	closed := golden(t, "charge.dispute.closed", `"currency": "eur",
          "description": "Chargeback withdrawal`, `"currency": "usd",
          "description": "Chargeback withdrawal`)
	types := []string{"created", "funds_withdrawn", "updated", "funds_reinstated", "closed"}
	for first := range types {
		f := newFixture()
		f.shows(t, closed)
		for i := range types {
			f.handle(t, golden(t, "charge.dispute."+types[(first+i)%len(types)]))
		}
		var facts []string
		for _, key := range f.Keys() {
			if strings.HasPrefix(key, "FACT#") {
				item := f.item(t, key)
				facts = append(facts, fmt.Sprint(item["kind"], " ", item["fact"], " ", item["amount"], item["currency"], " fee ", item["fee"], " at ", item["occurred"]))
			}
		}
		want := []string{
			"dispute_funds_reinstated txn_1TollgateWonReinstatedTwxQ 4900eur fee 0 at 1797984000",
			"dispute_funds_withdrawn txn_1TollgateznCYArWdvkAzBpa 4900usd fee 2000 at 1795219200",
		}
		if diff := cmp.Diff(want, facts); diff != "" {
			t.Errorf("from %s: %s", types[first], diff)
		}
		if row := f.item(t, disputeRow); row["status"] != "won" || row["currency"] != "eur" || row["outbox"] != nil {
			t.Errorf("from %s: row %v", types[first], row)
		}
	}
}

// Balance transactions without money or without their fields.
func TestBalanceTransactionsOfADispute(t *testing.T) {
	for _, c := range []struct {
		name         string
		transactions any
		facts        int
		reason       string
	}{
		{"null", nil, 0, ""},
		{"none", []any{}, 0, ""},
		{"a null one", []any{nil}, 0, ""},
		{"an id", []any{"txn_1"}, 0, ""},
		{"of nothing", []any{map[string]any{"id": "txn_1", "amount": 0, "currency": "eur"}}, 0, ""},
		{"without currency", []any{map[string]any{"id": "txn_1", "amount": -5}}, 0, dispatch.ReasonHandler},
		{"two", []any{map[string]any{"id": "txn_1", "amount": -5, "currency": "jpy"}, map[string]any{"id": "txn_2", "amount": -6, "currency": "jpy"}}, 2, ""},
	} {
		got, err := once(t, with(t, golden(t, "charge.dispute.created"), map[string]any{"balance_transactions": c.transactions}))
		facts := 0
		for _, e := range got {
			if strings.HasPrefix(e.Key, "FACT#") {
				facts++
			}
		}
		if facts != c.facts || permanent(err) != c.reason || (err == nil) != (c.reason == "") {
			t.Errorf("%s: %d facts, error %v", c.name, facts, err)
		}
	}
}
