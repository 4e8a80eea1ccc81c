package drift

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kept is the key of a row or of an entitlement. FetchedAt is when a row was last written; it
// is zero for an entitlement and if unknown.
type Kept struct {
	Key       string
	FetchedAt time.Time
}

// Position is how far the weekly task has come. Times are by the functions' clock.
type Position struct {
	Ver    int64     // 0: none is stored yet
	Began  time.Time // of the first run ever
	Recent Pass      // over the rows written recently
	Older  Pass      // over all other rows, and entitlements without a row
}

// Pass is one pass over the table, and when the last whole one began.
type Pass struct {
	Started  time.Time // zero: no pass is under way
	After    string    // the last key that was compared
	Checked  int
	Drifted  int
	Failed   int
	Skipped  int       // of the other mode
	Tried    time.Time // when the last finished pass began
	Verified time.Time // when the last whole pass began
}

// Table has the rows and the stored position.
type Table interface {
	// Kept returns a page of the keys after a key, and the key to go on after, "" at the end.
	Kept(ctx context.Context, after string) (page []Kept, next string, err error)
	// Position returns the stored position; zero if there is none.
	Position(ctx context.Context) (Position, error)
	// SavePosition replaces the position of version p.Ver; false if another run has replaced it.
	SavePosition(ctx context.Context, p Position) (saved bool, err error)
}

// Sweep compares the whole table with Stripe in parts, one for each Run, from a stored position:
// every Every, first the rows written within Recent, then the others. It only reports.
type Sweep struct {
	Table    Table
	Checker  *Checker
	Every    time.Duration // a pass starts this long after the last one
	Recent   time.Duration
	Requests int           // after this many comparisons a run starts no further batch
	Time     time.Duration // the same after this time
	OnDrift  func(Finding) // gets each row that drifted or could not be fetched
}

// Report is the result of a run.
type Report struct {
	Checked, Drifted, Failed, Skipped int
	Age                               time.Duration // since the last whole pass over recent rows began
	OlderAge                          time.Duration // the same of the other rows
	Known                             bool          // the ages are known
	Done                              bool          // nothing is left to do until the next pass is due
}

// batch is how many rows are compared before the position is saved. A killed run repeats at
// most these.
const batch = 25

var errOtherRun = errors.New("another run has moved the position")

// retryFraction of Every is the wait after a pass that was not whole.
const retryFraction = 7

// Run does one part. A pass counts as whole if at most a tenth of its rows could not be
// fetched, and not all of them are of the other mode. The position is saved after each batch,
// so a killed run loses nothing. Of two runs at once, the later one to save fails.
func (s *Sweep) Run(ctx context.Context) (r Report, err error) {
	started := time.Now()
	p, err := s.Table.Position(ctx)
	if err != nil {
		return r, err
	}
	p.adjust(started)
	defer func() {
		now := time.Now()
		r.Age, r.OlderAge, r.Known = p.age(p.Recent, now), p.age(p.Older, now), true
	}()
	if p.Ver == 0 { // from here on the age grows
		if err := s.save(ctx, &p); err != nil {
			return r, err
		}
	}
	for s.mayGoOn(started) {
		pass := s.due(&p, time.Now())
		if r.Done = pass == nil; r.Done {
			break
		}
		if err := s.page(ctx, started, &p, pass, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (s *Sweep) mayGoOn(started time.Time) bool {
	return time.Since(started) < s.Time && s.Checker.Comparisons() < s.Requests
}

// adjust drops times in the future, which would stop the passes until then: the clock went back.
func (p *Position) adjust(now time.Time) {
	if p.Began.IsZero() || p.Began.After(now) {
		p.Began = now
	}
	for _, pass := range []*Pass{&p.Recent, &p.Older} {
		if pass.Started.After(now) {
			pass.Started = now
		}
		if pass.Verified.After(now) {
			pass.Verified = time.Time{}
		}
		if pass.Tried.After(now) {
			pass.Tried = time.Time{}
		}
	}
}

func (p *Position) age(pass Pass, now time.Time) time.Duration {
	since := pass.Verified
	if since.IsZero() {
		since = p.Began
	}
	return max(0, now.Sub(since))
}

// due returns the pass to continue or to start, nil if none is due. One over recent rows comes
// first, also when the other one is under way.
func (s *Sweep) due(p *Position, now time.Time) *Pass {
	for _, pass := range []*Pass{&p.Recent, &p.Older} {
		switch {
		case !pass.Started.IsZero():
			return pass
		case now.Sub(pass.Verified) >= s.Every && now.Sub(pass.Tried) >= s.Every/retryFraction:
			*pass = Pass{Started: now, Tried: pass.Tried, Verified: pass.Verified}
			return pass
		}
	}
	return nil
}

// page compares the rows of one page of the table, and saves the position after each batch.
func (s *Sweep) page(ctx context.Context, started time.Time, p *Position, pass *Pass, r *Report) error {
	page, next, err := s.Table.Kept(ctx, pass.After)
	if err != nil {
		return err
	}
	recent := pass == &p.Recent
	var keys []string
	skipped := 0
	for _, k := range page {
		isRecent := strings.HasPrefix(k.Key, rowPrefix) && !k.FetchedAt.Before(pass.Started.Add(-s.Recent))
		switch {
		case isRecent != recent:
		case s.Checker.InMode(k.Key):
			keys = append(keys, k.Key)
		default:
			skipped++
		}
	}
	for part := range slices.Chunk(keys, batch) {
		if !s.mayGoOn(started) {
			return nil
		}
		if err := s.compare(ctx, part, pass, r); err != nil {
			return err
		}
		pass.After = part[len(part)-1]
		if err := s.save(ctx, p); err != nil {
			return err
		}
	}
	r.Skipped += skipped
	pass.Skipped += skipped
	if pass.After = next; next == "" {
		pass.finish()
	}
	return s.save(ctx, p)
}

const rowPrefix = "OBJ#"

func (s *Sweep) compare(ctx context.Context, keys []string, pass *Pass, r *Report) error {
	found, err := s.Checker.Check(ctx, keys)
	if err != nil {
		return err
	}
	for _, f := range found {
		drifted, failed := f.Result.Drift(), f.Result == Failed
		pass.Checked++
		r.Checked++
		if drifted {
			pass.Drifted++
			r.Drifted++
		}
		if failed {
			pass.Failed++
			r.Failed++
		}
		if (drifted || failed) && s.OnDrift != nil {
			s.OnDrift(f)
		}
	}
	return nil
}

// finish ends a pass.
func (p *Pass) finish() {
	whole := p.Failed*10 <= p.Checked && (p.Checked > 0 || p.Skipped == 0)
	done := Pass{Tried: p.Started, Verified: p.Verified}
	if whole {
		done.Verified = p.Started
	}
	*p = done
}

func (s *Sweep) save(ctx context.Context, p *Position) error {
	saved, err := s.Table.SavePosition(ctx, *p)
	if err != nil {
		return fmt.Errorf("save position: %w", err)
	}
	if !saved {
		return errOtherRun
	}
	p.Ver++
	return nil
}
