package alltypes

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/stripeapi"
)

// TestListIsWhole: the list has every type of the pinned version with its kinds of object, once;
// all these objects but one have a fixture.
func TestListIsWhole(t *testing.T) {
	all, seen := resources(t), map[kind]bool{}
	var types []string
	for _, k := range kinds(t) {
		if seen[k] {
			t.Errorf("%s is listed twice", k)
		}
		seen[k] = true
		types = append(types, k.typ)
	}
	types = slices.Compact(types)
	pinned := pinnedTypes(t)
	if len(pinned) != 226 || len(types) != 303 {
		t.Errorf("%d types, %d of them of the pinned version; want 303 and 226", len(types), len(pinned))
	}
	for _, typ := range pinned {
		if !slices.Contains(types, typ) {
			t.Errorf("%s is not in the list", typ)
		}
	}
	for k := range seen {
		if slices.Contains(pinned, k.typ) && all[k.object] == nil && k.object != "application" {
			t.Errorf("no fixture of %s for %s", k.object, k.typ)
		}
	}
	for _, typ := range newSystem(t, nil).mux.Types() {
		if !slices.Contains(pinned, typ) {
			t.Errorf("%s is handled and not of the pinned version", typ)
		}
	}
}

// run sends all samples through a system and returns it.
func run(t *testing.T, list []sample, version string, has dispatch.Objects) *system {
	t.Helper()
	sys := newSystem(t, has)
	sys.keep(list)
	for _, s := range list {
		sys.post(s.body(t, version))
	}
	sys.work()
	return sys
}

// wanted returns the ends of all samples: as given for handled types, ignored for all others.
func (sys *system) wanted(list []sample, handled func(typ string) end) map[string]end {
	out := map[string]end{}
	for _, s := range list {
		out[s.event] = end{Outcome: idempotency.Ignored}
		if slices.Contains(sys.mux.Types(), s.typ) {
			out[s.event] = handled(s.typ)
		}
	}
	return out
}

func applied(string) end { return end{Outcome: idempotency.Applied} }

func TestEveryTypeAtThePinnedVersion(t *testing.T) {
	list := samples(t)
	sys := run(t, list, pinned, stripeWith(t, list))
	if diff := cmp.Diff(sys.wanted(list, applied), sys.ends()); diff != "" {
		t.Errorf("final states (-want +got):\n%s", diff)
	}
	for _, s := range list {
		if slices.Contains(sys.mux.Types(), s.typ) && len(sys.recordOf(s.event).Effects) == 0 {
			t.Errorf("%s is applied without an effect", s)
		}
	}
}

func (sys *system) recordOf(event string) idempotency.Record {
	sys.t.Helper()
	r, found, err := sys.store.Record(sys.t.Context(), event)
	if err != nil || !found {
		sys.t.Fatalf("no record of %s (%v)", event, err)
	}
	return r
}

