package doctor

import (
	"context"
	"fmt"
	"strings"

	"tollgate/pkg/idempotency"
)

// Rows returns rows that are not valid records, the number of rows read, and whether there
// are more.
type Rows func(ctx context.Context) (broken []idempotency.Record, read int, more bool, err error)

// maxNamed is the number of rows that a finding names.
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
