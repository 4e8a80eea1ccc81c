package doctor

import (
	"context"
	"time"
)

// Offsets returns, by server name, by how much its clock is ahead of this machine's, to a
// second.
type Offsets func(ctx context.Context) (map[string]time.Duration, error)

// Bounds of a clock's offset. Signatures of Stripe and AWS are valid for five minutes.
const (
	clockWarn = 5 * time.Second
	clockFail = 60 * time.Second
)

// CheckClock checks this machine's clock, which dates replays, purges and audit entries.
func CheckClock(ahead Offsets, s Target) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "clock"}
		if s.Local {
			return []Finding{{f.name, Skipped, "a local system has this machine's own clock", ""}}
		}
		offsets, err := ahead(ctx)
		if err != nil {
			return []Finding{{f.name, Warn, "could not be checked: " + err.Error(), ""}}
		}
		if len(offsets) == 0 {
			return []Finding{{f.name, Skipped, "no server sent its time", ""}}
		}
		worst := time.Duration(0)
		for name, by := range offsets {
			worst = max(worst, by.Abs())
			switch {
			case by.Abs() > clockFail:
				f.fail("set this machine's clock (NTP)", "%s is off by %s", name, by.Round(time.Second))
			case by.Abs() > clockWarn:
				f.warn("set this machine's clock (NTP)", "%s is off by %s", name, by.Round(time.Second))
			}
		}
		return f.or("within %s of %d servers", max(worst.Round(time.Second), time.Second), len(offsets))
	}
}
