package simulation

import (
	"testing"
	"time"

	"tollgate/pkg/idempotency"
)

// TestPlatformListedByItsID: reconcile's map names the platform's account by its id, under which
// no webhook comes. The platform's failed events must not run again as that account's.
func TestPlatformListedByItsID(t *testing.T) {
	d := fixedPlan{events: 3, behaviour: permanent, reconciler: always()}
	d.run(t, func(t *testing.T, sc *scenario) {
		sc.live(0)
		sc.fixed.Store(true)
		sc.reconciler.platform, sc.reconciler.override = "acct_platform", time.Now().Add(-24*time.Hour)
		sc.live(8 * 24 * time.Hour) // every tier passes
		for _, f := range sc.facts {
			if sc.state(f) != idempotency.Failed || f.messages != 1 {
				t.Errorf("%s is %s after %d messages", f.id, sc.state(f), f.messages)
			}
		}
	})
}
