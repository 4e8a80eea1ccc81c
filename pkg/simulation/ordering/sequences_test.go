package ordering_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/event"
	"tollgate/pkg/local/scenes"
)

// fields are members of one of Stripe's objects.
type fields = map[string]any

// sequence is the life of one object: it starts as the first object of its kind in a scene, and each
// step changes some members and has one event. The last steps share a second, as guards by time
// handle a single last event.
type sequence struct {
	name          string
	scene, object string
	steps         []step
	keeps         map[string]number // of items at the end by prefix of their key
}

// number bounds a number of items: a message speaks of a state that may pass unseen.
type number struct{ least, most int }

// step is one event, second seconds after the first.
type step struct {
	typ    string
	second int64
	set    fields
}

const (
	week  = 7 * 24 * 3600
	start = 1_790_000_000
)

func sequences() []sequence {
	const (
		created = "customer.subscription.created"
		updated = "customer.subscription.updated"
		deleted = "customer.subscription.deleted"
		failed  = "invoice.payment_failed"
	)
	leaving := fields{"cancel_at_period_end": true, "cancel_at": start + week, "canceled_at": start + 5}
	withdrawn, reinstated := fields{"id": "txn_1", "amount": -7000, "currency": "eur"}, fields{"id": "txn_2", "amount": 6500, "currency": "eur"}
	back := fields{"cancel_at_period_end": false, "cancel_at": nil, "canceled_at": nil}
	return []sequence{
		{"subscription life", "subscription-life", "subscription", []step{
			{created, 0, fields{"status": "incomplete", "current_period_end": start + week}},
			{updated, 0, fields{"status": "active"}}, // paid in the second of its creation
			{updated, 0, fields{"quantity": 3}},
			{updated, 9, fields{"status": "past_due", "current_period_end": start + 2*week}},
			{updated, 9, fields{"status": "active"}},
			{updated, 12, leaving},
			{deleted, 12, fields{"status": "canceled", "ended_at": start + 12}},
		}, map[string]number{"ENT#": {1, 1}, "OUT#": {0, 1}}}, // no welcome if its end is seen first
		{"trial to paid", "trial-to-paid", "subscription", []step{
			{created, 0, fields{"status": "trialing", "current_period_end": start + week, "trial_end": start + week}},
			{updated, 0, fields{"quantity": 2}},
			{"customer.subscription.trial_will_end", 4, nil},
			{updated, 7, fields{"current_period_end": start + 2*week, "status": "active"}},
			{updated, 7, fields{"status": "past_due"}},
			{updated, 7, fields{"status": "active", "quantity": 5}},
		}, map[string]number{"ENT#": {1, 1}, "OUT#": {1, 2}}},
		{"cancel and return", "out-of-order", "subscription", []step{
			{created, 0, fields{"status": "active", "current_period_end": start + week}},
			{updated, 5, leaving},
			{updated, 5, back}, // as it was before
			{updated, 5, leaving},
			{updated, 5, back},
			{updated, 5, fields{"quantity": 8}},
		}, map[string]number{"ENT#": {1, 1}, "OUT#": {1, 1}}},
		{"invoice retry", "subscription-life", "invoice", []step{
			{"invoice.finalized", 0, fields{"status": "open"}}, // not handled
			{failed, 0, fields{"attempt_count": 1, "next_payment_attempt": start + 300}},
			{failed, 3, fields{"attempt_count": 2, "next_payment_attempt": start + 600}},
			{failed, 6, fields{"attempt_count": 3, "next_payment_attempt": start + 900}},
			{"invoice.paid", 6, fields{"attempt_count": 4, "next_payment_attempt": nil, "status": "paid", "paid": true,
				"amount_paid": 900, "amount_remaining": 0}}, // the customer paid while the bank refused
		}, map[string]number{"FACT#": {1, 1}}},
		{"void", "void-and-uncollectible", "invoice", []step{
			{"invoice.updated", 0, fields{"status": "open"}}, // begins no row
			{failed, 0, fields{"attempt_count": 1, "next_payment_attempt": start + 300}},
			{"invoice.marked_uncollectible", 5, fields{"status": "uncollectible", "next_payment_attempt": nil}},
			{"invoice.updated", 5, nil},
			{"invoice.voided", 5, fields{"status": "void"}},
			{"invoice.updated", 5, nil},
		}, map[string]number{"FACT#": {0, 0}, "OUT#": {0, 1}}},
		{"reopened invoice", "reopened-invoice", "invoice", []step{
			{"invoice.paid", 0, fields{"status": "paid", "amount_paid": 900, "amount_remaining": 0, "payment_intent": "pi_1"}},
			{"invoice.updated", 4, fields{"status": "open", "amount_paid": 0, "amount_remaining": 900, "payment_intent": nil}},
			{"invoice.updated", 4, fields{"payment_intent": "pi_2"}},
			{"invoice.paid", 4, fields{"status": "paid", "amount_paid": 900, "amount_remaining": 0}},
			{"invoice.updated", 4, nil},
		}, map[string]number{"FACT#": {2, 2}, "OUT#": {0, 2}}},
		{"async checkout", "async-checkout", "checkout.session", []step{
			{"checkout.session.completed", 0, fields{"status": "complete", "payment_status": "unpaid", "payment_intent": "pi_1"}},
			{"checkout.session.completed", 0, nil},
			{"checkout.session.async_payment_failed", 3, nil}, // the customer pays in another way
			{"checkout.session.async_payment_succeeded", 3, fields{"payment_status": "paid"}},
		}, nil},
		{"refund's own events", "refund", "refund", []step{
			{"refund.created", 0, fields{"status": "pending", "amount": 700}},
			{"charge.refund.updated", 2, fields{"status": "succeeded"}},
			{"refund.updated", 2, nil},
			{"charge.refund.updated", 2, fields{"status": "failed"}},
			{"refund.updated", 2, nil},
		}, map[string]number{"FACT#": {2, 2}}},
		{"refund", "refund", "charge", []step{
			{"charge.succeeded", 0, fields{"amount": 5000, "amount_refunded": 0}},
			{"charge.updated", 0, fields{"description": "order 7"}},
			{"charge.refunded", 2, fields{"amount_refunded": 1200}},
			{"charge.refunded", 2, fields{"amount_refunded": 4000}},
			{"charge.refunded", 2, fields{"amount_refunded": 5000, "refunded": true}},
			{"charge.updated", 2, fields{"amount_refunded": 4000, "refunded": false}}, // the last part came back
		}, nil},
		{"dispute", "dispute", "dispute", []step{
			{"charge.dispute.created", 0, fields{"status": "needs_response", "amount": 7000, "balance_transactions": []any{}}},
			{"charge.dispute.funds_withdrawn", 0, fields{"balance_transactions": []any{withdrawn}}},
			{"charge.dispute.updated", 4, fields{"amount": 6500}},
			{"charge.dispute.updated", 4, fields{"status": "under_review"}},
			{"charge.dispute.closed", 4, fields{"status": "won"}},
			{"charge.dispute.funds_reinstated", 4, fields{"balance_transactions": []any{withdrawn, reinstated}}},
		}, map[string]number{"FACT#": {2, 2}, "OUT#": {0, 1}}}, // no message if its end is seen first
	}
}

