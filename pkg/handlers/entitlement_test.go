package handlers_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

// What a customer may use under each status, and until when.
func TestEntitlement(t *testing.T) {
	const periodEnd, earlier, later, ended = 1797638460, 1797100000, 1798000000, 1797000000
	itemsUntil := func(ends ...any) map[string]any {
		data := []any{}
		for _, end := range ends {
			data = append(data, map[string]any{"object": "subscription_item", "current_period_end": end})
		}
		return map[string]any{"object": "list", "data": data, "has_more": false}
	}
	for _, c := range []struct {
		name    string
		members map[string]any
		active  bool
		until   int64
		ends    bool
	}{
		{"incomplete", map[string]any{"status": "incomplete"}, false, periodEnd, false},
		{"incomplete_expired", map[string]any{"status": "incomplete_expired", "ended_at": ended}, false, ended, true},
		{"trialing", map[string]any{"status": "trialing", "trial_end": periodEnd}, true, periodEnd, false},
		{"active", map[string]any{"status": "active"}, true, periodEnd, false},
		{"past due", map[string]any{"status": "past_due"}, true, periodEnd, false},
		{"unpaid", map[string]any{"status": "unpaid"}, false, periodEnd, false},
		{"paused", map[string]any{"status": "paused"}, false, periodEnd, false},
		{"canceled", map[string]any{"status": "canceled", "cancel_at": earlier, "ended_at": ended}, false, ended, true},
		{"a status of the future", map[string]any{"status": "hibernating"}, false, periodEnd, false},
		{"to be canceled within the period", map[string]any{"cancel_at": earlier}, true, earlier, true},
		{"to be canceled a year later", map[string]any{"cancel_at": later}, true, periodEnd, false},
		{"to be canceled at the end of the period", map[string]any{"cancel_at": periodEnd, "cancel_at_period_end": true}, true, periodEnd, true},
		{"periods of the items", map[string]any{"current_period_end": nil, "items": itemsUntil(periodEnd, later, nil)}, true, later, false},
		{"periods of the items, to be canceled", map[string]any{"current_period_end": nil, "cancel_at": earlier, "items": itemsUntil(later)}, true, earlier, true},
		{"the subscription's own period counts", map[string]any{"items": itemsUntil(later)}, true, periodEnd, false},
		{"no period, to be canceled", map[string]any{"status": "unpaid", "current_period_end": nil, "cancel_at": later, "items": itemsUntil()}, false, later, true},
		{"to be canceled at the end, without a time", map[string]any{"cancel_at_period_end": true}, true, periodEnd, true},
		{"no period, not active", map[string]any{"status": "incomplete", "current_period_end": nil, "items": itemsUntil(nil)}, false, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := once(t, with(t, golden(t, updated), c.members))
			if err != nil {
				t.Fatal(err)
			}
			if f := got[1].Fields; got[1].Key != entKey || f["active"] != c.active || f["until"] != c.until || f["ends"] != c.ends || f["status"] != got[0].Fields["status"] {
				t.Errorf("active %v until %v, ends %v; want %v until %d, %v", f["active"], f["until"], f["ends"], c.active, c.until, c.ends)
			}
		})
	}
}

// An active entitlement always has an end: without one an application would read 0, which is
// long past, or grant it without limit.
func TestActiveWithoutAnEndIsRefused(t *testing.T) {
	for _, status := range []string{"active", "trialing", "past_due"} {
		for name, items := range map[string]any{"no items": nil, "items without a period": map[string]any{"object": "list", "data": []any{map[string]any{"id": "si_1"}}}} {
			members := map[string]any{"status": status, "current_period_end": nil, "cancel_at": 1798000000, "items": items}
			effects, err := once(t, with(t, golden(t, updated), members))
			if len(effects) != 0 || permanent(err) != dispatch.ReasonHandler {
				t.Errorf("%s, %s: %v, %v; want a permanent failure", status, name, effects, err)
			}
		}
	}
}

// An active subscription without the list of its items would take the products from its
// customer.
func TestActiveWithoutItemsIsRefused(t *testing.T) {
	for status, refused := range map[string]bool{"active": true, "trialing": true, "past_due": true, "unpaid": false, "canceled": false} {
		effects, err := once(t, with(t, golden(t, updated), map[string]any{"status": status, "items": nil}))
		if refused != (permanent(err) == dispatch.ReasonHandler) || refused != (len(effects) == 0) {
			t.Errorf("%s: %v, %v", status, effects, err)
		}
	}
}

// A pause of the collection of payments changes no status. Row and entitlement show it, and
// its end.
func TestPauseOfCollection(t *testing.T) {
	f := newFixture()
	for i, step := range []struct{ pause, want any }{
		{nil, nil},
		{map[string]any{"behavior": "void", "resumes_at": nil}, dispatch.Fields{"behavior": "void", "resumes_at": int64(0)}},
		{map[string]any{"behavior": "keep_as_draft", "resumes_at": 1798000000}, dispatch.Fields{"behavior": "keep_as_draft", "resumes_at": int64(1798000000)}},
		{nil, nil},
	} {
		body := with(t, golden(t, updated, "evt_1TollgateiLF8Xut7bHcCkye", "evt_"+string(rune('a'+i))), map[string]any{"pause_collection": step.pause})
		f.shows(t, body)
		f.handle(t, body)
		row, ent := f.item(t, subRow), f.item(t, entKey)
		if diff := gocmp.Diff([]any{step.want, step.want, true, "active"}, []any{row["pause_collection"], ent["pause_collection"], ent["active"], row["status"]}); diff != "" {
			t.Errorf("step %d: pause of the row, of the entitlement, active, status (-want +got):\n%s", i, diff)
		}
	}
}

// A customer that is an account is listed like any other.
func TestCustomerThatIsAnAccount(t *testing.T) {
	for name, c := range map[string]struct{ customer, account, want string }{
		"an account":  {`null`, `"acct_cus1"`, "acct_cus1"},
		"both":        {`"cus_1"`, `"acct_cus1"`, "cus_1"},
		"expanded":    {`null`, `{"id": "acct_cus2", "object": "v2.core.account"}`, "acct_cus2"},
		"no customer": {`null`, `null`, ""},
	} {
		body := golden(t, updated, `"customer": "cus_TollgateolKvYZ"`, `"customer": `+c.customer+`, "customer_account": `+c.account)
		got, err := once(t, body)
		if err != nil {
			t.Fatal(err)
		}
		list := any("CUS#test#-#" + c.want)
		messages := 1
		if c.want == "" {
			list, messages = nil, 0
		}
		for _, e := range got[:2] {
			if led := e.Fields["led"] == true; e.Fields["customer"] != c.want || led != (list != nil && e.Key == subRow) || !led && e.Fields["lst"] != list {
				t.Errorf("%s: %s has customer %v and list %v", name, e.Key, e.Fields["customer"], e.Fields["lst"])
			}
		}
		if ms := messagesIn(got); len(ms) != messages || messages > 0 && ms[0].Fields["to"] != c.want {
			t.Errorf("%s: messages %v", name, ms)
		}
	}
}
