package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tollgate/pkg/redrive"
)

// dlqPurgeCmd exports dead letters and then deletes them.
type dlqPurgeCmd struct {
	letterFilter
	waitHidden
	All     bool   `help:"All dead letters: needed when no filter is given."`
	Out     string `help:"File of the export; it must not exist. Default: dlq-purge-<time>.jsonl here." placeholder:"FILE"`
	Payload bool   `help:"Export the events' bodies as well: they hold customers' data."`
	Limit   int    `default:"100000" help:"Dead letters deleted at most (1 to 100000)."`
	Why     string `name:"reason" aliases:"note" help:"Why, for the audit trail. Needed." placeholder:"TEXT"`
	Yes     bool   `help:"Do not ask."`
}

// Help returns the text that --help prints with the flags.
func (dlqPurgeCmd) Help() string {
	return `Gives up dead letters for good. They are exported first, to a file that is on the disk before the first letter goes: header and cause, with --payload the bodies too, and of messages that cannot be read all there is, as nothing else has it.

Then each letter's event is marked as given up (status purged), so that no reconcile run sends it again, and the letter is deleted. Nothing is completed: a message of the event that is still queued is handled as before, and a redrive, tollgate events replay or a claim undoes the mark. The report counts the letters by result:

  given up   the event is marked
  leftover   the event is done
  excluded   refused before any record: by its endpoint's policy, or as undecodable, corrupt or of a newer version
  waiting    another message or letter of the event is left, so it is not marked: it may come back
  no record  no attempt was made: reconcile sends the event if its endpoint takes it
  corrupt    the record is another event's
  busy       left: an attempt runs
  no policy  left: the queue moved the letter, and its endpoint's policy could not be read
  unread     left: a newer version wrote it

The endpoint of a letter that the queue moved may exclude the event, so its policy is read first: from the consumer function's environment (lambda:GetFunctionConfiguration), or from the local system. An event that waits can be given up by its id with tollgate events purge.

  tollgate dlq purge --type charge.updated --reason "not needed, ticket 1204"`
}

// verbPurge is the verb in the audit trail.
const verbPurge = "dlq purge"

// purgeView says for machines what was deleted.
type purgeView struct {
	File      string  `json:"file"`
	Read      int     `json:"read"`
	Selected  int     `json:"selected"`
	Deleted   int     `json:"deleted"`
	GivenUp   int     `json:"given_up"`
	Leftovers int     `json:"leftovers"` // of events that are done
	Excluded  int     `json:"excluded"`  // refused before any record
	Waiting   int     `json:"waiting"`   // another message or letter of the event is left
	NoRecord  int     `json:"no_record"`
	Corrupt   int     `json:"corrupt"`   // the record is another event's
	Busy      int     `json:"busy"`      // left: an attempt runs
	NoPolicy  int     `json:"no_policy"` // left: the endpoint's policy is not known
	Unread    int     `json:"unread"`    // left: a newer version wrote it
	Undeleted int     `json:"undeleted"` // given up, and may still be in the queue
	Left      int     `json:"left"`
	Hidden    int     `json:"hidden"`  // by another reader: they could not be read
	Certain   bool    `json:"certain"` // the plan saw every letter
	Seconds   float64 `json:"seconds"`
}

