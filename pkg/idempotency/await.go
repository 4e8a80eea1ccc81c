package idempotency

import (
	"context"
	"fmt"
	"time"
)

// Reader reads the record of an event; false when there is none.
type Reader interface {
	Get(ctx context.Context, eventID string) (Record, bool, error)
}

// awaitEvery is the time between two reads of a record.
const awaitEvery = 150 * time.Millisecond

// Await reads an event's record until over returns true or the time is end, at least once. It
// returns the record as last read, and an error when a read fails or the context ends.
func Await(ctx context.Context, records Reader, eventID string, end time.Time, over func(Record) bool) (Record, bool, error) {
	for {
		r, found, err := records.Get(ctx, eventID)
		if err != nil || found && over(r) || !time.Now().Before(end) {
			return r, found, err
		}
		select {
		case <-ctx.Done():
			return r, found, fmt.Errorf("wait for event %s: %w", eventID, ctx.Err())
		case <-time.After(min(awaitEvery, time.Until(end))):
		}
	}
}
