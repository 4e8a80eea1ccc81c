package boltfile

import "time"

// gatherDelay bounds how long a commit waits for the writers of the last one.
const gatherDelay = time.Millisecond

// Gather gives the first call and all that wait, at most so many: they are to share a commit.
// As many writers as shared the last commit are likely to come back soon, so it waits a moment
// for that many.
func Gather[T any](first T, calls <-chan T, expected, most int) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		var late <-chan time.Time
		for n := 1; yield(first) && n < most; n++ {
			select {
			case first = <-calls:
				continue
			default:
			}
			if n >= expected {
				return
			}
			if late == nil {
				timer := time.NewTimer(gatherDelay)
				defer timer.Stop()
				late = timer.C
			}
			select {
			case first = <-calls:
			case <-late:
				return
			}
		}
	}
}
