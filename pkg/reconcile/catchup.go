package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"
)

// catchUp processes the slices that the long tiers left unfinished, the oldest first, while
// there is time. Each is compared by its own tier's rules and noted for that tier. One that
// cannot be listed is skipped in this run, so that it does not block later ones.
func (p *pass) catchUp(ctx context.Context) {
	if p.notes == nil {
		return
	}
	long := slices.DeleteFunc(Tiers(p.cfg.Limits.Reconcile), func(t Tier) bool { return t.Name == Frequent })
	for !p.outOfTime() {
		t, account, w, found := p.oldestLeft(long, p.notes)
		if !found {
			return
		}
		finished, err := p.slice(ctx, t, account, w)
		if !finished {
			p.cfg.Logger.WarnContext(ctx, "a slice that was left could not be finished", "tier", t.Name, "account", account, "from", w.From, "error", err)
			if !p.passOver(err) {
				return
			}
		} else {
			p.report.CaughtUp++
		}
		of := tierOf{t.Name, account} // skipped ones too: they are not tried again in this run
		p.notes[of] = append(p.notes[of], Covered{From: w.From, To: w.To, DoneAt: p.cfg.Now()})
	}
}

// tierOf is a tier's passes over one account.
type tierOf struct{ tier, account string }

// covered reads notes. An unreadable one does not prove coverage; comparing its slice again
// replaces it.
func (p *pass) covered(ctx context.Context, from, to time.Time) ([]Covered, error) {
	notes, broken, err := p.cfg.Coverage.Covered(ctx, from, to)
	for _, key := range broken {
		p.cfg.Logger.WarnContext(ctx, "a note of a finished slice cannot be read", "key", key)
	}
	return notes, err
}

// passOver reports whether the run continues after an unfinished slice. A deferred slice,
// or one that is out of time, is left for a later run and is not an error.
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

// left returns the oldest slice that a pass of the tier should have finished by now: it was
// not finished within 1.25 times the tier's interval. A tier that has never finished a
// slice has not started and leaves none; slices older than since do not count.
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
