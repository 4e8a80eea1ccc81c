package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
	"tollgate/pkg/handlers"
	"tollgate/pkg/handlers/golden"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/stripeapi"
)

// kept is a system whose rows the handlers wrote from a fake Stripe's objects.
type kept struct {
	*system
	url     string
	mux     *dispatch.Mux
	objects map[string]map[string]any
}

func newKept(t *testing.T) *kept {
	t.Helper()
	s := newSystem(t)
	_, url := localtest.Stripe(t)
	s.info.StripeURL = url
	s.writeInfo()
	client, err := stripeapi.New(stripeapi.Options{URL: url, Key: func(context.Context) (string, error) { return "sk_test_1", nil }})
	check(t, err)
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: s.store})
	handlers.Register(mux)
	return &kept{system: s, url: url, mux: mux, objects: map[string]map[string]any{}}
}

// tollgate runs the command on the system, with a key.
func (k *kept) tollgate(args ...string) answer {
	k.t.Helper()
	return tollgate(k.t.Context(), map[string]string{"STRIPE_API_KEY": "sk_test_1"}, append(args, "--data", k.data)...)
}

func (k *kept) control(method, path string, body any) {
	k.t.Helper()
	raw, err := json.Marshal(body)
	check(k.t, err)
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.url+path, bytes.NewReader(raw))
	check(k.t, err)
	req.Header.Set("Authorization", "Bearer sk_test_1")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	check(k.t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		k.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
}

// change changes an object at Stripe, without an event.
func (k *kept) change(id string, members map[string]any) {
	k.t.Helper()
	for name, v := range members {
		k.objects[id][name] = v
	}
	k.control(http.MethodPut, "/_fake/objects", []any{k.objects[id]})
}

// keep handles the golden event of a type for an object with an id and some members of its own.
func (k *kept) keep(typ, id string, members map[string]any) {
	k.t.Helper()
	raw, err := golden.Load(typ)
	check(k.t, err)
	var e map[string]any
	check(k.t, json.Unmarshal(raw, &e))
	object := e["data"].(map[string]any)["object"].(map[string]any)
	object["id"] = id
	k.objects[id] = object
	k.change(id, members)
	if typ == "customer.deleted" {
		k.control(http.MethodDelete, "/_fake/objects/"+id, nil)
	}
	k.handle(typ, id, "evt_"+id)
}

func (k *kept) handle(typ, id, eventID string) {
	k.t.Helper()
	raw, err := golden.Load(typ)
	check(k.t, err)
	var e map[string]any
	check(k.t, json.Unmarshal(raw, &e))
	e["id"], e["data"] = eventID, map[string]any{"object": k.objects[id]}
	body, err := json.Marshal(e)
	check(k.t, err)
	in := dispatch.Input{Envelope: envelope(eventID, typ), Attempt: 1, Generation: 1, Now: at, FirstAt: at}
	in.Body, in.ObjectID = body, id
	effects, err := k.mux.Dispatch(k.t.Context(), in)
	check(k.t, err)
	k.done(eventID, typ, idempotency.Applied, effects)
}

// edit changes attributes of an item in the table; nil removes one.
func (k *kept) edit(key string, attributes map[string]types.AttributeValue) {
	k.t.Helper()
	out, err := k.dynamo.GetItem(k.t.Context(), &sdkdynamodb.GetItemInput{TableName: &k.info.Table, Key: map[string]types.AttributeValue{"pk": text(key)}})
	check(k.t, err)
	if len(out.Item) == 0 {
		k.t.Fatalf("no item %s", key)
	}
	for name, v := range attributes {
		if out.Item[name] = v; v == nil {
			delete(out.Item, name)
		}
	}
	_, err = k.dynamo.PutItem(k.t.Context(), &sdkdynamodb.PutItemInput{TableName: &k.info.Table, Item: out.Item})
	check(k.t, err)
}

func (k *kept) remove(key string) {
	k.t.Helper()
	_, err := k.dynamo.DeleteItem(k.t.Context(), &sdkdynamodb.DeleteItemInput{TableName: &k.info.Table, Key: map[string]types.AttributeValue{"pk": text(key)}})
	check(k.t, err)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(s string) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: s}
}

type seed struct {
	name, typ, id string
	members       map[string]any // of the object that is kept first
	drift         func(*kept, string)
	result        drift.Result
	fields        []string // that differ
	unmended      bool     // by a repair
}

const (
	subscriptionUpdated = "customer.subscription.updated"
	checkoutCompleted   = "checkout.session.completed"
)

// stripes returns a drift: the object changes at Stripe and no event is handled.
func stripes(members map[string]any) func(*kept, string) {
	return func(k *kept, id string) { k.change(id, members) }
}

