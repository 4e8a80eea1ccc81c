package ledgertest

import (
	"fmt"
	"slices"

	"tollgate/pkg/ledger"
)

// Settle prepares a ledger for a comparison with the truth: settled must equal want, and messages,
// which describes how its messages differ, must be "". It leaves out what depends on the order of
// deliveries and on which of two events for one change was first: the ids of events, and the times
// of messages.
func (t Truth) Settle(got ledger.Ledger) (want, settled ledger.Ledger, messages string) {
	want = t.Ledger
	outbox := got.Outbox
	got.Outbox = nil
	got.Payments = slices.Clone(got.Payments)
	for i := range got.Payments {
		got.Payments[i].Event = ""
	}
	got.Sort()
	want.Sort()
	return want, got, t.diffMessages(outbox)
}

// diffMessages pairs each message with what requests it.
func (t Truth) diffMessages(got []ledger.Message) (diff string) {
	found := make([]bool, len(t.messages))
	for _, m := range got {
		m.Key, m.Event, m.To, m.At, m.SentAt, m.Held = "", "", "", "", 0, false
		i := slices.IndexFunc(t.messages, func(w message) bool { return slices.Contains(w.one, m) })
		switch {
		case i < 0:
			diff += fmt.Sprintf("a message too many, or of another content: %+v\n", m)
		case found[i]:
			diff += fmt.Sprintf("a message twice: %+v\n", m)
		default:
			found[i] = true
		}
	}
	for i, w := range t.messages {
		if w.must && !found[i] {
			diff += fmt.Sprintf("a message is missing: %+v\n", w.one[0])
		}
	}
	return diff
}
