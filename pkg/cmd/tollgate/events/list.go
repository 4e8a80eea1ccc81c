// Package events has the verbs on events and their records: list, show, payload, replay, purge,
// reidentify, and causes.
package events

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// List lists events.
type List struct {
	Status  string `enum:",failed,dead,retrying,done,ignored,running,purged,broken" default:"" help:"failed, dead, retrying, done, ignored, running, purged or broken. Default: failed." placeholder:"WORD"`
	Type    string `help:"Events of this type, or of a pattern such as invoice.*" placeholder:"TYPE"`
	About   string `help:"Events of this customer, object or payment, or the event of this id." placeholder:"ID"`
	Scan    bool   `help:"With --about: read the whole table for the events that wrote an item of it."`
	Mode    string `enum:",live,test" default:"" help:"Events that wrote items of this mode: live or test." placeholder:"MODE"`
	Account string `help:"Events that wrote items of this connected account; - is the platform's own." placeholder:"acct_…"`
	Since   string `help:"Events whose record changed since: days such as 7d, a duration such as 2h, or a time (RFC 3339)." placeholder:"WHEN"`
	Until   string `help:"Events whose record changed before; as --since." placeholder:"WHEN"`
	Group   bool   `help:"Group those that fail by type and error, as tollgate causes does without dead letters; --limit does not count."`
	Limit   int    `default:"100" help:"Events listed (1 to 10000)."`
	MaxRead int    `default:"10000" help:"Items read to find them (8 to 1000000)."`
	Cursor  string `help:"Continue where the previous list ended, with the same filters."`
}

func (List) Help() string {
	return `Without a filter, and for --status failed, dead and retrying, an index is read, newest change first. It has the events that failed or came twice, and are not done.

  failed    all of these
  dead      of these: no receives left, in the dead-letter queue or about to be
  retrying  of these: have receives left, or are running
  done      done, with any outcome
  ignored   done, and no handler ran
  running   an attempt runs, or died without recording it
  purged    not done, and an operator purged it
  broken    the row cannot be read as a record; every other list shows it too, if its readable attributes match

--about finds the events that the ledger's items about an id name: of a fact and of a message the first event, of a row the last, at most 300. With --scan it reads the whole table and finds all that wrote an item of that id; neither finds an event that wrote nothing. A record names no mode and no account: both filters look at the items that an event wrote.

--status done, ignored, running, purged and broken, and any other filter without --status, read the whole table, in no order. A list that stops before its end prints a cursor on stderr, with --json as an object: {"cursor":…,"read":…}.

The next attempt is when the back-off schedule makes the message visible again: a time of the next hour, or "due". A receive that cannot reach the table leaves no trace in the record: if it may have been the last, a retrying event is shown as in the queue or dlq.

  tollgate events list
  tollgate events list --status done --type 'invoice.*' --since 2h`
}

// Run lists events. An empty list is not a failure.
func (c *List) Run(ctx context.Context, a *verb.App) error {
	f, err := Find(ctx, a, *c)
	if err != nil {
		return err
	}
	if c.Group {
		printCauses(a, groups(f.Records, f.Limits), "No events that match fail.")
	} else {
		print(a, f.Records, f.Limits)
	}
	if f.Left > 0 {
		fmt.Fprintf(a.Err, "%d more events are named: --scan reads the table for them\n", f.Left)
	}
	more(a, f.Page)
	return nil
}

func (c *List) request(now time.Time) (dynamostore.ListRequest, error) {
	req := dynamostore.ListRequest{
		Status: dynamostore.Filter(c.Status), Type: c.Type, About: c.About, Mode: c.Mode, Account: c.Account,
		Limit: c.Limit, MaxRead: c.MaxRead, Cursor: c.Cursor,
	}
	if err := checkList(c.Limit, c.MaxRead, c.Type); err != nil {
		return req, err
	}
	if c.Group {
		req.Limit = c.MaxRead
	}
	switch dynamostore.Filter(c.Status) {
	case dynamostore.Done, dynamostore.Ignored, dynamostore.Purged:
		if c.Group {
			return req, verb.Usage("--group groups events that fail, and %s ones do not", c.Status)
		}
	}
	if c.Scan && c.About == "" {
		return req, verb.Hint(verb.Usage("--scan needs --about"), "the other filters scan without it, as events list --status done")
	}
	var err, until error
	req.Since, err = verb.When("--since", c.Since, now)
	req.Until, until = verb.When("--until", c.Until, now)
	return req, cmp.Or(err, until)
}

func checkList(limit, maxRead int, pattern string) error {
	if !event.ValidPattern(pattern) {
		return verb.Usage("--type is an event type, a pattern that ends in .* or *")
	}
	return cmp.Or(verb.Between("--limit", limit, 1, 10_000), verb.Between("--max-read", maxRead, idempotency.Shards, 1_000_000))
}

// Scans reports whether the list needs the whole table.
func (c *List) Scans() bool {
	switch c.Status {
	case "failed", "dead", "retrying":
		return false
	case "":
		return c.Type+c.Since+c.Until+c.Mode+c.Account+c.About != ""
	default:
		return true
	}
}

func print(a *verb.App, records []idempotency.Record, l limits.Limits) {
	now := time.Now()
	view := func(r idempotency.Record) verb.RecordView { return verb.ViewOf(r, now, l) }
	verb.List(a, records, func(r idempotency.Record) any { return view(r) }, "No events match.",
		"event|type|status|where|attempts|updated|next attempt|error or outcome", func(r idempotency.Record) []string {
			v, why := view(r), r.Err
			switch {
			case v.Broken != "":
				why = v.Broken
			case r.State == idempotency.Done && v.Purged: // completed by a purge of an older release
				why = r.Outcome.Text() + ", purged"
			case r.State == idempotency.Done:
				why = r.Outcome.Text()
			}
			return []string{v.ID, verb.Clip(v.Type, 36), v.Status, strings.ReplaceAll(string(v.Where), "_", " "), fmt.Sprint(v.Attempt), verb.ShortTime(r.Updated, now),
				v.NextText(func(t time.Time) string { return verb.ShortTime(t, now) }), verb.Dash(why)}
		})
}

// more prints the cursor of a list that stopped before its end.
func more(a *verb.App, page dynamostore.Page) {
	if page.Cursor == "" {
		return
	}
	a.Note(map[string]any{"cursor": page.Cursor, "read": page.Read}, fmt.Sprintf("there may be more (%d items read): continue with --cursor %s", page.Read, page.Cursor))
}
