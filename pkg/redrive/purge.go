package redrive

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// Store marks events as given up; see package idempotency for its answers.
type Store interface {
	GiveUp(context.Context, idempotency.GiveUpRequest) (idempotency.GiveUpVerdict, error)
}

// Purge deletes dead letters for good. It keeps no copy: that is for the survey before.
type Purge struct {
	Queue   Queue         // required
	Deleter Deleter       // required
	Store   Store         // required
	By      string        // who gives the events up, for their records
	Limits  limits.Limits // of the system; default limits.AWS()
	// Excludes reports whether the policy of an event's endpoint excludes the event now. It
	// is asked for letters that the queue moved: the record's attempt may be another
	// endpoint's. Default: unknown, and those letters are left.
	Excludes func(event.Envelope) bool
	// Gone is called with the number of letters just deleted. Default none.
	Gone func(n int)
}

// Purged is the result of a purge, also of one that ended early. The letters of the first six
// kinds are deleted, those of the next three are left.
type Purged struct {
	GivenUp   int // their events are marked as given up
	Leftovers int // their events are done
	Excluded  int // their messages were refused before a record: by a policy, or as unreadable, corrupt or too new
	Waiting   int // another message or letter of the event is left; the event may come back
	NoRecord  int // no attempt was ever made; reconcile sends the event if its endpoint takes it
	Corrupt   int // the record is another event's

	Busy     int // an attempt runs
	NoPolicy int // the queue moved them, and their endpoints' policies are not known
	Unread   int // this version cannot read them

	Deleted    int
	Undeleted  int // given up in the table, and still in the queue
	Unreleased int // letters that stay hidden for up to Options.Visibility
}

// Run deletes the letters of a plan. Before it deletes a letter, it marks its event as given
// up, so that reconcile no longer sends it. It completes nothing, and a message that is still
// queued is handled as before. Run ends with the plan, when the queue shows no more, when a
// request fails, or between two batches when the context is cancelled, which is an error.
// What was not deleted is shown again and left in the plan.
func (u Purge) Run(ctx context.Context, p *Plan, o Options) (done Purged, err error) {
	o = o.withDefaults()
	if p.Left() == 0 {
		return done, nil
	}
	r := &purger{Purge: u, plan: p, given: map[letterKey]bool{}, waiting: map[letterKey]int{}}
	unreleased, err := walk(ctx, u.Queue, o, func(h *hold, batch []Received) (bool, error) {
		err := r.batch(context.WithoutCancel(ctx), h, batch)
		return p.Left() > 0, err
	})
	r.done.Unreleased = unreleased
	r.sumUp()
	return r.done, ended(ctx, "purge", r.done.Deleted, err)
}

// purger is one run of a purge.
type purger struct {
	Purge
	plan *Plan
	done Purged
	// By identity: events given up, and letters that wait because another of the event is
	// left.
	given   map[letterKey]bool
	waiting map[letterKey]int
}

// answer is the result for a letter.
type answer byte

const (
	answerUnknown  answer = iota // the table did not answer
	answerExcluded               // no record is read
	answerNoPolicy
	answerUnread
	answerGivenUp
	answerDone
	answerBusy
	answerWaiting
	answerNoRecord
	answerCorrupt
)

// leaves reports whether the letter stays in the queue.
func (a answer) leaves() bool {
	return slices.Contains([]answer{answerUnknown, answerNoPolicy, answerUnread, answerBusy}, a)
}

func (r *purger) batch(ctx context.Context, h *hold, batch []Received) error {
	planned := slices.DeleteFunc(slices.Clone(batch), func(m Received) bool { return !r.plan.has(m) })
	answers, errs := make([]answer, len(planned)), make([]error, len(planned))
	each(len(planned), func(i int) { answers[i], errs[i] = r.settle(ctx, planned[i]) })
	var gone []queue.Message
	for i, m := range planned {
		if answers[i] == answerUnknown {
			continue
		}
		r.count(m, answers[i])
		r.plan.take(m)
		if !answers[i].leaves() {
			gone = append(gone, m.Message)
		}
	}
	kept, err := remove(ctx, r.Deleter, h, gone)
	r.done.Deleted += len(gone) - kept
	r.done.Undeleted += kept
	if r.Gone != nil {
		r.Gone(len(gone) - kept)
	}
	for _, e := range errs {
		if e != nil { // one error is enough
			return e
		}
	}
	return err
}

