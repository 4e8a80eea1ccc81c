package doctor

import (
	"context"
	"time"
)

// Clock says how far this machine's clock is from others.
type Clock interface {
	// Offsets are by how much the clocks of servers that were asked are ahead of this
	// machine's, by their names. Such a time is exact to a second.
	Offsets(ctx context.Context) (map[string]time.Duration, error)
}

// Bounds of a clock's fault. Signatures of Stripe hold for five minutes, and so do AWS's.
const (
	clockWarn = 5 * time.Second
	clockFail = 60 * time.Second
)

// CheckClock compares this machine's clock: replays, leases and audit entries have its times.
func CheckClock(c Clock, s Site) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "clock"}
		if s.Local {
			return []Finding{{f.name, Skipped, "a local system has this machine's own clock", ""}}
		}
		offsets, err := c.Offsets(ctx)
		if err != nil {
			return []Finding{{f.name, Warn, "not known: " + err.Error(), ""}}
		}
		if len(offsets) == 0 {
			return []Finding{{f.name, Skipped, "nobody said what time it is", ""}}
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
