package deadletters

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/redrive"
)

// Show shows one dead letter.
type Show struct {
	ID      string `arg:"" name:"event|message" help:"The event's id, or the message's own."`
	Payload bool   `help:"Print the event's body as well: it holds customers' data. Needs --note, and is audited."`
	Note    string `help:"Why the body is needed, for the audit trail." placeholder:"TEXT"`
	limitFlag
	waitFlag
}

func (Show) Help() string {
	return `The cause of one dead letter in full, and the record of its event. All dead letters are read to find it; each is hidden for up to two minutes and then shown again.

  tollgate dlq show evt_1
  tollgate dlq show evt_1 --payload --note "ticket 1204"`
}

type messageView struct {
	MessageID   string  `json:"message_id"`
	EventID     string  `json:"event_id"`
	Type        string  `json:"type"`
	Reason      string  `json:"reason"`
	Error       string  `json:"error"`
	Fingerprint string  `json:"fingerprint"`
	Attempt     int64   `json:"attempt"`
	CauseFrom   string  `json:"cause_from"` // message, record or queue
	Done        bool    `json:"done"`       // a leftover of a done event, as far as known
	Undecodable string  `json:"undecodable"`
	Receives    int     `json:"receives"`
	SentAt      *string `json:"sent_at"`
	FirstAt     *string `json:"first_received_at"`

	Object     string  `json:"object"`
	ObjectID   string  `json:"object_id"`
	Endpoint   string  `json:"endpoint"`
	Account    string  `json:"account"`
	Livemode   *bool   `json:"livemode"`
	APIVersion string  `json:"api_version"`
	Source     string  `json:"source"`
	Created    *string `json:"created"`
	ReceivedAt *string `json:"received_at"`
	IDOnly     bool    `json:"id_only"`
}

type oneView struct {
	messageView
	Copies  int              `json:"copies"` // dead letters of the event, this one included
	Record  *verb.RecordView `json:"record"`
	Other   bool             `json:"record_of_another,omitempty"` // the record has another identity, or is not a valid record
	Payload *string          `json:"payload,omitempty"`
}

func viewOf(d redrive.DeadLetter) messageView {
	v := messageView{
		MessageID: d.MessageID, EventID: d.EventID(), Type: d.Type(),
		Reason: d.Cause.Reason, Error: d.Cause.Error, Fingerprint: d.Cause.Fingerprint, Attempt: d.Cause.Attempt,
		CauseFrom: string(d.From), Done: d.Done, Undecodable: d.Undecodable,
		Receives: d.Receives, SentAt: verb.Stamp(d.SentAt), FirstAt: verb.Stamp(d.FirstReceived),
	}
	if d.Undecodable != "" {
		return v
	}
	e := d.Event
	v.Object, v.ObjectID, v.Endpoint, v.Account = e.Object, e.ObjectID, e.Endpoint, e.Account
	v.Livemode, v.APIVersion, v.Source = &e.Livemode, e.APIVersion, string(e.Source)
	v.Created, v.ReceivedAt, v.IDOnly = verb.Stamp(time.Unix(e.Created, 0)), verb.Stamp(e.ReceivedAt), d.IDOnly
	return v
}

// Run shows the newest dead letter of an event, or the one of a message.
func (c *Show) Run(ctx context.Context, a *verb.App) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Payload && strings.TrimSpace(c.Note) == "" {
		return verb.Usage(`--payload needs --note "why customers' data is needed"`)
	}
	w, err := open(ctx, a, "dlq show")
	if err != nil {
		return err
	}
	if !c.Payload {
		return c.show(ctx, w)
	}
	of := verb.Audit{Verb: "dlq show", Note: c.Note, Detail: c.ID + ", with payload"}
	return a.Audited(ctx, w.target, of, func(ctx context.Context) (string, error) { return "shown", c.show(ctx, w) })
}

// found is the newest dead letter of an event or message.
type found struct {
	redrive.DeadLetter
	payload []byte
	copies  int

	record *idempotency.Record // nil: no attempt has claimed the event
}

