package main

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/redrive"
)

// dlqShowCmd shows one dead letter.
type dlqShowCmd struct {
	ID      string `arg:"" name:"event|message" help:"The event's id, or the message's own."`
	Payload bool   `help:"Print the event's body as well: it holds customers' data. Needs --reason, and is audited."`
	Why     string `name:"reason" aliases:"note" help:"Why the body is needed, for the audit trail." placeholder:"TEXT"`
	Limit   int    `default:"100000" help:"Dead letters looked at to find it (1 to 100000)."`
	waitHidden
}

// Help returns the text that --help prints with the flags.
func (dlqShowCmd) Help() string {
	return `The cause of one dead letter in full, and the record of its event. It is looked for among all dead letters, each of which is taken for up to two minutes and then given back.

  tollgate dlq show evt_1
  tollgate dlq show evt_1 --payload --reason "ticket 1204"`
}

// letterView is a dead letter for machines.
type letterView struct {
	MessageID   string  `json:"message_id"`
	EventID     string  `json:"event_id"`
	Type        string  `json:"type"`
	Reason      string  `json:"reason"`
	Error       string  `json:"error"`
	Fingerprint string  `json:"fingerprint"`
	Attempt     int64   `json:"attempt"`
	CauseFrom   string  `json:"cause_from"` // message, record or queue
	Done        bool    `json:"done"`       // known to be a leftover of a done event
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

// oneLetterView is a dead letter with what stands beside it.
type oneLetterView struct {
	letterView
	Copies  int         `json:"copies"` // dead letters of the event, this one included
	Record  *recordView `json:"record"`
	Other   bool        `json:"record_of_another,omitempty"` // the record was made under another identity, or by something else
	Payload *string     `json:"payload,omitempty"`
}

func letterOf(l redrive.Letter) letterView {
	v := letterView{
		MessageID: l.MessageID, EventID: l.EventID(), Type: l.Type(),
		Reason: l.Cause.Reason, Error: l.Cause.Error, Fingerprint: l.Cause.Fingerprint, Attempt: l.Cause.Attempt,
		CauseFrom: string(l.From), Done: l.Done, Undecodable: l.Undecodable,
		Receives: l.Receives, SentAt: stamp(l.SentAt), FirstAt: stamp(l.FirstReceived),
	}
	if l.Undecodable != "" {
		return v
	}
	e := l.Event
	v.Object, v.ObjectID, v.Endpoint, v.Account = e.Object, e.ObjectID, e.Endpoint, e.Account
	v.Livemode, v.APIVersion, v.Source = &e.Livemode, e.APIVersion, string(e.Source)
	v.Created, v.ReceivedAt, v.IDOnly = stamp(time.Unix(e.Created, 0)), stamp(e.ReceivedAt), l.IDOnly
	return v
}

// found is the newest letter of what was looked for.
type found struct {
	letter  redrive.Letter
	payload []byte
	copies  int
}

// Run shows the newest dead letter of an event, or the one of a message.
func (c *dlqShowCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 || c.Limit > redrive.MaxLetters {
		return usage("--limit is 1 to %d", redrive.MaxLetters)
	}
	if c.Payload && c.Why == "" {
		return usage(`--payload needs --reason "why customers' data is needed"`)
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	if !c.Payload {
		return c.show(ctx, a, t)
	}
	of := auditOf{verb: "dlq show", why: c.Why, detail: c.ID + ", with payload"}
	return a.audited(ctx, t, of, func(ctx context.Context) (string, error) { return "shown", c.show(ctx, a, t) })
}

func (c *dlqShowCmd) show(ctx context.Context, a *app, t target) error {
	var f found
	more, rest, err := a.browse(ctx, t, "dlq show", c.Limit, c.waitHidden, f.look(c.ID, c.Payload))
	if err != nil {
		return err
	}
	if f.copies == 0 {
		err := fmt.Errorf("%s is in no dead letter of %s", c.ID, t.name)
		switch {
		case more:
			return hint(err, "there are more letters than were looked at: see --limit")
		case rest.Hidden > 0:
			return hint(fmt.Errorf("%s is in no dead letter of %s that can be read: %d more are hidden by another reader", c.ID, t.name, rest.Hidden), "--wait-hidden waits for them")
		}
		return hint(err, "tollgate events show %s tells where an event is", c.ID)
	}
	reader, err := t.reader()
	if err != nil {
		return err
	}
	one := []redrive.Letter{f.letter}
	if err := redrive.Explain(ctx, reader, one); err != nil {
		return err
	}
	f.letter = one[0]
	r, known, err := recordOf(ctx, reader, f.letter)
	if err != nil {
		return err
	}
	if !known {
		f.show(a, t, c.Payload, nil)
		return nil
	}
	f.show(a, t, c.Payload, &r)
	return nil
}

// look returns a visit that finds letters by event or message id. A message is one
// letter, an event may have several.
func (f *found) look(id string, payload bool) func(redrive.Letter, []byte) bool {
	return func(l redrive.Letter, body []byte) bool {
		if l.EventID() != id && l.MessageID != id {
			return true
		}
		if f.copies++; f.copies == 1 || l.SentAt.After(f.letter.SentAt) {
			f.letter, f.payload = l, nil
			if payload {
				f.payload = body
			}
		}
		return l.MessageID != id
	}
}

func (f *found) show(a *app, t target, payload bool, r *idempotency.Record) {
	if a.json {
		v := oneLetterView{letterView: letterOf(f.letter), Copies: f.copies}
		if r != nil {
			record := viewOf(*r, time.Now(), t.limits())
			v.Record, v.Other = &record, !redrive.IsOf(*r, f.letter)
		}
		if f.payload != nil {
			text := string(f.payload)
			v.Payload = &text
		}
		a.object(v)
		return
	}
	a.fields(f.lines())
	fmt.Fprintln(a.out)
	if r == nil {
		fmt.Fprintln(a.out, "record: none, no attempt has claimed this event")
	} else {
		title := "record:"
		if !redrive.IsOf(*r, f.letter) {
			title = "record of this id, made under another identity or by something else:"
		}
		fmt.Fprintln(a.out, title)
		a.fields(viewOf(*r, time.Now(), t.limits()).Lines(*r))
	}
	if !payload {
		return
	}
	fmt.Fprintln(a.out)
	if f.payload == nil {
		fmt.Fprintln(a.out, "payload: none travels with this message, Stripe has the event for 30 days")
		return
	}
	fmt.Fprintf(a.out, "payload:\n%s\n", f.payload)
}

func (f *found) lines() [][2]string {
	l := f.letter
	from := map[redrive.From]string{
		redrive.FromMessage: "the consumer, beside the message",
		redrive.FromRecord:  "the record; the queue moved the message after too many receives",
		redrive.FromQueue:   "nothing; the queue moved the message after too many receives, and there is no record",
	}[l.From]
	mode := "-"
	if l.Undecodable == "" {
		mode = l.Event.Mode()
	}
	created := time.Time{}
	if l.Undecodable == "" {
		created = time.Unix(l.Event.Created, 0)
	}
	return [][2]string{
		{"event", dash(l.EventID())}, {"message", l.MessageID}, {"type", dash(l.Type())},
		{"reason", l.Cause.Reason}, {"error", dash(oneLine(l.Cause.Error))}, {"told by", from},
		{"fingerprint", l.Cause.Fingerprint}, {"attempts", fmt.Sprint(l.Cause.Attempt)},
		{"receives", fmt.Sprintf("%d, viewing included", l.Receives)},
		{"copies", fmt.Sprint(f.copies)}, {"undecodable", dash(oneLine(l.Undecodable))},
		{"object", dash(l.Event.ObjectID)}, {"mode", mode}, {"account", dash(l.Event.Account)},
		{"endpoint", dash(l.Event.Endpoint)}, {"api version", dash(l.Event.APIVersion)}, {"source", dash(string(l.Event.Source))},
		{"created", longTime(created)}, {"received", longTime(l.Event.ReceivedAt)},
		{"sent", longTime(l.SentAt)}, {"first read", longTime(l.FirstReceived)},
	}
}
