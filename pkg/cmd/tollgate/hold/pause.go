package hold

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/handlers"
	"tollgate/pkg/pause"
)

// which are the names that pause and resume take.
type which struct {
	Type string `arg:"" optional:"" name:"type" help:"Event type, such as invoice.paid."`
	All  bool   `help:"Everything, by the consumer's event source mapping."`
}

func (w which) name(verbed string) (string, error) {
	switch {
	case (w.Type == "") == !w.All:
		return "", verb.Hint(verb.Usage("name one event type, or give --all"), "tollgate hold list shows what is paused; each type is %s separately", verbed)
	case w.All:
		return pause.All, nil
	case strings.ContainsAny(w.Type, "*, "):
		return "", verb.Usage("%q is not one event type: each type is %s separately", w.Type, verbed)
	}
	return w.Type, nil
}

// called is how people call a name.
func called(name string) string {
	if name == pause.All {
		return "everything"
	}
	return name
}

// Pause stops the handling of an event type, or of everything.
type Pause struct {
	which
	DryRun bool   `help:"Show what would be paused, and pause nothing."`
	Note   string `help:"Reason; it is shown as long as the pause lasts, and kept in the audit trail. Required." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation."`
}

func (Pause) Help() string {
	return `A paused type's events are accepted, verified and moved to the hold queue, without an attempt: no receive is used up, and no record is written. Reconcile, backfill and replay send none of them. SQS deletes a held event after 14 days; an alarm comes after ten.

It takes effect within five seconds, or within a minute while the table does not answer. An attempt that runs then is finished. An event that is waiting for its next attempt is held when that comes.

With --all the consumer's event source mapping is disabled instead, and events wait in the queue, which deletes them after four days. Deliveries to destinations and the outbox go on.

  tollgate pause invoice.paid --note "the tax service is down"
  tollgate pause --all --note "moving the database"
  tollgate resume invoice.paid`
}

type pausedView struct {
	View
	DryRun  bool `json:"dry_run"`
	Already bool `json:"already"` // it was paused before
}

// Run pauses. What is paused already stays so, with its time and reason.
func (c *Pause) Run(ctx context.Context, a *verb.App) error {
	name, err := c.check()
	if err != nil {
		return err
	}
	s, err := open(ctx, a, "pause")
	if err != nil {
		return err
	}
	before, err := s.store.Pauses(ctx)
	if err != nil {
		return err
	}
	if name == pause.All {
		if mappings, err := s.target.Mappings(ctx); err != nil || len(mappings) == 0 {
			return errors.Join(err, verb.Hint(errors.New("nothing was changed: no event source mapping can be disabled"), "tollgate doctor checks it"))
		}
	}
	mark, already := before.Paused[name]
	v := pausedView{View: paused(name, mark), DryRun: c.DryRun, Already: already}
	if already && name != pause.All {
		a.Line(v, fmt.Sprintf("%s is paused already, since %s by %s: %s", name, verb.LongTime(mark.At), verb.Dash(mark.By), verb.Dash(mark.Why)))
		return nil
	}
	if c.DryRun {
		v.View = View{Type: name, State: Paused}
		a.Line(v, fmt.Sprintf("would pause %s; nothing was changed", called(name)))
		return nil
	}
	of := verb.Audit{Verb: "pause", Note: c.Note, Detail: called(name), Ask: "pause " + called(name)}
	return a.Change(ctx, s.target, of, c.Yes, func(ctx context.Context) (string, error) { return c.pause(ctx, s, name, v) })
}

func (c *Pause) check() (name string, err error) {
	if name, err = c.name("paused"); err != nil {
		return "", err
	}
	if handled := handlers.Types(); name != pause.All && !slices.Contains(handled, name) {
		return "", verb.Hint(verb.Usage("no handler takes %s: its events are ignored, so there is nothing to pause", name), "%s", similar(name, handled))
	}
	if strings.TrimSpace(c.Note) == "" && !c.DryRun {
		return "", verb.Hint(verb.Usage("a pause needs --note"), "why; others see it as long as the pause lasts")
	}
	return name, nil
}

// similar names the handled types of the same kind of object.
func similar(name string, handled []string) string {
	kind, _, _ := strings.Cut(name, ".")
	same := slices.DeleteFunc(slices.Clone(handled), func(t string) bool { return !strings.HasPrefix(t, kind+".") })
	if len(same) == 0 {
		same = handled
	}
	return "handled are " + strings.Join(same, ", ")
}

// pause writes the switch before it disables the mapping: nothing is enqueued for a consumer that
// does not run.
func (c *Pause) pause(ctx context.Context, s *system, name string, v pausedView) (string, error) {
	state, err := pause.Set(ctx, s.store, name, pause.Mark{At: time.Now().UTC(), By: verb.Operator(), Why: verb.OneLine(c.Note)})
	if err != nil {
		return "", err
	}
	if name == pause.All {
		fmt.Fprintln(s.Err, "disabling the consumer's event source mapping")
		if err := s.target.Consume(ctx, false); err != nil {
			return "the switch is written", verb.Hint(err, "the consumer may still run: run it again, or tollgate resume --all")
		}
	}
	v.View = paused(name, state.Paused[name])
	text := fmt.Sprintf("paused %s: its events are held within %s; tollgate resume %s handles them", name, max(s.target.Limits().PauseAge, time.Second), name)
	if name == pause.All {
		text = "paused everything: events wait in the queue, for four days at most; tollgate resume --all handles them"
	}
	s.Line(v, text)
	return "paused", nil
}