func (c *Show) show(ctx context.Context, w *work) error {
	f, err := c.find(ctx, w)
	if err != nil {
		return err
	}
	if id := f.EventID(); id != "" {
		r, known, err := w.dlq.Records.Get(ctx, id)
		if err != nil {
			return err
		}
		if known {
			f.record = &r
		}
	}
	if w.JSON {
		w.Object(f.view(w))
		return nil
	}
	f.print(w, c.Payload)
	return nil
}

// find reads the queue for the newest dead letter of the event. A message is one dead letter,
// an event may have several.
func (c *Show) find(ctx context.Context, w *work) (f found, err error) {
	p, err := w.plan(ctx, redrive.Selection{
		Filter: redrive.Filter{ID: c.ID}, MaxRead: c.Limit, WaitHidden: c.WaitHidden,
		Each: func(d redrive.DeadLetter, payload []byte) (bool, error) {
			if f.copies++; f.copies == 1 || d.SentAt.After(f.SentAt) {
				f.DeadLetter, f.payload = d, nil
				if c.Payload {
					f.payload = payload
				}
			}
			return d.MessageID != c.ID, nil
		},
	})
	switch {
	case err != nil || f.copies > 0:
		return f, err
	case p.Hidden > 0:
		err = fmt.Errorf("%s is in no dead letter of %s that can be read: %d more are hidden by another reader", c.ID, w.target.Name, p.Hidden)
		return f, verb.Hint(err, "--wait-hidden waits for them")
	}
	err = fmt.Errorf("%s is in no dead letter of %s", c.ID, w.target.Name)
	if p.More {
		return f, verb.Hint(err, "there are more dead letters than were read: see --limit")
	}
	return f, verb.Hint(err, "tollgate events show %s shows where an event is", c.ID)
}

func (f *found) view(w *work) oneView {
	v := oneView{messageView: viewOf(f.DeadLetter), Copies: f.copies}
	if f.record != nil {
		record := verb.ViewOf(*f.record, time.Now(), w.target.Limits())
		v.Record, v.Other = &record, !redrive.IsOf(*f.record, f.DeadLetter)
	}
	if f.payload != nil {
		text := string(f.payload)
		v.Payload = &text
	}
	return v
}

func (f *found) print(w *work, payload bool) {
	w.Fields(f.lines())
	fmt.Fprintln(w.Out)
	if f.record == nil {
		fmt.Fprintln(w.Out, "record: none, no attempt has claimed this event")
	} else {
		title := "record:"
		if !redrive.IsOf(*f.record, f.DeadLetter) {
			title = "record of this id, with another identity or not a valid record:"
		}
		fmt.Fprintln(w.Out, title)
		w.Fields(verb.ViewOf(*f.record, time.Now(), w.target.Limits()).Lines(*f.record))
	}
	if !payload {
		return
	}
	fmt.Fprintln(w.Out)
	if f.payload == nil {
		fmt.Fprintln(w.Out, "payload: the message carries none, Stripe has the event for 30 days")
		return
	}
	fmt.Fprintf(w.Out, "payload:\n%s\n", f.payload)
}

func (f *found) lines() [][2]string {
	from := map[redrive.From]string{
		redrive.FromMessage: "the message, by the consumer",
		redrive.FromRecord:  "the record; the queue moved the message after too many receives",
		redrive.FromQueue:   "none; the queue moved the message after too many receives, and there is no record",
	}[f.From]
	mode, created := "-", time.Time{}
	if f.Undecodable == "" {
		mode, created = f.Event.Mode(), time.Unix(f.Event.Created, 0)
	}
	return [][2]string{
		{"event", verb.Dash(f.EventID())}, {"message", f.MessageID}, {"type", verb.Dash(f.Type())},
		{"reason", f.Cause.Reason}, {"error", verb.Dash(f.Cause.Error)}, {"cause from", from},
		{"fingerprint", f.Cause.Fingerprint}, {"attempts", fmt.Sprint(f.Cause.Attempt)},
		{"receives", fmt.Sprintf("%d, reads by operators included", f.Receives)},
		{"copies", fmt.Sprint(f.copies)}, {"undecodable", verb.Dash(f.Undecodable)},
		{"object", verb.Dash(f.Event.ObjectID)}, {"mode", mode}, {"account", verb.Dash(f.Event.Account)},
		{"endpoint", verb.Dash(f.Event.Endpoint)}, {"api version", verb.Dash(f.Event.APIVersion)}, {"source", verb.Dash(string(f.Event.Source))},
		{"created", verb.LongTime(created)}, {"received", verb.LongTime(f.Event.ReceivedAt)},
		{"sent", verb.LongTime(f.SentAt)}, {"first read", verb.LongTime(f.FirstReceived)},
	}
}

