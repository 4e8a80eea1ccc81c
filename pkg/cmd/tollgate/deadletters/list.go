package deadletters

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/redrive"
)

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
