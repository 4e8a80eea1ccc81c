package dynamostore

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
)

// keptFolder is that of the newest form of a message, a fact, a note of coverage, a start of
// history or the pauses, where -update writes.
const keptFolder = "v1"

// keptItem is one state of an item that stays, and the writes that lead to it.
type keptItem struct {
	name  string
	key   string
	write func(t *testing.T, f fixture)
	want  any // what keptOf reads
}

const (
	wireFact    = "FACT#live#acct_1TollgateWire#in_1#paid"
	wireMessage = "OUT#" + wireFact + "#receipt"
	// A fact that names its customer.
	wireOfCustomer = "FACT#live#acct_1TollgateWire#in_1#credited"
)

// requestWire commits what a handler of an invoice's payment returns: a fact with its message.
func requestWire(t *testing.T, f fixture, since time.Time) {
	t.Helper()
	mux := dispatch.NewMux(dispatch.Config{APIVersion: wireEvent().APIVersion})
	dispatch.On(mux, wireEvent().Type, func(_ context.Context, e dispatch.Event[map[string]any]) (dispatch.Effects, error) {
		receipt := effect.Message{
			Subject: wireFact, Name: "receipt", To: "cus_1TollgateWire", Object: "invoice", ID: "in_1TollgateWire", Amount: 12_345, Currency: "eur",
			Since: since.Unix(), Extra: dispatch.Fields{"subscription": "sub_1TollgateWire"},
		}
		return effect.WithMessages(e.Input, []effect.Message{receipt}, dispatch.Insert(wireFact, dispatch.Fields{
			"kind": "fact", effect.MessageKeys: []any{wireMessage}, "amount": int64(12_345), dispatch.ListName: "CUST#live#acct_1TollgateWire#cus_1TollgateWire", dispatch.ListOrder: second(since),
		}), dispatch.Insert(wireOfCustomer, dispatch.Fields{
			"kind": "fact", "customer": "cus_1TollgateWire", "amount": int64(12_345),
			dispatch.ListName: effect.CustomerList(e.Envelope, "cus_1TollgateWire"), dispatch.ListOrder: second(since),
		})), nil
	})
	e := wireEvent()
	e.ReceivedAt, e.Body = wireTime(0), []byte(`{"id":"evt_1TollgateWire","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1TollgateWire","object":"invoice"}}}`)
	got, err := mux.Dispatch(t.Context(), dispatch.Input{Envelope: e, Now: wireTime(0)})
	check(t, err)
	w := &wireWrites{t: t, store: f}
	w.claim(1)
	w.complete(idempotency.Applied, got...)
}

// erased writes an item and removes from it what leads to its customer.
func erased(key string, write func(*testing.T, fixture)) func(*testing.T, fixture) {
	return func(t *testing.T, f fixture) {
		write(t, f)
		it, found, err := f.reader.Item(t.Context(), key)
		if err != nil || !found {
			t.Fatalf("%s: found %v, %v", key, found, err)
		}
		if done, err := f.operator.Erase(t.Context(), "cus_1TollgateWire", []map[string]any{it}); err != nil || !done {
			t.Fatalf("erase: %v, %v", done, err)
		}
	}
}

