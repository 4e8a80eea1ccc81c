// Package outbox has the verbs for messages that handlers requested.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/outbox"
)

// Commands are the verbs for messages in the outbox.
type Commands struct {
	List    List    `cmd:"" help:"List messages that are held or not sent yet."`
	Release Release `cmd:"" help:"Release held messages, so that they are sent."`
}

type filter struct {
	Type   string `help:"Messages of this name, for example receipt." placeholder:"NAME"`
	Since  string `help:"Messages about states that began then or later: days such as 7d, a duration such as 2h, or a time (RFC 3339)." placeholder:"WHEN"`
	Before string `help:"Messages about states that began before then." placeholder:"WHEN"`
}

// request returns the table request for the filter, in whole seconds, as states are stored.
func (f filter) request(now time.Time) (req dynamostore.OutboxRequest, err error) {
	req.Name = f.Type
	if req.Since, err = verb.When("--since", f.Since, now); err != nil {
		return req, err
	}
	before, err := verb.When("--before", f.Before, now)
	if err != nil {
		return req, err
	}
	if !req.Since.IsZero() && !before.IsZero() && !req.Since.Before(before) {
		return req, verb.Usage("--since is not before --before")
	}
	if !req.Since.IsZero() {
		req.Since = req.Since.Add(time.Second - time.Nanosecond).Truncate(time.Second)
	}
	if !before.IsZero() {
		req.Until = before.Add(-time.Nanosecond).Truncate(time.Second)
	}
	return req, nil
}

// List lists messages.
type List struct {
	filter
	Held   bool   `help:"Held messages only."`
	Unsent bool   `help:"Unsent messages only."`
	Limit  int    `default:"100" help:"Messages listed (1 to 10000)."`
	Cursor string `help:"Continue where the previous list ended, with the same filters."`
}

func (List) Help() string {
	return `Lists the messages that handlers requested and that are not sent: held and unsent ones, the oldest state first. New messages appear after a moment.

A message is held when its state (an invoice paid, a subscription started) was over 24 hours old when its event was received, "old", or began before the history of this system, "before begin". Held messages stay until they are released.

A list that stops before its end prints a cursor on stderr, with --json as an object: {"cursor":…}.

  tollgate outbox list --held
  tollgate outbox list --unsent --type receipt --before 1h`
}

// Load reads one page of the list, and the cursor of the next, "" at the end.
func (c *List) Load(ctx context.Context, a *verb.App) (page []View, cursor string, err error) {
	req, err := c.request(time.Now())
	if err != nil {
		return nil, "", err
	}
	if err := verb.Between("--limit", c.Limit, 1, 10_000); err != nil {
		return nil, "", err
	}
	req.Held, req.Unsent, req.Limit, req.Cursor = c.Held, c.Unsent, c.Limit, c.Cursor
	_, reader, err := a.Reader(ctx)
	if err != nil {
		return nil, "", err
	}
	list, cursor, err := reader.Waiting(ctx, req)
	if errors.Is(err, dynamostore.ErrCursor) {
		return nil, "", verb.Usage("--cursor is not from this list")
	}
	for _, m := range list {
		page = append(page, viewOf(m))
	}
	return page, cursor, err
}

// Run lists messages. An empty list is not a failure.
func (c *List) Run(ctx context.Context, a *verb.App) error {
	page, cursor, err := c.Load(ctx, a)
	if err != nil {
		return err
	}
	verb.List(a, page, func(v View) any { return v }, "No messages.",
		"message|status|state of|waits since|amount|key|to", row)
	if cursor != "" {
		a.Note(map[string]string{"cursor": cursor}, "there may be more: continue with --cursor "+cursor)
	}
	return nil
}

// View is a message as JSON.
type View struct {
	Key        string  `json:"key"`
	Status     string  `json:"status"` // held or unsent
	Held       string  `json:"held"`   // why it is or was held, "" for never
	Name       string  `json:"name"`
	To         string  `json:"to"` // the customer's id
	Object     string  `json:"object"`
	ObjectID   string  `json:"object_id"`
	Amount     int64   `json:"amount"`
	Currency   string  `json:"currency"`
	Mode       string  `json:"mode"`
	Account    string  `json:"account"`
	EventID    string  `json:"event_id"`
	StateAt    string  `json:"state_at"`    // when its state began
	QueuedAt   *string `json:"queued_at"`   // when it was requested or released
	ReleasedAt *string `json:"released_at"` // null: never
}

