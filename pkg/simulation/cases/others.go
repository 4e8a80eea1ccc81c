package cases

import (
	"tollgate/pkg/ledger"
)

// disputes: the business is alarmed only of a dispute that evidence can still be given for.
func (b builder) disputes() (all []Case) {
	due := b.Now + 7*day
	for _, tt := range []struct {
		status          string
		opened, inquiry bool
	}{
		{"lost", false, false}, {"won", false, false}, {"under_review", false, false}, {"warning_closed", false, false},
		{"needs_response", true, false}, {"warning_needs_response", true, true},
	} {
		what := "born" + tt.status
		pi, d := b.payment(what), b.dispute(what, tt.status)
		if tt.opened {
			d["evidence_details"] = Object{"due_by": due, "has_evidence": false, "past_due": false, "submission_count": 0}
		}
		all = append(all, Case{
			Name: "03 dispute born " + tt.status, Customer: b.id("cus", what),
			Steps: []Step{
				{Objects: []Object{pi, set(b.charge(what), "payment_intent", pi["id"])}, Events: []Object{b.event(what+"p", "payment_intent.succeeded", pi)}},
				put(d, b.event(what+"d", "charge.dispute.created", d)),
			},
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				equal(&p, "status", only(&p, "disputes", l.Disputes).Status, tt.status)
				if !tt.opened {
					equal(&p, "alarms", len(messages(l, "dispute_opened")), 0)
					return p
				}
				m := only(&p, "alarms", messages(l, "dispute_opened"))
				equal(&p, "status told", m.Status, tt.status)
				equal(&p, "reason told", m.Reason, "fraudulent")
				equal(&p, "due date told", m.EvidenceDueBy, due)
				equal(&p, "inquiry told", m.Inquiry, tt.inquiry)
				return p
			},
		})
	}
	return all
}

// legacyCharge: a dispute of a charge without a payment intent; the charge names the customer.
func (b builder) legacyCharge() []Case {
	d := set(b.dispute("legacy", "needs_response"), "payment_intent", nil)
	return []Case{{
		Name: "16 dispute of a charge without a payment", Customer: b.id("cus", "legacy"),
		Steps: []Step{{Objects: []Object{b.charge("legacy"), d}, Events: []Object{b.event("legacy", "charge.dispute.created", d)}}},
		Check: func(l ledger.Ledger, _ bool) []string {
			var p problems
			dispute := only(&p, "disputes", l.Disputes)
			equal(&p, "charge", dispute.Charge, b.id("ch", "legacy"))
			equal(&p, "status", dispute.Status, "needs_response")
			return p
		},
	}}
}

// thin: thin events arrive at an endpoint of snapshots.
func (b builder) thin() []Case {
	ping := Object{
		"id": b.id("evt_test", "ping"), "object": "v2.core.event", "type": "v2.core.event_destination.ping", "created": "2026-11-28T07:00:00.000Z",
		"livemode": false, "context": nil, "reason": nil, "related_object": Object{"id": "ed_1", "type": "v2.core.event_destination", "url": "/v2/core/event_destinations/ed_1"},
	}
	invoice := Object{
		"id": b.id("evt_test", "thin"), "object": "v2.core.event", "type": "v1.invoice.paid", "created": "2026-11-28T07:00:00.000Z", "livemode": false,
		"snapshot_event": b.id("evt", "other"), "related_object": Object{"id": b.id("in", "thin"), "type": "invoice", "url": "/v1/invoices/" + b.id("in", "thin")},
	}
	return []Case{{
		Name: "24 thin events", Customer: b.id("cus", "thin"), // whose ledger stays empty
		Ends:  map[string]string{ping["id"].(string): "ignored", invoice["id"].(string): "ignored"},
		Steps: []Step{{Events: []Object{ping, invoice}}},
		Check: func(l ledger.Ledger, _ bool) []string {
			var p problems
			p.check(l.Empty(), "the ledger is %s, want none", text(l))
			return p
		},
	}}
}

// organisation: events of an organisation name the account in their context.
func (b builder) organisation() (all []Case) {
	for _, tt := range []struct{ what, context, version string }{
		{"direct", "%s", pinned}, {"nested", "org_1/%s", pinned}, {"newer", "org_1/%s", "2025-09-30.clover"},
	} {
		what, account := "org"+tt.what, b.id("acct", tt.what)
		pi := b.payment(what)
		sent := pi
		if tt.version != pinned {
			sent = b.payment(what)
			delete(sent, "invoice")
		}
		context := account
		if tt.what != "direct" {
			context = b.id("org", "") + "/" + account
		}
		e := b.event(what, "payment_intent.succeeded", sent, "context", context, "api_version", tt.version)
		all = append(all, Case{
			Name: "30 account in the context, " + tt.what, Customer: b.id("cus", what), Account: account,
			Steps: []Step{{Account: account, Objects: []Object{pi}, Events: []Object{e}}},
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				equal(&p, "account", l.Account, account)
				equal(&p, "amount", only(&p, "payments", facts(l, "payment")).Amount, b.Amount)
				only(&p, "receipts", messages(l, "receipt"))
				return p
			},
		})
	}
	alone := b.payment("orgalone")
	return append(all, Case{
		Name: "30 context without an account", Customer: b.id("cus", "orgalone"),
		Ends:  map[string]string{b.id("evt", "orgalone"): "account"},
		Steps: []Step{put(alone, b.event("orgalone", "payment_intent.succeeded", alone, "context", b.id("org", "")))},
		Check: func(l ledger.Ledger, _ bool) []string {
			var p problems
			p.check(l.Empty(), "an event of an unknown account is booked under the platform: %s", text(l))
			return p
		},
	})
}
