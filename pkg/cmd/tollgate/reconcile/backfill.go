// Package reconcile has the verbs that compare with Stripe's list: report and backfill.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/reconcile"
)

// Backfill is an on-demand reconcile pass.
type Backfill struct {
	Since    string        `required:"" help:"Events created since: days such as 7d, a duration such as 48h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until    string        `help:"Events created until then. Default: five minutes ago." placeholder:"WHEN"`
	Types    string        `help:"Only these types, separated by commas; a pattern such as invoice.* selects among types with a handler. Default: all types with a handler." placeholder:"LIST"`
	Account  string        `help:"Connected account to list as. Default: the key's own." placeholder:"ACCT"`
	Endpoint string        `default:"default" help:"Endpoint whose policy applies. Default: default." placeholder:"NAME"`
	Rate     float64       `default:"50" help:"Events enqueued a second, at most (0.1 to 1000)."`
	DryRun   bool          `help:"Count, and enqueue nothing."`
	Wait     time.Duration `help:"Wait up to this long for the enqueued events to be done or dead, and print how many of their messages are held." placeholder:"DURATION"`
	Note     string        `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes      bool          `help:"Do not ask for confirmation."`
}

func (Backfill) Help() string {
	return `Lists Stripe's events of the period, at most 30 days back, and enqueues those without a record and those that are not done and have no queued message. Dead letters are not touched: see redrive. Running it twice, or in parallel with reconcile, is harmless. It may go back before the start of an account's history. It sends nothing that the policy of --endpoint excludes or that is older than its from, and nothing of a type that is paused or being resumed.

Messages about changes that are over 24 hours old, or before the start of history, are held, so no customer gets old mail. The number held so far is printed, with --wait for all enqueued events.

It stops enqueuing while the queue holds 1,000 messages; run it again then. A complete run over all types counts as coverage: see reconcile report.

  tollgate backfill --since 48h --dry-run
  tollgate backfill --since 48h --wait 10m
  tollgate backfill --since 2026-01-02T00:00:00Z --until 2026-01-03T00:00:00Z --types 'invoice.*'`
}

// stripeKeeps is how long Stripe lists an event.
const stripeKeeps = 30 * 24 * time.Hour

type backfilled struct {
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Account  string    `json:"account"` // "" for the key's own
	Types    []string  `json:"types"`
	DryRun   bool      `json:"dry_run"`
	Slices   int       `json:"slices"`
	Finished int       `json:"finished"`
	reconcile.Counts
	Enqueued int  `json:"enqueued"` // in a dry run: would be
	Complete bool `json:"complete"`
	Open     int  `json:"open"` // enqueued, and not done when the wait ended; without --wait all
	Held     *int `json:"held"` // messages of the enqueued events that are held so far; null: not counted
}

// Run succeeds when the whole time was compared and nothing is left to enqueue.
func (c *Backfill) Run(ctx context.Context, a *verb.App) error {
	req, err := c.request(time.Now())
	if err != nil {
		return err
	}
	t, err := a.Target(ctx)
	if err != nil {
		return err
	}
	if req.Until, err = settledUntil(req, t); err != nil {
		return err
	}
	r, err := a.Reconciler(ctx, t, map[string]string{c.Account: c.Endpoint})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("enqueue the events of %s since %s that the table lacks", c.whose(), verb.LongTime(req.Since))
	if c.DryRun {
		_, err := c.backfill(ctx, a, t, r, req)
		return err
	}
	return a.Change(ctx, t, verb.Audit{Verb: "backfill", Note: c.Note, Detail: what + c.narrowed(), Ask: what}, c.Yes, func(ctx context.Context) (string, error) {
		done, err := c.backfill(ctx, a, t, r, req)
		return fmt.Sprintf("%d listed, %d enqueued, %d deferred%s", done.Listed, done.Enqueued, done.Deferred, done.heldText()), err
	})
}

// settledUntil is the end of the time that can be compared: Stripe's list may lack newer events.
func settledUntil(req reconcile.BackfillRequest, t verb.Target) (time.Time, error) {
	lag := t.Limits().Reconcile.SettleLag
	until := time.Now().Add(-lag)
	if req.Until.Before(until) {
		until = req.Until
	}
	if !req.Since.Before(until) {
		return until, verb.Usage("--since is less than %s ago: Stripe's list may not show such events yet", lag)
	}
	return until, nil
}

func (c *Backfill) whose() string {
	if c.Account == "" {
		return "the key's own account"
	}
	return "account " + c.Account
}

func (c *Backfill) narrowed() string {
	text := ""
	if c.Until != "" {
		text += ", until " + c.Until
	}
	if c.Types != "" {
		text += ", of types " + c.Types
	}
	return text
}

