package sqs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// Options of [Open]; the zero value is ready to use.
type Options struct {
	// Now is read for every timestamp and due time; time.Now by default. Waiting itself follows the
	// runtime's timers, so a clock that stands still ends no long poll.
	Now func() time.Time
	// Account is the 12-digit account id in ARNs and queue URLs, "000000000000" by default.
	Account string
	// Region is the region in ARNs, "us-east-1" by default.
	Region string
	// Logger receives failures of the file and ends of move tasks, never a message's content. Silent by default.
	Logger *slog.Logger
	// Speed is how many of the queues' seconds pass in one real second, 1 to 10,000, 1 by default. It divides
	// every timeout, delay, wait, retention and move rate; timestamps that are reported stay real time.
	Speed int
	// BaseURL begins the queue URLs in answers, for example "http://127.0.0.1:4566". When empty the request's
	// Host header gives it.
	BaseURL string
}

const maxSpeed = 10_000

func (o Options) withDefaults() (Options, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Account = cmp.Or(o.Account, "000000000000")
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Speed = cmp.Or(o.Speed, 1)
	var faults []error
	if len(o.Account) != 12 || !only(o.Account, isDigit) {
		faults = append(faults, fmt.Errorf("account %q is not 12 digits", o.Account))
	}
	if !only(o.Region, isQueueNameChar) {
		faults = append(faults, fmt.Errorf("region %q has characters other than letters, digits and hyphens", o.Region))
	}
	if o.Speed < 1 || o.Speed > maxSpeed {
		faults = append(faults, fmt.Errorf("speed %d is not between 1 and %d", o.Speed, maxSpeed))
	}
	if u, err := url.Parse(o.BaseURL); o.BaseURL != "" && (err != nil || u.Host == "" || u.RawQuery != "") {
		faults = append(faults, fmt.Errorf("base URL %q is not http://host:port", o.BaseURL))
	}
	return o, errors.Join(faults...)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isQueueNameChar(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '_' }

// only says whether every byte of s is allowed; "" holds nothing else either.
func only(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}