func keptItems() []keptItem {
	since := wireTime(-time.Minute).Truncate(time.Second)
	fresh := func(t *testing.T, f fixture) { requestWire(t, f, since) }
	held := func(t *testing.T, f fixture) { requestWire(t, f, since.AddDate(0, 0, -2)) }
	release := func(t *testing.T, f fixture) {
		held(t, f)
		got, err := f.operator.Release(t.Context(), wireMessage, wireTime(time.Hour))
		if err != nil || got != outbox.Released {
			t.Fatalf("release: %s, %v", got, err)
		}
	}
	sent := func(before func(*testing.T, fixture)) func(*testing.T, fixture) {
		return func(t *testing.T, f fixture) {
			before(t, f)
			check(t, f.MarkSent(t.Context(), wireMessage, wireTime(2*time.Hour)))
		}
	}
	message := func(since, queued time.Time, more map[string]any) outbox.Message {
		m := outbox.Message{Key: wireMessage, Name: "receipt", To: "cus_1TollgateWire", Since: since, Queued: queued, Fields: map[string]any{
			"kind": "outbox", "object": "invoice", "object_id": "in_1TollgateWire", "mode": "live", "account": "acct_1TollgateWire", "amount": int64(12_345),
			"currency": "eur", "event_id": "evt_1TollgateWire", "subscription": "sub_1TollgateWire", dispatch.ListOrder: second(since),
		}}
		maps.Copy(m.Fields, more)
		return m
	}
	fact := func(more map[string]any) map[string]any {
		f := map[string]any{
			"pk": wireFact, "kind": "fact", effect.MessageKeys: []any{wireMessage}, "amount": int64(12_345),
			dispatch.ListName: "CUST#live#acct_1TollgateWire#cus_1TollgateWire", dispatch.ListOrder: second(since),
		}
		maps.Copy(f, more)
		return f
	}
	// expiring writes with a configured retention.
	expiring := func(write func(*testing.T, fixture)) func(*testing.T, fixture) {
		return func(t *testing.T, f fixture) {
			store, err := New(f.raw, f.table, Options{Retention: limits.Retention{Sent: limits.LeastSent, Facts: limits.LeastFacts}})
			check(t, err)
			f.Store = store
			write(t, f)
		}
	}
	old := since.AddDate(0, 0, -2)
	at := map[string]any{"sent_at": wireTime(2 * time.Hour).UnixMilli()}
	wasHeld := map[string]any{dispatch.MessageHeld: dispatch.HeldOld, releasedAt: wireTime(time.Hour).UnixMilli()}
	wasSent := map[string]any{dispatch.MessageHeld: dispatch.HeldOld, releasedAt: wireTime(time.Hour).UnixMilli(), "sent_at": at["sent_at"]}
	slice := reconcile.Covered{
		Livemode: true, Account: "acct_1TollgateWire", Endpoint: "connect-eu", Tier: "quarter", From: since, To: since.Add(time.Hour),
		Listed: 40, Known: 37, Enqueued: 3, DoneAt: wireTime(0), Since: wireTime(-time.Hour),
	}
	pauses := pause.State{
		Revision: 2,
		Paused:   map[string]pause.Mark{"invoice.paid": {At: since, By: "ann", Why: "a broken handler"}, pause.All: {At: wireTime(0), By: "bob", Why: "an incident"}},
		Resuming: map[string]pause.Span{"charge.refunded": {From: since, Until: wireTime(0), By: "ann"}},
	}
	anonymous := message(since, wireTime(0), map[string]any{"sent_at": at["sent_at"], dispatch.Erased: true})
	anonymous.To = ""
	return []keptItem{
		{"message-erased", wireMessage, erased(wireMessage, sent(fresh)), anonymous},
		{"fact-erased", wireOfCustomer, erased(wireOfCustomer, fresh), map[string]any{
			"pk": wireOfCustomer, "kind": "fact", "amount": int64(12_345), dispatch.ListOrder: second(since), dispatch.Erased: true,
		}},
		{"message-to-send", wireMessage, fresh, message(since, wireTime(0), nil)},
		{"message-held", wireMessage, held, message(old, wireTime(0), map[string]any{dispatch.MessageHeld: dispatch.HeldOld})},
		{"message-held-after-restore", wireMessage, func(t *testing.T, f fixture) {
			fresh(t, f)
			check(t, f.Hold(t.Context(), wireMessage, wireTime(time.Hour)))
		}, message(since, wireTime(0), map[string]any{dispatch.MessageHeld: dispatch.HeldBefore})},
		{"message-released", wireMessage, release, message(old, wireTime(time.Hour), wasHeld)},
		{"message-sent", wireMessage, sent(fresh), message(since, wireTime(0), at)},
		{"message-released-sent", wireMessage, sent(release), message(old, wireTime(time.Hour), wasSent)},
		{"message-sent-expires", wireMessage, expiring(sent(fresh)), message(since, wireTime(0), map[string]any{
			"sent_at": at["sent_at"], "exp": wireTime(2 * time.Hour).Add(limits.LeastSent).Unix(),
		})},
		{"fact", wireFact, fresh, fact(nil)},
		{"fact-expires", wireFact, expiring(fresh), fact(map[string]any{"exp": wireTime(5 * time.Minute).Add(limits.LeastFacts).Unix()})},
		{"coverage", coverKey(slice), func(t *testing.T, f fixture) { check(t, f.Cover(t.Context(), slice)) }, slice},
		{"begin", beginKey(slice.Stream()), func(t *testing.T, f fixture) {
			check(t, errOf(f.PutBegin(t.Context(), slice.Stream(), since)))
		}, since},
		{"pauses", limits.KeyPause, func(t *testing.T, f fixture) {
			for n := range pauses.Revision {
				s := pauses
				s.Revision = n
				check(t, errOf(f.operator.PutPauses(t.Context(), s)))
			}
		}, pauses},
	}
}

