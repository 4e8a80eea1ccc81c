package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/replay"
	"tollgate/pkg/sqsqueue"
)

// Replay runs done events again, or shows what that would change.
type Replay struct {
	IDs []string `arg:"" optional:"" name:"event" help:"Ids of events, evt_…"`

	Type    string `help:"Done events of this type, or of a pattern such as invoice.*" placeholder:"TYPE"`
	Since   string `help:"Done events that ended since: days such as 7d, a duration such as 2h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until   string `help:"Done events that ended before; as --since." placeholder:"WHEN"`
	Outcome string `enum:",applied,ignored,stale" default:"" help:"Done events with this outcome: applied, ignored or stale (already applied)." placeholder:"WORD"`
	Limit   int    `default:"100" help:"Events selected by filters at most (1 to 10000)."`
	MaxRead int    `default:"10000" help:"Items read to find them (8 to 1000000)."`
	Cursor  string `help:"Continue where the run before ended, with the same filters."`

	FromFile string   `name:"from-file" help:"Take the events from this file (JSON, one event or several) instead of from Stripe." placeholder:"FILE" type:"existingfile"`
	Account  []string `help:"Connected account to fetch from; several are tried in turn, - is the API key's own account. Default: -." placeholder:"acct_…"`
	Endpoint string   `default:"default" help:"Endpoint whose policy applies. Default: default." placeholder:"NAME"`

	Note   string        `help:"Reason; kept in the record and in the audit trail. Required except with --dry-run and --shadow." placeholder:"TEXT"`
	DryRun bool          `name:"dry-run" help:"Fetch and check, write and send nothing."`
	Shadow bool          `help:"Run the handler here and show what its effects would change; write and send nothing."`
	Rate   float64       `default:"10" help:"Events a second (over 0, at most 1000)."`
	Wait   time.Duration `help:"Wait up to this long for the events to be done or dead, print the outcome of each, and exit 1 unless all are done." placeholder:"DURATION"`
	Yes    bool          `help:"Do not ask for confirmation."`
}

// Help returns the text that --help prints with the flags.
func (Replay) Help() string {
	return `The event is fetched from Stripe, which keeps events for 30 days, and made into a message; then its record is set to run again, in the next generation; then the message is sent. An event that cannot be fetched is refused, and nothing is written: give its JSON with --from-file. An event that the policy of --endpoint excludes is refused too. An event that was set to run again and has not run yet is only sent, so the command can be repeated. Facts that exist already are not inserted again. A message that it requests anew is held when its state is over 24 hours old by now: the number held is printed, with --wait for all events.

Filters select done events. They read the whole table, up to --max-read items.

--shadow runs the handler that is built into this command and compares its effects with the stored items. The table and the queue are only read. But calls that the handler makes to other systems, such as creating a refund, are NOT prevented: they take effect. Stripe's idempotency key deduplicates such a call only if the first attempt was less than 24 hours ago, and other services may not deduplicate at all. Do not shadow such a handler with a live key.

  tollgate events replay evt_1 --shadow
  tollgate events replay evt_1 --note "tax was rounded wrongly"
  tollgate events replay --type "customer.*" --outcome ignored --since 7d --note "new handler" --dry-run`
}

// Run replays, or shows what a replay would do.
func (c *Replay) Run(ctx context.Context, a *verb.App) error {
	if err := c.check(); err != nil {
		return err
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return err
	}
	source, ids, err := c.source(ctx, a, t)
	if err != nil {
		return err
	}
	switch {
	case len(c.IDs) > 0:
		ids = verb.Unique(c.IDs)
	case ids == nil:
		if ids, err = c.find(ctx, a, reader); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		fmt.Fprintln(a.Err, "No done event matches: nothing to replay.")
		return nil
	}
	if c.Shadow {
		return c.shadow(ctx, a, t, reader, source, ids)
	}
	r, err := c.replayer(ctx, a, t, reader, source)
	if err != nil {
		return err
	}
	run := &replayRun{Replay: c, App: a, target: t, replayer: r, ids: ids, warned: map[string]bool{}}
	if c.DryRun {
		_, err := run.run(ctx)
		return err
	}
	what := c.detail(ids)
	ask := fmt.Sprintf("run %s again (%s)", verb.Plural(len(ids), "event", "events"), what)
	return a.Change(ctx, t, verb.Audit{Verb: "events replay", Note: c.Note, Detail: what, Ask: ask}, c.Yes, run.run)
}

func (c *Replay) check() error {
	filtered := c.Type != "" || c.Since != "" || c.Until != "" || c.Outcome != ""
	switch {
	case len(c.IDs) == 0 && !filtered && c.FromFile == "":
		return verb.Usage("name events, or select done ones with --type, --since, --until or --outcome")
	case len(c.IDs) > 0 && filtered:
		return verb.Usage("name events or select them by filters, not both")
	case filtered && c.FromFile != "":
		return verb.Usage("--from-file names its events itself: leave the filters out")
	case !(c.Rate > 0 && c.Rate <= 1000):
		return verb.Usage("--rate is over 0 and at most 1000")
	case c.Wait < 0:
		return verb.Usage("--wait is a duration such as 30s")
	case c.Wait > 0 && (c.DryRun || c.Shadow):
		return verb.Usage("--wait waits for what is sent, and --dry-run and --shadow send nothing")
	case !event.ValidEndpoint(c.Endpoint):
		return verb.Usage("--endpoint is 1 to 32 of a-z, 0-9 and -")
	case strings.TrimSpace(c.Note) == "" && !c.DryRun && !c.Shadow:
		return verb.Hint(verb.Usage("a replay needs --note"), "why; it is kept in the record and in the audit trail. --dry-run and --shadow need none")
	}
	return checkList(c.Limit, c.MaxRead, c.Type)
}

// maxFile bounds a file of events.
const maxFile = 256 << 20

// source returns where the events' bytes come from, and the ids of a file's events.
func (c *Replay) source(ctx context.Context, a *verb.App, t verb.Target) (replay.Events, []string, error) {
	if c.FromFile == "" {
		client, err := a.Stripe(ctx, t)
		return client, nil, err
	}
	f, err := os.Open(c.FromFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read events: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxFile {
		return nil, nil, verb.Usage("%s is over %d bytes: split it", c.FromFile, maxFile)
	}
	file, err := replay.ReadFile(f)
	if err != nil {
		return nil, nil, verb.Usage("%s: %v", c.FromFile, err)
	}
	return file, file.IDs, nil
}

func (c *Replay) replayer(ctx context.Context, a *verb.App, t verb.Target, reader *dynamostore.Reader, source replay.Events) (*replay.Replayer, error) {
	store, err := t.Writer()
	if err != nil {
		return nil, err
	}
	excludes, err := t.Excludes(ctx)
	if err != nil {
		fmt.Fprintf(a.Err, "whether endpoint %s takes these events is not known: %v\n", c.Endpoint, err)
	}
	client := sqs.NewFromConfig(t.AWS, func(o *sqs.Options) { o.RetryMaxAttempts = 1 }) // the sender retries itself
	return replay.New(replay.Config{
		Records: reader, Store: store, Events: source, Queue: sqsqueue.New(client, t.QueueURL, "", t.Limits()),
		Endpoint: c.Endpoint, Excludes: excludes, Accounts: c.accounts(), Carried: c.FromFile != "", DryRun: c.DryRun,
		By: verb.Operator(), Why: verb.OneLine(c.Note), Limits: t.Limits(),
	})
}

// accounts are the accounts to ask Stripe as; - is the key's own.
func (c *Replay) accounts() []string {
	list := slices.Clone(c.Account)
	for i, s := range list {
		if s == "-" {
			list[i] = ""
		}
	}
	return list
}

// find reads the table for the done events that match the filters, the oldest first.
func (c *Replay) find(ctx context.Context, a *verb.App, reader *dynamostore.Reader) (ids []string, err error) {
	req, until, err := c.request(time.Now())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.Err, "reading the whole table, at most %d items: no index has done events\n", c.MaxRead)
	var found []idempotency.Record
	for read := 0; ; {
		req.Limit, req.MaxRead = c.Limit-len(found), c.MaxRead-read
		page, err := reader.List(ctx, req)
		if errors.Is(err, dynamostore.ErrCursor) {
			return nil, verb.Usage("--cursor is not a cursor of this list")
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
			break
		}
		if len(found) == c.Limit || c.MaxRead-read < idempotency.Shards {
			fmt.Fprintf(a.Err, "there may be more than these %d (%d items read): continue with --cursor %s\n", len(found), read, req.Cursor)
			break
		}
	}
	slices.SortStableFunc(found, func(x, y idempotency.Record) int { return cmp.Compare(x.Created, y.Created) })
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// request is the query for the table. A done record's last change is its end.
func (c *Replay) request(now time.Time) (req dynamostore.ListRequest, until time.Time, err error) {
	req = dynamostore.ListRequest{Status: dynamostore.Done, Type: c.Type, Cursor: c.Cursor}
	if c.Outcome == string(idempotency.Ignored) {
		req.Status = dynamostore.Ignored
	}
	if req.Since, err = verb.When("--since", c.Since, now); err != nil {
		return req, until, err
	}
	until, err = verb.When("--until", c.Until, now)
	return req, until, err
}

// detail describes the events.
func (c *Replay) detail(ids []string) string {
	var parts []string
	for _, p := range [][2]string{
		{"type", c.Type}, {"since", c.Since}, {"until", c.Until}, {"outcome", c.Outcome}, {"from file", c.FromFile},
		{"accounts", strings.Join(c.Account, ",")},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	parts = append(parts, verb.Plural(len(ids), "event", "events")+": "+verb.Clip(strings.Join(ids[:min(len(ids), 20)], " "), 400))
	return strings.Join(parts, ", ")
}
