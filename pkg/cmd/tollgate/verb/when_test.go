package verb

import (
	"testing"
	"time"
)

func TestWhenOf(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"":                          {},
		"0d":                        now,
		"7d":                        now.AddDate(0, 0, -7),
		"0":                         now,
		"90m":                       now.Add(-90 * time.Minute),
		"1h30m":                     now.Add(-90 * time.Minute),
		"2026-03-10T11:00:00Z":      now.Add(-time.Hour),
		"2026-03-10T12:00:00+01:00": now.Add(-time.Hour),
		"2026-03-09":                time.Date(2026, 3, 9, 0, 0, 0, 0, time.Local),
	} {
		got, err := When("--since", s, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("When(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"d", "-1d", "-2h", "100001d", "1.5d", "7days", "2026-13-01", "soon", " 1h"} {
		got, err := When("--until", s, now)
		if err == nil || !got.IsZero() {
			t.Errorf("When(%q) = %v, want an error", s, got)
			continue
		}
		if want := "--until"; err.Error()[:len(want)] != want {
			t.Errorf("When(%q): %v does not name the flag", s, err)
		}
	}
}