// tables returns a drift: an item of the table is edited.
func tables(prefix string, attributes map[string]types.AttributeValue) func(*kept, string) {
	return func(k *kept, id string) { k.edit(prefix+"#test#-#"+id, attributes) }
}

func seeds() []seed {
	return []seed{
		{name: "status", typ: subscriptionUpdated, id: "sub_status", drift: stripes(map[string]any{"status": "past_due"}), result: drift.Drifted, fields: []string{"status", "status"}},
		{name: "pause", typ: subscriptionUpdated, id: "sub_pause",
			drift: stripes(map[string]any{"pause_collection": map[string]any{"behavior": "void", "resumes_at": nil}}), result: drift.Drifted,
			fields: []string{"pause_collection", "pause_collection"}},
		{name: "refund failed", typ: "refund.created", id: "re_1", members: map[string]any{"status": "pending"},
			drift: stripes(map[string]any{"status": "failed"}), result: drift.Drifted, fields: []string{"status"}},
		{name: "refunded amount", typ: "charge.refunded", id: "ch_1", drift: stripes(map[string]any{"amount_refunded": 77}), result: drift.Drifted, fields: []string{"amount_refunded"}},
		{name: "amount", typ: "invoice.paid", id: "in_amount", drift: stripes(map[string]any{"amount_paid": 123}), result: drift.Drifted, fields: []string{"amount_paid"}},
		{name: "until", typ: subscriptionUpdated, id: "sub_until",
			drift: tables("ENT", map[string]types.AttributeValue{"until": number("5")}), result: drift.Drifted, fields: []string{"until"}},
		{name: "list", typ: "invoice.payment_failed", id: "in_list", drift: tables("OBJ", map[string]types.AttributeValue{"lst": text("CUS#test#-#cus_other")}), result: drift.Drifted, fields: []string{"lst"}},
		{name: "no list", typ: "invoice.payment_failed", id: "in_nolist", drift: tables("OBJ", map[string]types.AttributeValue{"lst": nil}), result: drift.Drifted, fields: []string{"lst"}},
		{name: "led to no more", typ: "invoice.paid", id: "in_led", drift: tables("OBJ", map[string]types.AttributeValue{"led": nil}), result: drift.Drifted, fields: []string{"at", "lst"}},
		{name: "entitlement missing", typ: subscriptionUpdated, id: "sub_missing", drift: func(k *kept, id string) { k.remove("ENT#test#-#" + id) }, result: drift.Drifted, fields: []string{drift.Missing}},
		{name: "entitlement of another status", typ: subscriptionUpdated, id: "sub_active",
			drift: tables("ENT", map[string]types.AttributeValue{"active": &types.AttributeValueMemberBOOL{Value: false}, "status": text("unpaid")}), result: drift.Drifted, fields: []string{"active", "status"}},
		{name: "entitlement of another version", typ: subscriptionUpdated, id: "sub_version",
			drift: tables("ENT", map[string]types.AttributeValue{"ver": number("9")}), result: drift.Drifted, fields: []string{"ver"}},
		{name: "object gone", typ: "invoice.paid", id: "in_gone", drift: func(k *kept, id string) { k.control(http.MethodDelete, "/_fake/objects/"+id, nil) }, result: drift.Gone, unmended: true},
		{name: "voided", typ: "invoice.payment_failed", id: "in_void", drift: stripes(map[string]any{"status": "void"}), result: drift.Drifted, fields: []string{"status"}},
		{name: "payment status", typ: checkoutCompleted, id: "cs_1", members: map[string]any{"payment_status": "unpaid"},
			drift: stripes(map[string]any{"payment_status": "paid"}), result: drift.Drifted, fields: []string{"payment_status"}},
		{name: "dispute lost", typ: "charge.dispute.created", id: "dp_1", drift: stripes(map[string]any{"status": "lost"}), result: drift.Drifted, fields: []string{"status"}},
		{name: "entitlement without a row", typ: subscriptionUpdated, id: "sub_orphan", drift: func(k *kept, id string) { k.remove("OBJ#test#-#" + id) }, result: drift.Orphan, unmended: true},
		{name: "a row without a version", typ: "invoice.paid", id: "in_broken", drift: tables("OBJ", map[string]types.AttributeValue{"ver": nil}), result: drift.Unreadable, unmended: true},
		{name: "a row of an unreadable kind", typ: "invoice.paid", id: "in_odd", drift: tables("OBJ", map[string]types.AttributeValue{"object": number("1")}), result: drift.Unreadable, unmended: true},
	}
}

