package registration

import (
	"fmt"
	"time"
)

// Use says how often one of an endpoint's secrets verified a delivery, by its place in
// the list. The count knows places alone: endpoints of other names count with it.
type Use struct {
	Index int       `json:"index"`
	Count int64     `json:"count"`
	Last  time.Time `json:"last"` // zero when it never did
}

// Evidence is what is known of the use of secrets.
type Evidence struct {
	Uses []Use
	// Settled is when every process knew the present list: from then on places in the
	// list mean what they mean now.
	Settled time.Time
	Now     time.Time
}

// FirstServes says why it is not proved that the first secret of the list verifies
// deliveries, nil if it is. names is how many endpoints have secrets.
func (e Evidence) FirstServes(names int) error {
	if names > 1 {
		return fmt.Errorf("%d endpoints have secrets, and the count does not tell them apart", names)
	}
	if e.Now.Before(e.Settled) {
		return fmt.Errorf("not every process knows the newest secret yet: wait until %s", e.Settled.Local().Format(time.TimeOnly))
	}
	for _, u := range e.Uses {
		if u.Index == 0 && u.Count > 0 {
			return nil
		}
	}
	return fmt.Errorf("the newest secret has verified no delivery yet")
}

// RestIsUnused says why the secrets behind the first may still be needed, nil if they
// verified nothing for as long as asked while the first did.
func (e Evidence) RestIsUnused(quiet time.Duration) error {
	if until := e.Settled.Add(quiet); e.Now.Before(until) {
		return fmt.Errorf("the list was changed too lately to tell: wait until %s", until.Local().Format(time.DateTime))
	}
	served := false
	for _, u := range e.Uses {
		switch {
		case u.Index == 0:
			served = u.Count > 0
		case u.Count > 0:
			return fmt.Errorf("secret %d verified %d deliveries, the last at %s: the sender still signs with it", u.Index, u.Count, u.Last.Local().Format(time.DateTime))
		}
	}
	if !served {
		return fmt.Errorf("no delivery came in the last %v: nothing proves that the newest secret is the sender's", quiet)
	}
	return nil
}
