package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	goldenevents "tollgate/pkg/handlers/golden"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// fixture is a Stripe with some objects, a table in memory and the handlers.
type fixture struct {
	*idempotencytest.Memory
	mux     *dispatch.Mux
	objects map[string]string // JSON by account and id
	rows    dispatch.Rows     // that handlers read; default the table

	sentAt   time.Time     // of every message by the queue's clock; zero: unknown
	received time.Time     // of every event by ingest; zero: unknown
	age      time.Duration // of every event at its run, since its first claim
	attempt  int64         // of every run, 0 for the first
}

func newFixture() *fixture {
	f := &fixture{Memory: idempotencytest.NewMemory(nil), objects: map[string]string{}}
	f.rows = f
	f.register(dispatch.Hold{})
	return f
}

// begin sets the start of every account's history.
func (f *fixture) begin(at time.Time) { f.register(dispatch.Hold{Begins: dispatch.FixedBegin(at)}) }

func (f *fixture) register(hold dispatch.Hold) {
	f.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: f, Rows: f.rows, Hold: hold})
	handlers.Register(f.mux)
}

// FetchObject implements dispatch.Objects.
func (f *fixture) FetchObject(_ context.Context, account, _, id string) ([]byte, error) {
	object, ok := f.objects[account+id]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("no such object"))
	}
	return []byte(object), nil
}

// shows sets the object at Stripe to the event's snapshot, or to what is left of a deleted
// customer.
func (f *fixture) shows(t *testing.T, body []byte) {
	t.Helper()
	object, _, err := event.Data(body)
	if err != nil {
		t.Fatal(err)
	}
	env := parse(t, body)
	if env.Type == "customer.deleted" {
		object = fmt.Appendf(nil, `{"id":%q,"object":"customer","deleted":true}`, env.ObjectID)
	}
	f.objects[env.Account+env.ObjectID] = string(object)
}

// run parses an event and runs its handler once. An event of a type that begins no row finds one.
func (f *fixture) run(t *testing.T, body []byte) (dispatch.Effects, error) {
	t.Helper()
	env := parse(t, body)
	if row := dispatch.ObjectKey(env); env.Type == "invoice.updated" && f.item(t, row) == nil {
		f.commit(t, dispatch.Swap(row, 0, nil))
	}
	env.ReceivedAt = f.received
	first := time.Unix(env.Created, 0)
	effects, err := f.mux.Dispatch(t.Context(), dispatch.Input{
		Envelope: env, Attempt: max(f.attempt, 1), Generation: 1, FirstAt: first, Now: first.Add(f.age), SentAt: f.sentAt,
	})
	for _, m := range messagesIn(effects) {
		if name, _ := m.Fields["name"].(string); !slices.Contains(handlers.Messages(), name) {
			t.Errorf("message %q is not in handlers.Messages", name)
		}
	}
	return effects, err
}

// handle takes an event through claim, handler and completion, as the consumer does, and
// repeats the run if the row changed in between. Each point is called before a completion.
func (f *fixture) handle(t *testing.T, body []byte, point ...func()) {
	t.Helper()
	env := parse(t, body)
	now := time.Unix(env.Created, 0)
	claimed, err := f.Claim(t.Context(), idempotency.ClaimRequest{Event: env, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now})
	if err != nil || claimed.Verdict != idempotency.Claimed {
		t.Fatalf("claim %s: %s, %v", env.ID, claimed.Verdict, err)
	}
	for range 5 {
		effects, err := f.run(t, body)
		if err != nil {
			t.Fatalf("%s: %v", env.Type, err)
		}
		if len(point) > 0 {
			point[0]()
			point = point[1:]
		}
		done, err := f.Complete(t.Context(), claimed.Claim, idempotency.Applied, effects, now)
		if err != nil {
			t.Fatal(err)
		}
		if done.Verdict == idempotency.Completed {
			return
		}
		if done.Verdict != idempotency.SwapRefused {
			t.Fatalf("complete %s: %+v", env.Type, done)
		}
	}
	t.Fatalf("%s found its row changed five times", env.Type)
}

// commit writes effects as those of an event of its own.
func (f *fixture) commit(t *testing.T, effects ...dispatch.Effect) {
	t.Helper()
	now := time.Unix(1, 0)
	claimed, err := f.Claim(t.Context(), idempotency.ClaimRequest{Event: event.Envelope{ID: "evt_of" + effects[0].Key}, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now})
	if err != nil || claimed.Verdict != idempotency.Claimed {
		t.Fatalf("claim: %s, %v", claimed.Verdict, err)
	}
	if done, err := f.Complete(t.Context(), claimed.Claim, idempotency.Applied, effects, now); err != nil || done.Verdict != idempotency.Completed {
		t.Fatalf("complete: %+v, %v", done, err)
	}
}

// item returns the table's item under a key, nil if there is none.
func (f *fixture) item(t *testing.T, key string) map[string]any {
	t.Helper()
	item, _, err := f.Item(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func parse(t *testing.T, body []byte) event.Envelope {
	t.Helper()
	env, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	env.Body = body
	return env
}

// once runs an event in a new fixture in which the object at Stripe equals the snapshot.
func once(t *testing.T, body []byte) (dispatch.Effects, error) {
	t.Helper()
	f := newFixture()
	if parse(t, body).ObjectID != "" {
		f.shows(t, body)
	}
	return f.run(t, body)
}

// golden returns the golden event of a type with the first occurrence of each old text
// replaced. The old text must exist, so that no test passes on an unchanged event.
func golden(t *testing.T, typ string, oldnew ...string) []byte {
	t.Helper()
	body, err := goldenevents.Load(typ)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !bytes.Contains(body, []byte(oldnew[i])) {
			t.Fatalf("%s has no %s", typ, oldnew[i])
		}
		body = bytes.Replace(body, []byte(oldnew[i]), []byte(oldnew[i+1]), 1)
	}
	return body
}

// with returns an event with members of its object set; nil makes one null.
func with(t *testing.T, body []byte, members map[string]any) []byte {
	t.Helper()
	decode := json.NewDecoder(bytes.NewReader(body))
	decode.UseNumber()
	var e map[string]any
	if err := decode.Decode(&e); err != nil {
		t.Fatal(err)
	}
	object := e["data"].(map[string]any)["object"].(map[string]any)
	for name, v := range members {
		if _, there := object[name]; !there {
			t.Fatalf("the object has no %s", name)
		}
		object[name] = v
	}
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// permanent returns the reason of a permanent failure, "" for any other error and for nil.
func permanent(err error) string {
	if p, ok := errors.AsType[*dispatch.PermanentError](err); ok {
		return p.Reason
	}
	return ""
}