func viewOf(m dynamostore.WaitingMessage) View {
	text := func(name string) string { s, _ := m.Fields[name].(string); return s }
	amount, _ := m.Fields["amount"].(int64)
	v := View{
		Key: m.Key, Status: "unsent", Held: text(dispatch.MessageHeld), Name: m.Name, To: m.To,
		Object: text("object"), ObjectID: text("object_id"), Amount: amount, Currency: text("currency"),
		Mode: text("mode"), Account: text("account"), EventID: text("event_id"),
		StateAt: text(dispatch.ListOrder), QueuedAt: verb.Stamp(m.Queued),
	}
	if m.Held {
		v.Status = "held"
	}
	if ms, ok := m.Fields["released_at"].(int64); ok {
		v.ReleasedAt = verb.Stamp(time.UnixMilli(ms))
	}
	return v
}

// Text describes the status in words.
func (v View) Text() string {
	held := v.Status == "held"
	switch {
	case held && v.Held == dispatch.HeldBeforeBegin:
		return "held: before begin"
	case held && v.Held == dispatch.HeldBefore:
		return "held: before restore"
	case held:
		return "held: " + verb.Dash(v.Held)
	case v.ReleasedAt != nil:
		return "unsent, released"
	}
	return v.Status
}

func row(v View) []string {
	var queued time.Time
	if v.QueuedAt != nil {
		queued, _ = time.Parse(time.RFC3339, *v.QueuedAt)
	}
	now := time.Now()
	state, _ := time.Parse(time.RFC3339, v.StateAt)
	return []string{
		verb.Clip(verb.Dash(v.Name), 24), v.Text(), verb.ShortTime(state, now), verb.ShortTime(queued, now), verb.Money(v.Amount, v.Currency), v.Key, verb.Dash(v.To),
	}
}

// Release releases held messages, so that they are sent.
type Release struct {
	Keys []string `arg:"" optional:"" name:"key" help:"Keys of held messages, OUT#…, as outbox list shows them."`
	filter
	All    bool   `help:"Release every held message; required without a key or filter."`
	DryRun bool   `help:"Print what would be released, and release nothing."`
	Note   string `help:"Reason, for the audit trail. Required." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation."`
}

func (Release) Help() string {
	return `Releases held messages: the outbox sends them within a minute or two, and they cannot be recalled. A message that is sent, or not held, stays as it is, so a release can be repeated.

The messages to release are selected before the first is released: later ones need another run.

  tollgate outbox release --since 2026-11-28T09:00:00Z --type receipt --note "after the cut-over at nine"
  tollgate outbox release 'OUT#FACT#live#-#pi_1#succeeded#receipt' --note "asked for by the customer"`
}

const (
	// maxReleased bounds one run; the next run takes the rest.
	maxReleased = 100_000
	// releaseAtOnce is how many requests are made in parallel.
	releaseAtOnce = 16
)

// Result is the result of a run, as JSON.
type Result struct {
	Selected    int  `json:"selected"`
	DryRun      bool `json:"dry_run"`
	Released    int  `json:"released"`
	NotHeld     int  `json:"not_held"`     // already unsent
	AlreadySent int  `json:"already_sent"` // unchanged
	NoMessage   int  `json:"no_message"`   // keys without a message
}

// Run selects, asks, and releases. It fails if any key is not released.
func (c *Release) Run(ctx context.Context, a *verb.App) error {
	req, err := c.check(time.Now())
	if err != nil {
		return err
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return err
	}
	keys, detail, err := c.selectKeys(ctx, reader, req)
	if err != nil {
		return err
	}
	done := Result{Selected: len(keys), DryRun: c.DryRun}
	if len(keys) == 0 {
		a.Line(done, "0 held messages are selected; nothing was changed")
		return nil
	}
	if c.DryRun {
		a.Line(done, fmt.Sprintf("would release %s; nothing was changed", detail))
		return nil
	}
	of := verb.Audit{Verb: "outbox release", Note: c.Note, Detail: detail, Ask: "release " + detail + ": they are sent and cannot be recalled"}
	return a.Change(ctx, t, of, c.Yes, func(ctx context.Context) (string, error) {
		box, err := t.Writer()
		if err != nil {
			return "", err
		}
		err = c.release(ctx, a, box, keys, &done)
		a.Line(done, done.text())
		return done.text(), err
	})
}

