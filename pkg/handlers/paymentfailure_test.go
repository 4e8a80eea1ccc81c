package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const (
	failedPayment = "pi_3TollgatemJ1pOSao3BHsK2V"
	failedMessage = "OUT#FACT#test#-#" + failedPayment + "#failed#payment_failed"
)

// declined is the event of the n-th declined card of a payment.
func declined(t *testing.T, n int, members map[string]any) []byte {
	t.Helper()
	return with(t, golden(t, "payment_intent.payment_failed",
		"evt_3TollgatergU1nnXAAuf3QYK", fmt.Sprintf("evt_%d", n), `"charge": "ch_3TollgateurDuJeSozlFYFvU"`, fmt.Sprintf(`"charge": "ch_%d"`, n)), members)
}

// succeeds is the event of that payment's success.
func succeeds(t *testing.T) []byte {
	t.Helper()
	return golden(t, "payment_intent.succeeded", "pi_3TollgatefEZrEHFEikFfLQt", failedPayment)
}

// Every declined card is a fact; the customer, who is typing, gets one message with the decline
// code of the first that is handled.
func TestOneMessagePerFailedPayment(t *testing.T) {
	f := newFixture()
	for n := range 3 {
		f.handle(t, declined(t, n, nil))
	}
	if facts := f.keysWith("FACT#"); len(facts) != 3 {
		t.Errorf("three failures made facts %v", facts)
	}
	if diff := gocmp.Diff([]string{failedMessage}, f.keysWith("OUT#")); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if m := f.item(t, failedMessage); m["decline_code"] != "insufficient_funds" || m["code"] != "card_declined" || m["event_id"] != "evt_0" {
		t.Errorf("message %v", m)
	}
	for n := range 3 {
		fact := fmt.Sprintf("FACT#test#-#%s#failed#ch_%d", failedPayment, n)
		if diff := gocmp.Diff([]any{failedMessage}, f.item(t, fact)["outbox"]); diff != "" {
			t.Errorf("%s does not name the message:\n%s", fact, diff)
		}
	}
}

// After a success a failure has no message: whether the table has the success, or Stripe shows
// it or a cancellation in place of an event of another version.
func TestNoMessageAboutAFailureBeforeTheSuccess(t *testing.T) {
	other := func(body []byte) []byte { return []byte(strings.Replace(string(body), "2023-10-16", basil, 1)) }
	for _, c := range []struct {
		name    string
		account string // of the success that is handled before; "-" for none
		stripe  any    // the payment's status at Stripe, for an event of another version
		told    bool
	}{
		{"not succeeded", "-", nil, true},
		{"succeeded", "", nil, false},
		{"another account's payment succeeded", "acct_1", nil, true},
		{"another version, succeeded", "-", "succeeded", false},
		{"another version, canceled", "-", "canceled", false},
		{"another version, still open", "-", "requires_payment_method", true},
		{"another version, still open as shown, and succeeded in the table", "", "requires_payment_method", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, body := newFixture(), declined(t, 1, nil)
			if c.account != "-" {
				paid := succeeds(t)
				if c.account != "" {
					paid = []byte(strings.Replace(string(paid), `"object": "event",`, `"object": "event", "account": "`+c.account+`",`, 1))
				}
				f.handle(t, paid)
			}
			if c.stripe != nil {
				f.shows(t, declined(t, 1, map[string]any{"status": c.stripe}))
				body = other(body)
			}
			f.handle(t, body)
			if got := f.item(t, failedMessage) != nil; got != c.told {
				t.Errorf("a message %t, want %t", got, c.told)
			}
			if f.item(t, "FACT#test#-#"+failedPayment+"#failed#ch_1") == nil {
				t.Error("the failure has no fact")
			}
		})
	}
}

// A guest's payments and failures are listed by their payment and have no message.
func TestGuestsPayments(t *testing.T) {
	f := newFixture()
	f.handle(t, with(t, succeeds(t), map[string]any{"customer": nil}))
	f.handle(t, declined(t, 1, map[string]any{"customer": nil}))
	for _, key := range f.Keys() {
		if list := f.item(t, key)["lst"]; list != "PAY#test#-#"+failedPayment || dispatch.IsMessageKey(key) {
			t.Errorf("%s is in list %v", key, list)
		}
	}
	if keys := f.Keys(); len(keys) != 2 {
		t.Errorf("items %v, want two facts", keys)
	}
}

// A customer that is an account is listed and told by that account's id.
func TestCustomerAccount(t *testing.T) {
	const id, list = "acct_customer", "CUS#test#-#acct_customer"
	for _, typ := range []string{"payment_intent.succeeded", "payment_intent.payment_failed", "invoice.paid", "invoice.payment_failed", "invoice.payment_action_required"} {
		body := []byte(strings.Replace(string(with(t, golden(t, typ), map[string]any{"customer": nil})), `"customer":null`, `"customer":null,"customer_account":"`+id+`"`, 1))
		effects, err := once(t, body)
		if err != nil || len(messagesIn(effects)) != 1 {
			t.Errorf("%s: effects %v, %v; want one message among them", typ, effects, err)
		}
		for _, e := range effects {
			if message := dispatch.IsMessageKey(e.Key); message && e.Fields["to"] != id || !message && (e.Fields["customer"] != id || e.Fields["lst"] != list && e.Fields["led"] != true) {
				t.Errorf("%s: %s is to %v, of %v, in list %v", typ, e.Key, e.Fields["to"], e.Fields["customer"], e.Fields["lst"])
			}
		}
	}
}
