package limits

import (
	"context"
	"time"
)

// Pause waits before another try, between d/2 and d as random goes from 0 to 1. It returns
// false when ctx ends before, and at once when ctx's deadline leaves less than the wait and
// rest, the time that the try needs.
func Pause(ctx context.Context, d, rest time.Duration, random float64) bool {
	d = time.Duration(float64(d) * (0.5 + random/2))
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d+rest {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