// story is a sequence as it goes over the wire.
type story struct {
	sequence
	states []json.RawMessage // of the object, by step
	said   []string          // what a row of each state says
	events []event.Envelope  // by step
}

func (q sequence) tell(t *testing.T) *story {
	t.Helper()
	now := q.shape(t)
	s := &story{sequence: q}
	for i, st := range q.steps {
		for name, v := range st.set {
			if name == "quantity" {
				setQuantity(now, v)
				continue
			}
			if _, known := now[name]; !known {
				t.Fatalf("%s: a %s has no %s", q.name, q.object, name)
			}
			now[name] = v
		}
		state := encode(t, lean(now))
		body := encode(t, fields{
			"id": fmt.Sprintf("evt_%d", i), "object": "event", "api_version": stripe.APIVersion, "created": start + st.second,
			"data": fields{"object": json.RawMessage(state)}, "livemode": false, "pending_webhooks": 1,
			"request": fields{"id": nil, "idempotency_key": nil}, "type": st.typ,
		})
		env, err := event.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		env.Endpoint, env.Source, env.ReceivedAt, env.Body = "default", event.Webhook, time.Unix(start, 0), body
		s.states, s.said, s.events = append(s.states, state), append(s.said, saysObject(t, state)), append(s.events, env)
	}
	return s
}

