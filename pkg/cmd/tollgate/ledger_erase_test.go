package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/cmd/tollgate/ledger"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// about returns what the table has of a customer outside keys.
func (s *system) about(customer string) (found []string) {
	s.t.Helper()
	out, err := s.dynamo.Scan(s.t.Context(), &sdkdynamodb.ScanInput{TableName: &s.info.Table})
	check(s.t, err)
	for _, raw := range out.Items {
		for name, v := range raw {
			text, err := json.Marshal(v)
			check(s.t, err)
			if name != "pk" && name != "event_id" && name != "fx" && name != "outbox" && strings.Contains(string(text), customer) {
				key, _ := json.Marshal(raw["pk"])
				found = append(found, fmt.Sprintf("%s %s", key, name))
			}
		}
	}
	return found
}

// customerOf leaves a customer with an ended subscription, a paid and an unpaid invoice, a dispute, its own
// row, and a held message.
func customerOf(t *testing.T) *kept {
	k := newKept(t)
	of := map[string]any{"customer": "cus_1"}
	k.keep("customer.subscription.deleted", "sub_1", of)
	k.keep("invoice.paid", "in_1", of)
	k.keep("invoice.payment_failed", "in_2", of)
	k.keep("charge.dispute.created", "dp_1", nil)
	k.keep("customer.deleted", "cus_1", nil)
	k.done("evt_held", "payment_intent.succeeded", idempotency.Applied, dispatch.Effects{
		dispatch.Insert("FACT#test#-#pi_9#succeeded", dispatch.Fields{
			"kind": "payment", "customer": "cus_1", "lst": "CUS#test#-#cus_1", "at": "2023-11-14T22:13:10Z", "outbox": []any{"OUT#FACT#test#-#pi_9#succeeded#receipt"},
		}),
		dispatch.Insert("OUT#FACT#test#-#pi_9#succeeded#receipt", dispatch.Fields{"kind": "outbox", "name": "receipt", "to": "cus_1", "lst": "HELD#1", "at": "2023-11-14T22:13:10Z"}),
		dispatch.Insert("FACT#live#-#pi_9#succeeded", dispatch.Fields{"kind": "payment", "customer": "cus_1", "lst": "CUS#live#-#cus_1", "at": "2023-11-14T22:13:10Z"}),
	})
	k.sent()
	return k
}

// sent marks what waits to be sent.
func (k *kept) sent() {
	k.t.Helper()
	for _, line := range lines[struct{ Key string }](k.t, k.tollgate("outbox", "list", "--unsent", "--json").ok(k.t).out) {
		check(k.t, k.store.MarkSent(k.t.Context(), line.Key, at))
	}
}

func (k *kept) code() string {
	k.t.Helper()
	return lines[ledger.Erased](k.t, k.tollgate("ledger", "erase", "cus_1", "--json").ok(k.t).out)[0].Code
}

const onlyLive = `{"Value":"FACT#live#-#pi_9#succeeded"}`

// erasedIn fails the test unless only the item of live mode names the customer.
func (k *kept) erasedIn(when string) {
	k.t.Helper()
	for _, found := range k.about("cus_1") {
		if !strings.HasPrefix(found, onlyLive) {
			k.t.Errorf("%s: %s", when, found)
		}
	}
}

// TestEraseInterrupted at each of its writes: the next run finishes it.
func TestEraseInterrupted(t *testing.T) {
	for stop := int64(1); ; stop++ {
		k := customerOf(t)
		code := k.code()
		ctx, cancel := context.WithCancel(t.Context())
		writes := atomic.Int64{}
		hook := func(operation string) {
			if strings.HasSuffix(operation, ".UpdateItem") || strings.HasSuffix(operation, ".TransactWriteItems") {
				if writes.Add(1) == stop {
					cancel()
				}
			}
		}
		k.as("EraseRole")
		k.called.Store(&hook)
		first := tollgate(ctx, nil, "ledger", "erase", "cus_1", "--code", code, "--note", "request", "--data", k.data)
		k.called.Store(nil)
		cancel()
		if first.code == verb.ExitDone {
			k.erasedIn("in one run")
			break
		}
		k.tollgate("ledger", "erase", "cus_1", "--code", code, "--note", "request").ok(t)
		k.erasedIn(fmt.Sprint("interrupted at write ", stop))
		if stop > 100 {
			t.Fatal("it does not end")
		}
	}
}

