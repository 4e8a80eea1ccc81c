// Package outbox has the verbs for messages that handlers requested.
package outbox

import (
	"context"
	"errors"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
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

// Run lists messages. An empty list is not a failure.
func (c *List) Run(ctx context.Context, a *verb.App) error {
	req, err := c.request(time.Now())
	if err != nil {
		return err
	}
	if err := verb.Between("--limit", c.Limit, 1, 10_000); err != nil {
		return err
	}
	req.Held, req.Unsent, req.Limit, req.Cursor = c.Held, c.Unsent, c.Limit, c.Cursor
	_, reader, err := a.Reader(ctx)
	if err != nil {
		return err
	}
	page, cursor, err := reader.Waiting(ctx, req)
	if errors.Is(err, dynamostore.ErrCursor) {
		return verb.Usage("--cursor is not from this list")
	}
	if err != nil {
		return err
	}
	verb.List(a, page, func(m dynamostore.WaitingMessage) any { return viewOf(m) }, "No messages.",
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

func row(m dynamostore.WaitingMessage) []string {
	v, now := viewOf(m), time.Now()
	state, _ := time.Parse(time.RFC3339, v.StateAt)
	status := v.Status
	switch {
	case m.Held && v.Held == dispatch.HeldBeforeBegin:
		status = "held: before begin"
	case m.Held:
		status = "held: " + verb.Dash(v.Held)
	case v.ReleasedAt != nil:
		status = "unsent, released"
	}
	return []string{
		verb.Clip(verb.Dash(v.Name), 24), status, verb.ShortTime(state, now), verb.ShortTime(m.Queued, now), verb.Money(v.Amount, v.Currency), v.Key, verb.Dash(v.To),
	}
}
