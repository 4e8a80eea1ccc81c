package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// newerInvoice and newerSubscription are what the types of a newer stripe-go are: they read data
// where basil has it.
type newerInvoice struct {
	ID, Status, Customer, Currency string
	Created                        int64
	AmountPaid                     int64 `json:"amount_paid"`
	Parent                         struct {
		SubscriptionDetails struct{ Subscription string } `json:"subscription_details"`
	}
	Payments struct {
		Data []struct {
			Payment struct {
				PaymentIntent string `json:"payment_intent"`
			}
		}
	}
}

type newerSubscription struct {
	ID, Status, Customer string
	Created              int64
	Items                struct {
		Data []struct {
			CurrentPeriodEnd int64 `json:"current_period_end"`
		}
	}
}

// registerNewer registers the handlers of the release with the newer pin. Keys and fields are
// those of the release before it.
func registerNewer(mux *dispatch.Mux) {
	dispatch.OnCurrent(mux, "invoice.paid", func(_ context.Context, e dispatch.Current[newerInvoice]) (dispatch.Effects, error) {
		i := &e.Object
		pi := i.Payments.Data[0].Payment.PaymentIntent
		sub := i.Parent.SubscriptionDetails.Subscription
		fact, err := effect.Fact{
			Kind: "invoice_paid", Object: "invoice", ID: i.ID, Name: "paid#" + pi, Amount: i.AmountPaid, Currency: i.Currency,
			Customer: i.Customer, Occurred: e.Created, Extra: dispatch.Fields{"payment_intent": pi, "subscription": sub},
		}.Insert(e.Input)
		return dispatch.Effects{effect.KeepRow(e, effect.Row{
			Kind: "invoice", Customer: i.Customer, Created: i.Created,
			Extra: dispatch.Fields{"status": i.Status, "amount_paid": i.AmountPaid, "subscription": sub, "payment_intent": pi},
		}), fact}, err
	})
	dispatch.OnCurrent(mux, "customer.subscription.updated", func(_ context.Context, e dispatch.Current[newerSubscription]) (dispatch.Effects, error) {
		s := &e.Object
		end := s.Items.Data[0].CurrentPeriodEnd
		fields := effect.Item(e.Input, "entitlement", s.Customer)
		fields["subscription"], fields["status"], fields["active"], fields["until"] = s.ID, s.Status, s.Status == "active", end
		return dispatch.Effects{effect.KeepRow(e, effect.Row{
			Kind: "subscription", Customer: s.Customer, Created: s.Created,
			Extra: dispatch.Fields{"status": s.Status, "current_period_end": end},
		}), e.KeepWith(dispatch.Key("ENT", e.Envelope, s.ID), fields)}, nil
	})
}

// moving is a stage that moves from one version to the next: both endpoints deliver, and either
// release may handle what either of them delivered.
type moving struct {
	*idempotencytest.Memory
	t       *testing.T
	objects map[string]object // at Stripe, in the pinned version
	old     *dispatch.Mux
	newer   *dispatch.Mux
	fetched map[string]int // by version
}

// fetches returns a Stripe that shows objects in a version.
func (m *moving) fetches(version string) dispatch.Objects { return versioned{m, version} }

type versioned struct {
	*moving
	version string
}

func (v versioned) FetchObject(_ context.Context, _, _, id string) ([]byte, error) {
	v.moving.fetched[v.version]++
	return json.Marshal(shapeOf(v.objects[id], v.version))
}

// shapeOf returns a copy of an object of the pinned version in another one.
func shapeOf(pinned object, version string) (o object) {
	raw, _ := json.Marshal(pinned) // a decoded object can be encoded
	_ = json.Unmarshal(raw, &o)
	if version == basil && o["object"] == "invoice" {
		basilInvoice(o)
	} else if version == basil {
		basilSubscription(o)
	}
	return o
}

func newMoving(t *testing.T) *moving {
	m := &moving{Memory: idempotencytest.NewMemory(nil), t: t, objects: map[string]object{}, fetched: map[string]int{}}
	m.old = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: m.fetches(stripe.APIVersion), Rows: m})
	handlers.Register(m.old)
	m.newer = dispatch.NewMux(dispatch.Config{APIVersion: basil, Objects: m.fetches(basil), Rows: m})
	registerNewer(m.newer)
	return m
}

// change changes an object and returns its event, as both endpoints deliver it.
func (m *moving) change(n int, typ string, o object) (old, newer []byte) {
	id := o["id"].(string)
	m.objects[id] = o
	for _, version := range []string{stripe.APIVersion, basil} {
		body, err := json.Marshal(object{
			"id": fmt.Sprintf("evt_%d", n), "object": "event", "api_version": version, "created": 1_795_000_000 + n, "livemode": false,
			"type": typ, "data": object{"object": shapeOf(o, version)}, "pending_webhooks": 2,
		})
		if err != nil {
			m.t.Fatal(err)
		}
		if version == basil {
			newer = body
		} else {
			old = body
		}
	}
	return old, newer
}

