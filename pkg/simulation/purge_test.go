package simulation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/aws/dynamodb/value"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// Operators purge events at any step, by a dead letter or by the event's id. Once a purge reports
// an event as purged, no pass sends it again unless a claim follows; and a purge stops no message
// from being handled, which every acknowledgement is checked for.

// purging is the dead letter of a purge.
type purging struct {
	f        *fact
	dead     *message // nil: by the event's id
	attempt  int64    // in the dead letter
	newer    bool     // moved by SQS, and only the next release can read it
	excluded bool     // its endpoint's policy excludes it, or it has no record
}

// purge purges a dead letter.
func (sc *scenario) purge(m *message) {
	records, err := dynamostore.NewReader(sc.table, "tollgate")
	if err != nil {
		panic(err)
	}
	why, ours := queue.DeadLetterOf(m.attributes)
	f, policies := sc.fact(m.event), sc.policies
	of := &purging{f: f, dead: m, attempt: why.Attempt}
	e, err := queue.Decode(sc.consumed(m.body))
	if !ours && errors.Is(err, queue.ErrNewer) {
		of.newer = true
	}
	of.excluded = err != nil || ours && why.Attempt == 0 || !ours && sc.verdict(policies, e.Endpoint, f) != policy.Accept
	excludes := func(e event.Envelope) bool { return sc.verdict(policies, e.Endpoint, sc.fact(e.ID)) != policy.Accept }
	p := &proc{name: "purge of " + m.id + " of " + f.id, purging: of}
	var done redrive.Purged
	p.finish = func() {
		sc.log("%s: %+v", p.name, done)
		if done.Marked > 0 {
			sc.notePurge(p, f)
			sc.count("purge: marked")
		}
	}
	dead := deadLetters{sc, sc.dead}
	sc.spawn(p, func(ctx context.Context) {
		d := redrive.DLQ{Queue: dead, Mover: dead, Records: records, Store: sc.operator, Operator: "op", Limits: sc.limits}
		plan, err := d.Plan(ctx, redrive.Selection{Filter: redrive.Filter{ID: m.id}})
		if err != nil {
			return
		}
		done, _ = d.Purge(ctx, plan, redrive.PurgeOptions{Excludes: excludes})
	})
}

// purgeByID purges an event by its id, whatever messages it has left.
func (sc *scenario) purgeByID(f *fact) {
	p := &proc{name: "purge of " + f.id + " by its id", purging: &purging{f: f}}
	verdict := idempotency.PurgeVerdict("an error")
	p.finish = func() {
		sc.log("%s: %s", p.name, verdict)
		sc.count("purge by id: " + string(verdict))
		if verdict == idempotency.PurgeMarked {
			sc.notePurge(p, f)
		}
	}
	sc.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		now := time.Now()
		got, err := sc.operator.Purge(ctx, idempotency.PurgeRequest{
			EventID: f.id, Identities: idempotency.IdentitiesOf(f.env), Any: true, By: "op", Now: now, LeaseExpiredBefore: now.Add(-sc.limits.TakeOverMargin),
		})
		if err == nil {
			verdict = got
		}
	})
}

// notePurge records a purge's answer, unless a claim came between its write and its answer.
func (sc *scenario) notePurge(p *proc, f *fact) {
	if f.claimed < max(p.started, f.marked) {
		f.reportedPurge = sc.step
	}
}

// marked checks the write of the purge mark.
func (sc *scenario) marked(p *proc, f *fact, old, fresh item) {
	sc.checkChanged(f.id, old, fresh, "purged", "purge_by", "upd", "exp")
	of := p.purging
	switch left := num(old, "rc_left"); {
	case old["st"].Text == string(idempotency.Done), num(old, "lease") > time.Now().UnixMilli():
		sc.violate("%s: purged while it is %s under a lease until %d", f.id, old["st"].Text, num(old, "lease"))
	case of == nil || of.f != f:
		sc.violate("%s: %s gives it up", f.id, p.name)
	case of.dead == nil:
	case of.excluded:
		sc.violate("%s: purged by the dead letter of a delivery that its endpoint excludes", f.id)
	case old["rc_left"].Type != value.Num || left != 0:
		sc.violate("%s: purged while a message has %d receives left", f.id, left)
	case of.attempt > 0 && of.attempt != num(old, "att"):
		sc.violate("%s: purged by the dead letter of attempt %d, and attempt %d is the last", f.id, of.attempt, num(old, "att"))
	}
	f.purgeMarked = true
}

// checkMark: the record has the purge mark exactly until the next claim or completion.
func (sc *scenario) checkMark(p *proc, f *fact, row item, claimed bool) {
	if claimed {
		f.purgeMarked, f.reportedPurge, f.claimed = false, -1, sc.step
	}
	if claimed && f.deadLetterPurged && !slices.ContainsFunc(p.batch, func(t taken) bool { return t.f == f && sc.queue.find(t.id) != nil }) {
		f.purged = true // claimed for a message that was moved and purged meanwhile: the row may be left over
	}
	if _, is := row["purged"]; is != f.purgeMarked {
		sc.violate("%s: its record's mark of a purge: %v, want %v", f.id, is, f.purgeMarked)
	}
}

// checkPurgedDeadLetter checks the deletion of a dead letter: its event is done, purged, or has another
// message.
func (sc *scenario) checkPurgedDeadLetter(p *proc, messageID string) {
	f := p.purging.f
	f.deadLetterPurged = true
	row := sc.table.items[recordPrefix+f.id]
	holds := func(m *message) bool { return m.event == f.id && m.id != messageID }
	switch {
	case p.purging.newer:
		sc.violate("%s: the dead letter is purged that only the next release can read", f.id)
	case p.purging.excluded, sc.state(f) == "", sc.isBroken(f):
		f.purged = true // the operator decided on this delivery only
	case num(row, "rc_left") > 0, sc.state(f) == idempotency.Failed && row["rc_left"].Type != value.Num: // a message has receives left, or a replay wants one
		f.purged = true // reconcile's frequent passes cover it
	case f.purgeMarked || f.marked >= p.started || sc.state(f) == idempotency.Done || f.expired || f.ignored:
	case !slices.ContainsFunc(sc.queue.messages, holds) && !slices.ContainsFunc(sc.dead.messages, holds) && f.leftDone < p.started:
		sc.violate("%s: its dead letter is deleted, it is not purged, and no other message holds it", f.id)
	}
}

// unpurged: a pass that began after an event was purged does not send it.
func (sc *scenario) unpurged(p *proc, f *fact) {
	if strings.HasPrefix(p.name, "reconcile") && f.reportedPurge >= 0 && f.reportedPurge < p.started {
		sc.violate("%s: %s sends it though it was purged", f.id, p.name)
	}
}
