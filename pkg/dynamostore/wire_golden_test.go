package dynamostore

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// update writes records of a form that is new. It never changes a file that is there.
var update = flag.Bool("update", false, "write golden records of a new form")

const (
	goldenRecords = "../../testdata/wire"
	wireFolder    = "v4" // that of the newest form, where -update writes
	goldenTTL     = 180 * 24 * time.Hour
)

// wireRecord is one state of a record, and the writes that lead to it.
type wireRecord struct {
	name   string
	writes func(w *wireWrites)
	want   func(*idempotency.Record) // from the first claim's record

	history []idempotency.Attempt // from v4 on
}

func wireRecords() []wireRecord {
	last, claimed := wireTime(5*time.Minute), wireTime(0)
	failed := func(r *idempotency.Record) {
		r.State, r.Lease, r.Updated, r.Fails, r.Err, r.ReceivesLeft = idempotency.Failed, time.Time{}, last, 1, "503 from Stripe", 15
	}
	attempt := func(n int64, fingerprint, frame string) idempotency.Attempt {
		return idempotency.Attempt{Number: n, Start: claimed, Took: 5 * time.Minute, Fingerprint: fingerprint, Frame: frame}
	}
	transient := []idempotency.Attempt{attempt(1, "0a1b2c3d4e5f", "stripeapi.Client.g get.go:42")}
	final := []idempotency.Attempt{attempt(1, "ff00ff00ff00", "handlers.paid invoice.go:7")}
	done := func(o idempotency.Outcome, fx ...string) func(*idempotency.Record) {
		return func(r *idempotency.Record) {
			r.State, r.Lease, r.Updated, r.DoneAt, r.Outcome, r.Effects, r.ReceivesLeft = idempotency.Done, time.Time{}, last, last, o, fx, -1
		}
	}
	replayed := func(r *idempotency.Record) {
		done(idempotency.Applied)(r)
		r.State, r.Generation, r.ReplayBy, r.ReplayWhy = idempotency.Failed, 2, "jo", "wrong amount"
	}
	return []wireRecord{
		{"running", func(w *wireWrites) { w.claim(1) }, func(*idempotency.Record) {}, nil},
		{"running-again", func(w *wireWrites) { w.claim(1); w.fail("503 from Stripe", "", 15); w.claim(2) }, func(r *idempotency.Record) {
			r.Attempt, r.ReceivesLeft, r.Fails, r.Err, r.Updated = 2, 14, 1, "503 from Stripe", claimed
		}, transient},
		{"failed", func(w *wireWrites) { w.claim(1); w.fail("503 from Stripe", "", 15) }, failed, transient},
		{"failed-twice", func(w *wireWrites) {
			w.claim(1)
			w.fail("503 from Stripe", "", 15)
			w.claim(2)
			w.fail("503 from Stripe", "", 14)
		}, func(r *idempotency.Record) {
			failed(r)
			r.Attempt, r.Fails, r.ReceivesLeft = 2, 2, 14
		}, append(slices.Clone(transient), attempt(2, transient[0].Fingerprint, transient[0].Frame))},
		{"failed-for-good", func(w *wireWrites) { w.claim(1); w.fail("no such plan", "handler", 0) }, func(r *idempotency.Record) {
			failed(r)
			r.Err, r.Reason, r.ReceivesLeft = "no such plan", "handler", 0
		}, final},
		{"purged", func(w *wireWrites) { w.claim(1); w.fail("no such plan", "handler", 0); w.markPurged() }, func(r *idempotency.Record) {
			failed(r)
			r.Err, r.Reason, r.ReceivesLeft, r.Updated = "no such plan", "handler", 0, wireTime(time.Hour)
			r.Purged, r.PurgeBy = r.Updated, "jo"
		}, final},
		{"done", func(w *wireWrites) {
			w.claim(1)
			w.complete(idempotency.Applied, dispatch.Insert("FACT#live#acct_1TollgateWire#in_1#paid", nil), dispatch.Swap("OBJ#live#acct_1TollgateWire#in_1", 0, nil))
		}, done(idempotency.Applied, "FACT#live#acct_1TollgateWire#in_1#paid", "OBJ#live#acct_1TollgateWire#in_1"), nil},
		{"done-ignored", func(w *wireWrites) { w.claim(1); w.complete(idempotency.Ignored) }, done(idempotency.Ignored), nil},
		{"done-stale", func(w *wireWrites) { w.claim(1); w.complete(idempotency.AlreadyApplied) }, done(idempotency.AlreadyApplied), nil},
		{"replayed", func(w *wireWrites) { w.claim(1); w.complete(idempotency.Applied); w.replay() }, replayed, nil},
		{"replayed-running", func(w *wireWrites) { w.claim(1); w.complete(idempotency.Applied); w.replay(); w.claim(1) }, func(r *idempotency.Record) {
			at := r.Lease
			replayed(r)
			r.State, r.Attempt, r.Lease, r.Updated, r.ReceivesLeft = idempotency.Running, 2, at, claimed, 15
		}, nil},
	}
}

