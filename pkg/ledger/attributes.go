package ledger

import (
	"strconv"
	"strings"

	"tollgate/pkg/dispatch"
)

// attributes is an item. An absent, null or differently typed attribute is zero, because rows
// may be older than a field.
type attributes map[string]any

func (a attributes) text(name string) string { s, _ := a[name].(string); return s }
func (a attributes) whole(name string) int64 { n, _ := a[name].(int64); return n }
func (a attributes) yes(name string) bool    { b, _ := a[name].(bool); return b }
func (a attributes) list(name string) []any  { l, _ := a[name].([]any); return l }

func (a attributes) texts(name string) []string {
	out := []string{}
	for _, v := range a.list(name) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// id returns the last part of a key such as OBJ#test#-#sub_…; ids have no #.
func (a attributes) id() string {
	key := a.text("pk")
	return key[strings.LastIndexByte(key, '#')+1:]
}

func (a attributes) payment(kind string) Payment {
	return Payment{
		Kind: kind, ObjectID: a.text("object_id"), Fact: a.text("fact"),
		Amount: a.whole("amount"), Currency: a.text("currency"), Occurred: a.whole("occurred"), Event: a.text("event_id"),
	}
}

func (a attributes) subscription() Subscription {
	s := Subscription{
		ID: a.id(), Status: a.text("status"), Currency: a.text("currency"), Items: []Item{},
		CurrentPeriodEnd: a.whole("current_period_end"), CancelAtPeriodEnd: a.yes("cancel_at_period_end"),
		CancelAt: a.whole("cancel_at"), CanceledAt: a.whole("canceled_at"), EndedAt: a.whole("ended_at"),
		TrialEnd: a.whole("trial_end"), Created: a.whole("created"),
	}
	for _, v := range a.list("items") {
		m, _ := v.(map[string]any)
		i := attributes(m)
		s.Items = append(s.Items, Item{Price: i.text("price"), Product: i.text("product"), Quantity: i.whole("quantity")})
	}
	return s
}

func (a attributes) entitlement() Entitlement {
	return Entitlement{
		Subscription: a.text("subscription"), Status: a.text("status"), Active: a.yes("active"),
		Products: a.texts("products"), Until: a.whole("until"),
	}
}

func (a attributes) invoice() Invoice {
	return Invoice{
		ID: a.id(), Number: a.text("number"), Status: a.text("status"), Currency: a.text("currency"),
		Total: a.whole("total"), AmountDue: a.whole("amount_due"), AmountPaid: a.whole("amount_paid"), AmountRemaining: a.whole("amount_remaining"),
		Subscription: a.text("subscription"), PaymentIntent: a.text("payment_intent"),
		AttemptCount: a.whole("attempt_count"), NextPaymentAttempt: a.whole("next_payment_attempt"), Created: a.whole("created"),
	}
}

func (a attributes) dispute() Dispute {
	return Dispute{
		ID: a.id(), Status: a.text("status"), Reason: a.text("reason"), Amount: a.whole("amount"), Currency: a.text("currency"),
		Charge: a.text("charge"), PaymentIntent: a.text("payment_intent"), EvidenceDueBy: a.whole("evidence_due_by"), Created: a.whole("created"),
	}
}

func (a attributes) checkout() Checkout {
	return Checkout{
		ID: a.id(), Status: a.text("status"), PaymentStatus: a.text("payment_status"), Mode: a.text("mode_of"),
		Amount: a.whole("amount_total"), Currency: a.text("currency"), Subscription: a.text("subscription"),
		PaymentIntent: a.text("payment_intent"), Invoice: a.text("invoice"), Created: a.whole("created"),
	}
}

func messageOf(a attributes) Message {
	return Message{
		Key: a.text("pk"), Name: a.text("name"), To: a.text("to"), ObjectID: a.text("object_id"), Attempt: attemptIn(a.text("pk")),
		Amount: a.whole("amount"), Currency: a.text("currency"), At: a.text(dispatch.ListOrder), Event: a.text("event_id"), SentAt: a.whole("sent_at"),
		Held: dispatch.IsHeldList(a.text(dispatch.ListName)),
	}
}

// attemptIn returns the attempt in the key of a message about an invoice's failed payment, OUT#FACT#…#payment_failed#<attempt>#payment_failed.
func attemptIn(key string) int64 {
	parts := strings.Split(key, "#")
	if len(parts) < 3 || parts[len(parts)-3] != "payment_failed" {
		return 0
	}
	n, _ := strconv.ParseInt(parts[len(parts)-2], 10, 64)
	return n
}
