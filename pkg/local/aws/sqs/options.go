package sqs

import (
	"cmp"
	"fmt"
	"time"
)

// Options of [Open]; the zero value is ready to use.
type Options struct {
	// Now is the clock for timestamps and due times; time.Now by default. Waits use the runtime's timers, so a
	// stopped clock does not end a long poll.
	Now func() time.Time
	// Speed divides every timeout, delay, wait and retention, 1 to 10,000, 1 by default. Reported timestamps are
	// in real time.
	Speed int
}

const maxSpeed = 10_000

func (o Options) withDefaults() (Options, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Speed = cmp.Or(o.Speed, 1)
	if o.Speed < 1 || o.Speed > maxSpeed {
		return o, fmt.Errorf("speed %d is not between 1 and %d", o.Speed, maxSpeed)
	}
	return o, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isQueueNameChar(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '_' }

// only reports whether every byte of s is allowed; true for "".
func only(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}
