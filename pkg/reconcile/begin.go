package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// begin finds the start of each account's history. An account without one gets it: the
// start of its oldest note, so that an upgraded stage loses no coverage, else now.
// Otherwise everything that Stripe still lists would be new to a new table. An account
// whose start cannot be read is left out of the pass.
func (p *pass) begin(ctx context.Context) error {
	known, err := p.cfg.Begins.Begins(ctx)
	if err != nil {
		return fmt.Errorf("read from when on accounts are compared: %w", err)
	}
	var fresh []Stream
	for _, account := range p.accounts {
		if _, found := known[Stream{p.live, account}]; !found {
			fresh = append(fresh, Stream{p.live, account})
		}
	}
	if err := p.put(ctx, fresh, known); err != nil {
		return err
	}
	p.startAt(known)
	return nil
}

// begun finds the known starts of history. An account without one has no history to compare yet.
func (p *pass) begun(ctx context.Context) error {
	known, err := p.cfg.Begins.Begins(ctx)
	if err != nil {
		return fmt.Errorf("read from when on accounts are compared: %w", err)
	}
	p.startAt(known)
	return nil
}

// startAt sets from when on each account is listed, and leaves out those without a start.
func (p *pass) startAt(known map[Stream]time.Time) {
	p.since = map[string]time.Time{}
	for _, account := range slices.Clone(p.accounts) {
		begin, found := known[Stream{p.live, account}]
		if !p.cfg.Begin.IsZero() {
			begin, found = p.cfg.Begin, true
		}
		if !found {
			p.leaveOut(account)
			continue
		}
		p.since[account] = begin
	}
}

// put writes the start of accounts' history and adds it to the known ones.
func (p *pass) put(ctx context.Context, fresh []Stream, known map[Stream]time.Time) error {
	if len(fresh) == 0 {
		return nil
	}
	// A note expires a RecordTTL after its pass, and is of what Stripe listed then.
	from := p.started.Add(-p.cfg.Limits.RecordTTL - p.cfg.Limits.Reconcile.Weekly.Span)
	oldest, err := p.cfg.Begins.Oldest(ctx, fresh, from, p.started)
	if err != nil {
		return fmt.Errorf("look for the oldest note: %w", err)
	}
	for _, s := range fresh {
		at, noted := oldest[s]
		if !noted {
			at = p.started
		}
		if at, err = p.cfg.Begins.PutBegin(ctx, s, at); err != nil {
			p.report.Err = errors.Join(p.report.Err, fmt.Errorf("begin of account %q: %w", s.Account, err))
			continue
		}
		known[s] = at
	}
	return nil
}

// leaveOut removes an account from the rest of the pass.
func (p *pass) leaveOut(account string) {
	p.accounts = slices.DeleteFunc(p.accounts, func(a string) bool { return a == account })
}