func (c *Release) check(now time.Time) (req dynamostore.OutboxRequest, err error) {
	filtered := c.filter != filter{}
	switch {
	case len(c.Keys) > 0 && (filtered || c.All):
		return req, verb.Usage("name messages or select them by filters, not both")
	case c.All && filtered:
		return req, verb.Usage("--all means every held message: leave the filters out")
	case len(c.Keys) == 0 && !filtered && !c.All:
		return req, verb.Hint(verb.Usage("name messages, select held ones with --type, --since or --before, or give --all"), "tollgate outbox list --held shows them")
	case slices.ContainsFunc(c.Keys, func(key string) bool { return !dispatch.IsMessageKey(key) }):
		return req, verb.Hint(verb.Usage("a key of a message begins with OUT#"), "tollgate outbox list --held shows them")
	case strings.TrimSpace(c.Note) == "" && !c.DryRun:
		return req, verb.Hint(verb.Usage("a release needs --note"), "it is kept in the audit trail; --dry-run needs none")
	}
	req, err = c.request(now)
	req.Held, req.Limit = true, 1000
	return req, err
}

func (c *Release) selectKeys(ctx context.Context, reader *dynamostore.Reader, req dynamostore.OutboxRequest) (keys []string, detail string, err error) {
	if len(c.Keys) > 0 {
		keys = verb.Unique(c.Keys)
		return keys, fmt.Sprintf("%d named messages: %s", len(keys), verb.Clip(strings.Join(keys, " "), 400)), nil
	}
	names, oldest, newest := map[string]int{}, "", ""
	for {
		page, next, err := reader.Waiting(ctx, req)
		if err != nil {
			return nil, "", err
		}
		for _, m := range page {
			keys = append(keys, m.Key)
			names[m.Name]++
			at, _ := m.Fields[dispatch.ListOrder].(string)
			if oldest == "" {
				oldest = at
			}
			newest = at
		}
		if len(keys) > maxReleased {
			return nil, "", verb.Hint(verb.Usage("over %d held messages are selected", maxReleased), "select fewer with --type, --since or --before")
		}
		if req.Cursor = next; next == "" {
			break
		}
	}
	if len(keys) == 0 {
		return nil, "0 held messages", nil
	}
	var kinds []string
	for name, n := range names {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, verb.Dash(name)))
	}
	slices.Sort(kinds)
	return keys, fmt.Sprintf("%d held messages (%s) about states of %s to %s", len(keys), strings.Join(kinds, ", "), oldest, newest), nil
}

// release releases messages in parallel. The first error ends the run; released messages stay
// released. An interrupt does not end a request.
func (c *Release) release(ctx context.Context, a *verb.App, box *dynamostore.Operator, keys []string, done *Result) error {
	progress := a.Progress("released", len(keys))
	defer progress.Done()
	var mu sync.Mutex
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(releaseAtOnce)
	for _, key := range keys {
		if running.Err() != nil {
			break
		}
		group.Go(func() error {
			result, err := box.Release(context.WithoutCancel(ctx), key, time.Now())
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done.count(result)
			progress.Add(1)
			return nil
		})
	}
	err := group.Wait()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return verb.Hint(errors.New("interrupted: released messages are sent"), "run it again to continue")
	case len(c.Keys) > 0 && done.Released < len(keys):
		return fmt.Errorf("%d of %d messages were not released", len(keys)-done.Released, len(keys))
	}
	return nil
}

func (r *Result) count(is outbox.Release) {
	switch is {
	case outbox.Released:
		r.Released++
	case outbox.AlreadySent:
		r.AlreadySent++
	case outbox.NoMessage:
		r.NoMessage++
	default:
		r.NotHeld++
	}
}

func (r *Result) text() string {
	return fmt.Sprintf("released %d of %d messages", r.Released, r.Selected) +
		verb.Counts(", ", verb.Count(r.NotHeld, "not held"), verb.Count(r.AlreadySent, "sent before"), verb.Count(r.NoMessage, "not there"))
}
