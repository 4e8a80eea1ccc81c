package handlers_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const refundID = "re_3TollgateRefundXcVbNmQw"

// A refund is a row and a fact, and a failed one a second fact at the time of its failure.
func TestRefund(t *testing.T) {
	members := map[string]any{
		"charge":                      aCharge(map[string]any{"invoice": "in_9"}),
		"failure_balance_transaction": map[string]any{"id": "txn_3TollgateRefundFailedBvRt", "object": "balance_transaction", "created": 1796774399},
	}
	got, err := once(t, with(t, golden(t, "charge.refund.updated"), members))
	if err != nil {
		t.Fatal(err)
	}
	const eventID = "evt_1TollgateRefundFailedMj7dQwZ"
	fact := func(kind, name, at string, occurred int64) dispatch.Effect {
		return dispatch.Insert("FACT#test#-#"+refundID+"#"+name, dispatch.Fields{
			"kind": kind, "fact": name, "object": "refund", "object_id": refundID, "mode": "test", "account": "", "customer": customer, "event_id": eventID,
			"amount": int64(1900), "currency": "eur", "charge": chargeID, "payment_intent": paymentID, "invoice": "in_9", "reason": "requested_by_customer",
			"occurred": occurred, "lst": listed, "at": at,
		})
	}
	want := dispatch.Effects{
		dispatch.Swap("OBJ#test#-#"+refundID, 0, dispatch.Fields{
			"kind": "refund", "object": "refund", "object_id": refundID, "mode": "test", "account": "", "customer": customer, "event_id": eventID,
			"status": "failed", "amount": int64(1900), "currency": "eur", "charge": chargeID, "payment_intent": paymentID, "reason": "requested_by_customer",
			"failure_reason": "expired_or_canceled_card", "created": int64(1795391999), "lst": listed, "at": "2026-11-22T23:59:59Z",
			"fetched_at": int64(1796774400000), "shown_created": int64(1796774400),
		}),
		fact("refund", "refunded", "2026-11-22T23:59:59Z", 1795391999),
		fact("refund_failed", "failed", "2026-12-08T23:59:59Z", 1796774399),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// factsOf returns the facts of a table as "kind id amount".
func factsOf(t *testing.T, f *fixture) []string {
	t.Helper()
	facts := []string{}
	for _, key := range f.Keys() {
		if strings.HasPrefix(key, "FACT#") {
			item := f.item(t, key)
			facts = append(facts, fmt.Sprint(item["kind"], " ", item["object_id"], " ", item["amount"]))
		}
	}
	return facts
}

// What a refund's status makes of its facts.
func TestStatusOfARefund(t *testing.T) {
	made, reversed := "refund "+refundID+" 1900", "refund_failed "+refundID+" 1900"
	for status, want := range map[string][]string{
		"pending": {made}, "requires_action": {made}, "succeeded": {made}, "failed": {reversed, made}, "canceled": {reversed, made},
	} {
		for _, typ := range []string{"refund.created", "refund.updated", "charge.refund.updated"} {
			f := newFixture()
			body := with(t, golden(t, typ), map[string]any{"status": status, "charge": aCharge(nil)})
			f.shows(t, body)
			f.handle(t, body)
			if diff := cmp.Diff(want, factsOf(t, f)); diff != "" || f.item(t, "OBJ#test#-#"+refundID)["status"] != status {
				t.Errorf("%s under %s: %s", status, typ, diff)
			}
		}
	}
	for _, amount := range []any{0, nil, -5} {
		got, err := once(t, with(t, golden(t, "refund.created"), map[string]any{"amount": amount}))
		if got != nil || permanent(err) != dispatch.ReasonHandler {
			t.Errorf("a refund of %v: %v, %v", amount, got, err)
		}
	}
}

// A refund without a customer is listed under its payment, one without both in no list.
func TestListOfARefund(t *testing.T) {
	for _, c := range []struct {
		name    string
		members map[string]any
		list    any
	}{
		{"charge expanded", map[string]any{"charge": aCharge(nil)}, listed},
		{"charge without payment", map[string]any{"charge": aCharge(map[string]any{"payment_intent": nil}), "payment_intent": nil}, listed},
		{"charge not expanded", nil, "PAY#test#-#" + paymentID},
		{"no charge", map[string]any{"charge": nil}, "PAY#test#-#" + paymentID},
		{"no charge and no payment", map[string]any{"charge": nil, "payment_intent": nil}, nil},
	} {
		got, err := once(t, with(t, golden(t, "refund.created"), c.members))
		if err != nil || len(got) != 2 || got[0].Fields["lst"] != c.list || got[1].Fields["lst"] != c.list {
			t.Errorf("%s: %v, %v; want list %v", c.name, got, err, c.list)
		}
	}
}

// refundedCharge is the charge of the golden events with refunds, newest first.
func refundedCharge(t *testing.T, refunds ...map[string]any) []byte {
	t.Helper()
	total, list := 0, []any{}
	for _, r := range refunds {
		if r["status"] != "failed" {
			total += r["amount"].(int)
		}
		list = append(list, r)
	}
	var e map[string]any
	if err := json.Unmarshal(with(t, golden(t, "charge.refunded"), map[string]any{"amount_refunded": total, "refunded": total == 4900}), &e); err != nil {
		t.Fatal(err)
	}
	e["data"].(map[string]any)["object"].(map[string]any)["refunds"] = map[string]any{"object": "list", "data": list, "has_more": false}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func oneRefund(id string, amount, created int, status string) map[string]any {
	return map[string]any{
		"id": id, "object": "refund", "amount": amount, "currency": "eur", "charge": chargeID, "payment_intent": paymentID, "created": created,
		"status": status, "reason": nil, "metadata": map[string]any{}, "failure_balance_transaction": nil,
	}
}

// refundEvent is an event of one refund, whose charge the fetch expands.
func refundEvent(t *testing.T, typ, event string, r map[string]any) []byte {
	t.Helper()
	members := map[string]any{}
	for name, v := range r {
		members[name] = v
	}
	delete(members, "failure_balance_transaction")
	members["charge"] = aCharge(nil)
	return with(t, golden(t, typ, parse(t, golden(t, typ)).ID, event), members)
}

// Several refunds of one charge are a fact each, the same from the charge's events and from
// the refunds' own, in any order; a failed one is reversed.
func TestSeveralRefundsOfACharge(t *testing.T) {
	a, b, c := oneRefund("re_a", 1200, 1795391997, "succeeded"), oneRefund("re_b", 700, 1795391998, "failed"), oneRefund("re_c", 3700, 1795391999, "pending")
	charge := refundedCharge(t, c, b, a)
	own := map[string][]byte{}
	for _, r := range []map[string]any{a, b, c} {
		id := r["id"].(string)
		own[id] = refundEvent(t, "refund.created", "evt_"+id, r)
	}
	want := []string{"refund re_a 1200", "refund_failed re_b 700", "refund re_b 700", "refund re_c 3700"}
	var tables []map[string]any
	for _, order := range [][]string{{"charge"}, {"re_a", "re_b", "re_c", "charge"}, {"charge", "re_c", "re_b", "re_a"}, {"re_c", "charge", "re_a", "re_b"}, {"re_b", "re_a", "re_c"}} {
		f := newFixture()
		f.shows(t, charge)
		for _, body := range own {
			f.shows(t, body)
		}
		for _, id := range order {
			if id == "charge" {
				f.handle(t, charge)
			} else {
				f.handle(t, own[id])
			}
		}
		if diff := cmp.Diff(want, factsOf(t, f)); diff != "" {
			t.Errorf("%v: %s", order, diff)
		}
		if row := f.item(t, "OBJ#test#-#"+chargeID); slices.Contains(order, "charge") && (row["amount_refunded"] != int64(4900) || row["refunded"] != true || row["customer"] != customer || row["lst"] != listed) {
			t.Errorf("%v: row %v", order, row)
		}
		facts := map[string]any{}
		for _, key := range f.Keys() {
			if item := f.item(t, key); strings.HasPrefix(key, "FACT#") {
				delete(item, "event_id")
				facts[key] = item
			}
		}
		tables = append(tables, facts)
	}
	for _, other := range tables[1:] {
		if diff := cmp.Diff(tables[0], other); diff != "" {
			t.Errorf("facts differ between orders: %s", diff)
		}
	}
}

// A refund that fails weeks later changes its charge's row too, although no event of the
// charge reports it; a charge without a row stays without.
func TestFailedRefundChangesItsCharge(t *testing.T) {
	const chargeRow = "OBJ#test#-#" + chargeID
	refund := oneRefund("re_a", 4900, 1795391999, "succeeded")
	refunded := refundedCharge(t, refund)
	refund["status"] = "failed"
	failed := refundEvent(t, "charge.refund.updated", "evt_1TollgateRefundFailedMj7dQwZ", refund)
	f := newFixture()
	f.shows(t, failed)
	f.handle(t, failed)
	if row := f.item(t, chargeRow); row != nil {
		t.Errorf("a row of the charge began: %v", row)
	}
	again := []byte(strings.Replace(string(failed), "evt_1TollgateRefundFailedMj7dQwZ", "evt_2", 1))
	f.shows(t, refunded)
	f.handle(t, refunded)
	if row := f.item(t, chargeRow); row["refunded"] != true {
		t.Fatalf("row %v", row)
	}
	f.shows(t, refundedCharge(t, refund))
	keys := f.Keys()
	f.handle(t, again, func() { // the charge's row changes before the commit
		f.handle(t, []byte(strings.Replace(string(refunded), "evt_1TollgateChargeRefundedWd3kFsN", "evt_3", 1)))
	})
	row := f.item(t, chargeRow)
	if row["amount_refunded"] != int64(0) || row["refunded"] != false || row["customer"] != customer || row["kind"] != "charge" || row["ver"] != int64(3) {
		t.Errorf("row %v", row)
	}
	if diff := cmp.Diff(keys, f.Keys()); diff != "" {
		t.Error(diff)
	}
}

// One event writes the facts of the newest refunds, as many as fit one transaction.
func TestManyRefundsOfACharge(t *testing.T) {
	var refunds []map[string]any
	for i := range 120 {
		refunds = append(refunds, oneRefund(fmt.Sprintf("re_%03d", i), 40, 1795391999-i, "failed"))
	}
	got, err := once(t, refundedCharge(t, refunds...))
	if err != nil || len(got) > dispatch.MaxEffects || len(got) != 1+2*49 || got[1].Fields["object_id"] != "re_000" || got[98].Fields["object_id"] != "re_048" {
		t.Errorf("%d effects, %v", len(got), err)
	}
}

// A charge of which Stripe shows no refunds is kept as it is.
func TestChargeWithoutItsRefunds(t *testing.T) {
	got, err := once(t, golden(t, "charge.refunded"))
	if err != nil {
		t.Fatal(err)
	}
	want := dispatch.Effects{dispatch.Swap("OBJ#test#-#"+chargeID, 0, dispatch.Fields{
		"kind": "charge", "object": "charge", "object_id": chargeID, "mode": "test", "account": "", "customer": customer, "event_id": "evt_1TollgateChargeRefundedWd3kFsN",
		"status": "succeeded", "amount": int64(4900), "amount_refunded": int64(1900), "refunded": false, "currency": "eur", "payment_intent": paymentID, "invoice": "",
		"created": int64(1795053661), "lst": listed, "at": "2026-11-19T02:01:01Z", "fetched_at": int64(1795392000000), "shown_created": int64(1795392000),
	})}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
