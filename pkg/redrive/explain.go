package redrive

import (
	"context"
	"fmt"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// Records reads the idempotency record of an event; false when there is none.
type Records interface {
	Get(ctx context.Context, eventID string) (idempotency.Record, bool, error)
}

// Explain fills in, from the records, which letters are leftovers of done events, and the
// causes of those that the queue moved.
func Explain(ctx context.Context, records Records, letters []Letter) error {
	errs := make([]error, len(letters))
	each(len(letters), func(i int) {
		if l := &letters[i]; l.EventID() != "" && ctx.Err() == nil {
			errs[i] = explain(ctx, records, l)
		}
	})
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("explain dead letters: %w", err)
	}
	for _, err := range errs {
		if err != nil { // one tells enough
			return fmt.Errorf("explain dead letters: %w", err)
		}
	}
	return nil
}

// IsOf reports whether a record is of a letter's event. The id alone is not enough: the
// record may have been made under another identity, or by something else.
func IsOf(r idempotency.Record, l Letter) bool {
	return l.Undecodable == "" && r.Broken == "" && r.Ident == idempotency.Ident(l.Event)
}

func explain(ctx context.Context, records Records, l *Letter) error {
	r, found, err := records.Get(ctx, l.EventID())
	if err != nil || !found || !IsOf(r, *l) {
		return err
	}
	l.Done = r.State == idempotency.Done
	if l.From != FromQueue {
		return nil
	}
	l.From = FromRecord
	l.Cause.Error, l.Cause.Attempt = r.Err, r.Attempt
	if r.Reason != "" {
		l.Cause.Reason = r.Reason
	}
	l.Cause.Fingerprint = queue.Fingerprint(l.Type(), l.Cause.Reason, l.Cause.Error)
	return nil
}
