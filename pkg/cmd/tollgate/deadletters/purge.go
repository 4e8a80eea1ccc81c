package deadletters

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/redrive"
)

// Purge exports dead letters and then deletes them.
type Purge struct {
	filterFlags
	waitFlag
	limitFlag
	All     bool   `help:"All dead letters: needed without a filter."`
	Out     string `help:"File of the export; it must not exist. Default: dlq-purge-<time>.jsonl here." placeholder:"FILE"`
	Payload bool   `help:"Export the events' bodies as well: they hold customers' data."`
	Note    string `help:"Reason, for the audit trail. Required." placeholder:"TEXT"`
	Yes     bool   `help:"Do not ask for confirmation."`
}

func (Purge) Help() string {
	return `Deletes dead letters permanently. They are exported first, to a file that is synced to disk before the first one is deleted: header and cause, with --payload also the bodies. A message that cannot be read is exported completely, because no other copy exists.

Then each message's event is marked as purged, so that reconcile no longer sends it, and the message is deleted. The event is not completed: a message of it that is still queued is handled as before, and a redrive, tollgate events replay or a claim removes the mark. The report counts the messages by result:

  purged     the event is marked
  leftover   the event is done
  excluded   refused before any record: by its endpoint's policy, or as undecodable, corrupt or of a newer version
  waiting    another message of the event is left, so it is not marked: it may come back
  no record  no attempt was made: reconcile sends the event if its endpoint takes it
  corrupt    the record has another identity
  busy       left: an attempt runs
  no policy  left: the queue moved the message, and its endpoint's policy could not be read
  unread     left: a newer version wrote it

The endpoint of a message that the queue moved may exclude the event, so its policy is read first: from the consumer function's environment (lambda:GetFunctionConfiguration), or from the local system. An event that waits can be purged by its id with tollgate events purge.

  tollgate dlq purge --type charge.updated --note "not needed, ticket 1204"`
}

type purgeView struct {
	File     string `json:"file"`
	Read     int    `json:"read"`
	Selected int    `json:"selected"`
	redrive.Purged
	Hidden  int     `json:"hidden"`  // by another reader: not read
	Certain bool    `json:"certain"` // every message of the queue was read
	Seconds float64 `json:"seconds"`
}

func (c *Purge) Run(ctx context.Context, a *verb.App) error {
	now := time.Now()
	f, err := c.filter(now)
	if err == nil {
		err = c.check()
	}
	switch {
	case err != nil:
		return err
	case f == (redrive.Filter{}) && !c.All:
		return verb.Usage("no filter is given: --all purges every dead letter")
	case f != (redrive.Filter{}) && c.All:
		return verb.Usage("--all and a filter exclude each other")
	case strings.TrimSpace(c.Note) == "":
		return verb.Usage(`purge needs --note "why these events are not needed"`)
	}
	w, err := open(ctx, a, "dlq purge")
	if err != nil {
		return err
	}
	v := purgeView{File: cmp.Or(c.Out, "dlq-purge-"+now.UTC().Format("20060102T150405Z")+".jsonl")}
	p, err := c.export(ctx, w, f, v.File)
	if err != nil {
		return err
	}
	v.Read, v.Selected, v.Left, v.Hidden, v.Certain = p.Read, p.Selected, p.Selected, p.Hidden, p.Certain
	if p.Selected == 0 {
		v.File = ""
		unseen := w.unseen(p)
		if unseen == nil || a.JSON {
			a.Line(v, fmt.Sprintf("Nothing to purge: none of %d dead letters is selected.", p.Read))
		}
		return unseen
	}
	if !a.JSON {
		printGroups(w.errOut(), p.Groups)
	}
	what := fmt.Sprintf("delete %d of %d dead letters permanently (%s), exported to %s", p.Selected, p.Read, f, v.File)
	of := verb.Audit{Verb: "dlq purge", Note: c.Note, Detail: what, Plan: p}
	if err := a.Confirm(ctx, w.target, of, c.Yes); err != nil {
		os.Remove(v.File) // nothing of it was deleted
		return err
	}
	return a.Audited(ctx, w.target, of, func(ctx context.Context) (string, error) {
		err := w.purge(ctx, p, &v)
		a.Line(v, v.text())
		return v.text(), err
	})
}

func (c *Purge) export(ctx context.Context, w *work, f redrive.Filter, name string) (*redrive.Plan, error) {
	e, err := newExporter(name, nil, c.Payload)
	if err != nil {
		return nil, err
	}
	e.undecodable = true
	p, err := w.plan(ctx, redrive.Selection{Filter: f, Limit: c.Limit, Each: e.write, WaitHidden: c.WaitHidden})
	if err = e.finish(err); err != nil {
		return nil, err
	}
	if p.Selected == 0 {
		return p, os.Remove(name)
	}
	return p, nil
}

func (w *work) purge(ctx context.Context, p *redrive.Plan, v *purgeView) error {
	began := time.Now()
	excludes, err := w.target.Excludes(ctx)
	if err != nil {
		fmt.Fprintf(w.Err, "messages that the queue moved are left, as the endpoints' policies are not known: %v\n", err)
	}
	progress := w.Progress("purged", p.Selected)
	v.Purged, err = w.dlq.Purge(ctx, p, redrive.PurgeOptions{Excludes: excludes, OnDeleted: progress.Add})
	progress.Done()
	v.Seconds = time.Since(began).Seconds()
	switch {
	case err != nil && ctx.Err() != nil:
		return verb.Hint(err, "what was not deleted is still there: run it again, with another --out")
	case err != nil:
		return verb.Locked(err)
	case v.Busy > 0:
		return verb.Hint(fmt.Errorf("%d dead letters were left: an attempt of their event runs, or died a moment ago", v.Busy), "run it again in a minute, with another --out")
	case v.NoPolicy > 0:
		return verb.Hint(fmt.Errorf("%d dead letters were left: the queue moved them, and their endpoints' policies are not known", v.NoPolicy),
			"give the credentials lambda:GetFunctionConfiguration on the consumer function and run it again, or tollgate events purge ID for each")
	case v.Unread > 0:
		return verb.Hint(fmt.Errorf("%d dead letters were left: a newer version wrote them", v.Unread), "run the command of that version")
	case v.Left+v.Undeleted > 0:
		return verb.Hint(fmt.Errorf("%d dead letters may still be there", v.Left+v.Undeleted), "another reader hides them, or they are gone: run it again, with another --out")
	}
	return w.unseen(p)
}

func (v *purgeView) text() string {
	return fmt.Sprintf("deleted %d of %d dead letters%s; exported to %s", v.Deleted, v.Selected, verb.Counts(", ",
		verb.Count(v.Marked, "purged"), verb.Count(v.Leftovers, "leftovers of done events"), verb.Count(v.Excluded, "excluded (refused before any record)"),
		verb.Count(v.Waiting, "waiting for another message of their event"), verb.Count(v.NoRecord, "without a record"), verb.Count(v.Corrupt, "with another event's record"),
		verb.Count(v.Busy, "left, as an attempt runs"), verb.Count(v.NoPolicy, "left, as their policies are not known"), verb.Count(v.Unread, "left, as a newer version wrote them"),
	), v.File)
}
