package bench

import "testing"

// most has the allocations of each step for an event of 3 KB. They do not depend on the
// machine. A change that needs more says here why.
func most() map[string]float64 {
	return map[string]float64{
		"Parse/of=tollgate":         9,
		"Verify/of=tollgate":        26,
		"Encode/of=tollgate":        2,
		"Decode/of=tollgate":        14,
		"IngestEncoded/of=tollgate": 60,
		"Ingest/of=tollgate":        376, // SendMessage alone is 320
		"Ignored/of=tollgate":       398, // one UpdateItem is 325
	}
}

// TestAllocations compares with the figures above. The race detector allocates too, so CI runs
// it once more without it.
func TestAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	limit := most()
	for _, s := range steps(t, 3<<10) {
		n, ok := limit[s.name]
		if !ok {
			continue // a floor
		}
		delete(limit, s.name)
		got := testing.AllocsPerRun(200, func() {
			if err := s.run(); err != nil {
				t.Error(err)
			}
		})
		if got > n+n/100 { // pools lose entries to the collector
			t.Errorf("%s: %.0f allocations, at most %.0f", s.name, got, n)
		} else if got < n-n/20 {
			t.Errorf("%s: %.0f allocations: lower its limit of %.0f", s.name, got, n)
		}
	}
	if len(limit) > 0 {
		t.Errorf("no such steps: %v", limit)
	}
}
