package reconcile

import (
	"testing"
	"time"
)

// TestNewer: the order in which notes of one time are read decides nothing.
func TestNewer(t *testing.T) {
	at := time.Unix(100, 0)
	short := Covered{Tier: "frequent", To: at, DoneAt: at}
	for name, c := range map[string]Covered{
		"done later":                 {Tier: "frequent", To: at, DoneAt: at.Add(1)},
		"longer":                     {Tier: "frequent", To: at.Add(1), DoneAt: at},
		"of another tier, as long":   {Tier: "weekly", To: at, DoneAt: at},
		"done later, though shorter": {Tier: "frequent", To: at.Add(-1), DoneAt: at.Add(1)},
	} {
		if !newer(c, short) || newer(short, c) {
			t.Errorf("%s: not the newer one", name)
		}
	}
}
