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
	"tollgate/pkg/pause"
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

func (Replay) Help() string {
	return `The event is fetched from Stripe, which keeps events for 30 days, and made into a message; then its record is set to run again, in the next generation; then the message is sent. An event that cannot be fetched is refused, and nothing is written: give its JSON with --from-file. An event that the policy of --endpoint excludes is refused too. An event that was set to run again and has not run yet is only sent, so the command can be repeated. Facts that exist already are not inserted again. A message that it requests anew is held when its state is over 24 hours old by now: the number held is printed, with --wait for all events.

Filters select done events. They read the whole table, up to --max-read items.

--shadow runs the handler that is built into this command and compares its effects with the stored items. The table and the queue are only read. But calls that the handler makes to other systems, such as creating a refund, are NOT prevented: they take effect. Stripe's idempotency key deduplicates such a call only if the first attempt was less than 24 hours ago, and other services may not deduplicate at all. Do not shadow such a handler with a live key.

  tollgate events replay evt_1 --shadow
  tollgate events replay evt_1 --note "tax was rounded wrongly"
  tollgate events replay --type "customer.*" --outcome ignored --since 7d --note "new handler" --dry-run`
}

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
	return a.Change(ctx, t, verb.Audit{Verb: "events replay", Note: c.Note, Detail: what, Ask: ask, Plan: ids}, c.Yes, run.run)
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
	pauses := pause.NewCache(reader.Pauses, t.Limits(), nil)
	client := sqs.NewFromConfig(t.AWS, func(o *sqs.Options) { o.RetryMaxAttempts = 1 }) // the sender retries itself
	return replay.New(replay.Config{
		Records: reader, Store: store, Events: source, Queue: sqsqueue.New(client, t.QueueURL, "", t.Limits()),
		Endpoint: c.Endpoint, Excludes: excludes, Accounts: c.accounts(), Carried: c.FromFile != "", DryRun: c.DryRun,
		By: verb.Operator(), Why: verb.OneLine(c.Note), Limits: t.Limits(),
		Paused: func(ctx context.Context, eventType string) (bool, error) { return pauses.Quiet(ctx, eventType, "") },
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

type replayView struct {
	ID         string        `json:"id"`
	Type       string        `json:"type"`
	Action     replay.Action `json:"action"`
	Generation int64         `json:"generation,omitempty"`
	Note       string        `json:"note,omitempty"`
	Error      string        `json:"error,omitempty"`
	Hint       string        `json:"hint,omitempty"`

	Record *verb.RecordView `json:"record,omitempty"` // with --wait: as it was when the wait ended
}

type replayRun struct {
	*Replay
	*verb.App
	target   verb.Target
	replayer *replay.Replayer
	ids      []string

	warned map[string]bool       // types without a handler
	sent   map[string]replayView // by id, whose outcomes are printed later
	single error                 // why the only event was refused
}

// run replays the events and, with --wait, waits for their outcomes.
func (r *replayRun) run(ctx context.Context) (outcome string, err error) {
	progress := r.Progress("replayed", len(r.ids))
	r.sent = map[string]replayView{}
	s, err := r.replayer.Run(ctx, r.ids, replay.RunOptions{
		Rate: r.Rate, Wait: r.Wait,
		OnResult: func(id string, res replay.Result, err error) {
			r.printResult(id, res, err)
			progress.Add(1)
		},
		OnOutcome: r.printOutcome,
	})
	progress.Done()
	var texts []string
	for _, action := range []replay.Action{replay.Replayed, replay.Sent, replay.WouldReplay, replay.WouldSend, replay.Refused} {
		if n := s.Actions[action]; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n, words(action)))
		}
	}
	if text := r.held(ctx, s.Sent, r.Wait > 0 && err == nil && len(s.Outcomes[replay.OutcomeDone]) == len(s.Sent)); text != "" {
		texts = append(texts, text)
	}
	outcome = strings.Join(texts, ", ")
	switch unfinished := slices.Concat(s.Outcomes[replay.OutcomeDead], s.Outcomes[replay.OutcomeOpen]); {
	case err != nil:
	case r.single != nil:
		err = r.single
	case len(unfinished) > 0:
		err = verb.Hint(fmt.Errorf("not done after %s: %d dead, %d still open (%s)", r.Wait, len(s.Outcomes[replay.OutcomeDead]), len(s.Outcomes[replay.OutcomeOpen]), verb.Clip(strings.Join(unfinished, " "), 200)),
			"tollgate events show %s", unfinished[0])
	case s.Actions[replay.Refused] > 0:
		err = fmt.Errorf("%d of %d events were refused; nothing was written for them", s.Actions[replay.Refused], len(r.ids))
	}
	return outcome, err
}

// held prints how many messages of the replayed events are held, and returns it for the audit
// trail. Unless all of them are done, the number may still grow.
func (r *replayRun) held(ctx context.Context, sent []string, final bool) string {
	if len(sent) == 0 {
		return ""
	}
	n, err := r.CountHeld(ctx, r.target, sent)
	if err != nil {
		return ""
	}
	text := verb.HeldText(n, final)
	fmt.Fprintln(r.Err, text)
	return text
}

// printResult prints what was done with an event. As JSON, an event that is waited for is one
// object, so it is printed when the wait is over.
func (r *replayRun) printResult(id string, res replay.Result, err error) {
	v := replayView{ID: id, Type: res.Event.Type, Action: res.Action, Generation: res.Generation, Note: res.Note}
	if refused, ok := errors.AsType[*replay.RefusedError](err); ok {
		if len(r.ids) == 1 {
			r.single = verb.Hint(fmt.Errorf("event %s: %w", id, err), "%s", refused.Hint)
			return
		}
		v.Error, v.Hint = refused.Error(), refused.Hint
	} else {
		r.sent[id] = v
		r.warn(res)
	}
	if err != nil || !r.JSON || r.Wait == 0 {
		r.Line(v, v.text())
	}
}

// warn warns once for a type that this build has no handler for.
func (r *replayRun) warn(res replay.Result) {
	typ := res.Event.Type
	if r.warned[typ] || handlersOf(noStripe{}, noStripe{}).Handles(res.Event) {
		return
	}
	r.warned[typ] = true
	fmt.Fprintf(r.Err, "this command has no handler for %s: unless the deployed code has one, the replay ends as ignored\n", typ)
}

func words(a replay.Action) string { return strings.ReplaceAll(string(a), "_", " ") }

func (v replayView) text() string {
	text := fmt.Sprintf("%-34s %-32s %-12s", v.ID, v.Type, words(v.Action))
	switch {
	case v.Error != "":
		text += " " + verb.OneLine(v.Error)
		if v.Hint != "" {
			text += " (" + v.Hint + ")"
		}
	case v.Note != "":
		text += " " + v.Note
	default:
		text += fmt.Sprintf(" generation %d", v.Generation)
	}
	return text
}

func (r *replayRun) printOutcome(id string, o replay.Outcome, record *idempotency.Record) {
	v := r.sent[id]
	text := id + " is " + string(o)
	if record != nil {
		view := verb.ViewOf(*record, time.Now(), r.target.Limits())
		v.Record = &view
		if o == replay.OutcomeDone {
			text += fmt.Sprintf(": %s, attempt %d", view.Outcome, view.Attempt)
		} else {
			text += fmt.Sprintf(": %s after attempt %d: %s", view.Status, view.Attempt, verb.Dash(verb.Clip(view.Error, 160)))
		}
	}
	if r.JSON || record != nil {
		r.Line(v, text)
	}
}
