package hold

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/redrive"
)

// Resume ends a pause.
type Resume struct {
	which
	Rate   int    `default:"20" help:"Events a second (1 to 500). Default: 20." placeholder:"N"`
	NoList bool   `name:"no-list" help:"Do not compare the time of the pause with Stripe's list: for a system without an API key."`
	DryRun bool   `help:"Show what would be resumed, and resume nothing."`
	Note   string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation."`
}

func (Resume) Help() string {
	return `Ends the pause of a type: waits until every consumer knows, about 90 seconds, sends the held events to the queue again at --rate, then compares the time of the pause with Stripe's list and enqueues what is missing. New events of the type are handled from the first seconds on. The type is being resumed until all of this is done.

With --all it enables the consumer's event source mapping, waits until every process knows, and compares the time of the pause. Types that were paused separately stay paused.

Every step can be repeated: after Ctrl-C, an error or a crash run it again. Pausing the type again stops it, too.

  tollgate resume invoice.paid
  tollgate resume --all --note "moved"`
}

// Resumed is what a resume did, as JSON.
type Resumed struct {
	Type     string  `json:"type"` // "*" for everything
	DryRun   bool    `json:"dry_run"`
	Since    *string `json:"since"` // of the pause
	Until    *string `json:"until"`
	Held     int     `json:"held"`     // in a dry run: events that would be sent from the hold queue
	Moved    int     `json:"moved"`    // sent from the hold queue to the queue of events
	Listed   int     `json:"listed"`   // by Stripe, of the time of the pause
	Enqueued int     `json:"enqueued"` // of them, without a record yet
	Compared bool    `json:"compared"` // the whole time of the pause, with Stripe's list
	Complete bool    `json:"complete"` // nothing is left to do
	UpTo     *string `json:"compared_until"`
	Rate     int     `json:"rate"`
	Seconds  float64 `json:"seconds"`
}

// Run resumes, and succeeds when nothing is left to do.
func (c *Resume) Run(ctx context.Context, a *verb.App) error {
	name, err := c.name("resumed")
	if err != nil {
		return err
	}
	if err := verb.Between("--rate", c.Rate, 1, redrive.MaxRate); err != nil {
		return err
	}
	s, err := open(ctx, a, "resume")
	if err != nil {
		return err
	}
	v, err := s.toResume(ctx, name)
	if err != nil {
		return err
	}
	v.Rate, v.DryRun = c.Rate, c.DryRun
	if c.DryRun {
		return s.plannedResume(ctx, name, v)
	}
	passes, err := c.passes(ctx, s)
	if err != nil {
		return err
	}
	r := &pause.Resumption{
		Store: s.store, Hold: *s.hold, Passes: passes, Limits: s.target.Limits(), Rate: c.Rate, OnStep: s.step,
		Enable: func(ctx context.Context) error { return s.target.Consume(ctx, true) },
	}
	of := verb.Audit{Verb: "resume", Note: c.Note, Detail: fmt.Sprintf("%s, paused since %s, %d a second", called(name), *v.Since, c.Rate), Ask: "resume " + called(name)}
	return a.Change(ctx, s.target, of, c.Yes, func(ctx context.Context) (string, error) { return s.resume(ctx, r, name, v) })
}

// passes are over all accounts that reconcile lists; nil without a comparison.
func (c *Resume) passes(ctx context.Context, s *system) (pause.Passes, error) {
	if c.NoList {
		return nil, nil
	}
	accounts, err := s.target.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	return s.Reconciler(ctx, s.target, accounts)
}

