package simulation

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/aws/dynamodb/value"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

type item = value.Item

const recordPrefix = idempotency.KeyPrefix

// recordWritten checks a record's write the moment it is made.
func (w *world) recordWritten(p *proc, key string, old, fresh item, values attributes) {
	own, _ := values[":own"].(*types.AttributeValueMemberS)
	id := strings.TrimPrefix(key, recordPrefix)
	state, before := fresh["st"].Text, old["st"].Text
	att, gen := num(fresh, "att"), num(fresh, "gen")
	w.log("record %s: %s att %d gen %d of %s (was %s)", id, state, att, gen, w.alias(fresh["own"].Text), before)
	f := w.fact(id)
	claim, replay := state == string(idempotency.Running) && own != nil, strings.HasPrefix(p.name, "replay")
	w.checkPolicy(p, f)
	switch {
	case values[":webhook"] != nil: // a note of where a message came from
		w.checkChanged(id, old, fresh, "src")
		return
	case values[":who"] != nil && !replay:
		f.marked = w.step
		w.marked(p, f, old, fresh)
		return
	case claim && att != num(old, "att")+1 || att < num(old, "att"):
		w.violate("%s: the attempt goes from %d to %d", id, num(old, "att"), att)
	case before == string(idempotency.Done) && !replay:
		w.violate("%s: a done record is left for %s without a replay", id, state)
	case !claim && !replay && (before != string(idempotency.Running) || own == nil || old["own"].Text != own.Value):
		w.violate("%s: a superseded attempt writes %s over %s of %s", id, state, before, w.alias(old["own"].Text))
	}
	if replay {
		f.leftDone = w.step
	}
	if claim {
		w.mu.Lock()
		f.holder = p
		w.mu.Unlock()
	}
	f.done = f.done || state == string(idempotency.Done)
	if _, leased := fresh["lease"]; leased != claim {
		w.violate("%s: %s and lease: %v", id, state, leased)
	}
	w.checkMark(p, f, fresh, claim || state == string(idempotency.Done))
	w.checkEffects(id, state, gen)
}

// checkEffects: an event's own count is the number of generations that are done, at every
// moment: no effect twice, none without done, no done without its effect.
func (w *world) checkEffects(id, state string, gen int64) {
	f := w.fact(id)
	switch {
	case f.behaviour == unhandled:
		return
	case f.n > 0:
		if state == string(idempotency.Done) {
			w.checkShown(f)
		}
		return
	}
	want := gen
	if state != string(idempotency.Done) {
		want--
	}
	if got := num(w.table.items["COUNT#"+id], "n"); got != want {
		w.violate("%s: %s in generation %d with %d effects", id, state, gen, got)
	}
	if _, is := w.table.items["FACT#"+id]; is != (want > 0) {
		w.violate("%s: %s in generation %d, fact is there: %v", id, state, gen, is)
	}
}

// alias names an owner by when its first write came: processes that run at the same
// moment take their owners in any order.
func (w *world) alias(own string) string {
	if w.aliases[own] == 0 {
		w.aliases[own] = len(w.aliases) + 1
	}
	return "claim " + strconv.Itoa(w.aliases[own])
}

// checkChanged: nothing but the named attributes differs.
func (w *world) checkChanged(id string, old, fresh item, names ...string) {
	for name := range fresh {
		if !slices.Contains(names, name) && !reflect.DeepEqual(old[name], fresh[name]) {
			w.violate("%s: a note changes %s", id, name)
		}
	}
}

// taken is a message as a consumer was handed it.
type taken struct {
	id, receipt string
	f           *fact
	receives    int
	newer       bool          // the consumer cannot read it yet
	verdict     policy.Action // of its endpoint's policy then
}

func (w *world) taken(m queue.Message) taken {
	t := taken{id: m.ID, receipt: m.Receipt, f: w.fact(w.queue.find(m.ID).event), receives: m.Receives, newer: isNewer(m.Body), verdict: policy.Accept}
	if e, err := queue.Decode(m.Body); err == nil {
		t.verdict = w.verdict(w.policies, e.Endpoint, t.f)
	}
	return t
}

// of returns what a consumer was handed under a message's id.
func (p *proc) of(messageID string) taken {
	for _, t := range p.batch {
		if t.id == messageID {
			return t
		}
	}
	panic("process " + p.name + " was not handed message " + messageID)
}

// checkPolicy: a consumer touches the record only for a message that its endpoint takes.
func (w *world) checkPolicy(p *proc, f *fact) {
	if p.batch != nil && !slices.ContainsFunc(p.batch, func(t taken) bool { return t.f == f && t.verdict == policy.Accept && !t.newer }) {
		w.violate("%s: a delivery that its endpoint excludes touches the record", f.id)
	}
}