// shape returns the first object of the sequence's kind in its scene.
func (q sequence) shape(t *testing.T) fields {
	t.Helper()
	scene, err := scenes.Make(q.scene, scenes.Options{Seed: 3, Now: time.Unix(start+month, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range scene.Steps {
		for _, raw := range st.Objects {
			if o := decode(t, raw); o["object"] == q.object {
				return o
			}
		}
	}
	t.Fatalf("scene %s has no %s", q.scene, q.object)
	return nil
}

const month = 30 * 24 * 3600

// lean leaves out what is null or empty, which reads the same: decoding is what most of
// the time goes into.
func lean(v any) any {
	switch v := v.(type) {
	case fields:
		out := fields{}
		for name, member := range v {
			if m := lean(member); m != nil && m != false {
				out[name] = m
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, item := range v {
			out = append(out, lean(item))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	default:
		return v
	}
}

// setQuantity changes a subscription's first item, in a list of its own.
func setQuantity(sub fields, quantity any) {
	items := maps.Clone(sub["items"].(fields))
	data := append([]any{}, items["data"].([]any)...)
	first := maps.Clone(data[0].(fields))
	first["quantity"] = quantity
	data[0], items["data"], sub["items"] = first, data, items
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func decode(t *testing.T, raw []byte) fields {
	t.Helper()
	var o fields
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// shown are the members of an object that its row shows under the same name.
func shown(object any) []string {
	switch object {
	case "subscription":
		return []string{"status", "current_period_end", "cancel_at", "cancel_at_period_end", "canceled_at", "ended_at", "trial_end"}
	case "invoice":
		return []string{"status", "amount_due", "amount_paid", "amount_remaining", "attempt_count", "next_payment_attempt"}
	case "checkout.session":
		return []string{"status", "payment_status", "amount_total", "payment_intent"}
	case "refund":
		return []string{"status", "amount", "reason"}
	case "charge":
		return []string{"status", "amount", "amount_refunded", "refunded"}
	default:
		return []string{"status", "reason", "amount"}
	}
}

// saysObject is what a row of an object says if it is right.
func saysObject(t *testing.T, raw []byte) string {
	o := decode(t, raw)
	said := says(o)
	if list, ok := o["items"].(fields); ok {
		for _, item := range list["data"].([]any) {
			i := item.(fields)
			said += fmt.Sprint(" ", i["price"].(fields)["id"], "×", i["quantity"])
		}
	}
	return said
}

// saysRow is what a row says.
func saysRow(row fields) string {
	said := says(row)
	items, _ := row["items"].([]any)
	for _, item := range items {
		i := item.(fields)
		said += fmt.Sprint(" ", i["price"], "×", i["quantity"])
	}
	return said
}

func says(o fields) string {
	var b bytes.Buffer
	for _, name := range shown(o["object"]) {
		v := o[name]
		if v == nil || v == false {
			v = 0 // of what is not there a row says zero
		}
		fmt.Fprint(&b, name, "=", v, " ")
	}
	return b.String()
}
