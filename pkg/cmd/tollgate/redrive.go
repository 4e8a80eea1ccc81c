package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"tollgate/pkg/redrive"
)

// redriveCmd sends dead letters to the queue again.
type redriveCmd struct {
	letterFilter
	waitHidden
	DryRun  bool          `help:"Say what would be sent, and send nothing."`
	Rate    int           `default:"20" help:"Letters a second (1 to 500). Default: 20." placeholder:"N"`
	Limit   int           `help:"Letters sent at most. Default: all that are selected." placeholder:"N"`
	Canary  int           `help:"Send so many first and wait; go on only if none of them fails again." placeholder:"N"`
	Wait    bool          `help:"Wait for what becomes of each letter; exit 1 unless all are done."`
	Timeout time.Duration `default:"10m" help:"How long to wait at most, for the canary and again for all. Default: 10m." placeholder:"DURATION"`
	Why     string        `name:"reason" aliases:"note" help:"Why, for the audit trail." placeholder:"TEXT"`
	Yes     bool          `help:"Do not ask."`
}

// Help returns the text that --help prints with the flags.
func (redriveCmd) Help() string {
	return `After a fix: sends dead letters, without a filter all of them, to the queue again, body unchanged, and deletes each only when it is stored there. A crash or a lost answer can double a letter and never lose one; the event's record recognises the duplicate, so effects are applied once. Letters of events that are done are sent too and end as duplicates.

The letters to send are selected before the first is sent: letters that arrive meanwhile, and those that the fix did not help, wait for another run. After a run that was stopped (Ctrl-C gives back everything that was not sent) or that died, run it again.

With --wait it prints how many messages of these events are held, because their states were old when the events were received (see outbox list). A redrive itself holds nothing, however late it is.

With --canary or --wait, a letter is done when its event's record is; it has failed again when an attempt since then has failed, though its message may come once more.

  tollgate redrive --error 3f2a90b1c4de --dry-run
  tollgate redrive --error 3f2a90b1c4de --canary 5 --wait`
}

// oneWord is what the reasons of dead letters look like: taken for a filter, --reason
// must not send all of them.
var oneWord = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

func (c *redriveCmd) check() (f redrive.Filter, err error) {
	switch {
	case c.Rate < 1 || c.Rate > redrive.MaxRate:
		return f, usage("--rate is 1 to %d letters a second", redrive.MaxRate)
	case c.Limit < 0 || c.Limit > redrive.MaxLetters || c.Canary < 0 || c.Canary > redrive.MaxLetters:
		return f, usage("--limit and --canary are 1 to %d", redrive.MaxLetters)
	case c.Timeout <= 0:
		return f, usage("--timeout is a duration such as 5m")
	case c.Cause == "" && oneWord.MatchString(c.Why):
		return f, usage("--reason %s would select nothing: --cause %s selects letters by their reason; why they are sent takes more than a word", c.Why, c.Why)
	}
	return c.filter(time.Now())
}

