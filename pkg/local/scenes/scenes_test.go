package scenes_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/event"
	"tollgate/pkg/local/scenes"
)

var now = time.Unix(1_795_000_000, 0)

// seeds is how many scenes of each name a test looks at.
const seeds = 24

// eachScene runs f on scenes of every name, of both modes and with and without an account.
func eachScene(t *testing.T, f func(t *testing.T, s scenes.Scene)) {
	for _, name := range scenes.Names() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				o := scenes.Options{Seed: seed, Now: now, Livemode: seed%2 == 1}
				if seed%3 == 1 {
					o.Account = "acct_1Scene"
				}
				s, err := scenes.Make(name, o)
				if err != nil {
					t.Fatal(err)
				}
				if f(t, s); t.Failed() {
					t.Fatalf("that was seed %d", seed)
				}
			}
		})
	}
}

func TestMakeRefuses(t *testing.T) {
	if _, err := scenes.Make("opera", scenes.Options{Now: now}); err == nil || !strings.Contains(err.Error(), "subscription-life") {
		t.Errorf("a scene that there is not: %v, want an error that lists those there are", err)
	}
	if _, err := scenes.Make("refund", scenes.Options{}); err == nil {
		t.Error("a scene without a time is made")
	}
	if scenes.About("opera") != "" || scenes.About("refund") == "" {
		t.Error("About does not tell the scenes that there are from others")
	}
}

// Equal options make equal scenes; another seed or another time makes other ids, as one
// event id with two times would be two events that claim to be one.
func TestSeedsAndTimes(t *testing.T) {
	made := func(seed uint64, at time.Time) scenes.Scene {
		s, err := scenes.Make("subscription-life", scenes.Options{Seed: seed, Now: at})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if diff := cmp.Diff(made(7, now), made(7, now)); diff != "" {
		t.Errorf("equal options make two scenes:\n%s", diff)
	}
	a, b, c := made(7, now), made(8, now), made(7, now.Add(time.Second))
	if a.Customer == b.Customer || a.Customer == c.Customer {
		t.Error("two scenes have one customer")
	}
	if len(a.Steps) != len(c.Steps) {
		t.Error("at another time the same seed tells another story")
	}
}

// object is what every object has.
type object struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Livemode *bool          `json:"livemode"`
	Created  int64          `json:"created"`
	Metadata map[string]any `json:"metadata"`
	Deleted  bool           `json:"deleted"`
}

func TestObjectsAndEventsAreShapedAsStripes(t *testing.T) {
	eachScene(t, func(t *testing.T, s scenes.Scene) {
		ids := map[string]bool{}
		for _, step := range s.Steps {
			for _, raw := range step.Objects {
				decodes(t, raw)
			}
			for _, raw := range step.Events {
				env, err := event.Parse(raw)
				if err != nil {
					t.Fatalf("%v in\n%s", err, raw)
				}
				if env.APIVersion != stripe.APIVersion || owner(t, raw) != step.Account || env.Livemode != s.Livemode || ids[env.ID] {
					t.Errorf("event %s: version %s, account %q, live %t, or its id is another's too", env.ID, env.APIVersion, env.Account, env.Livemode)
				}
				if age := now.Unix() - env.Created; age < 0 || age > 29*86400 {
					t.Errorf("event %s of type %s is %d s old", env.ID, env.Type, age)
				}
				ids[env.ID] = true
				data, _, err := event.Data(raw)
				if err != nil {
					t.Fatal(err)
				}
				decodes(t, data)
			}
		}
	})
}

// owner is the account that an event names, by account or by either form of a context.
func owner(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	e := members(t, raw)
	account, _ := e["account"].(string)
	context, _ := e["context"].(string)
	if account != "" && context != "" {
		t.Errorf("an event has both an account and a context: %s, %s", account, context)
	}
	return account + context[strings.LastIndexByte(context, '/')+1:]
}