// TestEraseMeetsEvents: an event that is handled between the read of a row and its erasure is not lost,
// and does not bring the customer back; nor does one that comes later.
func TestEraseMeetsEvents(t *testing.T) {
	k := customerOf(t)
	code := k.code()
	k.change("in_2", map[string]any{"attempt_count": 9})
	met := false
	hook := func(operation string) {
		if !met && strings.HasSuffix(operation, ".TransactWriteItems") {
			met = true
			k.called.Store(nil)
			k.handle("invoice.payment_failed", "in_2", "evt_between")
			k.sent()
		}
	}
	if a := k.tollgate("ledger", "erase", "cus_1", "--code", code, "--note", "request"); a.code != verb.ExitFailed || !strings.Contains(a.err, "Operator is not authorized") {
		t.Errorf("an operator erases: %+v", a)
	}
	k.as("EraseRole")
	k.called.Store(&hook)
	k.tollgate("ledger", "erase", "cus_1", "--code", code, "--note", "request").ok(t)
	k.as("Operator")
	k.erasedIn("an event between")
	k.change("in_2", map[string]any{"attempt_count": 10})
	k.handle("invoice.payment_failed", "in_2", "evt_later")
	k.handle("customer.subscription.deleted", "sub_1", "evt_again")
	k.handle("customer.deleted", "cus_1", "evt_gone")
	k.erasedIn("a later event")
	row, found, err := k.store.Item(t.Context(), "OBJ#test#-#in_2")
	check(t, err)
	if !found || row["attempt_count"] != int64(10) || row["erased"] != true {
		t.Errorf("the row is %v", row)
	}
	if held, _, _ := k.store.Item(t.Context(), "OUT#FACT#test#-#pi_9#succeeded#receipt"); held["lst"] != nil || held["name"] != "receipt" {
		t.Errorf("the held message is %v", held)
	}
	k.tollgate("ledger", "verify", "--settle", "0s").ok(t)
}

// TestEraseMeetsUnlisted: an item in no list that changes between its read and its erasure is erased, too.
func TestEraseMeetsUnlisted(t *testing.T) {
	const key = "APP#test#-#order_1"
	k := newKept(t)
	k.done("evt_first", "invoice.paid", idempotency.Applied, dispatch.Effects{dispatch.Swap(key, 0, dispatch.Fields{"customer": "cus_1"})})
	code := k.code()
	met := false
	hook := func(operation string) {
		if !met && strings.HasSuffix(operation, ".TransactWriteItems") {
			met = true
			k.called.Store(nil)
			k.done("evt_between", "invoice.paid", idempotency.Applied, dispatch.Effects{dispatch.Swap(key, 1, dispatch.Fields{"customer": "cus_1"})})
		}
	}
	k.as("EraseRole")
	k.called.Store(&hook)
	k.tollgate("ledger", "erase", "cus_1", "--code", code, "--note", "request").ok(t)
	k.as("Operator")
	if !met {
		t.Error("the row was written without a transaction")
	}
	k.erasedIn("an event between")
}

// TestEraseWaits for what the customer is still served or told.
func TestEraseWaits(t *testing.T) {
	k := newKept(t)
	k.keep("customer.subscription.created", "sub_1", map[string]any{"customer": "cus_1", "status": "active"})
	k.tollgate("ledger", "erase", "cus_1").refused(t, verb.ExitFailed, "sub_1 still entitles")
	k = newKept(t)
	k.keep("invoice.paid", "in_1", map[string]any{"customer": "cus_1"})
	k.tollgate("ledger", "erase", "cus_1").refused(t, verb.ExitFailed, "waits to be sent")
	k.tollgate("ledger", "erase", "evt_1").refused(t, verb.ExitUsage, "not a customer")
	if out := k.tollgate("ledger", "erase", "cus_2").ok(t).out; !strings.Contains(out, "Nothing to erase") || strings.Contains(out, "--account") {
		t.Errorf("an unknown customer: %s", out)
	}
}

// TestEraseSays what it would erase, the command that does, and where else the customer is.
func TestEraseSays(t *testing.T) {
	k := customerOf(t)
	for _, c := range []struct{ flags, want string }{
		{"", "Would erase 2 facts, 4 rows, 1 entitlements, 3 messages of cus_1 "},
		{"", "\ntollgate ledger erase cus_1 --code "},
		{" --live", "\ntollgate ledger erase cus_1 --live --code "},
		{" --account acct_2 --live", " items of another mode or account name it: see --live and --account."},
	} {
		args := append([]string{"ledger", "erase", "cus_1"}, strings.Fields(c.flags)...)
		if out := k.tollgate(args...).ok(t).out; !strings.Contains(out, c.want) {
			t.Errorf("ledger erase cus_1%s printed\n%swant %q", c.flags, out, c.want)
		}
	}
}
