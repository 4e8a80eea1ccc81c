package dynamostore

import (
	"context"
	"time"

	"tollgate/pkg/limits"
)

// Bounds of the retries after a conflict, throttling or a lost response. The wait doubles
// from firstWait to longestWait; a deadline usually ends it before maxTries.
const (
	maxTries    = 12
	firstWait   = 20 * time.Millisecond
	longestWait = 500 * time.Millisecond
)

// retry sends the same bytes until DynamoDB accepts or refuses them or time runs out, and
// returns the last fault. That is safe after a lost response: the fence lets a write apply
// only once, and an attempt recognizes its own write in the record.
func (s *writer) retry(ctx context.Context, send func(context.Context) error) *fault {
	for try := 0; ; try++ {
		err := s.once(ctx, send)
		if err == nil {
			return nil
		}
		f := faultOf(err)
		if !f.transient() || try+1 == maxTries || !s.pause(ctx, min(firstWait<<try, longestWait)) {
			return f
		}
	}
}

func (s *writer) once(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.try)
	defer cancel()
	return send(ctx)
}

func (s *writer) pause(ctx context.Context, d time.Duration) bool {
	return limits.Pause(ctx, d, s.margin, s.random())
}
