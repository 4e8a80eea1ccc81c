package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// world is Stripe as a map from account and id to JSON, and a table in memory.
type world struct {
	*idempotencytest.Memory
	mux  *dispatch.Mux
	says map[string]string

	sentAt  time.Time     // of every message; zero: the queue does not tell
	age     time.Duration // of every event at its run, since its first claim
	attempt int64         // of every run, 0 for the first
}

func newWorld() *world {
	w := &world{Memory: idempotencytest.NewMemory(nil), says: map[string]string{}}
	w.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: w, Rows: w})
	handlers.Register(w.mux)
	return w
}

// FetchObject implements dispatch.Objects.
func (w *world) FetchObject(_ context.Context, account, _, id string) ([]byte, error) {
	object, ok := w.says[account+id]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("no such object"))
	}
	return []byte(object), nil
}

// shows makes Stripe show an event's object as the event does.
func (w *world) shows(t *testing.T, body []byte) {
	t.Helper()
	object, _, err := event.Data(body)
	if err != nil {
		t.Fatal(err)
	}
	env := parse(t, body)
	w.says[env.Account+env.ObjectID] = string(object)
}

// run takes a body the way that a message's goes: header, then handler.
func (w *world) run(t *testing.T, body []byte) (dispatch.Effects, error) {
	t.Helper()
	env := parse(t, body)
	first := time.Unix(env.Created, 0)
	return w.mux.Dispatch(t.Context(), dispatch.Input{
		Envelope: env, Attempt: max(w.attempt, 1), Generation: 1, FirstAt: first, Now: first.Add(w.age), SentAt: w.sentAt,
	})
}

// handle brings an event to its end as the consumer does: claim, run, complete, and run
// again when a row changed in between. Each point is called before a completion.
func (w *world) handle(t *testing.T, body []byte, point ...func()) {
	t.Helper()
	env := parse(t, body)
	now := time.Unix(env.Created, 0)
	claimed, err := w.Claim(t.Context(), idempotency.ClaimRequest{Event: env, Own: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), Cutoff: now})
	if err != nil || claimed.Verdict != idempotency.Claimed {
		t.Fatalf("claim %s: %s, %v", env.ID, claimed.Verdict, err)
	}
	for range 5 {
		effects, err := w.run(t, body)
		if err != nil {
			t.Fatalf("%s: %v", env.Type, err)
		}
		if len(point) > 0 {
			point[0]()
			point = point[1:]
		}
		done, err := w.Complete(t.Context(), claimed.Claim, idempotency.Applied, effects, now)
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

// item returns a table's item, nil when there is none.
func (w *world) item(t *testing.T, key string) map[string]any {
	t.Helper()
	item, _, err := w.Item(t.Context(), key)
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

// once runs an event in a world of its own, in which Stripe shows the object as the event does.
func once(t *testing.T, body []byte) (dispatch.Effects, error) {
	t.Helper()
	w := newWorld()
	if parse(t, body).ObjectID != "" {
		w.shows(t, body)
	}
	return w.run(t, body)
}

// golden returns the sample of an event type, with some text of it replaced. Each pair
// must be there, so that a test cannot pass on an unchanged event.
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

// permanent returns the reason of a permanent failure, "" for any other error or none.
func permanent(err error) string {
	if p, ok := errors.AsType[*dispatch.PermanentError](err); ok {
		return p.Reason
	}
	return ""
}
