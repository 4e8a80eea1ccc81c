package doctor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/pause"
)

// Pauses reads what is paused.
type Pauses interface {
	Pauses(context.Context) (pause.State, error)
	// Mapping is the state of the consumer's event source mapping, as Lambda names it.
	Mapping(context.Context) (string, error)
}

// resumeTakes is far longer than the waits of a resume; moving held events and comparing with Stripe's
// list take as long as there are events.
const resumeTakes = time.Hour

// CheckPauses checks the hold queue, and reports what is paused: a pause that is as old as its alarm or
// a resume that ended early is a failure, as held events are lost in the end.
func CheckPauses(hold Queue, p Pauses, s Target, now func() time.Time) Check {
	return func(ctx context.Context) (all []Finding) {
		h, err := hold.Read(ctx)
		if err != nil {
			all = unknown("hold queue", err, readQueue)
		} else {
			all = holdQueue(hold, h, s)
		}
		state, err := p.Pauses(ctx)
		f := findings{name: "pauses"}
		switch {
		case errors.Is(err, pause.ErrUnreadable):
			return append(all, f.fail("deploy the newer release again, or correct the item "+limits.KeyPause, "they cannot be read: the consumer handles nothing and reconcile sends nothing: %v", err)...)
		case err != nil:
			return append(all, unknown(f.name, err, "dynamodb:GetItem on the table")...)
		}
		for _, name := range slices.Sorted(maps.Keys(state.Paused)) {
			if name == pause.All {
				allPaused(ctx, &f, p, state.Paused[name], s, now())
			} else {
				typePaused(&f, name, state.Paused[name], s, now())
			}
		}
		for _, name := range slices.Sorted(maps.Keys(state.Resuming)) {
			resuming(&f, name, state.Resuming[name], s, now())
		}
		if s.Local { // of a deployed one the trigger is checked
			localTrigger(ctx, &f, p, state)
		}
		delete(state.Paused, pause.All)
		delete(state.Resuming, pause.All)
		if n := letters(h); n > 0 && len(state.Paused)+len(state.Resuming) == 0 {
			f.fail("tollgate hold list, then tollgate pause TYPE and tollgate resume TYPE", "%d events are held, and no type is paused: they are not handled", n)
		}
		return append(all, f.or("nothing is paused")...)
	}
}

func holdQueue(q Queue, h map[string]string, s Target) []Finding {
	f := findings{name: "hold queue"}
	kept, want := attributeSeconds(h, "MessageRetentionPeriod"), scaled(s.Limits.HoldRetention, s.Limits)
	if kept < want {
		f.fail(q.setTime("MessageRetentionPeriod", want), "held events are kept for %s, want %s", kept, want)
	}
	if h["RedrivePolicy"] != "" {
		f.fail(q.set("RedrivePolicy", ""), "it has a redrive policy: looking at held events would move them")
	}
	encrypted(&f, q, h, s)
	return f.or("held events are kept for %s, %d are held", kept, letters(h))
}

func typePaused(f *findings, name string, m pause.Mark, s Target, now time.Time) {
	do, age := "tollgate resume "+name, now.Sub(m.At)
	if age >= limits.PausedTooLong/time.Duration(max(s.Limits.TimeScale, 1)) {
		f.fail(do+", now", "%s is paused for %s by %s (%s): its held events are deleted after %s", name, age.Round(time.Minute), m.By, m.Why, s.Limits.HoldRetention)
		return
	}
	f.warn(do, "%s is paused for %s by %s (%s)", name, age.Round(time.Second), m.By, m.Why)
}

// allPaused: events wait in the queue of events, which keeps them for a shorter time.
func allPaused(ctx context.Context, f *findings, p Pauses, m pause.Mark, s Target, now time.Time) {
	const do = "tollgate resume --all"
	age := now.Sub(m.At)
	if state, err := p.Mapping(ctx); err != nil {
		f.list = append(f.list, unknown(f.name, err, "lambda:ListEventSourceMappings")...)
	} else if state == "Enabled" || state == "Enabling" {
		f.fail(do+", or tollgate pause --all again", "everything is paused, and the consumer runs: a deploy or a person has enabled its event source mapping, and reconcile sends nothing")
		return
	}
	if age >= s.Limits.SourceRetention/2 {
		f.fail(do+", now", "everything is paused for %s by %s (%s): the queue deletes events after %s", age.Round(time.Minute), m.By, m.Why, s.Limits.SourceRetention)
		return
	}
	f.warn(do, "everything is paused for %s by %s (%s)", age.Round(time.Second), m.By, m.Why)
}

// localTrigger: a mapping that is disabled without a pause of everything.
func localTrigger(ctx context.Context, f *findings, p Pauses, s pause.State) {
	if s.Quiet(pause.All, "") {
		return
	}
	if state, err := p.Mapping(ctx); err == nil && (state == "Disabled" || state == "Disabling") {
		f.fail("tollgate pause --all, then tollgate resume --all", "the consumer's event source mapping is disabled, and nothing is paused: no event is handled")
	}
}

func resuming(f *findings, name string, span pause.Span, s Target, now time.Time) {
	do := "tollgate resume " + name
	if name == pause.All {
		name, do = "everything", "tollgate resume --all"
	}
	if age := now.Sub(span.Until); age >= resumeTakes/time.Duration(max(s.Limits.TimeScale, 1)) {
		f.fail(do+" again, unless it still runs", "%s is being resumed for %s by %s: reconcile sends none of its events until that is done", name, age.Round(time.Second), span.By)
		return
	}
	f.warn("if it does not run any more, "+do+" again", "%s is being resumed by %s", name, span.By)
}