// handle handles one delivery with one release, and reports whether it was the first.
func (m *moving) handle(mux *dispatch.Mux, body []byte) bool {
	m.t.Helper()
	env := parse(m.t, body)
	now := time.Unix(env.Created, 0)
	c, err := m.Claim(m.t.Context(), idempotency.ClaimRequest{Event: env, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now})
	if err != nil {
		m.t.Fatal(err)
	}
	switch c.Verdict {
	case idempotency.Duplicate:
		return false
	case idempotency.Claimed:
	default:
		m.t.Fatalf("claim %s of version %s: %s", env.ID, env.APIVersion, c.Verdict)
	}
	effects, err := mux.Dispatch(m.t.Context(), dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, FirstAt: now, Now: now})
	if err != nil {
		m.t.Fatalf("%s of version %s: %v", env.ID, env.APIVersion, err)
	}
	done, err := m.Complete(m.t.Context(), c.Claim, idempotency.Applied, effects, now)
	if err != nil || done.Verdict != idempotency.Completed {
		m.t.Fatalf("complete %s: %+v, %v", env.ID, done, err)
	}
	return true
}

// kept are the fields that both releases keep.
func (m *moving) kept() map[string]object {
	out := map[string]object{}
	for _, key := range m.Keys() {
		item, _, err := m.Item(m.t.Context(), key)
		if err != nil {
			m.t.Fatal(err)
		}
		fields := object{}
		for _, name := range []string{"kind", "customer", "status", "amount_paid", "amount", "subscription", "payment_intent", "current_period_end", "active", "until", "ver"} {
			if v, ok := item[name]; ok {
				fields[name] = v
			}
		}
		if item["kind"] != "outbox" {
			out[key] = fields
		}
	}
	return out
}

// play moves the stage: at first the old release, then either of both, then the newer one; in the
// middle it may be rolled back. release chooses the release and the order of deliveries for each
// change.
func (m *moving) play(release func(n int) (newer, newerFirst bool)) {
	m.t.Helper()
	for n := range 12 {
		body, typ := golden(m.t, "invoice.paid"), "invoice.paid"
		members := object{"id": fmt.Sprint("in_", n/4), "subscription": "sub_9", "payment_intent": fmt.Sprint("pi_", n)}
		if n%2 == 1 {
			body, typ = golden(m.t, "customer.subscription.updated"), "customer.subscription.updated"
			members = object{"id": "sub_9", "current_period_end": 1_900_000_000 + n, "cancel_at": nil, "ended_at": nil}
		}
		var e object
		if err := json.Unmarshal(with(m.t, body, members), &e); err != nil {
			m.t.Fatal(err)
		}
		old, newer := m.change(n, typ, e["data"].(object)["object"].(object))
		isNewer, newerFirst := release(n)
		mux := m.old
		if isNewer {
			mux = m.newer
		}
		deliveries := [][]byte{old, newer}
		if newerFirst {
			deliveries = [][]byte{newer, old}
		}
		if !m.handle(mux, deliveries[0]) || m.handle(mux, deliveries[1]) {
			m.t.Errorf("evt_%d: the two deliveries are not one event", n)
		}
	}
}

// TestMoveToANewerVersion: whichever release handles whichever delivery, and after a rollback, the
// table has what it has without a move. Each release reads and replaces the rows of the other.
func TestMoveToANewerVersion(t *testing.T) {
	stay := newMoving(t)
	stay.play(func(int) (bool, bool) { return false, false })
	if stay.fetched[basil] != 0 || len(stay.kept()) != 6+2+3 {
		t.Fatalf("without a move: %d fetches of %s, items %v", stay.fetched[basil], basil, stay.Keys())
	}
	for _, tt := range []struct {
		name    string
		release func(rng *rand.Rand, n int) (newer, newerFirst bool)
	}{
		{"the reader first", func(_ *rand.Rand, n int) (bool, bool) { return n >= 4, n >= 8 }},
		{"the endpoint first", func(_ *rand.Rand, n int) (bool, bool) { return n >= 8, n >= 4 }},
		{"rolled back", func(_ *rand.Rand, n int) (bool, bool) { return n >= 3 && n < 9, n%3 == 0 }},
		{"both at once", func(rng *rand.Rand, _ int) (bool, bool) { return rng.IntN(2) == 0, rng.IntN(2) == 0 }},
		{"only the newer", func(*rand.Rand, int) (bool, bool) { return true, true }},
	} {
		for seed := range uint64(10) {
			t.Run(fmt.Sprint(tt.name, " ", seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				m := newMoving(t)
				m.play(func(n int) (bool, bool) { return tt.release(rng, n) })
				if diff := cmp.Diff(stay.kept(), m.kept()); diff != "" {
					t.Errorf("the table, to that without a move (-want +got):\n%s", diff)
				}
			})
		}
	}
}
