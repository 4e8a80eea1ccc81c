package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// Records returns records of the index of failed events, and whether there are more.
type Records func(ctx context.Context) (open []idempotency.Record, more bool, err error)

// CheckRecords looks for stuck and dead events.
func CheckRecords(records Records, s Target, now func() time.Time) Check {
	return func(ctx context.Context) []Finding {
		open, more, err := records(ctx)
		if err != nil {
			return unknown("records", err, "dynamodb:Query on the table's indexes")
		}
		return append(stuck(open, more, s.Limits, now()), deadRecords(open, s, now())...)
	}
}

// stuck finds events whose message has receives left and whose next attempt is overdue.
func stuck(open []idempotency.Record, more bool, l limits.Limits, now time.Time) []Finding {
	f := findings{name: "records"}
	var died, waiting int
	var example string
	for _, r := range open {
		switch s := r.Status(now, l); {
		case !s.Stuck || s.Name == idempotency.StatusDead:
			continue
		case s.Name == idempotency.StatusRunning:
			died++
		default:
			waiting++
		}
		example = r.ID
	}
	if died+waiting > 0 {
		f.fail("does the consumer run? tollgate events show "+example+"; if its last receives could not reach the table it is a dead letter, tollgate dlq show "+example+"; reconcile sends what it still finds, tollgate events replay sends one",
			"%d events have receives left and no attempt for %s (%d died while they ran)", died+waiting, l.Reconcile.StuckAge, died)
	}
	if more {
		f.warn("tollgate causes --records", "there are more than %d open records", len(open))
	}
	return f.or("%d not done, each in progress or dead", len(open))
}

// deadRecords warns before SQS deletes dead letters. One that the queue moved keeps the time
// at which it was first sent, so it may have used the queue's whole retention before: only the
// rest is certain, of which 30 % is left for operators.
func deadRecords(open []idempotency.Record, s Target, now time.Time) []Finding {
	f := findings{name: "dead events"}
	n := 0
	var oldest idempotency.Record
	for _, r := range open {
		if r.Status(now, s.Limits).Where == idempotency.InDLQ {
			if n++; oldest.ID == "" || r.Updated.Before(oldest.Updated) {
				oldest = r
			}
		}
	}
	if n == 0 {
		return f.or("none")
	}
	age, sure := now.Sub(oldest.Updated), s.Limits.DLQRetention-s.Limits.SourceRetention
	if age > sure*7/10 {
		return f.fail("tollgate redrive, or tollgate dlq export, at once", "%d; the oldest, %s, dead for %s; its dead letter is kept for at least %s", n, oldest.ID, age.Round(time.Minute), sure)
	}
	return f.fail("tollgate causes, and after the fix tollgate redrive", "%d; the oldest, %s, dead for %s", n, oldest.ID, age.Round(time.Second))
}

// Rows returns rows that are not valid records, the number of rows read, and whether there
// are more.
type Rows func(ctx context.Context) (broken []idempotency.Record, read int, more bool, err error)

const maxNamed = 5

// CheckRows reports rows that this system cannot have written: an attribute of another type,
// running without a lease, or an unknown state. Such a row blocks its own event only.
func CheckRows(rows Rows) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "rows"}
		broken, read, more, err := rows(ctx)
		if err != nil {
			return unknown(f.name, err, "dynamodb:Scan on the table")
		}
		if len(broken) > 0 {
			var named []string
			for _, b := range broken[:min(len(broken), maxNamed)] {
				named = append(named, fmt.Sprintf("%s (%s)", b.ID, b.Broken))
			}
			if len(broken) > maxNamed {
				named = append(named, "…")
			}
			f.fail("something else wrote them: repair each by hand (key "+idempotency.KeyPrefix+"<event>), then tollgate redrive; tollgate events list --status broken lists them",
				"%d cannot be read as records, so that their events are never handled: %s", len(broken), strings.Join(named, ", "))
		}
		if more {
			f.warn("tollgate events list --status broken --max-read 1000000 reads more", "%d were read, and there are more", read)
		}
		return f.or("all %d can be read", read)
	}
}