// acknowledged deletes a message, which must not be the last trace of work to do. With
// an old receipt it may stay, as at SQS.
func (w *world) acknowledged(p *proc, receipt string) {
	m := w.queue.find(messageID(receipt))
	if m == nil {
		return
	}
	f, t := w.fact(m.event), p.of(m.id)
	done := w.state(f) == idempotency.Done || f.leftDone >= p.started || w.isBroken(f) && w.doneUnder(p, f)
	switch {
	case t.verdict == policy.Ignore:
		f.ignored = true
		w.met("acknowledged and ignored")
	case t.newer && m.copied < p.started:
		w.violate("%s: message %s of the next release is acknowledged without its copy in the DLQ", f.id, m.id)
	case t.verdict == policy.Park && m.copied < p.started:
		w.violate("%s: message %s is to be parked, and acknowledged without its copy in the DLQ", f.id, m.id)
	case t.verdict == policy.Accept && !done && f.copied < p.started:
		w.violate("%s: message %s is acknowledged while the record is %q and no copy is in the DLQ", f.id, m.id, w.state(f))
	}
	if f.handled < 0 && done && t.verdict == policy.Accept && strings.Contains(w.consumed(m.body), `"src":"webhook"`) && m.copied < p.started {
		f.handled = w.step
	}
	if m.receipt() != receipt {
		w.met("deleted with an old receipt")
		if w.rng.IntN(2) == 0 {
			w.log("message %s of %s stays, as its receipt is old", m.id, m.event)
			return
		}
	}
	w.log("message %s of %s is acknowledged", m.id, m.event)
	w.queue.remove(m.id)
}

// parked checks a copy on its way to the dead-letter queue.
func (w *world) parked(p *proc, messageID string, d queue.DeadLetter) {
	t := p.of(messageID)
	excluded := d.Reason == policy.ReasonLivemode || d.Reason == policy.ReasonAccount
	deserved := d.Reason == dispatch.ReasonHandler || d.Reason == dispatch.ReasonAccountRevoked && p.refusedAccount[t.f.id] || d.Reason == dispatch.ReasonCorrupt && w.wasBroken(p, t.f)
	if t.newer && d.Reason == dispatch.ReasonNewerVersion && t.receives >= w.limits.MaxReceives {
		deserved = true
	}
	if excluded != (t.verdict == policy.Park) || !excluded && !deserved {
		w.violate("%s: dead-lettered with reason %s at receive %d while its endpoint's policy says %s", t.f.id, d.Reason, t.receives, t.verdict)
	}
	w.met("dead-lettered: " + d.Reason)
}

func (w *world) state(f *fact) idempotency.State {
	if w.isBroken(f) {
		return "BROKEN"
	}
	return idempotency.State(w.table.items[recordPrefix+f.id]["st"].Text)
}

// settled: done, or done so long ago that the table has forgotten it.
func (w *world) settled(f *fact) bool {
	return w.state(f) == idempotency.Done || f.done && w.state(f) == ""
}

// entered: while the clocks agree and nobody is stopped, only one attempt at an event
// runs at a time. Effects do not need that; a handler's own calls of others do.
func (w *world) entered(p *proc, f *fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for o := range f.inside {
		if o != p && !o.dead && !o.halted && !p.halted && w.plan.clocksAgree() && f.behaviour != hangs && f.behaviour != kills {
			w.violate("%s: processes %d and %d run its handler at the same time", f.id, o.id, p.id)
		}
	}
	f.inside[p] = true
}

// checkRest: once nothing happens any more, every event that was answered 2xx is done or
// in the dead-letter queue, and where reconcile is every event that happened.
func (w *world) checkRest() {
	w.queue.expire()
	w.dead.expire()
	for _, f := range w.facts {
		dead := false
		for _, m := range w.dead.messages {
			dead = dead || m.event == f.id
		}
		if (f.accepted || w.netted(f)) && !w.settled(f) && !dead && !w.excused(f) {
			w.violate("%s (%s) is lost: its record is %q and nothing is left to bring it back", f.id, f.behaviour, w.state(f))
		}
	}
}

// netted reports whether reconcile covers an event: it asks for what handlers take, in the
// mode of its key, under endpoints that take it.
func (w *world) netted(f *fact) bool { return w.nettedUnder(w.policies, f) }

func (w *world) nettedUnder(all map[string]policy.Policy, f *fact) bool {
	on := w.plan.policies.on
	return w.net != nil && f.behaviour != unhandled && f.env.Livemode == on && (!on || !w.excludes(all, f)) && w.net.compared(f) &&
		time.Since(f.happened) < w.limits.Reconcile.Weekly.Span // later no pass looks so far back
}

// excused: a message went by retention, or a policy ignored it, and nothing is there to
// bring the event back.
func (w *world) excused(f *fact) bool {
	return f.givenUp || f.withheld && !w.deployed || (f.expired || f.ignored || f.purged) && !w.netted(f) || w.isBroken(f) && (w.plan.net.on || f.broken.wasDone() || f.broken.after != nil || w.doneUnder(nil, f)) // a row that reconcile suspects is left alone
}

// checkEnd: after the fix and a redrive all are done, and shared items have counted each.
func (w *world) checkEnd() {
	shared := map[string]int64{}
	for i, f := range w.facts {
		takes := w.verdict(w.policies, f.home(), f) == policy.Accept // else its letters stay
		parked := slices.ContainsFunc(w.dead.messages, func(m *message) bool { return m.event == f.id })
		leftover := parked && f.letterGone // what another endpoint took, and parks since; the letter of its own was purged
		if takes && !leftover && (f.accepted || w.netted(f)) && !w.settled(f) && !w.excused(f) {
			w.violate("%s (%s) is %q after the fix and a redrive", f.id, f.behaviour, w.state(f))
		}
		if f.behaviour != unhandled && f.n == 0 {
			shared[w.objectID(i)] += num(w.table.items["COUNT#"+f.id], "n")
		}
	}
	for id, want := range shared {
		if got := num(w.table.items["OBJ#"+id], "n"); got != want {
			w.violate("the shared item of %s has counted %d, want %d", id, got, want)
		}
	}
}
