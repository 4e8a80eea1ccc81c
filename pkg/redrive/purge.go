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
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// Store marks events as purged; see package idempotency for its verdicts.
type Store interface {
	Purge(context.Context, idempotency.PurgeRequest) (idempotency.PurgeVerdict, error)
}

// PurgeOptions are the options of a purge.
type PurgeOptions struct {
	// Excludes reports whether the policy of an event's endpoint excludes the event now. It
	// decides about messages that the queue moved: the record's attempt may be another
	// endpoint's. Nil: unknown, and those messages are left.
	Excludes func(event.Envelope) bool
	// OnDeleted, if set, is called with the number of messages just deleted.
	OnDeleted func(n int)
}

// Purged is the result of a purge, also of one that ended early. The messages of the first six
// kinds are deleted, those of the next three are left.
type Purged struct {
	Marked    int `json:"given_up"`  // their events are marked as purged
	Leftovers int `json:"leftovers"` // their events are done
	Excluded  int `json:"excluded"`  // refused before a record: by a policy, or as unreadable, corrupt or too new
	Waiting   int `json:"waiting"`   // another message of the event is left; the event may come back
	NoRecord  int `json:"no_record"` // no attempt was made; reconcile sends the event if its endpoint takes it
	Corrupt   int `json:"corrupt"`   // the record has another identity

	Busy     int `json:"busy"`      // left: an attempt runs
	NoPolicy int `json:"no_policy"` // left: the queue moved them, and their endpoints' policies are not known
	Unread   int `json:"unread"`    // left: this version cannot read them

	Deleted   int `json:"deleted"`
	Undeleted int `json:"undeleted"` // purged in the table, and may still be in the queue
	Left      int `json:"left"`      // of the plan, not processed
}

// Purge deletes the messages of a plan for good, under the lock, and keeps no copy. Before
// it deletes one, it marks its event as purged, so that reconcile no longer sends it. It
// does not complete the event, and a message that is still queued is handled as before. It
// ends with the plan, when the queue returns no more, when a request fails, or between two
// batches when the context is cancelled, which is an error. What was not deleted is shown
// again and stays in the plan.
func (d *DLQ) Purge(ctx context.Context, p *Plan, o PurgeOptions) (done Purged, err error) {
	r := &purger{DLQ: d, PurgeOptions: o, plan: p, marked: map[key]bool{}, waiting: map[key]int{}}
	err = d.locked(ctx, func(ctx context.Context) error {
		if p.Left() == 0 {
			return nil
		}
		_, err := d.walk(ctx, MaxMessages, func(f *inFlight, batch []Received) (bool, error) {
			err := r.batch(context.WithoutCancel(ctx), f, batch)
			return p.Left() > 0, err
		})
		return stopped(ctx, "purge", r.done.Deleted, err)
	})
	r.sumUp()
	r.done.Left = p.Left()
	return r.done, err
}

// purger is one run of a purge.
type purger struct {
	*DLQ
	PurgeOptions
	plan *Plan
	done Purged
	// By identity: events that are marked, and messages that wait because another of the event
	// is left.
	marked  map[key]bool
	waiting map[key]int
}

// answer is the result for a message: the table's verdict, or one of these without a record.
type answer = idempotency.PurgeVerdict

const (
	answerUnknown  answer = "" // the table did not answer
	answerExcluded answer = "excluded"
	answerNoPolicy answer = "no_policy"
	answerUnread   answer = "unread"
)

// stays reports whether the message of an answer is left in the queue.
func stays(a answer) bool {
	return slices.Contains([]answer{answerUnknown, answerNoPolicy, answerUnread, idempotency.PurgeBusy}, a)
}

// of is the count of an answer, nil if there is no such answer.
func (p *Purged) of(a answer) *int {
	return map[answer]*int{
		idempotency.PurgeMarked: &p.Marked, idempotency.PurgeDone: &p.Leftovers, answerExcluded: &p.Excluded,
		idempotency.PurgeWaiting: &p.Waiting, idempotency.PurgeNoRecord: &p.NoRecord, idempotency.PurgeOtherIdentity: &p.Corrupt,
		idempotency.PurgeBusy: &p.Busy, answerNoPolicy: &p.NoPolicy, answerUnread: &p.Unread,
	}[a]
}

