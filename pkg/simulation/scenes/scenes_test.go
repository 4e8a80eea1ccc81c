package scenes_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/local/scenes"
)

// TestScenes plays every scene with many seeds.
func TestScenes(t *testing.T) {
	start := time.Now()
	for _, name := range scenes.Names() {
		t.Run(name, func(t *testing.T) {
			if wrong := playAll(t, name, *seeds, flaw{}); len(wrong) > 0 {
				t.Errorf("%d of %d seeds went wrong, one so:\n%s", len(wrong), *seeds, wrong[0])
			}
		})
	}
	t.Logf("figure: make sim SEEDS=%d | %d stories, %d seeds each, in %v on %d CPUs",
		*seeds, len(scenes.Names()), *seeds, time.Since(start).Round(time.Second), runtime.NumCPU())
}

// playAll plays a scene with the seeds 0 to n-1 and returns the failures.
func playAll(t *testing.T, name string, n int, f flaw) (wrong []string) {
	var next atomic.Int64
	var mu sync.Mutex
	t.Run("plays", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for seed := uint64(next.Add(1) - 1); seed < uint64(n); seed = uint64(next.Add(1) - 1) {
					if err := playOne(t, name, seed, f); err != nil {
						mu.Lock()
						wrong = append(wrong, fmt.Sprintf("seed %d: %v", seed, err))
						mu.Unlock()
					}
				}
			})
		}
	})
	return wrong
}

// playOne plays a scene in a synctest bubble, where waits take no time. The bubble's clock is past
// the play's own, as deadlines are by the former.
func playOne(t *testing.T, name string, seed uint64, f flaw) (err error) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(sceneTime.AddDate(1, 0, 0)))
		var p *play
		if p, err = newPlay(name, seed, f); err == nil {
			err = p.run(t.Context())
		}
	})
	return err
}