// decodes wants the Go type of the object's kind to read it, as the handlers will.
func decodes(t *testing.T, raw json.RawMessage) {
	t.Helper()
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	if o.Deleted {
		return
	}
	plain := o.Object == "balance_transaction"
	if !plain && o.Object != "refund" && o.Livemode == nil || o.Created == 0 || !plain && o.Object != "radar.early_fraud_warning" && o.Metadata == nil {
		t.Errorf("%s has no livemode, created or metadata", o.ID)
	}
	types := map[string]any{
		"customer": &stripe.Customer{}, "subscription": &stripe.Subscription{}, "invoice": &stripe.Invoice{}, "refund": &stripe.Refund{},
		"payment_intent": &stripe.PaymentIntent{}, "charge": &stripe.Charge{}, "dispute": &stripe.Dispute{}, "checkout.session": &stripe.CheckoutSession{},
		"radar.early_fraud_warning": &stripe.RadarEarlyFraudWarning{}, "balance_transaction": &stripe.BalanceTransaction{},
		"invoice_payment": &object{}, // of a later version
	}
	into, ok := types[o.Object]
	if !ok {
		t.Fatalf("object %s is a %q", o.ID, o.Object)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Errorf("%s does not decode as %T: %v", o.ID, into, err)
	}
	if !bytes.HasPrefix(raw, []byte("{\n  \"id\": \"")) && !bytes.HasPrefix(raw, []byte("{\n      \"id\": \"")) {
		t.Errorf("%s is not written as on the wire: %.60s", o.ID, raw)
	}
}

// An update says truly what was there before, and changes it.
func TestPreviousAttributesAreTrue(t *testing.T) {
	checked := 0
	eachScene(t, func(t *testing.T, s scenes.Scene) {
		before := map[string]map[string]any{}
		for _, step := range s.Steps {
			for _, raw := range step.Events {
				data, previous, err := event.Data(raw)
				if err != nil {
					t.Fatal(err)
				}
				now, was := members(t, data), members(t, previous)
				id, _ := now["id"].(string)
				for name, v := range was {
					if _, nested := v.(map[string]any); nested || before[id] == nil {
						continue
					}
					checked++
					if !cmp.Equal(v, before[id][name]) || cmp.Equal(v, now[name]) {
						t.Errorf("%s of %s: was %v, event says %v became %v", name, id, before[id][name], v, now[name])
					}
				}
			}
			for _, raw := range step.Objects {
				o := members(t, raw)
				before[o["id"].(string)] = o
			}
		}
	})
	if checked < 1000 {
		t.Errorf("only %d members were looked at", checked)
	}
}