// verify runs the command without a wait and returns its findings by object.
func (k *kept) verify(code int, args ...string) map[string]drift.Finding {
	k.t.Helper()
	a := k.tollgate(append([]string{"ledger", "verify", "--settle", "0s", "--rate", "100", "--json"}, args...)...)
	if a.code != code {
		k.t.Fatalf("exit %d, want %d: %s%s", a.code, code, a.out, a.err)
	}
	found := map[string]drift.Finding{}
	for _, f := range lines[drift.Finding](k.t, a.out) {
		found[f.Key[strings.LastIndex(f.Key, "#")+1:]] = f
	}
	return found
}

// TestVerifyFindsEachDrift: a clean ledger has none; each seeded one is found, with its fields;
// a repair mends what can be mended, and only that is left.
func TestVerifyFindsEachDrift(t *testing.T) {
	k := newKept(t)
	for _, d := range seeds() {
		k.keep(d.typ, d.id, d.members)
	}
	k.keep("invoice.paid", "in_clean", nil)
	if found := k.verify(verb.ExitDone); len(found) != 0 {
		t.Fatalf("a clean ledger differs: %v", found)
	}
	for _, d := range seeds() {
		d.drift(k, d.id)
	}
	found := k.verify(verb.ExitFailed)
	for _, d := range seeds() {
		f := found[d.id]
		var fields []string
		for _, x := range f.Differences {
			fields = append(fields, x.Field)
		}
		if f.Result != d.result || !slices.Equal(fields, d.fields) {
			t.Errorf("%s: %+v, want %s of %v", d.name, f, d.result, d.fields)
		}
		delete(found, d.id)
	}
	if len(found) != 0 {
		t.Errorf("other rows differ: %v", found)
	}
	k.verify(verb.ExitFailed, "--repair", "--note", "ticket 7")
	left := k.verify(verb.ExitFailed)
	for _, d := range seeds() {
		if _, found := left[d.id]; found != d.unmended {
			t.Errorf("%s: after the repair differs %v, want %v: %+v", d.name, found, d.unmended, left[d.id])
		}
	}
	k.audited()
}

// audited: the repair is in the audit trail, with its note and outcome.
func (k *kept) audited() {
	k.t.Helper()
	trail := k.tollgate("audit", "list", "--json").ok(k.t)
	for _, part := range []string{`"ledger verify --repair"`, "ticket 7", "15 repaired"} {
		if !strings.Contains(trail.out, part) {
			k.t.Errorf("%q is not in the audit trail: %s", part, trail.out)
		}
	}
}

// TestRepairedRowsAreWrittenAgain: after a repair a handler commits, and a repair requests no
// message and names none that is not there.
func TestRepairedRowsAreWrittenAgain(t *testing.T) {
	k := newKept(t)
	k.keep("customer.subscription.created", "sub_1", map[string]any{"status": "active"})
	before := k.items("OUT#")
	k.change("sub_1", map[string]any{"status": "past_due"})
	k.remove("ENT#test#-#sub_1")
	k.tollgate("ledger", "verify", "--settle", "0s", "--repair", "--note", "x").ok(k.t)
	if after := k.items("OUT#"); after != before {
		t.Errorf("%d messages after the repair, want %d", after, before)
	}
	customer, _ := k.objects["sub_1"]["customer"].(string)
	if shown := k.tollgate("ledger", "show", customer, "--json").ok(t); !strings.Contains(shown.out, `"subscriptions":[{"id":"sub_1"`) {
		t.Errorf("the ledger lacks the subscription: %s", shown.out)
	}
	k.change("sub_1", map[string]any{"status": "active"})
	k.handle(subscriptionUpdated, "sub_1", "evt_2")
	if found := k.verify(verb.ExitDone); len(found) != 0 {
		t.Errorf("differs after a handler's write: %v", found)
	}
}

func (k *kept) items(prefix string) (n int) {
	k.t.Helper()
	out, err := k.dynamo.Scan(k.t.Context(), &sdkdynamodb.ScanInput{TableName: &k.info.Table})
	check(k.t, err)
	for _, it := range out.Items {
		if pk, ok := it["pk"].(*types.AttributeValueMemberS); ok && strings.HasPrefix(pk.Value, prefix) {
			n++
		}
	}
	return n
}

