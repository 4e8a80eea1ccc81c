package idempotency

import (
	"slices"
	"strings"
	"time"

	"tollgate/pkg/limits"
)

// maxTook is the longest that a function runs; clocks may show more.
const maxTook = 15 * time.Minute

// MaxHistory is the number of failed attempts that a record keeps.
const MaxHistory = 10

// Attempt is a failed attempt. One that was killed wrote nothing and is in no history; a later
// attempt's number shows it if it had a claim.
type Attempt struct {
	Number      int64
	Start       time.Time
	Took        time.Duration // from its start to the write of its failure
	Fingerprint string        // of its error, by queue.Fingerprint
	Frame       string        // where it failed, as "handlers.paid invoice.go:42"; "" if unknown
}

// Failed returns the history with the claim's failed attempt, the last MaxHistory of them.
func (c *Claim) Failed(f Failure) []Attempt {
	start := time.UnixMilli(c.Start.UnixMilli()).UTC()
	all := append(slices.Clone(c.History), Attempt{
		Number: c.Attempt, Start: start, Took: min(max(0, f.Now.Sub(start)), maxTook).Truncate(time.Millisecond),
		Fingerprint: plain(f.Fingerprint, 12), Frame: plain(f.Frame, limits.MaxFrame),
	})
	return all[max(0, len(all)-MaxHistory):]
}

// plain removes what separates attempts and their parts where they are stored.
func plain(s string, n int) string {
	return limits.Cut(strings.NewReplacer(",", "_", "|", "_").Replace(s), n)
}
