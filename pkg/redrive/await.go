package redrive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// Tally counts the outcomes of letters that were sent again.
type Tally struct {
	Done, Failing, Dead, Waiting, Untracked int

	FailedID    string // an event of those that failed
	FailedError string // its error
}

// Failed is how many failed again, for good or to be tried again.
func (t Tally) Failed() int { return t.Failing + t.Dead }

// Await says how outcomes are waited for.
type Await struct {
	Records Records       // required
	Limits  limits.Limits // of the system; default limits.AWS()
	// Timeout ends the wait; what is under way then is counted as Waiting or Failing.
	// Defaults to 10 minutes.
	Timeout time.Duration
	// Every is the time between two looks at the records. Defaults to a second.
	Every time.Duration
	// FirstFailure ends the wait when any letter has failed again, though its message
	// may come once more.
	FirstFailure bool
	// Seen is told of the outcomes after each look. Default none.
	Seen func(Tally)
}

// DefaultTimeout of a wait.
const DefaultTimeout = 10 * time.Minute

// maxBadLooks in a row are too many.
const maxBadLooks = 5

// Run waits until every letter is done or dead, a time that the options bound. It reads a
// few records at once, and none again that is done or dead. A look that fails is made
// again, a few times. Cancelling the context ends it with the context's error and what
// was seen last.
func (w Await) Run(ctx context.Context, letters []Sent) (tally Tally, err error) {
	timed, cancel := context.WithTimeout(ctx, cmp.Or(max(w.Timeout, 0), DefaultTimeout))
	defer cancel()
	tick := time.NewTicker(cmp.Or(max(w.Every, 0), time.Second))
	defer tick.Stop()
	look := &looks{records: w.Records, limits: cmp.Or(w.Limits, limits.AWS()), outcomes: make([]Outcome, len(letters)), letters: letters}
	for bad := 0; timed.Err() == nil; {
		tally, err = look.again(timed)
		if err == nil {
			bad = 0
		} else if bad++; bad == maxBadLooks {
			return tally, fmt.Errorf("wait for outcomes: %w", err)
		}
		if w.Seen != nil {
			w.Seen(tally)
		}
		if tally.Waiting+tally.Failing == 0 || w.FirstFailure && tally.Failed() > 0 {
			return tally, nil
		}
		select {
		case <-timed.Done():
		case <-tick.C:
		}
	}
	if err := ctx.Err(); err != nil {
		return tally, fmt.Errorf("wait for outcomes: %w", err)
	}
	return tally, nil // its time is over
}

// looks are the looks at the records of letters.
type looks struct {
	records  Records
	limits   limits.Limits
	letters  []Sent
	outcomes []Outcome // as last seen
	failed   string    // event id of one that failed
	text     string    // its error
}

// again reads the records of letters that have no end yet.
func (k *looks) again(ctx context.Context) (Tally, error) {
	errs := make([]error, parallel)
	texts := make([]struct{ id, text string }, parallel)
	var pending []int
	for i, o := range k.outcomes {
		if o != Done && o != Dead && o != Untracked {
			pending = append(pending, i)
		}
	}
	each(parallel, func(worker int) {
		for n := worker; n < len(pending) && ctx.Err() == nil; n += parallel {
			i := pending[n]
			outcome, text, err := k.look(ctx, k.letters[i])
			if err != nil {
				errs[worker] = err
				continue
			}
			if k.outcomes[i] = outcome; outcome == Failing || outcome == Dead {
				texts[worker].id, texts[worker].text = k.letters[i].EventID, text
			}
		}
	})
	for _, t := range texts {
		if t.id != "" {
			k.failed, k.text = t.id, t.text
		}
	}
	return k.tally(), errors.Join(errs...)
}

func (k *looks) look(ctx context.Context, s Sent) (o Outcome, text string, err error) {
	var r idempotency.Record // of none: nothing has come of the letter
	if s.open() {
		if r, _, err = k.records.Get(ctx, s.EventID); err != nil {
			return Waiting, "", err
		}
	}
	return s.OutcomeOf(r, time.Now(), k.limits), r.Err, nil
}

func (k *looks) tally() (t Tally) {
	for _, o := range k.outcomes {
		switch o {
		case Done:
			t.Done++
		case Failing:
			t.Failing++
		case Dead:
			t.Dead++
		case Untracked:
			t.Untracked++
		default:
			t.Waiting++
		}
	}
	if t.Failed() > 0 {
		t.FailedID, t.FailedError = k.failed, k.text
	}
	return t
}
