package overview

import "time"

// span is a choice of the time that is shown, with its steps.
type span struct {
	Name, Words string
	span, step  time.Duration
}

// cloudStep is the step on AWS: CloudWatch keeps nothing finer than a minute of ours.
func (s span) cloudStep() time.Duration { return max(s.step, time.Minute) }

func ranges() []span {
	const day = 24 * time.Hour
	return []span{
		{"15m", "15 minutes", 15 * time.Minute, 10 * time.Second},
		{"1h", "60 minutes", time.Hour, 30 * time.Second},
		{"6h", "6 hours", 6 * time.Hour, 5 * time.Minute},
		{"24h", "24 hours", day, 15 * time.Minute},
		{"7d", "7 days", 7 * day, 2 * time.Hour},
		{"30d", "30 days", 30 * day, 6 * time.Hour},
	}
}

// rangeOf returns the one of a name, an hour for any other.
func rangeOf(name string) span {
	for _, s := range ranges() {
		if s.Name == name {
			return s
		}
	}
	return ranges()[1]
}
