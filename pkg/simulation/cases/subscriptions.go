package cases

import (
	"fmt"

	"tollgate/pkg/ledger"
)

// paused: the collection of a subscription's payments is paused; its status stays active.
func (b builder) paused() (all []Case) {
	for i, pause := range []ledger.Pause{{Behavior: "void"}, {Behavior: "keep_as_draft", ResumesAt: b.Now + month}, {Behavior: "mark_uncollectible"}, {}} {
		what := fmt.Sprint("pause", i)
		before, after := b.subscription(what, "active"), b.subscription(what, "active")
		shown := Object{"behavior": pause.Behavior, "resumes_at": nil}
		if pause.ResumesAt != 0 {
			shown["resumes_at"] = pause.ResumesAt
		}
		if pause.Behavior != "" {
			after["pause_collection"] = shown
		} else { // the pause ends
			before["pause_collection"] = Object{"behavior": "void", "resumes_at": nil}
		}
		all = append(all, Case{
			Name: "01 paused collection " + pause.Behavior, Customer: b.id("cus", what),
			Steps: []Step{
				put(before, b.event(what+"a", "customer.subscription.created", before)),
				put(after, b.updated(what+"b", "customer.subscription.updated", after, Object{"pause_collection": before["pause_collection"]})),
			},
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				s, e := only(&p, "subscriptions", l.Subscriptions), only(&p, "entitlements", l.Entitlements)
				equal(&p, "status", s.Status, "active")
				equal(&p, "active", e.Active, true)
				for _, got := range []*ledger.Pause{s.PauseCollection, e.PauseCollection} {
					if got == nil {
						got = &ledger.Pause{}
					}
					equal(&p, "pause", *got, pause)
				}
				only(&p, "welcomes", messages(l, "welcome"))
				return p
			},
		})
	}
	return all
}

// neverPaid: a subscription begins incomplete. Only one that becomes active is welcomed, once.
func (b builder) neverPaid() (all []Case) {
	for _, tt := range []struct {
		status, event string
		welcomes      int
	}{
		{"incomplete_expired", "customer.subscription.updated", 0},
		{"canceled", "customer.subscription.deleted", 0},
		{"active", "customer.subscription.updated", 1},
		{"trialing", "customer.subscription.updated", 1},
	} {
		what := "begin" + tt.status
		before, after := b.subscription(what, "incomplete"), b.subscription(what, tt.status)
		last := b.updated(what+"b", tt.event, after, Object{"status": "incomplete"})
		if tt.welcomes == 0 {
			after = b.ended(what, tt.status)
			last = b.updated(what+"b", tt.event, after, Object{"status": "incomplete"})
		}
		if tt.event == "customer.subscription.deleted" {
			last = b.event(what+"b", tt.event, after)
		}
		all = append(all, Case{
			Name: "02 incomplete, then " + tt.status, Customer: b.id("cus", what),
			Steps: []Step{put(before, b.event(what+"a", "customer.subscription.created", before)), put(after, last)},
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				equal(&p, "status", only(&p, "subscriptions", l.Subscriptions).Status, tt.status)
				e := only(&p, "entitlements", l.Entitlements)
				equal(&p, "active", e.Active, tt.welcomes > 0)
				p.check(e.Until > 0, "until is %d", e.Until)
				equal(&p, "welcomes", len(messages(l, "welcome")), tt.welcomes)
				return p
			},
		})
	}
	return all
}

// periodEnds: until is the earlier of cancel_at and the end of the paid period, which a newer
// version has on the items.
func (b builder) periodEnds() (all []Case) {
	end := b.Now - 9*day + month
	for i, tt := range []struct {
		cancelAt, want int64
		onItems        bool
	}{
		{b.Now + 365*day, end, false}, {b.Now + day, b.Now + day, false}, {0, end, false}, {0, end, true}, {b.Now + 365*day, end, true},
	} {
		what := fmt.Sprint("until", i)
		s := b.subscription(what, "active")
		if tt.cancelAt != 0 {
			s["cancel_at"] = tt.cancelAt
		}
		if tt.onItems {
			delete(s, "current_period_end")
			s["items"].(Object)["data"].([]any)[0].(Object)["current_period_end"] = end
		}
		all = append(all, Case{
			Name: fmt.Sprintf("09 cancel_at in %d days, period on items %t", max(0, tt.cancelAt-b.Now)/day, tt.onItems), Customer: b.id("cus", what),
			Steps: []Step{put(s, b.event(what, "customer.subscription.created", s))},
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				e := only(&p, "entitlements", l.Entitlements)
				equal(&p, "active", e.Active, true)
				equal(&p, "until", e.Until, tt.want)
				return p
			},
		})
	}
	return all
}

// twoSubscriptions: a second subscription starts before the first one is deleted.
func (b builder) twoSubscriptions() []Case {
	customer := b.id("cus", "two")
	before := set(b.subscription("old", "active"), "customer", customer)
	after := set(b.ended("old", "canceled"), "customer", customer)
	second := set(b.subscription("new", "active"), "customer", customer)
	return []Case{{
		Name: "12 two subscriptions", Customer: customer,
		Steps: []Step{
			put(before, b.event("twoa", "customer.subscription.created", before)),
			put(second, b.event("twob", "customer.subscription.created", second)),
			put(after, b.event("twoc", "customer.subscription.deleted", after)),
		},
		Check: func(l ledger.Ledger, late bool) []string {
			var p problems
			active := map[string]bool{}
			for _, e := range l.Entitlements {
				active[e.Subscription] = e.Active
			}
			equal(&p, "entitlements", len(active), 2)
			equal(&p, "the new one's active", active[b.id("sub", "new")], true)
			equal(&p, "the old one's active", active[b.id("sub", "old")], false)
			welcomed := map[string]int{}
			for _, m := range messages(l, "welcome") {
				welcomed[m.ObjectID]++
			}
			equal(&p, "welcomes of the new one", welcomed[b.id("sub", "new")], 1)
			if !late { // an active state that was never seen is not welcomed
				equal(&p, "welcomes of the old one", welcomed[b.id("sub", "old")], 1)
			}
			return p
		},
	}}
}
