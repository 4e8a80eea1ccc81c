package main

import (
	"context"
	"fmt"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/redrive"
)

// dlqListCmd lists dead letters.
type dlqListCmd struct {
	waitHidden
	Events bool `help:"List single dead letters instead of groups of one cause."`
	Limit  int  `default:"10000" help:"Dead letters read at most (1 to 100000)."`
}

// Help returns the text that --help prints with the flags.
func (dlqListCmd) Help() string {
	return `Reading takes each dead letter for up to two minutes and then gives it back, also on Ctrl-C: nothing is deleted or sent. Letters of one event type, reason and error (apart from numbers, ids and quoted text) are one group; an event type has one handler, so a group names the handler as well. Letters that the queue itself moved after too many receives carry no cause: it is read from the event's record.

Letters that another reader hides cannot be read: they are counted, and the command then exits 1. It reports an empty queue only after the queue's counts were zero three times within 5 s. With --json a last object on stderr has both: {"read":…,"hidden":…,"certain":…}.

  tollgate dlq list --wait-hidden
  tollgate dlq list --events --json`
}

// Run lists groups or letters; an empty queue is no failure.
func (c *dlqListCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 || c.Limit > redrive.MaxLetters {
		return usage("--limit is 1 to %d", redrive.MaxLetters)
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	var letters []redrive.Letter
	more, rest, err := a.browse(ctx, t, "dlq list", c.Limit, c.waitHidden, func(l redrive.Letter, _ []byte) bool {
		letters = append(letters, l)
		return true
	})
	if err != nil {
		return err
	}
	reader, err := t.reader()
	if err != nil {
		return err
	}
	if err := redrive.Explain(ctx, reader, letters); err != nil {
		return err
	}
	if len(letters) == 0 {
		if rest.Certain && !a.json {
			fmt.Fprintln(a.out, noDeadLetters)
		}
	} else if c.Events {
		a.letters(letters)
	} else {
		a.groups(redrive.GroupLetters(letters))
	}
	if more {
		fmt.Fprintf(a.err, "read %d dead letters; there may be more (--limit)\n", len(letters))
	}
	a.seen(len(letters), rest)
	return t.unseen(len(letters), rest)
}

// browse visits the target's dead letters while no other operator works on them.
func (a *app) browse(ctx context.Context, t target, what string, limit int, wait waitHidden, visit func(redrive.Letter, []byte) bool) (more bool, rest redrive.Rest, err error) {
	var sum redrive.Summary
	err = a.exclusive(ctx, t, what, func(ctx context.Context) error {
		watch, err := wait.begin(ctx, a, t)
		if err != nil {
			return err
		}
		p := a.counter("read", "dead letters")
		sum, err = redrive.Browse(ctx, t.deadLetters(), t.pass(limit), func(l redrive.Letter, payload []byte) bool {
			p.add(1)
			return visit(l, payload)
		})
		if err != nil {
			return err
		}
		rest, err = watch.Rest(ctx, redrive.Seen{Letters: sum.Letters, Unreleased: sum.Unreleased, More: sum.More})
		return err
	})
	a.unreleased(sum.Unreleased)
	return sum.More, rest, err
}

// groupView is one line of the list of groups.
type groupView struct {
	Count       int     `json:"count"`
	Type        string  `json:"type"`
	Reason      string  `json:"reason"`
	Error       string  `json:"error"`
	Fingerprint string  `json:"fingerprint"`
	Attempts    int64   `json:"attempts"` // the most of any
	Oldest      *string `json:"oldest"`
	Newest      *string `json:"newest"`
	EventID     string  `json:"event_id"` // of the newest
	Done        int     `json:"done"`     // known to be leftovers of done events
}

func groupViewOf(g redrive.Group) groupView {
	return groupView{
		Count: g.Count, Type: g.Type, Reason: g.Reason, Error: g.Error, Fingerprint: g.Fingerprint,
		Attempts: g.Attempts, Oldest: stamp(g.Oldest), Newest: stamp(g.Newest), EventID: g.EventID, Done: g.Done,
	}
}

const noDeadLetters = "No dead letters: no message has given up."

func (a *app) groups(groups []redrive.Group) {
	now := time.Now()
	var rows [][]string
	for _, g := range groups {
		if a.json {
			a.object(groupViewOf(g))
			continue
		}
		rows = append(rows, []string{
			fmt.Sprint(g.Count), dash(clip(g.Type, 36)), clip(g.Reason, 20), dash(clip(g.Error, 60)), fmt.Sprint(g.Attempts),
			shortTime(g.Oldest, now), shortTime(g.Newest, now), g.Fingerprint, dash(g.EventID),
		})
	}
	a.rows([]string{"count", "type", "reason", "error", "attempts", "oldest", "newest", "fingerprint", "newest event"}, rows)
}

func (a *app) letters(letters []redrive.Letter) {
	now := time.Now()
	var rows [][]string
	for _, l := range letters {
		if a.json {
			a.object(letterOf(l))
			continue
		}
		rows = append(rows, []string{
			dash(l.EventID()), dash(clip(l.Type(), 36)), clip(l.Cause.Reason, 20), dash(clip(l.Cause.Error, 60)),
			fmt.Sprint(l.Cause.Attempt), shortTime(l.SentAt, now), l.Cause.Fingerprint, l.MessageID,
		})
	}
	a.rows([]string{"event", "type", "reason", "error", "attempts", "sent", "fingerprint", "message"}, rows)
}

func (a *app) rows(head []string, rows [][]string) {
	if !a.json {
		a.table(head, rows)
	}
}

// recordOf reads the record of a letter's event; found is false when nothing names the event.
func recordOf(ctx context.Context, reader *dynamostore.Reader, l redrive.Letter) (r idempotency.Record, found bool, err error) {
	if l.EventID() == "" {
		return r, false, nil
	}
	return reader.Get(ctx, l.EventID())
}