func (c *Backfill) request(now time.Time) (req reconcile.BackfillRequest, err error) {
	switch {
	case c.Wait < 0 || c.Wait > 0 && c.DryRun:
		return req, verb.Usage("--wait is a duration such as 5m, and a dry run enqueues nothing to wait for")
	case c.Rate < 0.1 || c.Rate > 1000:
		return req, verb.Usage("--rate is 0.1 to 1000")
	case c.Account != "" && !strings.HasPrefix(c.Account, "acct_"):
		return req, verb.Usage("--account is acct_…; leave it out for the key's own")
	case !event.ValidEndpoint(c.Endpoint):
		return req, verb.Usage("--endpoint is 1 to 32 of a-z, 0-9 and -")
	}
	if req.Since, err = verb.When("--since", c.Since, now); err != nil {
		return req, err
	}
	req.Until, req.DryRun, req.Rate, req.Wait = now, c.DryRun, c.Rate, c.Wait
	if c.Until != "" {
		if req.Until, err = verb.When("--until", c.Until, now); err != nil {
			return req, err
		}
	}
	switch {
	case now.Sub(req.Since) > stripeKeeps:
		return req, verb.Usage("--since is over 30 days ago: Stripe lists no older events")
	case !req.Since.Before(req.Until):
		return req, verb.Usage("--since is not before --until")
	}
	req.Types, err = c.types()
	return req, err
}

// types returns the types of the list that have a handler, nil for all.
func (c *Backfill) types() (types []string, err error) {
	if c.Types == "" {
		return nil, nil
	}
	handled := handlers.Types()
	for _, pattern := range verb.Split(c.Types) {
		matched := slices.DeleteFunc(slices.Clone(handled), func(t string) bool { return !event.MatchType(pattern, t) })
		if len(matched) == 0 {
			return nil, verb.Hint(verb.Usage("--types: no type with a handler matches %q", pattern), "handled are %s", strings.Join(handled, ", "))
		}
		types = append(types, matched...)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

func (c *Backfill) backfill(ctx context.Context, a *verb.App, t verb.Target, r *reconcile.Reconciler, req reconcile.BackfillRequest) (backfilled, error) {
	bar := a.Counter("listed", "events")
	req.Progress = func(n reconcile.Counts) { bar.Add(n.Listed) }
	next := time.Now().Add(a.ProgressEvery())
	req.OnSettled = func(settled, total int) {
		if now := time.Now(); now.After(next) {
			next = now.Add(a.ProgressEvery())
			fmt.Fprintf(a.Err, "settled %d of %d\n", settled, total)
		}
	}
	report, err := r.Backfill(ctx, req)
	bar.Done()
	done := backfilled{
		Since: req.Since.UTC(), Until: req.Until.UTC(), Account: c.Account, Types: report.Types, DryRun: c.DryRun,
		Slices: report.Slices, Finished: report.Finished, Counts: report.Counts,
		Enqueued: report.Requeued(), Complete: report.Complete(), Open: report.Open,
	}
	if len(report.Sent) > 0 && err == nil {
		if n, err := a.CountHeld(ctx, t, report.Sent); err == nil {
			done.Held = &n
		}
	}
	c.print(a, done)
	switch {
	case ctx.Err() != nil:
		return done, verb.Hint(errors.New("interrupted: what was enqueued stays"), "run it again to go on: known events are skipped")
	case report.Nothing:
		return done, verb.Hint(err, "name with --endpoint one whose policy takes the account in the key's mode")
	case err != nil:
		return done, err
	case done.Deferred > 0:
		return done, verb.Hint(fmt.Errorf("%d events were deferred: the queue is full", done.Deferred), "run it again when the consumer has worked on the queue")
	case done.Paused > 0:
		return done, verb.Hint(fmt.Errorf("%d events are of types that are paused or being resumed", done.Paused), "resuming enqueues them: tollgate resume TYPE, or --all")
	case done.Mismatched+done.Unreadable > 0:
		return done, verb.Hint(fmt.Errorf("%d events cannot be compared", done.Mismatched+done.Unreadable), "they are listed above: compare tollgate events show for each with Stripe's Dashboard")
	}
	return done, nil
}

func (c *Backfill) print(a *verb.App, d backfilled) {
	action := "enqueued"
	if d.DryRun {
		action = "would be enqueued"
	}
	a.Line(d, fmt.Sprintf("%d listed, %d known, %d %s (%d without a record, %d stuck), %d older than the policy's from, %d deferred, %d of paused types, %d mismatched with their record, %d unreadable%s",
		d.Listed, d.Known, d.Enqueued, action, d.Unrecorded, d.Stuck, d.Ignored, d.Deferred, d.Paused, d.Mismatched, d.Unreadable, d.heldText()))
}

func (d backfilled) heldText() string {
	if d.Held == nil {
		return ""
	}
	text := ", " + verb.HeldText(*d.Held, d.Open == 0)
	if d.Open > 0 && d.Open < d.Enqueued {
		text += fmt.Sprintf(", %d events not done", d.Open)
	}
	return text
}
