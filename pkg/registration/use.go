package registration

import (
	"errors"
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

// Serves says why it is not proved that the secret at a place verifies deliveries, nil
// if it is. names is how many endpoints have secrets.
func (e Evidence) Serves(index, names int) error {
	if names > 1 {
		return fmt.Errorf("%d endpoints have secrets, and the count does not tell them apart", names)
	}
	if e.Now.Before(e.Settled) {
		return fmt.Errorf("not every process knows the present secrets yet: wait until %s", e.Settled.Local().Format(time.TimeOnly))
	}
	for _, u := range e.Uses {
		if u.Index == index && u.Count > 0 {
			return nil
		}
	}
	return errors.New("its secret has verified no delivery yet")
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

// Removable returns which of the secrets behind the first are no endpoint's: delivering
// are the endpoints that deliver to the URL. One of several whose secret is not known
// makes that an error.
func Removable(list []Secret, delivering []Endpoint) (old []Secret, err error) {
	marks := map[string]bool{}
	for _, e := range delivering {
		mark := e.Metadata[MetaSecret]
		if mark == "" && len(delivering) > 1 {
			return nil, fmt.Errorf("%d endpoints deliver to this URL, and which secret is that of %s is not known", len(delivering), e.ID)
		}
		marks[mark] = true
	}
	for _, s := range list[min(1, len(list)):] {
		if !marks[s.Fingerprint()] {
			old = append(old, s)
		}
	}
	return old, nil
}

// Delivering returns the endpoints that deliver to a URL, for whichever accounts.
func Delivering(all []Endpoint, url string) (list []Endpoint) {
	for _, e := range all {
		if !e.Disabled && sameURL(e.URL, url) {
			list = append(list, e)
		}
	}
	return list
}
