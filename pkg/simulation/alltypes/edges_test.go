package alltypes

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
)

// of returns the sample of a type.
func of(t testing.TB, list []sample, typ string) sample {
	t.Helper()
	for _, s := range list {
		if s.typ == typ {
			return s
		}
	}
	t.Fatalf("no sample of %s", typ)
	return sample{}
}

// with returns an event's members with some of them changed.
func with(e object, change object) object {
	out := maps.Clone(e)
	maps.Copy(out, change)
	return out
}

// TestWhatAnEndpointDoesNotTake: an event that a handler would take, of a mode or an
// account that its endpoint excludes, leaves no record. A type without a handler is
// ignored whatever the endpoint.
func TestWhatAnEndpointDoesNotTake(t *testing.T) {
	list := samples(t)
	paid, unhandled := of(t, list, "invoice.paid"), of(t, list, "customer.created")
	live := policy.Policy{Livemode: []bool{true}}
	own := policy.Policy{Accounts: []string{"", "acct_ours"}}
	ignoring := func(p policy.Policy) policy.Policy { p.OnMismatch = policy.Ignore; return p }
	for _, c := range []struct {
		name   string
		policy policy.Policy
		change object
		letter string // reason of its dead letter
		taken  bool
	}{
		{"a test event on a live endpoint is parked", live, nil, policy.ReasonLivemode, false},
		{"a test event on a live endpoint that ignores", ignoring(live), nil, "", false},
		{"a live event on a live endpoint", live, object{"livemode": true}, "", true},
		{"a connected account that is not on the list is parked", own, object{"account": "acct_stranger"}, policy.ReasonAccount, false},
		{"a connected account that is not on the list of one that ignores", ignoring(own), object{"account": "acct_stranger"}, "", false},
		{"the platform's own event", own, nil, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, options{objects: stripeWith(t, list), policy: c.policy})
			w.post(encode(t, with(paid.envelope(pinned), c.change)))
			w.post(encode(t, with(unhandled.envelope(pinned), c.change)))
			w.work()
			want := map[string]end{unhandled.event: {Outcome: idempotency.Ignored}}
			if c.taken {
				want[paid.event] = end{Outcome: idempotency.Applied}
			}
			if diff := cmp.Diff(want, w.ends()); diff != "" || (len(w.store.Keys()) > 0) != c.taken {
				t.Errorf("items %v, records (-want +got):\n%s", w.store.Keys(), diff)
			}
			if got := w.letters()[paid.event]; got != c.letter {
				t.Errorf("dead letter with reason %q, want %q", got, c.letter)
			}
		})
	}
}