func members(t *testing.T, raw json.RawMessage) (o map[string]any) {
	t.Helper()
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// Every scene has what makes it worth playing.
func TestScenesHoldWhatTheyPromise(t *testing.T) {
	tests := []struct {
		scene string
		types []string // of each seed's events
		some  []string // of some seeds'
	}{
		{"subscription-life", []string{"checkout.session.completed", "customer.subscription.created", "customer.subscription.updated",
			"customer.subscription.deleted", "invoice.paid", "invoice.payment_failed", "payment_intent.payment_failed", "invoice.finalized", "invoice.deleted"}, nil},
		{"trial-to-paid", []string{"customer.subscription.trial_will_end", "invoice.paid", "customer.subscription.updated"}, nil},
		{"refund", []string{"payment_intent.succeeded", "charge.refunded", "refund.created"}, []string{"refund.updated", "charge.refund.updated"}},
		{"dispute", []string{"charge.dispute.created"}, []string{
			"charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
			"radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"}},
		{"async-checkout", nil, []string{"checkout.session.completed", "checkout.session.async_payment_succeeded",
			"checkout.session.async_payment_failed", "checkout.session.expired"}},
		{"pause-and-resume", []string{"customer.subscription.updated"}, []string{"customer.subscription.trial_will_end",
			"customer.subscription.paused", "customer.subscription.resumed", "invoice.voided", "invoice.marked_uncollectible"}},
		{"void-and-uncollectible", []string{"customer.subscription.updated", "invoice.updated"},
			[]string{"invoice.voided", "invoice.marked_uncollectible", "invoice.payment_action_required", "invoice.payment_failed"}},
		{"reopened-invoice", []string{"invoice_payment.detached", "invoice.updated", "invoice.paid"}, []string{"invoice.voided"}},
		{"organisation", []string{"customer.subscription.created", "charge.refunded", "invoice.paid"}, []string{"customer.deleted"}},
		{"out-of-order", []string{"customer.subscription.updated"}, nil},
		{"storm", []string{"customer.subscription.updated"}, nil},
		{"many-items", []string{"customer.subscription.created", "customer.subscription.updated"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.scene, func(t *testing.T) {
			twins, ties, ever := 0, 0, map[string]bool{}
			for seed := range uint64(seeds) {
				s, err := scenes.Make(tt.scene, scenes.Options{Seed: seed, Now: now})
				if err != nil {
					t.Fatal(err)
				}
				seen, facts, seconds := map[string]bool{}, map[string]int{}, map[string]int{}
				for _, step := range s.Steps {
					for _, raw := range step.Events {
						env, err := event.Parse(raw)
						if err != nil {
							t.Fatal(err)
						}
						data, _, _ := event.Data(raw)
						seen[env.Type], ever[env.Type] = true, true
						facts[env.Type+string(data)]++
						if env.Type == "customer.subscription.updated" {
							seconds[time.Unix(env.Created, 0).String()]++
						}
					}
				}
				for _, typ := range tt.types {
					if !seen[typ] {
						t.Errorf("seed %d has no %s", seed, typ)
					}
				}
				twins += over(facts, 1)
				ties += over(seconds, 2)
			}
			for _, typ := range tt.some {
				if !ever[typ] {
					t.Errorf("no seed has %s", typ)
				}
			}
			if twins == 0 {
				t.Error("no change has two events")
			}
			if (tt.scene == "storm" || tt.scene == "out-of-order") && ties < seeds {
				t.Errorf("%d seconds with three updates in %d scenes", ties, seeds)
			}
		})
	}
}

// An event shows a subscription's first ten items, as Stripe's do, and the object has all.
func TestEventsShowTheFirstItems(t *testing.T) {
	type subscription struct {
		ID, Object string
		Items      struct {
			Data []json.RawMessage
			More bool `json:"has_more"`
		}
	}
	for seed := range uint64(seeds) {
		s, err := scenes.Make("many-items", scenes.Options{Seed: seed, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		most, cut := 0, 0
		for _, step := range s.Steps {
			for _, raw := range step.Objects {
				var o subscription
				if err := json.Unmarshal(raw, &o); err != nil || o.Items.More {
					t.Fatalf("seed %d: object %.200s (%v)", seed, raw, err)
				}
				if o.Object == "subscription" {
					most = len(o.Items.Data)
				}
			}
			for _, raw := range step.Events {
				data, previous, err := event.Data(raw)
				if err != nil {
					t.Fatal(err)
				}
				var now, was subscription
				if err := json.Unmarshal(data, &now); err != nil {
					t.Fatal(err)
				}
				if previous != nil && json.Unmarshal(previous, &was) != nil || was.Items.More || len(was.Items.Data) > 10 {
					t.Fatalf("seed %d: before it was %.200s", seed, previous)
				}
				if now.Object != "subscription" {
					continue
				}
				if now.Items.More != (most > 10) || len(now.Items.Data) != min(most, 10) {
					t.Fatalf("seed %d: of %d items an event shows %d, more: %v", seed, most, len(now.Items.Data), now.Items.More)
				}
				if now.Items.More {
					cut++
				}
			}
		}
		if most <= 10 || cut == 0 {
			t.Errorf("seed %d ends with %d items, %d of its events show less", seed, most, cut)
		}
	}
}

func over(counts map[string]int, n int) (many int) {
	for _, c := range counts {
		if c > n {
			many++
		}
	}
	return many
}

// However deliveries are shuffled, each step comes once and in order, each event dup
// times and never before its step.
func TestShuffled(t *testing.T) {
	reordered := 0
	eachScene(t, func(t *testing.T, s scenes.Scene) {
		for shuffle := range uint64(3) {
			step, seen, last := 0, map[string]int{}, ""
			at := map[string]int{} // step of each event
			for i := range s.Steps {
				for _, raw := range s.Steps[i].Events {
					at[string(raw)] = i
				}
			}
			lastStep := 0
			for _, a := range s.Shuffled(shuffle, 2) {
				if a.Step != nil {
					if a.Step != &s.Steps[step] {
						t.Fatalf("step %d comes out of turn", step)
					}
					step++
					continue
				}
				i, known := at[string(a.Event)]
				if !known || i >= step {
					t.Fatalf("an event of step %d comes before it", i)
				}
				if i < lastStep {
					reordered++
				}
				lastStep, last = i, string(a.Event)
				seen[last]++
			}
			for raw := range at {
				if seen[raw] != 2 {
					t.Fatalf("an event comes %d times, want 2", seen[raw])
				}
			}
			if step != len(s.Steps) {
				t.Fatalf("%d of %d steps", step, len(s.Steps))
			}
		}
	})
	if reordered == 0 {
		t.Error("nothing is ever out of order")
	}
	s, err := scenes.Make("refund", scenes.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.InOrder(3)); n <= len(s.Steps) || s.InOrder(1)[0].Step == nil {
		t.Errorf("in order there are %d actions", n)
	}
}