// Run exports, asks, and deletes.
func (c *dlqPurgeCmd) Run(ctx context.Context, a *app) error {
	now := time.Now()
	f, err := c.filter(now)
	if err != nil {
		return err
	}
	switch {
	case c.Limit < 1 || c.Limit > redrive.MaxLetters:
		return usage("--limit is 1 to %d", redrive.MaxLetters)
	case f == (redrive.Filter{}) && !c.All:
		return usage("no filter is given: say --all to give up every dead letter")
	case c.Why == "":
		return usage(`purge needs --reason "why these events may be given up"`)
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	p := &purgeRun{app: a, target: t}
	p.view.File = cmp.Or(c.Out, "dlq-purge-"+now.UTC().Format("20060102T150405Z")+".jsonl")
	if err := p.export(ctx, c, f); err != nil {
		return err
	}
	if p.plan.Selected == 0 {
		p.view.File = ""
		unseen := t.unseen(p.plan.Read, p.rest)
		if unseen == nil || a.json {
			a.line(p.view, fmt.Sprintf("Nothing to purge: none of %d dead letters is selected.", p.plan.Read))
		}
		return unseen
	}
	if !a.json {
		a.aside().groups(p.plan.Groups)
	}
	what := fmt.Sprintf("delete %d of %d dead letters for good (%s); they are exported to %s", p.plan.Selected, p.plan.Read, f, p.view.File)
	if err := a.confirm(ctx, t, what, c.Yes); err != nil {
		os.Remove(p.view.File) // of nothing that was deleted
		return err
	}
	of := auditOf{verb: verbPurge, why: c.Why, detail: fmt.Sprintf("%s; %d of %d dead letters, exported to %s", f, p.plan.Selected, p.plan.Read, p.view.File)}
	return a.audited(ctx, t, of, func(ctx context.Context) (string, error) {
		err := p.run(ctx)
		a.line(p.view, fmt.Sprintf("%s; exported to %s", p.text(), p.view.File))
		return p.text(), err
	})
}

// purgeRun is one run of the verb.
type purgeRun struct {
	app    *app
	target target
	plan   *redrive.Plan
	rest   redrive.Rest
	view   purgeView
}

// export plans the purge and writes what is going to be deleted.
func (p *purgeRun) export(ctx context.Context, c *dlqPurgeCmd, f redrive.Filter) error {
	file, err := createExport(p.view.File)
	if err != nil {
		return err
	}
	e := newExporter(file, c.Payload)
	e.undecodable = true
	p.plan, p.rest, err = p.app.survey(ctx, p.target, "dlq purge (export)", redrive.Selection{Filter: f, Limit: c.Limit, Each: e.write}, c.waitHidden)
	if err = file.finish(errors.Join(err, e.flush())); err != nil {
		return err
	}
	p.view.Read, p.view.Selected, p.view.Left = p.plan.Read, p.plan.Selected, p.plan.Selected
	p.view.Hidden, p.view.Certain = p.rest.Hidden, p.rest.Certain
	if p.plan.Selected == 0 {
		return os.Remove(p.view.File)
	}
	return nil
}

func (p *purgeRun) run(ctx context.Context) error {
	began := time.Now()
	store, err := p.target.writer()
	if err != nil {
		return err
	}
	purge := redrive.Purge{Queue: p.target.deadLetters(), Deleter: p.target.deadLetters(), Store: store, By: operator(), Limits: p.target.limits()}
	if purge.Excludes, err = p.target.excludes(ctx); err != nil {
		fmt.Fprintf(p.app.err, "letters that the queue moved are left, as the endpoints' policies are not known: %v\n", err)
	}
	progress := p.app.progress("purged", p.plan.Selected)
	purge.Gone = progress.add
	var done redrive.Purged
	err = p.app.exclusive(ctx, p.target, verbPurge, func(ctx context.Context) error {
		done, err = purge.Run(ctx, p.plan, p.target.pass(redrive.MaxLetters))
		return err
	})
	progress.done()
	p.app.unreleased(done.Unreleased)
	p.view.add(done)
	p.view.Left, p.view.Seconds = p.plan.Left(), time.Since(began).Seconds()
	if err != nil && ctx.Err() != nil {
		return hint(err, "what was not deleted was given back: run it again, with another --out, to go on")
	}
	if err != nil {
		return err
	}
	return p.incomplete()
}

// incomplete is the error of a purge that left letters, nil if it left none.
func (p *purgeRun) incomplete() error {
	v := p.view
	switch {
	case v.Busy > 0:
		return hint(fmt.Errorf("%d dead letters were left: an attempt of their event runs, or died a moment ago", v.Busy), "run it again in a minute, with another --out")
	case v.NoPolicy > 0:
		return hint(fmt.Errorf("%d dead letters were left: the queue moved them, and their endpoints' policies are not known", v.NoPolicy),
			"give the credentials lambda:GetFunctionConfiguration on the consumer function and run it again, or tollgate events purge ID for each")
	case v.Unread > 0:
		return hint(fmt.Errorf("%d dead letters were left: a newer version wrote them", v.Unread), "run the command of that version")
	case v.Left+v.Undeleted > 0:
		return hint(fmt.Errorf("%d dead letters may still be there", v.Left+v.Undeleted), "another reader hides them, or they are gone: run it again, with another --out")
	}
	return p.target.unsent(v.Hidden)
}

func (v *purgeView) add(d redrive.Purged) {
	v.Deleted, v.Undeleted = d.Deleted, d.Undeleted
	v.GivenUp, v.Leftovers, v.Excluded, v.Waiting, v.NoRecord, v.Corrupt = d.GivenUp, d.Leftovers, d.Excluded, d.Waiting, d.NoRecord, d.Corrupt
	v.Busy, v.NoPolicy, v.Unread = d.Busy, d.NoPolicy, d.Unread
}

// text is the result of the run, in one line.
func (p *purgeRun) text() string {
	v := p.view
	words := []string{fmt.Sprintf("deleted %d of %d dead letters", v.Deleted, v.Selected)}
	for _, w := range []struct {
		n    int
		text string
	}{
		{v.GivenUp, "given up"}, {v.Leftovers, "leftovers of events that are done"}, {v.Excluded, "excluded (refused before any record)"},
		{v.Waiting, "waiting for another message or letter of their event"}, {v.NoRecord, "without a record"}, {v.Corrupt, "whose record is another event's"},
		{v.Busy, "left, as an attempt runs"}, {v.NoPolicy, "left, as their policies are not known"}, {v.Unread, "left, as a newer version wrote them"},
	} {
		if w.n > 0 {
			words = append(words, fmt.Sprint(w.n, " ", w.text))
		}
	}
	return strings.Join(words, ", ")
}