// keptOf reads an item as the code does that needs it.
func keptOf(t *testing.T, path string, it item) any {
	t.Helper()
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(name, "message-"):
		return outboxMessage(it)
	case strings.HasPrefix(name, "fact"):
		return decodeItem(it)
	case name == "pauses.json":
		s, err := pausesOf(it)
		if err != nil {
			t.Errorf("%s cannot be read: %v", path, err)
		}
		return s
	case name == "coverage.json":
		n, ok := coveredOf(it)
		if !ok {
			t.Errorf("%s cannot be read", path)
		}
		return n
	default:
		of, at, err := beginOf(it)
		if err != nil || of != (reconcile.Stream{Livemode: true, Account: wireEvent().Account}) {
			t.Errorf("%s is of %+v, %v", path, of, err)
		}
		return at
	}
}

// TestReadsEveryKeptItem: what any release wrote is read by this one.
func TestReadsEveryKeptItem(t *testing.T) {
	want := map[string]any{}
	for _, k := range keptItems() {
		want[k.name] = k.want
	}
	readsGolden(t, "kept", want, func(path string, it item) any { return keptOf(t, path, it) })
}

// TestWritesTheKeptItems: this release leaves each item as a golden one, byte for byte.
func TestWritesTheKeptItems(t *testing.T) {
	for _, k := range keptItems() {
		t.Run(k.name, func(t *testing.T) {
			f := serveEmbedded(t).fixture(t, http.DefaultTransport)
			k.write(t, f)
			got, err := f.raw.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &f.table, Key: keyOf(k.key)})
			check(t, err)
			if k.name == "coverage" { // kept as long as records
				got.Item = withGoldenTTL(t, got.Item)
			}
			isGolden(t, "kept", keptFolder, k.name, got.Item)
		})
	}
}

// readsGolden compares what is read of the items of a kind with what it must be, by name.
func readsGolden(t *testing.T, kind string, want map[string]any, read func(path string, it item) any) {
	t.Helper()
	rows := goldenRows(t, kind)
	if len(rows) < len(want) {
		t.Fatalf("%d golden items, want at least %d", len(rows), len(want))
	}
	for path, it := range rows {
		if diff := cmp.Diff(want[strings.TrimSuffix(filepath.Base(path), ".json")], read(path, it)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// goldenRows returns the items of a kind that any release wrote, by their paths.
func goldenRows(t *testing.T, kind string) map[string]item {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(goldenRecords, "v*", kind, "*.json"))
	check(t, err)
	rows := map[string]item{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		check(t, err)
		var values map[string]json.RawMessage
		check(t, json.Unmarshal(raw, &values))
		rows[path] = item{}
		for name, v := range values {
			rows[path][name] = attributeOf(t, v)
		}
	}
	return rows
}

// isGolden fails unless a release of the past, or the one that is being made, has this form of an
// item.
func isGolden(t *testing.T, kind, folder, name string, it item) {
	t.Helper()
	raw, err := json.MarshalIndent(attributeJSON(&types.AttributeValueMemberM{Value: it}).(map[string]any)["M"], "", "  ")
	check(t, err)
	written := string(raw) + "\n"
	paths, _ := filepath.Glob(filepath.Join(goldenRecords, "v*", kind, name+".json")) // the pattern is good
	if slices.ContainsFunc(paths, func(path string) bool {
		golden, err := os.ReadFile(path)
		return err == nil && string(golden) == written
	}) {
		return
	}
	path := filepath.Join(goldenRecords, folder, kind, name+".json")
	if !*update || slices.Contains(paths, path) {
		t.Fatalf("no version has this form of an item: name a new folder in the test if %s has it, run with -update, and deploy its readers first:\n%s", folder, written)
	}
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, []byte(written), 0o644))
}
