package main

import (
	"strconv"
	"strings"
	"time"
)

// maxDays bounds a number of days far beyond what any verb looks back.
const maxDays = 100_000

// whenOf reads the time that a flag names: a time before now, in days such as 7d or as a
// duration such as 2h, or a moment or a day. Nothing is the zero time.
func whenOf(flag, s string, now time.Time) (time.Time, error) {
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
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s %q is no number of days such as 7d, no duration such as 2h, no time such as 2026-01-02T15:04:05Z and no day", flag, s)
}
