package simulation

import (
	"fmt"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

// missed returns the number of events that consumers counted as never delivered.
func (sc *scenario) missed() int { return sc.counts.n["outcome: missed"] }

// TestStoppedConsumerIsNoMissedDelivery: while the consumer is stopped, events have no record and
// passes send each again. Afterwards none counts as missed, as each event's own message arrives.
func TestStoppedConsumerIsNoMissedDelivery(t *testing.T) {
	for _, stopped := range []time.Duration{20 * time.Minute, 4 * time.Hour} {
		t.Run(fmt.Sprint(stopped), func(t *testing.T) {
			fixedPlan{
				events: 60, spread: stopped, reconciler: always(), outages: []planned{{part: consumers, long: stopped}},
			}.run(t, func(t *testing.T, sc *scenario) {
				l := limits.AWS()
				sc.liveUntil(time.Now().Add(stopped))
				if n := sc.most(); n > 1+int(stopped/l.Reconcile.Frequent.Every)+1 {
					t.Errorf("%d messages of one event after %v without a consumer", n, stopped)
				}
				sc.live(2 * l.MissedAfter)
				if n := sc.missed(); n > 0 {
					t.Errorf("%d events count as missed, and all were delivered", n)
				}
				sc.whole(t)
			})
		})
	}
}

// TestMissedDeliveriesAreCounted: Stripe withholds one event in two; exactly those count as missed,
// once each.
func TestMissedDeliveriesAreCounted(t *testing.T) {
	reconciler := always()
	reconciler.withheld = 0.5
	fixedPlan{events: 60, spread: 3 * time.Hour, reconciler: reconciler}.run(t, func(t *testing.T, sc *scenario) {
		withheld := 0
		for _, f := range sc.facts {
			if f.comes[0].due.IsZero() {
				withheld++
			}
		}
		l := limits.AWS()
		sc.live(3*time.Hour + l.Reconcile.SettleLag + l.Reconcile.Frequent.Every + 3*l.MissedAfter)
		if n := sc.missed(); n != withheld || withheld == 0 {
			t.Errorf("%d events count as missed, and Stripe withheld %d", n, withheld)
		}
		sc.whole(t)
	})
}

// checkMissed: an event whose own message was handled is not counted as missed.
func (sc *scenario) checkMissed(p *proc, f *fact) {
	if f.handled >= 0 && f.handled < p.started {
		sc.violate("%s: counted as a missed delivery, though a message of Stripe's was handled", f.id)
	}
}
