package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/time/rate"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
)

// backfillCmd does by hand what reconcile does on its schedule.
type backfillCmd struct {
	Since    string        `required:"" help:"Events created since: days such as 7d, a duration such as 48h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until    string        `help:"Events created until then. Default: five minutes ago." placeholder:"WHEN"`
	Types    string        `help:"Only these types, separated by commas; a pattern such as invoice.* selects among types with a handler. Default: all types with a handler." placeholder:"LIST"`
	Account  string        `help:"Connected account to list as. Default: the key's own." placeholder:"ACCT"`
	Endpoint string        `default:"default" help:"Endpoint whose policy applies. Default: default." placeholder:"NAME"`
	Rate     float64       `default:"50" help:"Events enqueued a second, at most (0.1 to 1000)."`
	DryRun   bool          `help:"Count, and enqueue nothing."`
	Wait     time.Duration `help:"Wait up to this long for the enqueued events to be done or dead, and print how many of their messages are held." placeholder:"DURATION"`
	Why      string        `name:"reason" aliases:"note" help:"Why, for the audit trail." placeholder:"TEXT"`
	Yes      bool          `help:"Do not ask."`
}

// Help returns the text that --help prints with the flags.
func (backfillCmd) Help() string {
	return `Lists Stripe's events of the time, as far back as 30 days, and enqueues those that have no record, and those whose record is not done and that no queued message will finish. Dead letters stay where they are: see redrive. Running it twice, or in parallel with reconcile, is harmless. It may go back before the begin of an account's history. It sends nothing that the policy of --endpoint excludes or that is older than its from.

Messages about states that were over 24 hours old by now, or that began before the begin of history, are held, so no customer gets old mail. The number held so far is printed, with --wait for all enqueued events.

It stops enqueuing while the queue holds 1,000 messages; run it again then. A whole run over all types is noted as covered: see reconcile report.

  tollgate backfill --since 48h --dry-run
  tollgate backfill --since 48h --wait 10m
  tollgate backfill --since 2026-01-02T00:00:00Z --until 2026-01-03T00:00:00Z --types 'invoice.*'`
}

// stripeKeeps is how long Stripe lists an event.
const stripeKeeps = 30 * 24 * time.Hour

// backfilled is what a backfill says at its end.
type backfilled struct {
	Since      time.Time `json:"since"`
	Until      time.Time `json:"until"`
	Account    string    `json:"account"` // "" for the key's own
	Types      []string  `json:"types"`
	DryRun     bool      `json:"dry_run"`
	Slices     int       `json:"slices"`
	Finished   int       `json:"finished"`
	Listed     int       `json:"listed"`
	Known      int       `json:"known"`
	Enqueued   int       `json:"enqueued"` // in a dry run: would be
	Unrecorded int       `json:"unrecorded"`
	Stuck      int       `json:"stuck"`
	Ignored    int       `json:"ignored"` // older than the policy's from
	Deferred   int       `json:"deferred"`
	Suspicious int       `json:"suspicious"`
	Unreadable int       `json:"unreadable"`
	Complete   bool      `json:"complete"`
	Open       int       `json:"open"` // enqueued, and not done when the wait ended; without --wait all
	Held       *int      `json:"held"` // messages of the enqueued events that are held so far; null: not counted
}

// Run is done when the whole time was compared and nothing is left to enqueue.
func (c *backfillCmd) Run(ctx context.Context, a *app) error {
	req, err := c.request(time.Now())
	if err != nil {
		return err
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	if req.Until, err = settledUntil(req, t); err != nil {
		return err
	}
	sent := &sentEvents{app: a, target: t}
	r, err := c.reconciler(ctx, a, t, sent)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("enqueue the events of %s since %s that the table lacks", c.whose(), longTime(req.Since))
	if c.DryRun {
		_, err := c.backfill(ctx, a, r, req, sent)
		return err
	}
	if err := a.confirm(ctx, t, what, c.Yes); err != nil {
		return err
	}
	return a.audited(ctx, t, auditOf{verb: "backfill", why: c.Why, detail: what + c.narrowed()}, func(ctx context.Context) (string, error) {
		done, err := c.backfill(ctx, a, r, req, sent)
		return fmt.Sprintf("%d listed, %d enqueued, %d deferred%s", done.Listed, done.Enqueued, done.Deferred, done.heldText()), err
	})
}

// settledUntil is the end of what can be compared: a list of Stripe's may lack what is newer.
func settledUntil(req reconcile.BackfillRequest, t target) (time.Time, error) {
	lag := t.limits().Reconcile.SettleLag
	until := time.Now().Add(-lag)
	if req.Until.Before(until) {
		until = req.Until
	}
	if !req.Since.Before(until) {
		return until, usage("--since is less than %s ago: Stripe's list may not show such events yet", lag)
	}
	return until, nil
}

func (c *backfillCmd) whose() string {
	if c.Account == "" {
		return "the key's own account"
	}
	return "account " + c.Account
}

func (c *backfillCmd) narrowed() string {
	text := ""
	if c.Until != "" {
		text += ", until " + c.Until
	}
	if c.Types != "" {
		text += ", of types " + c.Types
	}
	return text
}

func (c *backfillCmd) request(now time.Time) (req reconcile.BackfillRequest, err error) {
	if c.Wait < 0 || c.Wait > 0 && c.DryRun {
		return req, usage("--wait is a duration such as 5m, and a dry run enqueues nothing to wait for")
	}
	if c.Rate < 0.1 || c.Rate > 1000 {
		return req, usage("--rate is 0.1 to 1000")
	}
	if c.Account != "" && !strings.HasPrefix(c.Account, "acct_") {
		return req, usage("--account is acct_…; leave it out for the key's own")
	}
	if !event.ValidEndpoint(c.Endpoint) {
		return req, usage("--endpoint is 1 to 32 of a-z, 0-9 and -")
	}
	if req.Since, err = whenOf("--since", c.Since, now); err != nil {
		return req, err
	}
	req.Until, req.DryRun = now, c.DryRun
	if c.Until != "" {
		if req.Until, err = whenOf("--until", c.Until, now); err != nil {
			return req, err
		}
	}
	switch {
	case now.Sub(req.Since) > stripeKeeps:
		return req, usage("--since is over 30 days ago: Stripe lists no older events")
	case !req.Since.Before(req.Until):
		return req, usage("--since is not before --until")
	}
	req.Types, err = c.types()
	return req, err
}

// types are those of the list that have a handler, nil for all.
func (c *backfillCmd) types() (types []string, err error) {
	if c.Types == "" {
		return nil, nil
	}
	handled := handlers.Types()
	for _, pattern := range split(c.Types) {
		fits := slices.DeleteFunc(slices.Clone(handled), func(t string) bool { return !event.MatchType(pattern, t) })
		if len(fits) == 0 {
			return nil, hint(usage("--types: nothing that has a handler fits %q", pattern), "handled are %s", strings.Join(handled, ", "))
		}
		types = append(types, fits...)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

// reconciler is made of the same parts as the reconcile function.
func (c *backfillCmd) reconciler(ctx context.Context, a *app, t target, sent *sentEvents) (*reconcile.Reconciler, error) {
	o, err := a.stripeOptions(ctx, t)
	if err != nil {
		return nil, err
	}
	stripe, err := stripeapi.New(o.Patient())
	if err != nil {
		return nil, err
	}
	store, err := dynamostore.New(dynamodb.NewFromConfig(t.aws), t.table, dynamostore.Options{Limits: t.limits()})
	if err != nil {
		return nil, err
	}
	policies, err := t.policies(ctx)
	if err != nil {
		return nil, hint(err, "the endpoint's policy must be known, as nothing that it excludes is sent: give the credentials lambda:GetFunctionConfiguration on the consumer function")
	}
	queue := sqsqueue.New(sqs.NewFromConfig(t.aws), t.queueURL, "", t.limits())
	return reconcile.New(reconcile.Config{
		Lister: stripe, Records: store, Coverage: store, Begins: store, Depth: queue,
		Sender: &slowly{queue, rate.NewLimiter(rate.Limit(c.Rate), 1), sent},
		Types:  handlers.Types(), Accounts: map[string]string{c.Account: c.Endpoint}, Policies: policies, Limits: t.limits(),
		Logger: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// slowly sends at a bounded rate, and notes what it sent.
type slowly struct {
	reconcile.Sender
	limit *rate.Limiter
	sent  *sentEvents
}

func (s *slowly) Send(ctx context.Context, e event.Envelope, trace string) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	err := s.Sender.Send(ctx, e, trace)
	if err == nil {
		s.sent.add(e.ID)
	}
	return err
}

func (c *backfillCmd) backfill(ctx context.Context, a *app, r *reconcile.Reconciler, req reconcile.BackfillRequest, sent *sentEvents) (backfilled, error) {
	bar := a.counter("listed", "events")
	req.Progress = func(n reconcile.Counts) { bar.add(n.Listed) }
	report, err := r.Backfill(ctx, req)
	bar.done()
	types := req.Types
	if types == nil {
		types = handlers.Types()
	}
	done := backfilled{
		Since: req.Since.UTC(), Until: req.Until.UTC(), Account: c.Account, Types: types, DryRun: c.DryRun,
		Slices: report.Slices, Finished: report.Finished, Listed: report.Listed, Known: report.Known,
		Enqueued: report.Requeued(), Unrecorded: report.Unrecorded, Stuck: report.Stuck, Ignored: report.Ignored, Deferred: report.Deferred,
		Suspicious: report.Suspicious, Unreadable: report.Unreadable, Complete: report.Complete(),
	}
	if !c.DryRun && err == nil {
		err = sent.follow(ctx, c.Wait, &done)
	}
	c.print(a, done)
	switch {
	case ctx.Err() != nil:
		return done, hint(errors.New("interrupted: what was enqueued stays"), "run it again to go on: what is known by then is passed over")
	case report.Nothing:
		return done, hint(err, "name with --endpoint one whose policy takes the account in the key's mode")
	case err != nil:
		return done, err
	case done.Deferred > 0:
		return done, hint(fmt.Errorf("%d events were put off: the queue is full", done.Deferred), "wait until the consumer has worked on it, and run it again")
	case done.Suspicious+done.Unreadable > 0:
		return done, hint(fmt.Errorf("%d events cannot be compared", done.Suspicious+done.Unreadable), "they are named above: tollgate events show for each, and compare with Stripe's Dashboard")
	}
	return done, nil
}

func (c *backfillCmd) print(a *app, d backfilled) {
	if a.json {
		a.object(d)
		return
	}
	verb := "enqueued"
	if d.DryRun {
		verb = "would be enqueued"
	}
	fmt.Fprintf(a.out, "%d listed, %d known, %d %s (%d without a record, %d stuck), %d older than the policy's from, %d put off, %d unlike their record, %d unreadable%s\n",
		d.Listed, d.Known, d.Enqueued, verb, d.Unrecorded, d.Stuck, d.Ignored, d.Deferred, d.Suspicious, d.Unreadable, d.heldText())
}