// wireTime is a moment so long after the first claim.
func wireTime(after time.Duration) time.Time {
	return time.UnixMilli(1_795_053_665_123).UTC().Add(after)
}

func wireEvent() event.Envelope {
	return event.Envelope{
		ID: "evt_1TollgateWire", Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "connect-eu", Account: "acct_1TollgateWire",
		Livemode: true, APIVersion: "2023-10-16", Created: 1_795_053_664, ObjectID: "in_1TollgateWire", Source: event.Webhook,
	}
}

// firstClaim is the record after the first claim.
func firstClaim() *idempotency.Record {
	e := wireEvent()
	return &idempotency.Record{
		ID: e.ID, State: idempotency.Running, Attempt: 1, Owner: strings.Repeat("a", 32), Lease: wireTime(30 * time.Second), Generation: 1,
		Identity: idempotency.Identity(e), Type: e.Type, Created: e.Created, Source: "webhook", FirstAt: wireTime(0), Updated: wireTime(0), ReceivesLeft: 15,
	}
}

// wireWrites makes a record's writes through the store. Every claim is made at one time
// with one owner, so that the record's bytes are the same in every run.
type wireWrites struct {
	t     *testing.T
	store fixture
	held  *idempotency.Claim
}

func (w *wireWrites) must(err error) {
	w.t.Helper()
	check(w.t, err)
}

func (w *wireWrites) claim(receives int) {
	got, err := w.store.Claim(w.t.Context(), idempotency.ClaimRequest{
		Event: wireEvent(), Owner: strings.Repeat("a", 32), Now: wireTime(0), Lease: wireTime(30 * time.Second),
		LeaseExpiredBefore: wireTime(-5 * time.Second), Receives: receives, ReceivesLeft: 16 - receives,
	})
	w.must(err)
	w.held = got.Claim
}

// begin is a run without a claim.
func (w *wireWrites) begin() {
	w.held = idempotency.WithoutClaim(idempotency.ClaimRequest{Event: wireEvent(), Owner: strings.Repeat("a", 32), Now: wireTime(0)})
	for range 20 { // the tokens of the other records with this owner
		w.held.NextToken()
	}
}

func (w *wireWrites) fail(text, reason string, left int) {
	f := idempotency.Failure{Now: wireTime(5 * time.Minute), Err: text, Reason: reason, ReceivesLeft: left}
	f.Fingerprint, f.Frame = "0a1b2c3d4e5f", "stripeapi.Client.g get.go:42"
	if reason != "" {
		f.Fingerprint, f.Frame = "ff00ff00ff00", "handlers.paid invoice.go:7"
	}
	_, err := w.store.Fail(w.t.Context(), w.held, f)
	w.must(err)
}

func (w *wireWrites) complete(o idempotency.Outcome, effects ...dispatch.Effect) {
	got, err := w.store.Complete(w.t.Context(), w.held, o, effects, wireTime(5*time.Minute))
	w.must(err)
	if got.Verdict != idempotency.Completed {
		w.t.Fatalf("complete: %+v", got)
	}
}

func (w *wireWrites) replay() {
	w.must(w.store.operator.Replay(w.t.Context(), idempotency.ReplayRequest{
		EventID: wireEvent().ID, Generation: 1, By: "jo", Why: "wrong amount", Now: wireTime(5 * time.Minute),
	}))
}

func (w *wireWrites) markPurged() {
	e := wireEvent()
	got, err := w.store.operator.Purge(w.t.Context(), idempotency.PurgeRequest{
		EventID: e.ID, Identities: idempotency.IdentitiesOf(e), Attempt: 1, By: "jo", Now: wireTime(time.Hour), LeaseExpiredBefore: wireTime(time.Hour),
	})
	w.must(err)
	if got != idempotency.PurgeMarked {
		w.t.Fatalf("purge: %s", got)
	}
}

