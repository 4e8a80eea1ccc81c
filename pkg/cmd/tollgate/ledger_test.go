package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/handlers/golden"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/ledger"
)

// billed leaves a customer with a payment and its receipt.
func (s *system) billed(place, list string) {
	s.t.Helper()
	s.done("evt_"+list, "payment_intent.succeeded", idempotency.Applied, dispatch.Effects{
		dispatch.Insert("FACT#"+place+"pi_1#succeeded", dispatch.Fields{
			"kind": "payment", "fact": "succeeded", "object_id": "pi_1", "amount": int64(4900), "currency": "jpy", "occurred": int64(1_699_999_990),
			"event_id": "evt_1", "lst": list, "at": "2023-11-14T22:13:10Z", "outbox": []any{"OUT#FACT#" + place + "pi_1#succeeded#receipt"},
		}),
		dispatch.Insert("OUT#FACT#"+place+"pi_1#succeeded#receipt", dispatch.Fields{
			"kind": "outbox", "name": "receipt", "to": "cus_1", "object_id": "pi_1", "amount": int64(4900), "currency": "jpy",
			"lst": "OUT#1", "at": "2023-11-14T22:13:10Z", "event_id": "evt_1",
		}),
	})
}

func TestLedgerShow(t *testing.T) {
	s := newSystem(t)
	s.billed("test#-#", "CUS#test#-#cus_1")
	s.billed("live#acct_1#", "CUS#live#acct_1#cus_1")

	for _, args := range [][]string{{}, {"--live", "--account", "acct_1"}} {
		a := s.tollgate(append([]string{"ledger", "show", "cus_1", "--json"}, args...)...).ok(t)
		var got ledger.Ledger
		check(t, json.Unmarshal([]byte(a.out), &got))
		want := []ledger.Payment{{Kind: "payment", ObjectID: "pi_1", Fact: "succeeded", Amount: 4900, Currency: "jpy", Occurred: 1_699_999_990, Event: "evt_1"}}
		if diff := cmp.Diff(want, got.Payments); diff != "" || len(got.Outbox) != 1 || len(got.Subscriptions) != 0 {
			t.Errorf("%v: %s\n%s", args, diff, a.out)
		}
		if (got.Mode == "live") != (len(args) > 0) || (got.Account == "acct_1") != (len(args) > 0) {
			t.Errorf("%v shows mode %q, account %q", args, got.Mode, got.Account)
		}
	}

	people := s.tollgate("ledger", "show", "cus_1").ok(t)
	for _, part := range []string{"customer  cus_1", "payments\nWHAT", "pi_1    4900 jpy", "outbox\nMESSAGE", "receipt"} {
		if !strings.Contains(people.out, part) {
			t.Errorf("%q is not in\n%s", part, people.out)
		}
	}
	if strings.Contains(people.out, "disputes") {
		t.Errorf("an empty table is shown:\n%s", people.out)
	}

	s.tollgate("ledger", "show", "cus_2").refused(t, verb.ExitFailed, "cus_2 is not known in test mode", "--live")
	s.tollgate("ledger", "show", "cus_1", "--live").refused(t, verb.ExitFailed, "not known in live mode")
}

// TestLedgerShowRefuses: each wrong or unknown id has an error that helps.
func TestLedgerShowRefuses(t *testing.T) {
	s := newSystem(t)
	for _, tt := range []struct {
		args []string
		code int
		says []string
	}{
		{nil, verb.ExitUsage, []string{"whose ledger", "customer", "--reference"}},
		{[]string{"cus_1", "--reference", "order-7"}, verb.ExitUsage, []string{"not both"}},
		{[]string{"evt_1"}, verb.ExitUsage, []string{"tollgate events show evt_1"}},
		{[]string{"prod_1"}, verb.ExitUsage, []string{"prod_1", "cus_…", "issfr_…"}},
		{[]string{"in_"}, verb.ExitUsage, []string{"not an id"}},
		{[]string{"in_1#paid"}, verb.ExitUsage, []string{"not an id"}},
		{[]string{"cus_9"}, verb.ExitFailed, []string{"customer cus_9 is not known in test mode", "--live", "--account"}},
		{[]string{"in_9", "--live"}, verb.ExitFailed, []string{"invoice in_9 is not known in live mode", "paid, voided"}},
		{[]string{"pi_9"}, verb.ExitFailed, []string{"payment pi_9", "found by the invoice"}},
		{[]string{"ch_9"}, verb.ExitFailed, []string{"charge ch_9", "refunded"}},
		{[]string{"cs_9"}, verb.ExitFailed, []string{"checkout cs_9", "expired"}},
		{[]string{"du_9"}, verb.ExitFailed, []string{"dispute du_9"}},
		{[]string{"--reference", "order-9"}, verb.ExitFailed, []string{"reference order-9", "guest"}},
	} {
		s.tollgate(append([]string{"ledger", "show"}, tt.args...)...).refused(t, tt.code, tt.says...)
	}
}

