package doctor

import (
	"context"
	"time"

	"tollgate/pkg/outbox"
)

// outboxLate is how long the alarm outbox-late waits. The outbox task runs every minute.
const outboxLate = 15 * time.Minute

// CheckOutbox looks for messages that wait to be sent. unsent returns some of them, and whether
// there are more; held ones are none of them.
func CheckOutbox(unsent func(ctx context.Context) (waiting []outbox.Message, more bool, err error), s Target, now func() time.Time) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "outbox"}
		waiting, more, err := unsent(ctx)
		if err != nil {
			return unknown(f.name, err, "dynamodb:Query on the table's index list")
		}
		late, bound := 0, outboxLate/time.Duration(max(s.Limits.TimeScale, 1))
		var oldest time.Duration
		for _, m := range waiting {
			if m.Queued.IsZero() {
				continue
			}
			age := now().Sub(m.Queued)
			if oldest = max(oldest, age); age > bound {
				late++
			}
		}
		const do = "does the reconcile function run? tollgate outbox list --unsent, and see infra/README.md#alarm-outbox-late"
		if late > 0 {
			f.fail(do, "%d messages wait for over %s to be sent, the oldest for %s", late, bound, oldest.Round(time.Second))
		}
		if more {
			f.warn(do, "over %d messages wait to be sent", len(waiting))
		}
		return f.or("%d wait to be sent", len(waiting))
	}
}
