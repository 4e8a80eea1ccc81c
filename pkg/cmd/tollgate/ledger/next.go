package ledger

import (
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/ledger"
)

// nextSteps returns what someone should do about the states in a ledger, the most urgent first.
func nextSteps(l ledger.Ledger, now time.Time) (steps []string) {
	at := func(seconds int64) string { return verb.LongTime(time.Unix(seconds, 0)) }
	for _, d := range l.Disputes {
		if d.Status != "needs_response" && d.Status != "warning_needs_response" {
			continue
		}
		step := fmt.Sprintf("%s: submit evidence at Stripe, or accept the dispute", d.ID)
		if d.EvidenceDueBy != 0 && now.Unix() <= d.EvidenceDueBy {
			step += ", by " + at(d.EvidenceDueBy)
		} else if d.EvidenceDueBy != 0 {
			step = fmt.Sprintf("%s: evidence was due %s; look at the dispute at Stripe", d.ID, at(d.EvidenceDueBy))
		}
		steps = append(steps, step)
	}
	for _, w := range l.FraudWarnings {
		if w.Actionable {
			steps = append(steps, fmt.Sprintf("%s: refund %s if it was fraud: a dispute is likely", w.ID, w.Charge))
		}
	}
	for _, i := range l.Invoices {
		switch {
		case i.Status == "open" && i.NextPaymentAttempt != 0:
			steps = append(steps, fmt.Sprintf("%s: Stripe tries to collect it again at %s", i.ID, at(i.NextPaymentAttempt)))
		case i.Status == "open":
			steps = append(steps, fmt.Sprintf("%s: ask the customer to pay, or void it at Stripe: no further attempt is planned", i.ID))
		}
	}
	for _, r := range l.Refunds {
		if r.Status == "failed" || r.Status == "requires_action" {
			steps = append(steps, fmt.Sprintf("%s: the refund is %s: return the money in another way, or follow it at Stripe", r.ID, r.Status))
		}
	}
	if slices.ContainsFunc(l.Outbox, func(m ledger.Message) bool { return m.Held }) {
		steps = append(steps, "a message is held: tollgate outbox list --held shows why; tollgate outbox release sends it if it is still true")
	}
	return steps
}
