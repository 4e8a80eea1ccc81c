package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Configured replaces the tier in a note that records how passes treat an account and
// covers no time. The value is stored and must not change.
const Configured = "configured"

// noteAccounts notes once a day, and on a change, how passes treat each account: the time
// from which they compare it, or that a policy excludes it. Without this note a coverage
// check would miss an account whose list was never read to its end. The pass continues even
// if the note fails.
func (p *pass) noteAccounts(ctx context.Context) {
	day := p.started.UTC().Truncate(24 * time.Hour)
	notes, err := p.covered(ctx, day, day.Add(time.Second))
	if err != nil {
		p.report.Err = errors.Join(p.report.Err, fmt.Errorf("read which accounts are noted: %w", err))
		return
	}
	for _, n := range p.treated(day) {
		same := func(c Covered) bool {
			return c.Tier == Configured && c.Stream() == n.Stream() && c.Since.Equal(n.Since) && c.Endpoint == n.Endpoint && c.Excluded == n.Excluded
		}
		if slices.ContainsFunc(notes, same) {
			continue
		}
		if err := p.cfg.Coverage.Cover(ctx, n); err != nil {
			p.report.Err = errors.Join(p.report.Err, fmt.Errorf("note how account %q is compared: %w", n.Account, err))
			return
		}
	}
}

// treated are the notes of all accounts except those whose begin is unknown.
func (p *pass) treated(day time.Time) (notes []Covered) {
	note := func(account, excluded string, since time.Time) {
		notes = append(notes, Covered{
			Livemode: p.live, Account: account, Tier: Configured, From: day, To: day.Add(-time.Second), DoneAt: p.started,
			Since: since, Endpoint: p.cfg.Accounts[account], Excluded: excluded,
		})
	}
	for _, account := range p.accounts {
		note(account, "", seconds(p.oldest(account)))
	}
	for _, e := range p.report.Excluded {
		note(e.Account, e.Reason, time.Time{})
	}
	return notes
}
