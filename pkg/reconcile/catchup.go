package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// catchUp takes the slices that the long tiers left, the oldest first, while there is
// time. Each runs by its own tier's rules and is noted as that tier's. One that cannot be
// listed is passed over in this run, so that it holds up none behind it.
func (p *pass) catchUp(ctx context.Context) {
	long := slices.DeleteFunc(Tiers(p.cfg.Limits.Reconcile), func(t Tier) bool { return t.Slice == 0 })
	notes, err := p.noted(ctx, long)
	if err != nil {
		p.report.Err = errors.Join(p.report.Err, fmt.Errorf("read what was finished: %w", err))
		return
	}
	for !p.outOfTime() {
		t, account, w, found := p.oldestLeft(long, notes)
		if !found {
			return
		}
		finished, err := p.slice(ctx, t, account, w)
		if !finished {
			p.cfg.Logger.Warn("a slice that was left could not be finished", "tier", t.Name, "account", account, "from", w.From, "error", err)
			if !p.passOver(err) {
				return
			}
		} else {
			p.report.CaughtUp++
		}
		of := tierOf{t.Name, account} // what was passed over too: it is not tried again in this run
		notes[of] = append(notes[of], Covered{From: w.From, To: w.To, DoneAt: p.cfg.Now()})
	}
}

// tierOf is a tier's passes over one account.
type tierOf struct{ tier, account string }

// noted reads what passes of these tiers have finished, as far back as they look.
func (p *pass) noted(ctx context.Context, tiers []Tier) (map[tierOf][]Covered, error) {
	oldest := p.started
	for _, t := range tiers {
		oldest = earlier(oldest, p.started.Add(-t.Span-t.Slice))
	}
	all, err := p.covered(ctx, oldest, p.started)
	if err != nil {
		return nil, err
	}
	notes := map[tierOf][]Covered{}
	for _, c := range all {
		if of := (tierOf{c.Tier, c.Account}); c.Livemode == p.live {
			notes[of] = append(notes[of], c)
		}
	}
	return notes, nil
}

// covered reads notes. One that cannot be read proves nothing; comparing its slice again
// replaces it.
func (p *pass) covered(ctx context.Context, from, to time.Time) ([]Covered, error) {
	notes, broken, err := p.cfg.Coverage.Covered(ctx, from, to)
	for _, key := range broken {
		p.cfg.Logger.Warn("a note of a finished slice cannot be read", "key", key)
	}
	return notes, err
}

// passOver reports whether a slice that was not finished leaves the others their turn. What
// is put off or out of time is for a later run, which is no fault.
func (p *pass) passOver(err error) bool {
	if err == nil || errors.Is(err, errStopped) {
		return false
	}
	p.report.LeftOver++
	if p.report.LeftOver == 1 { // hundreds may fail alike
		p.report.Err = errors.Join(p.report.Err, err)
	}
	_, unlisted := errors.AsType[*listError](err)
	return unlisted
}

func (p *pass) oldestLeft(tiers []Tier, notes map[tierOf][]Covered) (tier Tier, account string, oldest Window, found bool) {
	for _, t := range tiers {
		for _, a := range p.accounts {
			if w, left := t.left(p.started, p.oldest(a), notes[tierOf{t.Name, a}]); left && (!found || w.From.Before(oldest.From)) {
				tier, account, oldest, found = t, a, w, true
			}
		}
	}
	return tier, account, oldest, found
}

// left returns the oldest slice that a pass of the tier should have finished by now: it
// was not finished within the tier's time and a quarter of it. A tier that has finished
// nothing at all has not begun, and leaves nothing; neither does what is older than since.
func (t Tier) left(now, since time.Time, own []Covered) (Window, bool) {
	if len(own) == 0 {
		return Window{}, false
	}
	due := now.Add(-t.Every - t.Every/4)
	finished := map[int64]time.Time{} // the end of what was finished in time, by slice
	for _, c := range own {
		if c.DoneAt.After(due) && c.To.After(finished[c.From.Unix()]) {
			finished[c.From.Unix()] = c.To
		}
	}
	for _, w := range slices.Backward(t.windows(now)) {
		w, some := w.since(since)
		if some && w.To.Before(due) && finished[w.From.Unix()].Before(w.To) {
			return w, true
		}
	}
	return Window{}, false
}
