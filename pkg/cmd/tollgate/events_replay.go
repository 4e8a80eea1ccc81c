package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/replay"
	"tollgate/pkg/sqsqueue"
)

// eventsReplayCmd runs done events again, or shows what that would change.
type eventsReplayCmd struct {
	IDs []string `arg:"" optional:"" name:"event" help:"Ids of events, evt_…"`

	Type    string `help:"Done events of this type, or of a pattern such as invoice.*" placeholder:"TYPE"`
	Since   string `help:"Done events that ended since: days such as 7d, a duration such as 2h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until   string `help:"Done events that ended before; as --since." placeholder:"WHEN"`
	Outcome string `enum:",applied,ignored,stale" default:"" help:"Done events with this outcome: applied, ignored or stale." placeholder:"WORD"`
	Limit   int    `default:"100" help:"Events chosen by filters at most (1 to 10000)."`
	MaxRead int    `default:"10000" help:"Items read to find them (8 to 1000000)."`
	Cursor  string `help:"Go on choosing where the run before ended, with the same filters."`

	FromFile string   `name:"from-file" help:"Take the events from this file (JSON, one event or several) instead of from Stripe." placeholder:"FILE" type:"existingfile"`
	Account  []string `help:"Connected account to ask Stripe as; several are tried in turn, - is the key's own. Default: -." placeholder:"acct_…"`
	Endpoint string   `default:"default" help:"Endpoint whose policy on modes and accounts the events meet. Default: default." placeholder:"NAME"`

	Why    string        `name:"reason" aliases:"note" help:"Why; kept in the record and in the audit trail. Needed but for --dry-run and --shadow." placeholder:"TEXT"`
	DryRun bool          `name:"dry-run" help:"Fetch and check, write and send nothing."`
	Shadow bool          `help:"Run the handler here and show what its effects would change; write and send nothing."`
	Rate   float64       `default:"10" help:"Events a second (over 0, at most 1000)."`
	Wait   time.Duration `help:"Wait so long for the events to be done or dead, say what became of each, and exit 1 unless all are done." placeholder:"DURATION"`
	Yes    bool          `help:"Do not ask."`
}

// Help returns the text that --help prints with the flags.
func (eventsReplayCmd) Help() string {
	return `The event is fetched from Stripe, which keeps events for 30 days, and made into a message; then its record is set to run again, in the next generation; then the message is sent. What cannot be fetched is refused, and nothing is written: give its JSON with --from-file. An event that the policy of --endpoint excludes is refused too. An event that was set to run again and has not run yet is only sent, so the command can be repeated. Facts that the handler inserts once stay single. A message that it requests anew is held when its state is over 24 hours old by now: the number held is printed, with --wait for all events.

Filters choose among done events. They read the whole table, up to --max-read items.

--shadow runs the handler that is built into this command and shows its effects beside the items that are there. The table and the queue are only read. But what a handler does elsewhere by itself, such as a call that makes a refund, is NOT held back: it happens. With the event's idempotency key Stripe collapses it with the first attempt's call only if that was less than 24 hours ago, and not at all for other services. Do not shadow such a handler with a live key.

  tollgate events replay evt_1 --shadow
  tollgate events replay evt_1 --reason "tax was rounded wrongly"
  tollgate events replay --type "customer.*" --outcome ignored --since 7d --reason "new handler" --dry-run`
}

// Run replays, or shows what a replay would do.
func (c *eventsReplayCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	reader, err := t.reader()
	if err != nil {
		return err
	}
	events, file, err := c.events(ctx, a, t)
	if err != nil {
		return err
	}
	ids, err := c.choose(ctx, a, reader, file)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		fmt.Fprintln(a.err, "No done event fits: nothing to replay.")
		return nil
	}
	if c.Shadow {
		return c.shadows(ctx, a, t, reader, events, ids)
	}
	r, err := c.replayer(ctx, a, t, reader, events)
	if err != nil {
		return err
	}
	run := &replayRun{eventsReplayCmd: c, app: a, target: t, replayer: r, records: reader}
	if c.DryRun {
		_, err := run.all(ctx, ids)
		return err
	}
	what := fmt.Sprintf("run %s again (%s)", c.many(ids), c.detail(ids))
	if err := a.confirm(ctx, t, what, c.Yes); err != nil {
		return err
	}
	return a.audited(ctx, t, auditOf{verb: "events replay", why: c.Why, detail: c.detail(ids)}, func(ctx context.Context) (string, error) {
		return run.all(ctx, ids)
	})
}

func (c *eventsReplayCmd) check() error {
	filtered := c.Type != "" || c.Since != "" || c.Until != "" || c.Outcome != ""
	switch {
	case len(c.IDs) == 0 && !filtered && c.FromFile == "":
		return usage("name events, or choose done ones with --type, --since, --until or --outcome")
	case len(c.IDs) > 0 && filtered:
		return usage("name events or choose them by filters, not both")
	case filtered && c.FromFile != "":
		return usage("--from-file names its events itself: leave the filters out")
	case c.Limit < 1 || c.Limit > 10_000:
		return usage("--limit is 1 to 10000")
	case c.MaxRead < idempotency.Shards || c.MaxRead > 1_000_000:
		return usage("--max-read is %d to 1000000", idempotency.Shards)
	case !(c.Rate > 0 && c.Rate <= 1000):
		return usage("--rate is over 0 and at most 1000")
	case c.Wait < 0:
		return usage("--wait is a duration such as 30s")
	case c.Wait > 0 && (c.DryRun || c.Shadow):
		return usage("--wait waits for what is sent, and --dry-run and --shadow send nothing")
	case !event.ValidEndpoint(c.Endpoint):
		return usage("--endpoint is 1 to 32 of a-z, 0-9 and -")
	case !event.ValidPattern(c.Type):
		return usage("--type is an event type, a pattern that ends in .* or *")
	case strings.TrimSpace(c.Why) == "" && !c.DryRun && !c.Shadow:
		return hint(usage("a replay needs --reason"), "it is kept in the record and in the audit trail; --dry-run and --shadow need none")
	}
	return nil
}

func (c *eventsReplayCmd) replayer(ctx context.Context, a *app, t target, reader *dynamostore.Reader, events replay.Events) (*replay.Replayer, error) {
	store, err := t.writer()
	if err != nil {
		return nil, err
	}
	excludes, err := t.excludes(ctx)
	if err != nil {
		fmt.Fprintf(a.err, "whether endpoint %s takes these events is not known: %v\n", c.Endpoint, err)
	}
	client := sqs.NewFromConfig(t.aws, func(o *sqs.Options) { o.RetryMaxAttempts = 1 }) // the sender tries again itself
	return replay.New(replay.Config{
		Records: reader, Store: store, Events: events, Queue: sqsqueue.New(client, t.queueURL, "", t.limits()), Limits: t.limits(),
		Endpoint: c.Endpoint, Excludes: excludes, Accounts: c.accounts(), Carried: c.FromFile != "", DryRun: c.DryRun,
		By: operator(), Why: oneLine(c.Why),
	})
}

// accounts are whom to ask as; - is the key's own.
func (c *eventsReplayCmd) accounts() []string {
	list := slices.Clone(c.Account)
	for i, s := range list {
		if s == "-" {
			list[i] = ""
		}
	}
	return list
}

// choose returns the events that are named, or those that the filters find, the oldest first.
func (c *eventsReplayCmd) choose(ctx context.Context, a *app, reader *dynamostore.Reader, file *eventFile) ([]string, error) {
	switch {
	case len(c.IDs) > 0:
		return once(c.IDs), nil
	case file != nil:
		return file.ids, nil
	}
	found, err := c.find(ctx, a, reader)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(x, y idempotency.Record) int { return cmp.Compare(x.Created, y.Created) })
	ids := make([]string, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	return ids, nil
}

// find reads the table for the done events that the filters select.
func (c *eventsReplayCmd) find(ctx context.Context, a *app, reader *dynamostore.Reader) (found []idempotency.Record, err error) {
	req, until, err := c.request(time.Now())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.err, "reading the whole table, at most %d items: no index has done events\n", c.MaxRead)
	for read := 0; ; {
		req.Limit, req.MaxRead = c.Limit-len(found), c.MaxRead-read
		page, err := reader.List(ctx, req)
		if errors.Is(err, dynamostore.ErrCursor) {
			return nil, usage("--cursor is not one that this list handed back")
		}
		if err != nil {
			return nil, err
		}
		read += page.Read
		for _, r := range page.Records {
			if (until.IsZero() || r.DoneAt.Before(until)) && (c.Outcome == "" || string(r.Outcome) == c.Outcome) {
				found = append(found, r)
			}
		}
		if req.Cursor = page.Cursor; req.Cursor == "" {
			return found, nil
		}
		if len(found) == c.Limit || c.MaxRead-read < idempotency.Shards {
			fmt.Fprintf(a.err, "there may be more than these %d (%d items read): go on with --cursor %s\n", len(found), read, req.Cursor)
			return found, nil
		}
	}
}

// request is what is asked of the table. A done record's last change is its end.
func (c *eventsReplayCmd) request(now time.Time) (req dynamostore.ListRequest, until time.Time, err error) {
	req = dynamostore.ListRequest{Status: dynamostore.Done, Type: c.Type, Cursor: c.Cursor}
	if c.Outcome == string(idempotency.Ignored) {
		req.Status = dynamostore.Ignored
	}
	if req.Since, err = whenOf("--since", c.Since, now); err != nil {
		return req, until, err
	}
	until, err = whenOf("--until", c.Until, now)
	return req, until, err
}

func (c *eventsReplayCmd) many(ids []string) string {
	if len(ids) == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", len(ids))
}

// detail says which events, in words.
func (c *eventsReplayCmd) detail(ids []string) string {
	var parts []string
	for _, p := range [][2]string{
		{"type", c.Type}, {"since", c.Since}, {"until", c.Until}, {"outcome", c.Outcome}, {"from file", c.FromFile},
		{"accounts", strings.Join(c.Account, ",")},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	parts = append(parts, c.many(ids)+": "+clip(strings.Join(ids[:min(len(ids), 20)], " "), 400))
	return strings.Join(parts, ", ")
}
