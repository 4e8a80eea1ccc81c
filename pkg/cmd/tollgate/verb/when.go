package verb

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// maxDays is far beyond what any verb looks back.
const maxDays = 100_000

// When reads a flag that names a time: days before now such as 7d, a duration before now such
// as 2h, a time (RFC 3339) or a day in UTC. An empty flag is the zero time.
func When(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= maxDays {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Usage("%s %q: give days such as 7d, a duration such as 2h, a time such as 2026-01-02T15:04:05Z, or a day such as 2026-01-02 (UTC)", flag, s)
}

// Split splits a comma-separated list and drops empty parts.
func Split(list string) (parts []string) {
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	return parts
}

// Unique drops repeated texts and keeps the order.
func Unique(list []string) (unique []string) {
	for _, s := range list {
		if !slices.Contains(unique, s) {
			unique = append(unique, s)
		}
	}
	return unique
}

// Pace returns a limiter of calls a second, 0 for no limit.
func Pace(rateLimit float64) *rate.Limiter {
	if rateLimit == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(rateLimit), 1)
}
