package deadletters

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/redrive"
)

// Redrive sends dead letters to the queue again.
type Redrive struct {
	filterFlags
	waitFlag
	All     bool          `help:"All dead letters: needed without a filter, except with --dry-run."`
	DryRun  bool          `help:"Show what would be sent, and send nothing."`
	Rate    int           `default:"20" help:"Messages a second (1 to 500). Default: 20." placeholder:"N"`
	Limit   int           `help:"Messages sent at most. Default: all that are selected." placeholder:"N"`
	Canary  int           `help:"Send so many first and wait; go on only if none of them fails again." placeholder:"N"`
	Wait    bool          `help:"Wait for the outcome of each message; exit 1 unless all are done."`
	Timeout time.Duration `default:"10m" help:"How long to wait at most, for the canary and again for all. Default: 10m." placeholder:"DURATION"`
	Note    string        `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes     bool          `help:"Do not ask for confirmation."`
}

func (Redrive) Help() string {
	return `After a fix: sends dead letters to the queue again, body unchanged, and deletes each only when it is stored there. A crash or a lost response can duplicate a message and never lose one; the event's record recognizes the duplicate, so effects are applied once. Dead letters of done events are sent too and end as duplicates.

All messages are selected before the first is sent: messages that are dead-lettered during the run, including redriven ones that fail again, need another run. After a run that was stopped (Ctrl-C releases everything that was not sent) or that died, run it again.

With --wait it prints how many messages to customers these events hold, because their states were old when the events were received (see outbox list). A redrive does not cause messages to be held, however late it is.

With --canary or --wait, a message counts as done when its event's record is done, and as failed again when any attempt after the redrive failed, even if it will be retried.

  tollgate redrive --error 3f2a90b1c4de --dry-run
  tollgate redrive --reason api_version --canary 5 --wait --note "handler reads the new version"`
}

type redriveView struct {
	DryRun bool `json:"dry_run"`
	*redrive.Plan
	Rate            int     `json:"rate"`
	EstimateSeconds float64 `json:"estimate_seconds"`
	redrive.Result
	Held *int `json:"held"` // messages that the events hold; null without --wait
}

func (c *Redrive) check() (f redrive.Filter, err error) {
	if f, err = c.filter(time.Now()); err != nil {
		return f, err
	}
	switch {
	case c.Rate < 1 || c.Rate > redrive.MaxRate:
		return f, verb.Usage("--rate is 1 to %d messages a second", redrive.MaxRate)
	case c.Limit < 0 || c.Limit > redrive.MaxMessages || c.Canary < 0 || c.Canary > redrive.MaxMessages:
		return f, verb.Usage("--limit and --canary are 1 to %d", redrive.MaxMessages)
	case c.Timeout <= 0:
		return f, verb.Usage("--timeout is a duration such as 5m")
	case f == (redrive.Filter{}) && !c.All && !c.DryRun:
		return f, verb.Usage("no filter is given: --all redrives every dead letter")
	case f != (redrive.Filter{}) && c.All:
		return f, verb.Usage("--all and a filter exclude each other")
	}
	return f, nil
}

func (c *Redrive) Run(ctx context.Context, a *verb.App) error {
	f, err := c.check()
	if err != nil {
		return err
	}
	w, err := open(ctx, a, "redrive")
	if err != nil {
		return err
	}
	p, err := w.plan(ctx, redrive.Selection{Filter: f, Limit: c.Limit, WaitHidden: c.WaitHidden})
	if err != nil {
		return err
	}
	v := redriveView{Plan: p, Rate: c.Rate, EstimateSeconds: float64(p.Selected) / float64(c.Rate), Result: redrive.Result{Left: p.Selected}}
	if c.DryRun || p.Selected == 0 {
		v.DryRun = c.DryRun
		unseen := w.unseen(p)
		if unseen == nil || p.Selected > 0 || a.JSON {
			w.printPlan(a, v)
		}
		return unseen
	}
	if !a.JSON {
		w.printPlan(w.errOut(), v)
	}
	of := verb.Audit{
		Verb: "redrive", Note: c.Note, Detail: fmt.Sprintf("%s; %s", f, v.planned()),
		Ask: fmt.Sprintf("send %s to the queue again (%s)", v.planned(), f), Plan: p,
	}
	return a.Change(ctx, w.target, of, c.Yes, func(ctx context.Context) (string, error) {
		err := c.redrive(ctx, w, p, &v)
		a.Line(v, fmt.Sprintf("%s; it took %.1f s", v.text(), v.Seconds))
		return v.text(), err
	})
}

func (c *Redrive) redrive(ctx context.Context, w *work, p *redrive.Plan, v *redriveView) (err error) {
	progress := w.Progress("redriven", p.Left())
	next := time.Now().Add(w.ProgressEvery())
	v.Result, err = w.dlq.Redrive(ctx, p, redrive.Options{
		Rate: c.Rate, Canary: c.Canary, Wait: c.Wait, Timeout: c.Timeout, OnSent: progress.Add,
		OnOutcomes: func(s redrive.Stage, o redrive.Outcomes) {
			if now := time.Now(); now.After(next) {
				next = now.Add(w.ProgressEvery())
				fmt.Fprintf(w.Err, "%s: %s\n", s, outcomesText(o))
			}
		},
	})
	progress.Done()
	if v.Outcomes != nil && ctx.Err() == nil {
		if n, err := w.CountHeld(ctx, w.target, openEvents(v.Sent)); err == nil {
			v.Held = &n
		}
	}
	switch failed, outcome := errors.AsType[*redrive.OutcomeError](err); {
	case err == nil:
		return w.unseen(p)
	case ctx.Err() != nil:
		return verb.Hint(err, "what was not sent is still a dead letter: run it again to go on")
	case errors.Is(err, redrive.ErrNoCanary):
		return verb.Hint(err, "run it without --canary")
	case outcome && failed.Outcomes.FailedID != "":
		return verb.Hint(err, "tollgate events show %s", failed.Outcomes.FailedID)
	case outcome:
		return verb.Hint(err, "does the consumer run? tollgate events list --status retrying lists what has failed meanwhile")
	}
	if _, left := errors.AsType[*redrive.LeftError](err); left {
		return verb.Hint(err, "another reader hides them, or they are gone: run it again")
	}
	return verb.Locked(err)
}

// openEvents are the events whose handlers may have run since they were sent.
func openEvents(sent []redrive.Sent) (ids []string) {
	for _, s := range sent {
		if s.EventID != "" && !s.Done {
			ids = append(ids, s.EventID)
		}
	}
	return ids
}

func outcomesText(o redrive.Outcomes) string {
	return fmt.Sprintf("%d done", o.Done) + verb.Counts(", ", verb.Count(o.Dead, "failed again"), verb.Count(o.Failing, "failed again and will be retried"),
		verb.Count(o.Waiting, "in progress"), verb.Count(o.Untracked, "without a readable record"))
}

func (v redriveView) planned() string {
	took := time.Duration(math.Ceil(v.EstimateSeconds)) * time.Second
	return fmt.Sprintf("%d of %d dead letters, %d a second, in about %s", v.Selected, v.Read, v.Rate, took)
}

func (w *work) printPlan(a *verb.App, v redriveView) {
	if a.JSON {
		a.Object(v)
		return
	}
	if v.Selected == 0 {
		fmt.Fprintf(a.Out, "Nothing to redrive: none of %d dead letters is selected.\n", v.Read)
		return
	}
	printGroups(a, v.Groups)
	fmt.Fprintf(a.Out, "selected: %s; the oldest is of %s\n", v.planned(), verb.LongTime(v.Oldest))
	if v.Done > 0 {
		fmt.Fprintf(a.Out, "%d of them are leftovers of done events: sending them is harmless\n", v.Done)
	}
	if v.Undecodable > 0 {
		fmt.Fprintf(a.Out, "%d of them cannot be read by this version: they are dead-lettered again unless the consumer can\n", v.Undecodable)
	}
	if v.Hidden > 0 {
		fmt.Fprintf(a.Out, "%s hidden by another reader, visible again within %s: --wait-hidden waits for them\n", verb.Plural(v.Hidden, "more is", "more are"), w.dlq.Visibility())
	}
	if v.More {
		fmt.Fprintln(a.Out, "there may be more dead letters: run it again afterwards")
	}
}

func (v redriveView) text() string {
	text := fmt.Sprintf("redriven %d of %d dead letters", v.Moved, v.Selected) +
		verb.Counts("; ", verb.Count(v.Refused, "were refused"), verb.Count(v.Undeleted, "of the redriven may still be dead letters as well, which is harmless"))
	if v.Canary != nil {
		text += "; canary: " + outcomesText(*v.Canary)
	}
	if v.Outcomes != nil {
		text += "; outcomes: " + outcomesText(*v.Outcomes)
	}
	if v.Held != nil {
		text += "; " + verb.HeldText(*v.Held, true)
	}
	return text
}
