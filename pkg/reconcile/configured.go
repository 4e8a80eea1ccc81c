package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Configured stands in a note's place for a tier: the note says that passes are to compare
// the account, and covers nothing. It stays, as the tiers' names do.
const Configured = "configured"

// noteAccounts notes once a day which accounts are to be compared. Without it an account
// whose list never came to an end would be none of those that a proof looks at. A pass
// does its work also where the note fails.
func (p *pass) noteAccounts(ctx context.Context) {
	day := p.started.UTC().Truncate(24 * time.Hour)
	notes, err := p.cfg.Coverage.Covered(ctx, day, day.Add(time.Second))
	if err != nil {
		p.report.Err = errors.Join(p.report.Err, fmt.Errorf("read which accounts are noted: %w", err))
		return
	}
	for _, account := range p.accounts {
		noted := slices.ContainsFunc(notes, func(c Covered) bool {
			return c.Tier == Configured && c.Account == account && c.Livemode == p.live
		})
		if noted {
			continue
		}
		n := Covered{Livemode: p.live, Account: account, Tier: Configured, From: day, To: day.Add(-time.Second), DoneAt: p.started}
		if err := p.cfg.Coverage.Cover(ctx, n); err != nil {
			p.report.Err = errors.Join(p.report.Err, fmt.Errorf("note that account %q is to be compared: %w", account, err))
			return
		}
	}
}