func (r *purger) count(m Received, a answer) {
	l, _ := letterOf(m)
	switch a {
	case answerGivenUp:
		r.done.GivenUp++
		r.given[keyOf(idempotency.Ident(l.Event))] = true
	case answerWaiting:
		r.waiting[keyOf(idempotency.Ident(l.Event))]++
	case answerExcluded:
		r.done.Excluded++
	case answerNoPolicy:
		r.done.NoPolicy++
	case answerUnread:
		r.done.Unread++
	case answerDone:
		r.done.Leftovers++
	case answerBusy:
		r.done.Busy++
	case answerNoRecord:
		r.done.NoRecord++
	case answerCorrupt:
		r.done.Corrupt++
	}
}

// sumUp counts the letters that waited for another of their event: as given up if that other
// one was given up in this run.
func (r *purger) sumUp() {
	for ident, n := range r.waiting {
		if r.given[ident] {
			r.done.GivenUp += n
		} else {
			r.done.Waiting += n
		}
	}
}

// refusedBeforeRecord reports whether the consumer refused a letter's message before it read
// or wrote a record: there is nothing to give up. After a claim the letter has an attempt.
func (l Letter) refusedBeforeRecord() bool {
	return l.Cause.Attempt == 0 && slices.Contains([]string{
		policy.ReasonLivemode, policy.ReasonAccount,
		dispatch.ReasonUndecodable, dispatch.ReasonCorrupt, dispatch.ReasonNewerVersion,
	}, l.Cause.Reason)
}

// settle gives up the event of a letter, if there is something to give up.
func (r *purger) settle(ctx context.Context, m Received) (answer, error) {
	l, _ := letterOf(m)
	moved := l.From == FromQueue
	switch {
	case moved && l.Cause.Reason == dispatch.ReasonNewerVersion: // its release may have made a record
		return answerUnread, nil
	case l.refusedBeforeRecord():
		return answerExcluded, nil
	case l.Undecodable != "":
		return answerUnread, nil
	case moved && r.Excludes == nil:
		return answerNoPolicy, nil
	case moved && r.Excludes(l.Event):
		return answerExcluded, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	now := time.Now()
	verdict, err := r.Store.GiveUp(ctx, idempotency.GiveUpRequest{
		EventID: l.Event.ID, Ident: idempotency.Ident(l.Event), Attempt: l.Cause.Attempt,
		By: r.By, Now: now, Cutoff: now.Add(-cmp.Or(r.Limits, limits.AWS()).TakeOverMargin),
	})
	if err != nil {
		return answerUnknown, fmt.Errorf("give up %s: %w", l.Event.ID, err)
	}
	a, known := map[idempotency.GiveUpVerdict]answer{
		idempotency.GivenUp: answerGivenUp, idempotency.GiveUpDone: answerDone, idempotency.GiveUpBusy: answerBusy,
		idempotency.GiveUpWaiting: answerWaiting, idempotency.GiveUpNoRecord: answerNoRecord, idempotency.GiveUpOtherFact: answerCorrupt,
	}[verdict]
	if !known {
		return answerUnknown, fmt.Errorf("give up %s: unknown answer %q", l.Event.ID, verdict)
	}
	return a, nil
}

// oldPurgeMark starts the owner of a record that a release before the mark completed as
// ignored when its dead letter was purged.
const oldPurgeMark = "purge-"

// WasPurged reports whether an operator gave the event up, and nothing claimed it since.
func WasPurged(r idempotency.Record) bool {
	return !r.Purged.IsZero() || r.State == idempotency.Done && strings.HasPrefix(r.Own, oldPurgeMark)
}