// toResume is an error unless the name can be resumed.
func (s *system) toResume(ctx context.Context, name string) (v Resumed, err error) {
	state, err := s.store.Pauses(ctx)
	if err != nil {
		return v, err
	}
	mark, isPaused := state.Paused[name]
	span, isResuming := state.Resuming[name]
	_, all := state.Paused[pause.All]
	if !all {
		_, all = state.Resuming[pause.All]
	}
	v = Resumed{Type: name, Since: verb.Stamp(mark.At)}
	switch {
	case all && name != pause.All:
		return v, verb.Hint(verb.Usage("everything is paused, or being resumed: %s comes after it", name), "tollgate resume --all")
	case isResuming:
		v.Since, v.Until = verb.Stamp(span.From), verb.Stamp(span.Until)
	case !isPaused:
		return v, verb.Hint(verb.Usage("%s is not paused", called(name)), "tollgate hold list shows what is; to handle held events of a type that is not, pause it first")
	}
	return v, nil
}

func (s *system) plannedResume(ctx context.Context, name string, v Resumed) error {
	text := fmt.Sprintf("would resume everything, paused since %s; nothing was changed", *v.Since)
	if name == pause.All {
		s.Line(v, text)
		return nil
	}
	p, err := s.plan(ctx, redrive.Filter{Type: name}, false)
	if err != nil {
		return err
	}
	v.Held = p.Selected
	took := time.Duration(p.Selected/v.Rate) * time.Second
	s.Line(v, fmt.Sprintf("would resume %s, paused since %s: %s, %d a second, in about %s after a wait of %s; nothing was changed",
		name, *v.Since, verb.Plural(p.Selected, "held event", "held events"), v.Rate, took, s.target.Limits().PauseSettle()))
	return s.unseen(p)
}

// step says what a resumption does now.
func (s *system) step(step pause.Step) {
	fmt.Fprintln(s.Err, map[pause.Step]string{
		pause.StepWait:   fmt.Sprintf("waiting %s until no consumer holds its events any more", s.target.Limits().PauseSettle()),
		pause.StepMove:   "sending the held events to the queue",
		pause.StepEnable: "enabling the consumer's event source mapping",
		pause.StepPass:   "comparing the time of the pause with Stripe's list",
	}[step])
}

func (s *system) resume(ctx context.Context, r *pause.Resumption, name string, v Resumed) (string, error) {
	began, sent, listed := time.Now(), s.Counter("sent", "held events"), s.Counter("listed", "events")
	r.OnSent, r.Progress = sent.Add, func(n reconcile.Counts) { listed.Add(n.Listed) }
	done, err := r.Run(ctx, name, verb.Operator())
	sent.Done()
	listed.Done()
	v.Moved, v.Listed, v.Enqueued, v.Seconds = done.Moved, done.Pass.Listed, done.Pass.Requeued(), time.Since(began).Seconds()
	v.Complete, v.Compared = err == nil, err == nil && r.Passes != nil && !done.Compared.Before(done.Span.Until)
	v.UpTo = verb.Stamp(done.Compared)
	if !done.Span.From.IsZero() {
		v.Since, v.Until = verb.Stamp(done.Span.From), verb.Stamp(done.Span.Until)
	}
	text := verb.Plural(v.Moved, "held event", "held events") + " sent to the queue"
	if r.Passes != nil {
		text += fmt.Sprintf("; of the time from %s to %s Stripe lists %s, of which %d were enqueued", stampOr(v.Since), stampOr(v.UpTo), verb.Plural(v.Listed, "event", "events"), v.Enqueued)
	}
	if r.Passes != nil && err == nil && !v.Compared {
		text += "; the scheduled passes compare what is newer"
	}
	if err == nil {
		text = "resumed " + called(name) + ": " + text
	}
	s.Line(v, text)
	switch {
	case errors.Is(err, pause.ErrPausedAgain):
		err = verb.Hint(err, "tollgate hold list shows by whom")
	case err != nil:
		err = verb.Hint(verb.Locked(err), "%s is still being resumed: run it again, every step can be repeated", called(name))
	}
	return text, err
}

// stampOr is a time, or a dash.
func stampOr(at *string) string {
	if at == nil {
		return "-"
	}
	return *at
}
