package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
)

// Config holds a reconciler's parts.
type Config struct {
	Lister   Lister   // required
	Records  Records  // required
	Sender   Sender   // required
	Coverage Coverage // required
	Begins   Begins   // required
	Depth    Depth    // required
	Pause    Pause    // default: no type is paused

	Types    []string                 // what handlers take; required
	Accounts map[string]string        // endpoint by account, "" for the platform's own; default that alone, endpoint "default"
	Policies map[string]policy.Policy // by endpoint, as the consumer has them; one that is not named takes every event
	Begin    time.Time                // passes list nothing older, instead of what Begins has; zero: what Begins has
	Limits   limits.Limits            // default limits.AWS()
	Logger   *slog.Logger             // unusual findings, by event id, never with event data; default none
	Now      func() time.Time         // default time.Now
}

// defaultEndpoint is the endpoint of the path without a name.
const defaultEndpoint = "default"

// Reconciler runs passes, one at a time.
type Reconciler struct{ cfg Config }

// New fills in the defaults, or names every part that is missing.
func New(c Config) (*Reconciler, error) {
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	if len(c.Accounts) == 0 {
		c.Accounts = map[string]string{"": defaultEndpoint}
	}
	var errs []error
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"a lister", c.Lister == nil}, {"records", c.Records == nil}, {"a sender", c.Sender == nil},
		{"coverage", c.Coverage == nil}, {"begins", c.Begins == nil}, {"the queue's depth", c.Depth == nil}, {"types", len(c.Types) == 0},
	} {
		if part.missing {
			errs = append(errs, errors.New("reconcile needs "+part.name))
		}
	}
	for account, endpoint := range c.Accounts {
		if !event.ValidEndpoint(endpoint) {
			errs = append(errs, fmt.Errorf("account %q has no endpoint: %q", account, endpoint))
		}
	}
	if err := errors.Join(append(errs, c.Limits.Validate())...); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Types = slices.Sorted(slices.Values(c.Types))
	return &Reconciler{cfg: c}, nil
}

// Run makes one pass of a scheduled tier. The report says what was done also when there
// is an error, which tells what kept the pass from going on.
func (r *Reconciler) Run(ctx context.Context, tier string) (Report, error) {
	for _, t := range Tiers(r.cfg.Limits.Reconcile) {
		if t.Name == tier {
			return r.run(ctx, t)
		}
	}
	return Report{Tier: tier}, fmt.Errorf("reconcile: no tier is called %.40q", tier)
}

func (r *Reconciler) run(ctx context.Context, t Tier) (Report, error) {
	p, err := r.pass(ctx, t, event.Reconcile)
	if err != nil {
		return Report{Tier: t.Name, Err: err}, err
	}
	if err := p.begin(ctx); err != nil {
		p.report.Err = err
		return p.report, err
	}
	p.noteAccounts(ctx)
	p.recall(ctx)
	on := p.cover(ctx, t, t.windows(p.started))
	if t.Name == Frequent && on && p.report.Deferred == 0 {
		p.catchUp(ctx)
	}
	return p.report, p.report.Err
}

// pass begins: ranges and ages are those of this moment.
func (r *Reconciler) pass(ctx context.Context, t Tier, source event.Source) (*pass, error) {
	live, err := r.cfg.Lister.Livemode(ctx)
	if err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	p := &pass{
		Reconciler: r, source: source, live: live, started: r.cfg.Now(),
		chunks: slices.Collect(slices.Chunk(r.cfg.Types, MaxTypes)), accounts: slices.Sorted(maps.Keys(r.cfg.Accounts)),
		stopAfter: r.cfg.Limits.Reconcile.StopAfter,
		report:    Report{Tier: t.Name},
	}
	p.exclude(ctx)
	return p, nil
}

// Counts are the results for listed events.
type Counts struct {
	Listed     int `json:"listed"`
	Known      int `json:"known"`      // done, purged, or on its way
	Unrecorded int `json:"unrecorded"` // without a record: enqueued
	Stuck      int `json:"stuck"`      // with an unfinished record and no message: enqueued
	Unfinished int `json:"-"`          // unfinished, dead letters too, re-enqueued by the weekly sweep
	Ignored    int `json:"ignored"`    // excluded by its endpoint's policy: not enqueued
	Mismatched int `json:"suspicious"` // unlike its record, or its record cannot be read: not enqueued
	Unreadable int `json:"unreadable"` // too little of it is readable to enqueue it
	Deferred   int `json:"deferred"`   // to be enqueued by a later pass
	Paused     int `json:"paused"`     // of paused types: to be enqueued by the pass that resumes them
}

func (c *Counts) add(o Counts) {
	c.Listed += o.Listed
	c.Known += o.Known
	c.Unrecorded += o.Unrecorded
	c.Stuck += o.Stuck
	c.Unfinished += o.Unfinished
	c.Ignored += o.Ignored
	c.Mismatched += o.Mismatched
	c.Unreadable += o.Unreadable
	c.Deferred += o.Deferred
	c.Paused += o.Paused
}

// Requeued is how many events were put on the queue. Their own messages may still wait there:
// while the consumer is stopped, every event looks as if it was never delivered.
func (c Counts) Requeued() int { return c.Unrecorded + c.Stuck + c.Unfinished }

// Report is what a pass did.
type Report struct {
	Tier string
	Counts
	Slices, Finished int         // in the tier's own window, over all accounts
	CaughtUp         int         // slices that a long pass had left
	LeftOver         int         // such slices that failed again; Err says why
	Excluded         []Exclusion // what policies kept from being sent
	Nothing          bool        // every account is excluded: nothing was compared
	Stopped          bool        // out of time
	Err              error       // why the pass ended early, or an account could not be listed
}

// Complete reports whether the whole window was compared for all accounts that are not
// excluded, at least one, nothing was put off, and no slice left by an earlier pass failed
// again.
func (r Report) Complete() bool {
	return r.Finished == r.Slices && r.Deferred == 0 && !r.Stopped && !r.Nothing && r.Err == nil
}