// List lists dead letters.
type List struct {
	waitFlag
	Events bool `help:"List single dead letters instead of groups."`
	Limit  int  `default:"10000" help:"Dead letters read at most (1 to 100000)."`
}

func (List) Help() string {
	return `Reading hides each dead letter for up to two minutes and shows it again at the end, also on Ctrl-C: nothing is deleted or sent. Dead letters are grouped by event type, reason and error; numbers, ids and quoted text in errors are ignored. The cause of a message that the queue itself moved after too many receives is read from the event's record.

Messages that another reader hides cannot be read: they are counted, and the command then exits 1. It reports an empty queue only after the queue's counts were zero three times within 5 s. With --json the last object, on stderr, has both: {"read":…,"hidden":…,"certain":…}.

  tollgate dlq list --wait-hidden
  tollgate dlq list --events --json`
}

// Run lists groups or messages; an empty queue is not a failure.
func (c *List) Run(ctx context.Context, a *verb.App) error {
	if err := (limitFlag{c.Limit}).check(); err != nil {
		return err
	}
	w, err := open(ctx, a, "dlq list")
	if err != nil {
		return err
	}
	s := redrive.Selection{MaxRead: c.Limit, WaitHidden: c.WaitHidden}
	var list []redrive.DeadLetter
	if c.Events {
		s.Each = func(d redrive.DeadLetter, _ []byte) (bool, error) {
			list = append(list, d)
			return true, nil
		}
	}
	p, err := w.plan(ctx, s)
	if err != nil {
		return err
	}
	switch {
	case p.Read == 0:
		if p.Certain && !a.JSON {
			fmt.Fprintln(a.Out, "No dead letters.")
		}
	case c.Events:
		printMessages(a, list)
	default:
		printGroups(a, p.Groups)
	}
	if p.More {
		fmt.Fprintf(a.Err, "read %d dead letters; there may be more (--limit)\n", p.Read)
	}
	if a.JSON {
		a.Note(struct {
			Read    int  `json:"read"`
			Hidden  int  `json:"hidden"`
			Certain bool `json:"certain"`
		}{p.Read, p.Hidden, p.Certain}, "")
	}
	return w.unseen(p)
}

func printGroups(a *verb.App, groups []redrive.Group) {
	now := time.Now()
	object := func(g redrive.Group) any { return g }
	verb.List(a, groups, object, "", "count|type|reason|attempts|oldest|newest|fingerprint|newest event|error", func(g redrive.Group) []string {
		return []string{
			fmt.Sprint(g.Count), verb.Dash(verb.Clip(g.Type, 36)), verb.Clip(g.Reason, 20), fmt.Sprint(g.Attempts),
			verb.ShortTime(g.Oldest, now), verb.ShortTime(g.Newest, now), g.Fingerprint, verb.Dash(g.EventID), verb.Dash(g.Error),
		}
	})
}

func printMessages(a *verb.App, list []redrive.DeadLetter) {
	now := time.Now()
	object := func(d redrive.DeadLetter) any { return viewOf(d) }
	verb.List(a, list, object, "", "event|type|reason|attempts|sent|fingerprint|message|error", func(d redrive.DeadLetter) []string {
		return []string{
			verb.Dash(d.EventID()), verb.Dash(verb.Clip(d.Type(), 36)), verb.Clip(d.Cause.Reason, 20), fmt.Sprint(d.Cause.Attempt),
			verb.ShortTime(d.SentAt, now), d.Cause.Fingerprint, d.MessageID, verb.Dash(d.Cause.Error),
		}
	})
}
