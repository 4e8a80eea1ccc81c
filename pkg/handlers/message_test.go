package handlers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/dispatch"
)

// messagesIn returns the messages among effects.
func messagesIn(effects dispatch.Effects) dispatch.Effects {
	return slices.DeleteFunc(slices.Clone(effects), func(e dispatch.Effect) bool { return !dispatch.IsMessageKey(e.Key) })
}

// TestMessagesReportTheBeginOfTheirState: a message is held or sent by the time when its
// state began, which is not when the event was created.
func TestMessagesReportTheBeginOfTheirState(t *testing.T) {
	for name, c := range map[string]struct {
		typ    string
		oldnew []string
		since  int64
	}{
		"receipt of an invoice":                   {"invoice.paid", nil, 1795046463},
		"receipt of an invoice without paid_at":   {"invoice.paid", []string{`"paid_at": 1795046463`, `"paid_at": null`}, 1795046464},
		"receipt of a payment":                    {"payment_intent.succeeded", nil, 1795053664},
		"payment_failed of a payment":             {"payment_intent.payment_failed", nil, 1795055403},
		"payment_failed of an invoice's attempt":  {"invoice.payment_failed", nil, 1797642064},
		"welcome":                                 {created, []string{`"status": "incomplete"`, `"status": "trialing"`}, 1795046460},
		"welcome to a subscription begun earlier": {created, []string{`"start_date": 1795046460`, `"start_date": 1790000000`, `"status": "incomplete"`, `"status": "active"`}, 1790000000},
		"welcome after the first payment":         {updated, nil, 1795046464},
		"dispute_opened":                          {"charge.dispute.created", nil, 1795219200},
	} {
		t.Run(name, func(t *testing.T) {
			for late, list := range map[time.Duration]string{24 * time.Hour: "OUT#", 24*time.Hour + time.Second: "HELD#"} {
				f, body := newFixture(), golden(t, c.typ, c.oldnew...)
				f.shows(t, body)
				f.received = time.Unix(c.since, 0).Add(late)
				effects, err := f.run(t, body)
				ms := messagesIn(effects)
				if err != nil || len(ms) != 1 || !strings.HasPrefix(ms[0].Fields["lst"].(string), list) || ms[0].Fields["at"] != time.Unix(c.since, 0).UTC().Format(time.RFC3339) {
					t.Errorf("received %v after the state: %v, error %v; want one message in %s", late, ms, err, list)
				}
			}
		})
	}
}

// TestLateEventLeavesAnAttemptToItsOwn: the event of a failed attempt that arrives weeks late
// finds a later attempt, and must not hold the message about that one.
func TestLateEventLeavesAnAttemptToItsOwn(t *testing.T) {
	const failed = "invoice.payment_failed"
	first, third := golden(t, failed), with(t, golden(t, failed, "evt_1TollgateRvyQBPDgrs8ROp8", "evt_third"), map[string]any{"attempt_count": 3})
	f := newFixture()
	f.shows(t, third)
	f.received = time.Unix(parse(t, first).Created, 0).Add(20 * 24 * time.Hour)
	effects, err := f.run(t, first)
	if err != nil || len(effects) != 1 || effects[0].Kind != dispatch.KindSwap {
		t.Fatalf("the late event: %v, error %v; want the row only", effects, err)
	}
	f.received = time.Unix(parse(t, third).Created, 0).Add(time.Second)
	effects, err = f.run(t, third)
	if ms := messagesIn(effects); err != nil || len(ms) != 1 || !strings.HasPrefix(ms[0].Fields["lst"].(string), "OUT#") {
		t.Errorf("the attempt's own event: %v, error %v; want one message to be sent", ms, err)
	}
	if _, err = once(t, golden(t, failed, `"attempt_count": 1`, `"attempt_count": "one"`)); permanent(err) == "" {
		t.Errorf("an attempt that cannot be read: %v, want a permanent failure", err)
	}
}