// handled handles a golden event with the real handlers and stores its effects. Stripe shows the
// event's object. Members are set in the object.
func (s *system) handled(typ string, members map[string]any) (id string) {
	s.t.Helper()
	raw, err := golden.Load(typ)
	check(s.t, err)
	var e map[string]any
	check(s.t, json.Unmarshal(raw, &e))
	object := e["data"].(map[string]any)["object"].(map[string]any)
	maps.Copy(object, members)
	raw, err = json.Marshal(e)
	check(s.t, err)
	env, err := event.Parse(raw)
	check(s.t, err)
	env.Body = raw
	reader, err := dynamostore.NewReader(s.dynamo, s.info.Table)
	check(s.t, err)
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: goldenObject(raw), Rows: reader})
	handlers.Register(mux)
	effects, err := mux.Dispatch(s.t.Context(), dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, Settle: -1})
	if !errors.Is(err, dispatch.ErrCoalesced) {
		check(s.t, err)
	}
	if len(effects) > 0 {
		s.done(env.ID, typ, idempotency.Applied, effects)
	}
	return env.ObjectID
}

// goldenObject is a Stripe that shows the object of an event, unless that is its deletion.
type goldenObject []byte

func (g goldenObject) FetchObject(context.Context, string, string, string) ([]byte, error) {
	if env, err := event.Parse(g); err != nil || strings.HasSuffix(env.Type, ".deleted") {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("deleted"))
	}
	object, _, err := event.Data(g)
	return object, err
}

// TestLedgerShowObject: the object of every handled type is found by its id.
func TestLedgerShowObject(t *testing.T) {
	for _, typ := range handlers.Types() {
		t.Run(typ, func(t *testing.T) {
			s := newSystem(t)
			id := s.handled(typ, nil)
			if typ == "payment_intent.payment_failed" || typ == "invoice.updated" {
				return // a failed payment may have no message, and an update opens no row
			}
			a := s.tollgate("ledger", "show", id, "--json").ok(t)
			if !strings.Contains(a.out, `"`+id+`"`) {
				t.Errorf("%s is not in %s", id, a.out)
			}
			s.tollgate("ledger", "show", id).ok(t)
		})
	}
}

// TestLedgerShowFailedInvoice: an object is shown with its customer, the messages about it and the
// next step, in both forms.
func TestLedgerShowFailedInvoice(t *testing.T) {
	s := newSystem(t)
	id := s.handled("invoice.payment_failed", map[string]any{"next_payment_attempt": 1_900_000_000, "customer": "cus_7"})
	s.handled("invoice.paid", map[string]any{"customer": "cus_7"})
	people := s.tollgate("ledger", "show", id).ok(t)
	for _, part := range []string{"object    " + id, "customer  cus_7", "invoices\nID", "payment_failed", "next\n" + id + ": Stripe tries to collect it again at 2030-03-17"} {
		if !strings.Contains(people.out, part) {
			t.Errorf("%q is not in\n%s", part, people.out)
		}
	}
	var got struct {
		Object string
		ledger.Ledger
		Next []string
	}
	check(t, json.Unmarshal([]byte(s.tollgate("ledger", "show", id, "--json").ok(t).out), &got))
	if got.Object != id || got.Customer != "cus_7" || len(got.Invoices) != 1 || len(got.Payments) != 0 || len(got.Next) == 0 {
		t.Errorf("the invoice's part of the ledger is %+v", got)
	}
	if all := s.tollgate("ledger", "show", "cus_7", "--json").ok(t); !strings.Contains(all.out, "invoice_paid") {
		t.Errorf("the customer's ledger lacks the paid invoice: %s", all.out)
	}
}
