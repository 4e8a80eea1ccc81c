package boltfile

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestGather(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                    string
		waiting, expected, most int
		late                    time.Duration // when another call comes
		want                    int
		took                    time.Duration
	}{
		{"alone", 0, 1, 10, time.Hour, 1, 0},
		{"with all that wait", 3, 1, 10, time.Hour, 4, 0},
		{"with at most so many", 3, 1, 2, time.Hour, 2, 0},
		{"with one that is expected", 1, 3, 10, gatherDelay / 2, 3, gatherDelay / 2},
		{"without one that is late", 1, 3, 10, 2 * gatherDelay, 2, gatherDelay},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := make(chan int)
				end := make(chan struct{})
				defer close(end)
				send := func(n int, after time.Duration) {
					select {
					case <-time.After(after):
					case <-end:
						return
					}
					select {
					case calls <- n:
					case <-end:
					}
				}
				for n := range test.waiting {
					go send(n, 0)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				go send(100, test.late)
				began := time.Now()
				got := slices.Collect(Gather(-1, calls, test.expected, test.most))
				if took := time.Since(began); len(got) != test.want || got[0] != -1 || took != test.took {
					t.Errorf("%v after %v, want %d after %v", got, took, test.want, test.took)
				}
			})
		})
	}
}