// TestReadsEveryGoldenRecord: what any release wrote is read by this one.
func TestReadsEveryGoldenRecord(t *testing.T) {
	all := map[string]wireRecord{}
	for _, w := range wireRecords() {
		all[w.name] = w
	}
	paths, err := filepath.Glob(filepath.Join(goldenRecords, "v*", "records", "*.json"))
	if err != nil || len(paths) < len(all) {
		t.Fatalf("%d golden records (%v), want at least %d", len(paths), err, len(all))
	}
	for _, path := range paths {
		got, want, w := decodeRow(goldenItem(t, path)), firstClaim(), all[strings.TrimSuffix(filepath.Base(path), ".json")]
		w.want(want)
		if v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))[1:]); v >= 4 {
			want.History = w.history
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// TestWritesTheGoldenRecords: this release leaves each record as a golden one, byte for
// byte, so another form of a record needs a golden one in a folder of its own.
func TestWritesTheGoldenRecords(t *testing.T) {
	s := serveEmbedded(t)
	for _, c := range wireRecords() {
		t.Run(c.name, func(t *testing.T) {
			w := &wireWrites{t: t, store: s.fixture(t, http.DefaultTransport)}
			c.writes(w)
			got, err := w.store.raw.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &w.store.table, Key: recordKey(wireEvent().ID)})
			w.must(err)
			written := marshalItem(t, withGoldenTTL(t, got.Item))
			paths, _ := filepath.Glob(filepath.Join(goldenRecords, "v*", "records", c.name+".json")) // the pattern is good
			if slices.ContainsFunc(paths, func(path string) bool { return marshalItem(t, goldenItem(t, path)) == written }) {
				return
			}
			path := filepath.Join(goldenRecords, wireFolder, "records", c.name+".json")
			if slices.Contains(paths, path) {
				t.Fatalf("no version has this form of a record: name a new folder in wireFolder (%s has this record already), run with -update, and deploy its readers first:\n%s", wireFolder, written)
			}
			if *update {
				w.must(os.MkdirAll(filepath.Dir(path), 0o755))
				w.must(os.WriteFile(path, []byte(written), 0o644))
				return
			}
			t.Errorf("no version has this form of a record: add it to %s with -update, and deploy its readers first:\n%s", wireFolder, written)
		})
	}
}

// TestAtOnceLeavesTheGoldenRecords: a run without a claim leaves, byte for byte, the record that a
// claim and its second write leave, so earlier releases read it.
func TestAtOnceLeavesTheGoldenRecords(t *testing.T) {
	s := serveEmbedded(t)
	fx := dispatch.Effects{dispatch.Insert("FACT#live#acct_1TollgateWire#in_1#paid", nil), dispatch.Swap("OBJ#live#acct_1TollgateWire#in_1", 0, nil)}
	for name, write := range map[string]func(*wireWrites){
		"done":            func(w *wireWrites) { w.complete(idempotency.Applied, fx...) },
		"done-ignored":    func(w *wireWrites) { w.complete(idempotency.Ignored) },
		"done-stale":      func(w *wireWrites) { w.complete(idempotency.AlreadyApplied) },
		"failed":          func(w *wireWrites) { w.fail("503 from Stripe", "", 15) },
		"failed-for-good": func(w *wireWrites) { w.fail("no such plan", "handler", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			read := func(begin func(*wireWrites)) string {
				w := &wireWrites{t: t, store: s.fixture(t, http.DefaultTransport)}
				begin(w)
				write(w)
				got, err := w.store.raw.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &w.store.table, Key: recordKey(wireEvent().ID)})
				w.must(err)
				return marshalItem(t, got.Item)
			}
			if diff := cmp.Diff(read(func(w *wireWrites) { w.claim(1) }), read((*wireWrites).begin)); diff != "" {
				t.Errorf("claimed and at once differ (-claimed +at once):\n%s", diff)
			}
		})
	}
}

// withGoldenTTL returns the item as if limits.RecordTTL were that of the golden records: how
// long records live may change without a new form.
func withGoldenTTL(t *testing.T, it item) item {
	t.Helper()
	exp, ok := it["exp"].(*types.AttributeValueMemberN)
	if !ok {
		return it
	}
	at, err := strconv.ParseInt(exp.Value, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	it = maps.Clone(it)
	it["exp"] = &types.AttributeValueMemberN{Value: strconv.FormatInt(at+int64((goldenTTL-limits.AWS().RecordTTL)/time.Second), 10)}
	return it
}

// marshalItem returns an item in the JSON of DynamoDB's API, one attribute a line.
func marshalItem(t *testing.T, it item) string {
	t.Helper()
	values := map[string]any{}
	for name, v := range it {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			values[name] = map[string]string{"S": v.Value}
		case *types.AttributeValueMemberN:
			values[name] = map[string]string{"N": v.Value}
		case *types.AttributeValueMemberL:
			list := []map[string]string{}
			for _, e := range v.Value {
				list = append(list, map[string]string{"S": e.(*types.AttributeValueMemberS).Value})
			}
			values[name] = map[string]any{"L": list}
		default:
			t.Fatalf("attribute %s is a %T", name, v)
		}
	}
	out, err := json.MarshalIndent(values, "", "  ")
	check(t, err)
	return string(out) + "\n"
}

// goldenItem reads an item in the JSON of DynamoDB's API.
func goldenItem(t *testing.T, path string) item {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	var values map[string]struct {
		S, N *string
		L    []struct{ S string }
	}
	if err := json.Unmarshal(data, &values); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
	it := item{}
	for name, v := range values {
		switch {
		case v.S != nil:
			it[name] = &types.AttributeValueMemberS{Value: *v.S}
		case v.N != nil:
			it[name] = &types.AttributeValueMemberN{Value: *v.N}
		default:
			list := &types.AttributeValueMemberL{}
			for _, e := range v.L {
				list.Value = append(list.Value, &types.AttributeValueMemberS{Value: e.S})
			}
			it[name] = list
		}
	}
	return it
}
