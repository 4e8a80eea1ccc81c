package limits

import (
	"errors"
	"fmt"
	"time"
)

// Retention is how long the table keeps what is complete; 0 is without end. The store sets it, no
// handler.
type Retention struct {
	Sent  time.Duration // of a message, from when it was sent
	Facts time.Duration // of a fact, from when it was written
}

// The least retentions. A late event would apply again what the table has forgotten: a record, which
// refuses it, is kept for 180 days, and a dispute or a refund may come over a year after its payment.
const (
	LeastSent  = 180 * 24 * time.Hour
	LeastFacts = 400 * 24 * time.Hour
)

// Validate returns what is too short.
func (r Retention) Validate() error {
	var errs []error
	for _, v := range []struct {
		name        string
		kept, least time.Duration
	}{{"sent messages", r.Sent, LeastSent}, {"facts", r.Facts, LeastFacts}} {
		if v.kept != 0 && v.kept < v.least {
			errs = append(errs, fmt.Errorf("%s are kept for %v, under %v: a late event would apply again what the table has forgotten", v.name, v.kept, v.least))
		}
	}
	return errors.Join(errs...)
}