func (r *purger) batch(ctx context.Context, f *inFlight, batch []Received) error {
	planned := slices.DeleteFunc(slices.Clone(batch), func(m Received) bool { return !r.plan.has(m) })
	answers, errs := make([]answer, len(planned)), make([]error, len(planned))
	each(len(planned), func(i int) { answers[i], errs[i] = r.mark(ctx, planned[i]) })
	var gone []queue.Message
	for i, m := range planned {
		if answers[i] == answerUnknown {
			continue
		}
		r.count(m, answers[i])
		r.plan.processed(m)
		if !stays(answers[i]) {
			gone = append(gone, m.Message)
		}
	}
	kept, err := r.remove(ctx, f, gone)
	r.done.Deleted += len(gone) - kept
	r.done.Undeleted += kept
	if r.OnDeleted != nil {
		r.OnDeleted(len(gone) - kept)
	}
	return cmp.Or(append(errs, err)...)
}

// count counts an answer. Which of several messages of an event marks it is not known before.
func (r *purger) count(m Received, a answer) {
	*r.done.of(a)++
	if a != idempotency.PurgeMarked && a != idempotency.PurgeWaiting {
		return
	}
	d, _ := decode(m)
	of := idempotency.IdentitiesOf(d.Event)
	if id := keyOf(min(of[0], of[1])); a == idempotency.PurgeMarked {
		r.marked[id] = true
	} else {
		r.waiting[id]++
	}
}

// sumUp counts the messages that waited for another of their event as marked if that other one
// was in this run.
func (r *purger) sumUp() {
	for identity, n := range r.waiting {
		if r.marked[identity] {
			r.done.Marked += n
			r.done.Waiting -= n
		}
	}
}

// refusedBeforeRecord reports whether the consumer refused the message before it read or wrote
// a record: there is nothing to mark. After a claim the message has an attempt.
func (d DeadLetter) refusedBeforeRecord() bool {
	return d.Cause.Attempt == 0 && slices.Contains([]string{
		policy.ReasonLivemode, policy.ReasonAccount,
		dispatch.ReasonUndecodable, dispatch.ReasonCorrupt, dispatch.ReasonNewerVersion,
	}, d.Cause.Reason)
}

// mark marks the event of a message as purged, if there is something to mark.
func (r *purger) mark(ctx context.Context, m Received) (answer, error) {
	d, _ := decode(m)
	moved := d.From == FromQueue
	switch {
	case moved && d.Cause.Reason == dispatch.ReasonNewerVersion: // its release may have written a record
		return answerUnread, nil
	case d.refusedBeforeRecord():
		return answerExcluded, nil
	case d.Undecodable != "":
		return answerUnread, nil
	case moved && r.Excludes == nil:
		return answerNoPolicy, nil
	case moved && r.Excludes(d.Event):
		return answerExcluded, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	now := time.Now()
	verdict, err := r.Store.Purge(ctx, idempotency.PurgeRequest{
		EventID: d.Event.ID, Identities: idempotency.IdentitiesOf(d.Event), Attempt: d.Cause.Attempt,
		By: r.Operator, Now: now, LeaseExpiredBefore: now.Add(-r.Limits.TakeOverMargin),
	})
	if err != nil {
		return answerUnknown, fmt.Errorf("purge %s: %w", d.Event.ID, err)
	}
	if r.done.of(verdict) == nil {
		return answerUnknown, fmt.Errorf("purge %s: unknown verdict %q", d.Event.ID, verdict)
	}
	return verdict, nil
}

// oldPurgeMark starts the owner of a record that an older release completed as ignored when
// its dead letter was purged.
const oldPurgeMark = "purge-"

// WasPurged reports whether an operator purged the event, and no attempt has claimed it since.
func WasPurged(r idempotency.Record) bool {
	return !r.Purged.IsZero() || r.State == idempotency.Done && strings.HasPrefix(r.Owner, oldPurgeMark)
}