// TestModeAndAccountAreInEveryKey: the same objects in test mode, in live mode and under
// an account make items of their own.
func TestModeAndAccountAreInEveryKey(t *testing.T) {
	paid := of(t, samples(t), "payment_intent.succeeded")
	w := newWorld(t, options{})
	for i, change := range []object{nil, {"livemode": true}, {"account": "acct_ours"}} {
		w.post(encode(t, with(with(paid.envelope(pinned), change), object{"id": fmt.Sprintf("evt_m%d", i)})))
	}
	w.work()
	var facts []string
	for _, key := range w.store.Keys() {
		if strings.HasPrefix(key, "FACT#") {
			facts = append(facts, key)
		}
	}
	id := paid.pinned["id"].(string)
	want := []string{"FACT#live#-#" + id + "#succeeded", "FACT#test#-#" + id + "#succeeded", "FACT#test#acct_ours#" + id + "#succeeded"}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// TestEventsWithoutAnObjectID: what is handled fails for good, in any version; what is
// not is ignored as ever.
func TestEventsWithoutAnObjectID(t *testing.T) {
	list := samples(t)
	for _, c := range []struct {
		typ, version string
		want         end
	}{
		{"invoice.paid", pinned, end{Reason: dispatch.ReasonHandler}},
		{"invoice.paid", "2025-03-31.basil", end{Reason: dispatch.ReasonHandler}},
		{"payment_intent.succeeded", pinned, end{Reason: dispatch.ReasonHandler}},
		{"payment_intent.succeeded", "2025-03-31.basil", end{Reason: dispatch.ReasonAPIVersion}},
		{"customer.subscription.deleted", pinned, end{Reason: dispatch.ReasonHandler}},
		{"invoice.upcoming", pinned, end{Outcome: idempotency.Ignored}},
		{"balance.available", "2025-03-31.basil", end{Outcome: idempotency.Ignored}},
	} {
		t.Run(c.typ+" "+c.version, func(t *testing.T) {
			s := of(t, list, c.typ).at(t, c.version)
			delete(s.inside, "id")
			w := run(t, []sample{s}, c.version, options{objects: stripeWith(t, list)})
			if diff := cmp.Diff(map[string]end{s.event: c.want}, w.ends()); diff != "" || len(w.store.Keys()) != 0 {
				t.Errorf("items %v, what became of it (-want +got):\n%s", w.store.Keys(), diff)
			}
		})
	}
}

// TestRequestAsAString: events of versions before 2017-05-25 have it so, and stripe-go's
// own Event cannot be decoded from them.
func TestRequestAsAString(t *testing.T) {
	list := samples(t)
	for _, version := range []string{pinned, "2017-04-06", ""} {
		for _, typ := range []string{"payment_intent.succeeded", "invoice.paid"} {
			t.Run(typ+" "+version, func(t *testing.T) {
				s := of(t, list, typ)
				w := newWorld(t, options{objects: stripeWith(t, list)})
				w.post(encode(t, with(s.envelope(version), object{"request": "req_8jDdpp7m2o3sVQ"})))
				w.work()
				if diff := cmp.Diff(map[string]end{s.event: {Outcome: idempotency.Applied}}, w.ends()); diff != "" {
					t.Errorf("what became of it (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestFiftyKeysOfEmoji: metadata counts characters, so 50 keys of 40 and values of 500
// may have four bytes each; escaped they have twelve. The bytes reach the handler as
// Stripe signed them, on a queue that takes ASCII, and none of them is kept.
func TestFiftyKeysOfEmoji(t *testing.T) {
	metadata := object{}
	for i := range 50 {
		metadata[fmt.Sprintf("%02d", i)+strings.Repeat("🧾", 38)] = strings.Repeat("💶", 500)
	}
	s := of(t, samples(t), "payment_intent.succeeded")
	s.inside = with(s.inside, object{"metadata": metadata})
	plain := s.body(t, pinned)
	escaped := new(bytes.Buffer)
	for _, r := range string(plain) {
		if r > 0xffff {
			fmt.Fprintf(escaped, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		} else {
			escaped.WriteRune(r)
		}
	}
	for name, body := range map[string][]byte{"as characters": plain, "escaped": escaped.Bytes()} {
		t.Run(name, func(t *testing.T) {
			if len(body) <= limits.CompressOver {
				t.Fatalf("the event has %d bytes only", len(body))
			}
			w := newWorld(t, options{})
			w.post(body)
			w.work()
			if diff := cmp.Diff(map[string]end{s.event: {Outcome: idempotency.Applied}}, w.ends()); diff != "" {
				t.Errorf("what became of it (-want +got):\n%s", diff)
			}
			if all := fmt.Sprint(w.items(), w.logs); strings.ContainsAny(all, "🧾💶") {
				t.Error("metadata is kept or logged")
			}
			var got []byte
			w = newWorld(t, options{register: func(m *dispatch.Mux) {
				dispatch.On(m, s.typ, func(_ context.Context, e dispatch.Event[stripe.PaymentIntent]) (dispatch.Effects, error) {
					got = e.Body
					if diff := cmp.Diff(len(metadata), len(e.Object.Metadata)); diff != "" {
						t.Errorf("keys (-want +got):\n%s", diff)
					}
					return nil, nil
				})
			}})
			w.post(body)
			w.work()
			if !bytes.Equal(body, got) {
				t.Errorf("%d bytes were signed, the handler has %d others", len(body), len(got))
			}
		})
	}
}

// TestCreatedInAnotherSecond: under the same id it is another event that took its name,
// and is kept for a person to look at; under an id of its own it is a second event for
// one change, and its fact is known.
func TestCreatedInAnotherSecond(t *testing.T) {
	s := of(t, samples(t), "payment_intent.succeeded")
	later := with(s.envelope(pinned), object{"created": today.Unix() - 39})
	t.Run("the same id", func(t *testing.T) {
		w := newWorld(t, options{})
		w.post(s.body(t, pinned))
		w.work()
		before := w.items()
		w.post(encode(t, later))
		w.work()
		if diff := cmp.Diff(before, w.items()); diff != "" || w.recordOf(s.event).Outcome != idempotency.Applied {
			t.Errorf("outcome %s, items (-before +after):\n%s", w.recordOf(s.event).Outcome, diff)
		}
		if diff := cmp.Diff(map[string]string{s.event: dispatch.ReasonCorrupt}, w.letters()); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
	})
	t.Run("another id", func(t *testing.T) {
		w := newWorld(t, options{})
		w.post(s.body(t, pinned))
		w.work()
		before := w.items()
		w.post(encode(t, with(later, object{"id": "evt_second"})))
		w.work()
		want := map[string]end{s.event: {Outcome: idempotency.Applied}, "evt_second": {Outcome: idempotency.Stale}}
		if diff := cmp.Diff(want, w.ends()); diff != "" {
			t.Errorf("what became of them (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, w.items()); diff != "" {
			t.Errorf("items (-before +after):\n%s", diff)
		}
	})
}

// TestThinEvents: one that nobody handles is ignored, even where a snapshot of its type
// is handled; one with a handler brings its reference.
func TestThinEvents(t *testing.T) {
	thin := func(id, typ string) []byte {
		return fmt.Appendf(nil, `{"id":%q,"object":"v2.core.event","type":%q,"livemode":false,"created":"2026-11-19T06:20:52.246Z","related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"},"reason":null}`, id, typ)
	}
	const meter = "v1.billing.meter.error_report_triggered"
	t.Run("without a handler", func(t *testing.T) {
		w := newWorld(t, options{})
		w.post(thin("evt_1", meter))
		w.post(thin("evt_2", "invoice.paid"))
		w.post(thin("evt_3", "v2.core.event_destination.ping"))
		w.work()
		ignored := end{Outcome: idempotency.Ignored}
		if diff := cmp.Diff(map[string]end{"evt_1": ignored, "evt_2": ignored, "evt_3": ignored}, w.ends()); diff != "" {
			t.Errorf("what became of them (-want +got):\n%s", diff)
		}
	})
	t.Run("with one", func(t *testing.T) {
		var got dispatch.Thin
		w := newWorld(t, options{register: func(m *dispatch.Mux) {
			handlers.Register(m)
			dispatch.OnThin(m, meter, func(_ context.Context, e dispatch.Thin) (dispatch.Effects, error) {
				got = e
				return dispatch.Effects{dispatch.Insert("FACT#test#-#"+e.Related.ID+"#error", nil)}, nil
			})
		}})
		w.post(thin("evt_1", meter))
		w.work()
		if diff := cmp.Diff(map[string]end{"evt_1": {Outcome: idempotency.Applied}}, w.ends()); diff != "" {
			t.Errorf("what became of it (-want +got):\n%s", diff)
		}
		want := dispatch.Related{ID: "mtr_1", Type: "billing.meter", URL: "/v1/billing/meters/mtr_1"}
		if diff := cmp.Diff(want, got.Related); diff != "" || got.Object != event.ObjectThin || got.Created != 1795069252 {
			t.Errorf("created %d, related (-want +got):\n%s", got.Created, diff)
		}
		w.item("FACT#test#-#mtr_1#error")
	})
}

// counted is Stripe, and how often it was asked.
type counted struct {
	objects
	fetches *int
}

func (c counted) FetchObject(ctx context.Context, account, name, id string) ([]byte, error) {
	*c.fetches++
	return c.objects.FetchObject(ctx, account, name, id)
}

// TestBurstOfUpdates: the time at which SQS got a message reaches the guard, so updates
// of one object that waited together cost one fetch; those that just came cost one each.
func TestBurstOfUpdates(t *testing.T) {
	list := samples(t)
	s := of(t, list, "customer.subscription.updated")
	for _, c := range []struct {
		name    string
		waited  time.Duration
		fetches int
		later   idempotency.Outcome
	}{
		{"that waited a minute", time.Minute, 1, idempotency.Stale},
		{"that just came", 0, 5, idempotency.Applied},
	} {
		t.Run(c.name, func(t *testing.T) {
			fetches := 0
			w := newWorld(t, options{
				objects: counted{stripeWith(t, list), &fetches},
				register: func(m *dispatch.Mux) {
					dispatch.OnCurrent(m, s.typ, func(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
						return dispatch.Effects{e.KeepRow(dispatch.Fields{"status": string(e.Object.Status)})}, nil
					}, dispatch.Coalesce)
				},
			})
			w.queues.age = c.waited
			want := map[string]end{}
			for i := range 5 {
				id := fmt.Sprintf("evt_u%d", i)
				w.post(encode(t, with(s.envelope(pinned), object{"id": id})))
				w.work()
				want[id] = end{Outcome: c.later}
			}
			want["evt_u0"] = end{Outcome: idempotency.Applied}
			if diff := cmp.Diff(want, w.ends()); diff != "" || fetches != c.fetches {
				t.Errorf("%d fetches, what became of them (-want +got):\n%s", fetches, diff)
			}
		})
	}
}
