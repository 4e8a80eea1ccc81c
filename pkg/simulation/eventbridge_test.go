package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// Stripe's partner events come with the webhooks: the stack's rule puts them into the queue as
// EventBridge writes them, at least once, for a day, and then into the dead-letter queue.

// busShare is n where one in n plans has an event bus too.
const busShare = 3

const (
	busRetries = 24 * time.Hour
	busWait    = 10 * time.Minute // at most, between two tries
)

// busPolicy is the policy of the bus, where endpoints have any: it takes one of the accounts.
func busPolicy(onMismatch policy.Action) policy.Policy {
	return policy.Policy{Livemode: []bool{true}, Accounts: []string{"acct_eu"}, OnMismatch: onMismatch}
}

// partnerEvent is an event as EventBridge writes it: with an id of its own.
func partnerEvent(f *fact) string {
	return fmt.Sprintf(`{"version":"0","id":"00000000-0000-4000-8000-%012d","detail-type":%q,"source":"%sed_test_1","account":"123456789012","time":%q,"region":"eu-central-1","resources":[],"detail":%s}`,
		f.created, f.env.Type, queue.PartnerSource, f.happened.UTC().Format(time.RFC3339), f.body)
}

// busOf returns the endpoint of a message that EventBridge wrote, "" for another one.
func busOf(body string) string {
	if strings.Contains(body, `"source":"`+queue.PartnerSource) {
		return queue.PartnerEndpoint
	}
	return ""
}

// put makes one try of the rule.
func (sc *scenario) put(d *delivery) {
	d.due = time.Time{}
	again := time.Now().Add(sc.upTo(busWait))
	switch refused := sc.fails(queues) || sc.faulty(sc.plan.fault); {
	case refused && time.Since(d.f.happened) < busRetries:
		sc.count("eventbridge: the queue refuses")
		d.due = again
		return
	case refused:
		sc.count("eventbridge: to the dead-letter queue")
		sc.log("EventBridge gives %s up", d.f.id)
		sc.dead.add(partnerEvent(d.f), d.f.id, time.Now())
		d.f.copied = sc.step
	default:
		sc.count("eventbridge: stored")
		sc.log("EventBridge puts %s into the queue", d.f.id)
		sc.queue.add(partnerEvent(d.f), d.f.id, time.Now())
	}
	d.f.accepted = true
	at := d.f.env
	at.ReceivedAt = d.f.happened.Truncate(time.Second)
	sc.receivedBy(at)
	if sc.faulty(sc.plan.lose) || sc.faulty(sc.plan.again) { // its answer is lost, or it is a duplicate
		d.due = again
	}
}

// TestBusIsNoMissedDelivery: events that come through EventBridge alone, while the consumer is
// stopped, do not count as missed.
func TestBusIsNoMissedDelivery(t *testing.T) {
	const stopped = 20 * time.Minute
	fixedPlan{
		events: 60, spread: stopped, reconciler: always(), bus: true, outages: []planned{{part: consumers, long: stopped}},
	}.run(t, func(t *testing.T, sc *scenario) {
		for _, d := range sc.deliveries() {
			if d.endpoint != queue.PartnerEndpoint {
				d.due = time.Time{}
			}
		}
		sc.liveUntil(time.Now().Add(stopped))
		sc.live(2 * limits.AWS().MissedAfter)
		if n := sc.missed(); n > 0 {
			t.Errorf("%d events count as missed, and all were delivered", n)
		}
		sc.whole(t)
	})
}