// Run plans, asks, and sends.
func (c *redriveCmd) Run(ctx context.Context, a *app) error {
	f, err := c.check()
	if err != nil {
		return err
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	plan, rest, err := a.survey(ctx, t, "redrive (plan)", redrive.Selection{Filter: f, Limit: c.Limit}, c.waitHidden)
	if err != nil {
		return err
	}
	r := &redriveRun{cmd: c, app: a, target: t, plan: plan, view: planViewOf(plan, rest, c.Rate)}
	if c.DryRun || plan.Selected == 0 {
		r.view.DryRun = c.DryRun
		unseen := t.unseen(plan.Read, rest)
		if unseen == nil || plan.Selected > 0 || a.json {
			r.printPlan(a)
		}
		return unseen
	}
	if !a.json {
		r.printPlan(a.aside())
	}
	if err := a.confirm(ctx, t, fmt.Sprintf("send %s to the queue again (%s)", r.planned(), f), c.Yes); err != nil {
		return err
	}
	of := auditOf{verb: "redrive", why: c.Why, detail: fmt.Sprintf("%s; %s", f, r.planned())}
	err = a.audited(ctx, t, of, func(ctx context.Context) (string, error) {
		began := time.Now()
		err := r.run(ctx)
		r.view.Seconds = time.Since(began).Seconds()
		r.print()
		return r.text(), err
	})
	if err != nil && ctx.Err() != nil {
		return hint(err, "what was not sent was given back: run it again to go on")
	}
	return err
}

// redriveRun is one run of the verb after its plan.
type redriveRun struct {
	cmd    *redriveCmd
	app    *app
	target target
	plan   *redrive.Plan
	view   redriveView
	sent   []redrive.Sent
}

// run sends the canary and then the rest, and waits as far as it is asked to.
func (r *redriveRun) run(ctx context.Context) error {
	err := r.app.exclusive(ctx, r.target, "redrive", func(ctx context.Context) error {
		if r.cmd.Canary > 0 {
			if err := r.canary(ctx); err != nil {
				return err
			}
		}
		return r.move(ctx, redrive.Move{})
	})
	r.view.Left = r.plan.Left()
	if err != nil {
		return err
	}
	if r.cmd.Wait {
		if err := r.await(ctx); err != nil {
			return err
		}
	}
	switch {
	case r.view.Refused > 0:
		return fmt.Errorf("%d letters were refused by the queue and stay where they were: %s", r.view.Refused, r.view.Refusal)
	case r.view.Left > 0:
		return hint(fmt.Errorf("%d letters of the plan were not seen again", r.view.Left),
			"another reader hides them, or they are gone: run it again")
	}
	return r.target.unsent(r.view.Hidden)
}

// move sends what is left of the plan and adds up what came of it.
func (r *redriveRun) move(ctx context.Context, m redrive.Move) error {
	m.Queue, m.Mover, m.Rate = r.target.deadLetters(), r.target.deadLetters(), r.cmd.Rate
	if r.cmd.Wait || m.Proof {
		reader, err := r.target.reader()
		if err != nil {
			return err
		}
		m.Records = reader
	}
	progress := r.app.progress("redriven", r.plan.Left())
	m.Sent = progress.add
	done, err := m.Run(ctx, r.plan, r.target.pass(redrive.MaxLetters))
	progress.done()
	r.app.unreleased(done.Unreleased)
	r.view.Moved += done.Sent
	r.view.Undeleted += done.Undeleted
	r.view.Refused += done.Refused
	if done.Refusal != nil {
		r.view.Refusal = done.Refusal.Error()
	}
	r.sent = append(r.sent, done.Letters...)
	return err
}

// canary sends a few letters and goes on only if all of their events are done.
func (r *redriveRun) canary(ctx context.Context) error {
	if err := r.move(ctx, redrive.Move{Proof: true, Limit: r.cmd.Canary}); err != nil {
		return err
	}
	if len(r.sent) == 0 {
		return hint(errors.New("no letter of the selection can serve as a canary: their events are done, or no record can tell"),
			"run it without --canary")
	}
	tally, err := r.outcomes(ctx, "canary", true)
	r.view.Canary = tallyViewOf(tally)
	switch {
	case err != nil:
		return err
	case tally.Failed() > 0:
		return hint(fmt.Errorf("canary: %d of %d failed again, nothing more was sent: %s: %s", tally.Failed(), len(r.sent), tally.FailedID, oneLine(tally.FailedError)),
			"tollgate events show %s", tally.FailedID)
	case tally.Waiting > 0:
		return hint(fmt.Errorf("canary: %d of %d were not done within %s, nothing more was sent", tally.Waiting, len(r.sent), r.cmd.Timeout),
			"does the consumer run? "+refusedAgain)
	}
	return nil
}

// refusedAgain is for letters that return to the dead-letter queue and leave no record.
const refusedAgain = "a letter that is refused before any record (reason account, livemode, corrupt, …) is in tollgate dlq list again"

// await waits for all letters that were sent.
func (r *redriveRun) await(ctx context.Context) error {
	tally, err := r.outcomes(ctx, "outcomes", false)
	r.view.Outcomes = tallyViewOf(tally)
	if err == nil {
		r.held(ctx)
	}
	switch {
	case err != nil:
		return err
	case tally.Failed() > 0:
		return hint(fmt.Errorf("%d of %d letters failed again: %s: %s", tally.Failed(), len(r.sent), tally.FailedID, oneLine(tally.FailedError)),
			"tollgate events show %s", tally.FailedID)
	case tally.Waiting > 0:
		return hint(fmt.Errorf("%d of %d letters were still under way after %s", tally.Waiting, len(r.sent), r.cmd.Timeout),
			"tollgate events list --status retrying shows what has failed meanwhile; "+refusedAgain)
	}
	return nil
}

// held counts the messages of the redriven events that are held.
func (r *redriveRun) held(ctx context.Context) {
	var ids []string
	for _, s := range r.sent {
		if s.EventID != "" && !s.Done {
			ids = append(ids, s.EventID)
		}
	}
	if n, err := r.app.countHeld(ctx, r.target, ids); err == nil {
		r.view.Held = &n
	}
}

// lookEvery is the time between two looks at the records of redriven letters.
const lookEvery = 500 * time.Millisecond

func (r *redriveRun) outcomes(ctx context.Context, what string, firstFailure bool) (redrive.Tally, error) {
	reader, err := r.target.reader()
	if err != nil {
		return redrive.Tally{}, err
	}
	next := time.Now().Add(progressEvery)
	return redrive.Await{
		Records: reader, Limits: r.target.limits(), Timeout: r.cmd.Timeout, Every: lookEvery, FirstFailure: firstFailure,
		Seen: func(t redrive.Tally) {
			if now := time.Now(); now.After(next) {
				next = now.Add(progressEvery)
				fmt.Fprintf(r.app.err, "%s: %s\n", what, tallyText(t))
			}
		},
	}.Run(ctx, r.sent)
}
