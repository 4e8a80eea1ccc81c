package scenes_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/pkg/local/scenes"
)

// TestScenes plays every scene by many seeds.
func TestScenes(t *testing.T) {
	for _, name := range scenes.Names() {
		t.Run(name, func(t *testing.T) {
			if wrong := playAll(t, name, *seeds, flaw{}); len(wrong) > 0 {
				t.Errorf("%d of %d seeds went wrong, one so:\n%s", len(wrong), *seeds, wrong[0])
			}
		})
	}
}

// playAll plays a scene by the seeds 0 to n-1, and returns what was wrong with which.
func playAll(t *testing.T, name string, n int, f flaw) (wrong []string) {
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := uint64(next.Add(1) - 1); seed < uint64(n); seed = uint64(next.Add(1) - 1) {
				p, err := newPlay(name, seed, f)
				if err == nil {
					err = p.run(t.Context())
				}
				if err != nil {
					mu.Lock()
					wrong = append(wrong, fmt.Sprintf("seed %d: %v", seed, err))
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return wrong
}
