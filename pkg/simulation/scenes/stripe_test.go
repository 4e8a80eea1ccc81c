package scenes_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"tollgate/pkg/ledger/ledgertest"
	"tollgate/pkg/local/scenes"
)

// place identifies an object: two accounts may have a customer of one id.
type place struct{ account, id string }

// version is an object's state and when Stripe shows it first; nil when it is deleted.
type version struct {
	visible time.Time
	object  json.RawMessage
}

// stripeState is what Stripe has. In some plays it lags: all reads show a change up to four seconds
// late. A new object is there at once.
type stripeState struct {
	lags    bool
	objects map[place][]version
	visible time.Time // of the last step
}

// next returns when Stripe shows a step that happens now.
func (s *stripeState) next(now time.Time, rng *rand.Rand) time.Time {
	if s.lags && rng.IntN(3) == 0 {
		now = now.Add(time.Duration(rng.IntN(4000)) * time.Millisecond)
	}
	if now.After(s.visible) {
		s.visible = now
	}
	return s.visible
}

func (s *stripeState) set(at place, v version) { s.objects[at] = append(s.objects[at], v) }

// shown returns an object as Stripe shows it, nil if it has none.
func (s *stripeState) shown(at place, now time.Time) (object json.RawMessage) {
	for i, v := range s.objects[at] {
		if i == 0 || !v.visible.After(now) {
			object = v.object
		}
	}
	return object
}

// expanded returns an object with what the product asks Stripe to expand.
func (s *stripeState) expanded(at place, kind string, now time.Time) json.RawMessage {
	raw := s.shown(at, now)
	members := map[string][]string{
		"dispute": {"charge"}, "radar.early_fraud_warning": {"charge"}, "refund": {"charge", "failure_balance_transaction"}, "invoice": {"payment_intent"},
	}[kind]
	if raw == nil || members == nil && kind != "charge" {
		return raw
	}
	var o map[string]json.RawMessage
	mustDecode(raw, &o)
	for _, name := range members {
		var id string
		_ = json.Unmarshal(o[name], &id) // null stays
		if whole := s.shown(place{at.account, id}, now); whole != nil {
			o[name] = whole
		}
	}
	if kind == "charge" {
		o["refunds"] = s.refunds(at, now)
	}
	return encoded(o)
}

// refunds is the list of a charge's refunds.
func (s *stripeState) refunds(charge place, now time.Time) json.RawMessage {
	list := []json.RawMessage{}
	for at := range s.objects {
		var r struct{ Object, Charge string }
		raw := s.expandedRefund(at, now)
		if raw == nil || at.account != charge.account {
			continue
		}
		if mustDecode(s.shown(at, now), &r); r.Charge == charge.id {
			list = append(list, raw)
		}
	}
	return encoded(map[string]any{"object": "list", "data": list, "has_more": false, "url": "/v1/charges/" + charge.id + "/refunds"})
}

// expandedRefund is a refund in a charge's list, nil for any other object.
func (s *stripeState) expandedRefund(at place, now time.Time) json.RawMessage {
	if len(at.id) < 3 || at.id[:3] != "re_" {
		return nil
	}
	var o map[string]json.RawMessage
	mustDecode(s.shown(at, now), &o)
	var id string
	_ = json.Unmarshal(o["failure_balance_transaction"], &id)
	if back := s.shown(place{at.account, id}, now); back != nil {
		o["failure_balance_transaction"] = back
	}
	return encoded(o)
}

// kept is what Stripe has of an account at the end.
func (s *stripeState) kept(account string, scene scenes.Scene) (k ledgertest.Kept) {
	for at, versions := range s.objects {
		if last := versions[len(versions)-1].object; at.account == account && last != nil {
			k.Objects = append(k.Objects, last)
		}
	}
	for _, step := range scene.Steps {
		if step.Account == account {
			k.Events = append(k.Events, step.Events...)
		}
	}
	return k
}

func mustDecode(raw json.RawMessage, into any) {
	if err := json.Unmarshal(raw, into); err != nil {
		panic(err)
	}
}

func encoded(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// dies is the moment at which a consumer's process dies.
type dies int

const (
	beforeCommit dies = 1 + iota
	afterCommit
)

// death is of one invocation's process: its claim stays until the lease has expired.
type death struct {
	when dies
	done bool
}

var errDead = errors.New("the process died")

func deathIn(ctx context.Context) *death {
	d, _ := ctx.Value(death{}).(*death)
	return d
}

// at reports whether the process dies now.
func (d *death) at(moment dies) bool {
	if d == nil || d.when != moment {
		return false
	}
	d.done = true
	return true
}