func TestVerifySelects(t *testing.T) {
	k := newKept(t)
	for _, id := range []string{"in_1", "in_2", "in_3"} {
		k.keep("invoice.paid", id, map[string]any{"customer": "cus_" + id})
		k.change(id, map[string]any{"amount_paid": 5})
	}
	if found := k.verify(verb.ExitFailed, "--customer", "cus_in_2"); len(found) != 1 || found["in_2"].Result != drift.Drifted {
		t.Errorf("of one customer: %v", found)
	}
	k.verify(verb.ExitDone, "--account", "acct_1")
	k.verify(verb.ExitDone, "--live")
	if found := k.verify(verb.ExitDone, "--since", "30d"); len(found) != 0 { // the harness's rows are of 2023
		t.Errorf("since 30 days: %v", found)
	}
	rest, all := "", map[string]bool{}
	for n := 0; n < 4; n++ {
		args := []string{"ledger", "verify", "--settle", "0s", "--json", "--limit", "1"}
		if rest != "" {
			args = append(args, "--after", rest)
		}
		a := k.tollgate(args...)
		for _, f := range lines[drift.Finding](t, a.out) {
			all[f.Key] = true
		}
		if rest = cursorIn(t, a.err); rest == "" {
			break
		}
	}
	if len(all) != 3 {
		t.Errorf("in parts: %v", all)
	}
	people := k.tollgate("ledger", "verify", "--settle", "0s")
	for _, part := range []string{"OBJ#test#-#in_1 invoice: drift", "amount_paid: ", "at Stripe 5"} {
		if !strings.Contains(people.out, part) {
			t.Errorf("%q is not in\n%s", part, people.out)
		}
	}
}

// TestVerifyInterrupted: an interrupted run prints where to continue, and misses no row.
func TestVerifyInterrupted(t *testing.T) {
	k := newKept(t)
	for _, id := range []string{"in_1", "in_2", "in_3"} {
		k.keep("invoice.paid", id, nil)
		k.change(id, map[string]any{"amount_paid": 5})
	}
	first := k.tollgate("ledger", "verify", "--settle", "0s", "--json", "--limit", "1")
	ctx, interrupt := context.WithCancel(t.Context())
	onRead := func(operation string) {
		if strings.HasSuffix(operation, ".GetItem") {
			interrupt()
		}
	}
	k.called.Store(&onRead)
	second := tollgate(ctx, map[string]string{"STRIPE_API_KEY": "sk_test_1"}, "ledger", "verify", "--settle", "0s", "--json",
		"--after", cursorIn(t, first.err), "--data", k.data)
	k.called.Store(nil)
	cursor := cursorIn(t, second.err)
	if second.code != verb.ExitFailed || cursor == "" || !strings.Contains(second.err, "interrupted") {
		t.Fatalf("exit %d: %s", second.code, second.err)
	}
	rest := k.tollgate("ledger", "verify", "--settle", "0s", "--json", "--after", cursor)
	if n := len(lines[drift.Finding](t, first.out+second.out+rest.out)); n != 3 {
		t.Errorf("%d rows were found, want 3", n)
	}
}

// cursorIn returns the cursor of a run that stopped early.
func cursorIn(t *testing.T, notes string) string {
	t.Helper()
	for line := range strings.Lines(notes) {
		var note struct{ Cursor string }
		if json.Unmarshal([]byte(line), &note) == nil && note.Cursor != "" {
			return note.Cursor
		}
	}
	return ""
}

func TestVerifyUsage(t *testing.T) {
	k := newKept(t)
	for _, args := range [][]string{
		{"--rate", "0"}, {"--settle", "2h"}, {"--repair"}, {"--after", "%"}, {"--after", "aGVsbG8"}, {"--limit", "-1"},
		{"--customer", "cus_1", "--after", "T0JKI3Rlc3Q"}, {"--since", "soon"},
	} {
		k.tollgate(append([]string{"ledger", "verify"}, args...)...).refused(t, verb.ExitUsage)
	}
	a := tollgate(t.Context(), map[string]string{"STRIPE_API_KEY": "rk_live_1"}, "ledger", "verify", "--data", k.data)
	a.refused(t, verb.ExitUsage, "live mode")
}

// TestVerifyStopsWhenStripeIsDown: rows that cannot be fetched are no drift.
func TestVerifyStopsWhenStripeIsDown(t *testing.T) {
	k := newKept(t)
	for _, id := range []string{"in_1", "in_2", "in_3", "in_4"} {
		k.keep("invoice.paid", id, nil)
	}
	k.info.StripeURL = "http://127.0.0.1:1"
	k.writeInfo()
	k.tollgate("ledger", "verify", "--settle", "0s").refused(t, verb.ExitFailed, "cannot be fetched")
}

// TestEveryTypeLeavesNoDrift: what each handler writes is what the keeper of its kind writes.
func TestEveryTypeLeavesNoDrift(t *testing.T) {
	k := newKept(t)
	for i, typ := range handlers.Types() {
		id := fmt.Sprintf("obj_%d", i)
		if typ == "invoice.updated" { // of a kept invoice only
			k.keep("invoice.payment_failed", id, nil)
			k.handle(typ, id, "evt_updated")
			continue
		}
		k.keep(typ, id, nil)
	}
	a := k.tollgate("ledger", "verify", "--settle", "0s", "--rate", "100").ok(t)
	if !strings.Contains(a.err, "rows compared, 0 differ from Stripe\n") {
		t.Errorf("want nothing left out: %s", a.err)
	}
}