// TestEveryTypeAtLaterVersions: snapshots lack what later versions moved, and the table is the same
// as with the pinned version: no value becomes a zero.
func TestEveryTypeAtLaterVersions(t *testing.T) {
	list := samples(t)
	plain := run(t, list, pinned, stripeWith(t, list)).items()
	for _, version := range laterVersions() {
		t.Run(version, func(t *testing.T) {
			var later []sample
			for _, s := range list {
				later = append(later, s.at(t, version))
			}
			stripe := stripeWith(t, later)
			sys := run(t, later, version, stripe)
			if diff := cmp.Diff(sys.wanted(list, applied), sys.ends()); diff != "" {
				t.Errorf("final states (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(plain, sys.items()); diff != "" {
				t.Errorf("the table, to that of the pinned version (-want +got):\n%s", diff)
			}
			for _, s := range later {
				_, asked := stripe.seen.Load(s.pinned["id"])
				if want := slices.Contains(sys.mux.Types(), s.typ); asked != want {
					t.Errorf("%s: its object was fetched %v, want %v", s, asked, want)
				}
			}
		})
	}
}

// TestMovedFieldsAreTheFetchedOnes lists the fields that basil moved and handlers keep, so that the
// comparison above cannot pass with two zeros.
func TestMovedFieldsAreTheFetchedOnes(t *testing.T) {
	list := samples(t)
	for i, s := range list {
		list[i] = s.at(t, "2025-03-31.basil")
	}
	sys := run(t, list, "2025-03-31.basil", stripeWith(t, list))
	const sub, charge = "sub_1TollgatenEWkc4VcXFgEE3H", "ch_3TollgateurDuJeSozlFYFvU"
	for _, c := range []struct {
		typ, prefix, suffix string
		want                map[string]any
		moved               []string // members of the object that the snapshot must not have
	}{
		{"customer.subscription.created", "OBJ#", "", map[string]any{"current_period_end": int64(1797638460)}, []string{"current_period_end"}},
		{"customer.subscription.updated", "OBJ#", "", map[string]any{"current_period_end": int64(1797638460)}, []string{"current_period_end"}},
		{"customer.subscription.updated", "ENT#", "", map[string]any{"until": int64(1797638460), "active": true}, []string{"current_period_end"}},
		{"customer.subscription.deleted", "OBJ#", "", map[string]any{"current_period_end": int64(1800230460)}, []string{"current_period_end"}},
		{"invoice.paid", "OBJ#", "", map[string]any{"subscription": sub, "payment_intent": "pi_3TollgateEJo6uJZkiTqBoDc", "status": "paid"}, []string{"subscription", "payment_intent", "paid"}},
		{"invoice.paid", "FACT#", "#paid#pi_3TollgateEJo6uJZkiTqBoDc", map[string]any{
			"subscription": sub, "payment_intent": "pi_3TollgateEJo6uJZkiTqBoDc", "charge": "ch_3TollgatehsXXMdgMofmytUT", "tax": int64(665), "amount": int64(4165),
		}, []string{"charge", "tax", "payment_intent"}},
		{"invoice.updated", "OBJ#", "", map[string]any{"paid_out_of_band": true, "subscription": sub}, []string{"paid_out_of_band", "subscription"}},
		{"invoice.payment_failed", "OBJ#", "", map[string]any{"subscription": sub, "payment_intent": "pi_3TollgateNkpoHV7KLMto9eI"}, []string{"subscription", "payment_intent", "charge"}},
		{"payment_intent.succeeded", "FACT#", "#succeeded", map[string]any{"invoice": "in_1", "charge": "ch_3TollgateHKCDXCba9gRveya"}, []string{"invoice"}},
		{"payment_intent.payment_failed", "FACT#", "#failed#" + charge, map[string]any{"invoice": "in_1", "charge": charge}, []string{"invoice"}},
	} {
		t.Run(c.typ+" "+c.prefix, func(t *testing.T) {
			s := list[slices.IndexFunc(list, func(s sample) bool { return s.typ == c.typ })]
			for _, member := range c.moved {
				if _, there := s.inside[member]; there || s.pinned[member] == nil {
					t.Errorf("member %s: in the snapshot %v, at the pinned version %v", member, there, s.pinned[member])
				}
			}
			got := sys.item(c.prefix + "test#-#" + s.pinned["id"].(string) + c.suffix)
			maps.DeleteFunc(got, func(name string, _ any) bool { _, asked := c.want[name]; return !asked })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

// noKey is Stripe's client without a key.
func noKey(t *testing.T) dispatch.Objects {
	t.Helper()
	c, err := stripeapi.New(stripeapi.Options{Key: func(context.Context) (string, error) { return "", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWhatCannotBeNormalisedIsParked: an event of another version whose object cannot be fetched at
// the pinned one becomes a dead letter, without effects.
func TestWhatCannotBeNormalisedIsParked(t *testing.T) {
	mux := newSystem(t, nil).mux
	all := slices.DeleteFunc(samples(t), func(s sample) bool { return !slices.Contains(mux.Types(), s.typ) })
	stripe := stripeWith(t, all)
	run(t, all, pinned, stripe)
	snapshots := map[string]bool{} // types whose handlers take the snapshot; the others fetch the object
	for _, s := range all {
		_, fetched := stripe.seen.Load(s.pinned["id"])
		snapshots[s.typ] = !fetched
	}
	for _, c := range []struct {
		name    string
		objects dispatch.Objects
		reason  func(typ string) string
	}{
		{"Stripe has no such object", objects{}, func(typ string) string {
			if snapshots[typ] {
				return dispatch.ReasonAPIVersion
			}
			return dispatch.ReasonObjectGone
		}},
		{"no API key", noKey(t), func(string) string { return dispatch.ReasonNoAPIKey }},
	} {
		for _, version := range append(laterVersions(), "") {
			t.Run(c.name+" "+version, func(t *testing.T) {
				var list []sample
				for _, s := range all {
					list = append(list, s.at(t, version))
				}
				sys := run(t, list, version, c.objects)
				want := sys.wanted(list, func(typ string) end { return end{Reason: c.reason(typ)} })
				if diff := cmp.Diff(want, sys.ends()); diff != "" {
					t.Errorf("final states (-want +got):\n%s", diff)
				}
				for _, key := range sys.store.Keys() {
					if sys.item(key)["event_id"] != nil {
						t.Errorf("applied all the same: %s", key)
					}
				}
			})
		}
	}
}

// TestEveryTypeTwice: a second delivery of each event changes nothing.
func TestEveryTypeTwice(t *testing.T) {
	list := samples(t)
	sys := run(t, list, pinned, stripeWith(t, list))
	ends, items := sys.ends(), sys.items()
	for _, s := range list {
		sys.post(s.body(t, pinned))
	}
	sys.work()
	if diff := cmp.Diff(ends, sys.ends()); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(items, sys.items()); diff != "" {
		t.Errorf("items (-first +second):\n%s", diff)
	}
}
