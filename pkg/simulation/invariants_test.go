package simulation

import (
	"cmp"
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

// recordWritten checks each write of a record.
func (sc *scenario) recordWritten(p *proc, key string, old, fresh item, values attributes) {
	own, _ := values[":own"].(*types.AttributeValueMemberS)
	id := strings.TrimPrefix(key, recordPrefix)
	state, before := fresh["st"].Text, old["st"].Text
	att, gen := num(fresh, "att"), num(fresh, "gen")
	sc.log("record %s: %s att %d gen %d of %s (was %s)", id, state, att, gen, sc.alias(fresh["own"].Text), before)
	f := sc.fact(id)
	claim, replay := state == string(idempotency.Running) && own != nil, strings.HasPrefix(p.name, "replay")
	sc.checkPolicy(p, f)
	switch {
	case values[":reconcile"] != nil: // a note of the message's source
		sc.checkChanged(id, old, fresh, "src")
		return
	case values[":who"] != nil && !replay:
		f.marked = sc.step
		sc.marked(p, f, old, fresh)
		return
	case values == nil:
		sc.atOnce(p, f, old, fresh)
	case claim && att != num(old, "att")+1 || att < num(old, "att"):
		sc.violate("%s: the attempt goes from %d to %d", id, num(old, "att"), att)
	case before == string(idempotency.Done) && !replay:
		sc.violate("%s: a done record is left for %s without a replay", id, state)
	case !claim && !replay && (before != string(idempotency.Running) || own == nil || old["own"].Text != own.Value):
		sc.violate("%s: a superseded attempt writes %s over %s of %s", id, state, before, sc.alias(old["own"].Text))
	}
	if state == string(idempotency.Failed) && !replay {
		p.failed[id] = true
	}
	if replay {
		f.leftDone = sc.step
	}
	if claim || values == nil {
		sc.checkNotPaused(p, f)
	}
	if claim {
		sc.mu.Lock()
		f.holder = p
		sc.mu.Unlock()
	}
	f.done = f.done || state == string(idempotency.Done)
	if _, leased := fresh["lease"]; leased != claim {
		sc.violate("%s: %s and lease: %v", id, state, leased)
	}
	sc.checkHistory(p, f, old, fresh, replay)
	sc.checkMark(p, f, fresh, claim || state == string(idempotency.Done))
	sc.checkEffects(id, state, gen)
}

// atOnce: a run without a claim writes a record only if there is none, at a first receive that is
// not the last.
func (sc *scenario) atOnce(p *proc, f *fact, old, fresh item) {
	first := func(t taken) bool { return t.f == f && t.receives == 1 && t.receives < sc.limits.MaxReceives }
	switch {
	case old != nil:
		sc.violate("%s: a run without a claim writes %s over %s of %s", f.id, fresh["st"].Text, old["st"].Text, sc.alias(old["own"].Text))
	case num(fresh, "att") != 1 || num(fresh, "gen") != 1:
		sc.violate("%s: a run without a claim writes attempt %d", f.id, num(fresh, "att"))
	case !slices.ContainsFunc(p.batch, first):
		sc.violate("%s: a run without a claim at another receive than the first", f.id)
	case sc.plan.claims && f.behaviour != unhandled:
		sc.violate("%s: a handler that may change something outside runs without a claim", f.id)
	}
	sc.count("at once: " + fresh["st"].Text)
}

// checkEffects: an event's own counter equals the number of done generations after every write: no
// effect twice, none without done, no done without its effect.
func (sc *scenario) checkEffects(id, state string, gen int64) {
	f := sc.fact(id)
	switch {
	case f.behaviour == unhandled:
		return
	case f.n > 0:
		if state == string(idempotency.Done) {
			sc.checkShown(f)
		}
		return
	}
	want := gen
	if state != string(idempotency.Done) {
		want--
	}
	if got := num(sc.table.items["COUNT#"+id], "n"); got != want {
		sc.violate("%s: %s in generation %d with %d effects", id, state, gen, got)
	}
	if _, is := sc.table.items["FACT#"+id]; is != (want > 0) {
		sc.violate("%s: %s in generation %d, fact is there: %v", id, state, gen, is)
	}
}

// alias names an owner by the order of first writes, as owners are drawn in any order.
func (sc *scenario) alias(own string) string {
	if sc.aliases[own] == 0 {
		sc.aliases[own] = len(sc.aliases) + 1
	}
	return "claim " + strconv.Itoa(sc.aliases[own])
}

// checkChanged: only the named attributes differ.
func (sc *scenario) checkChanged(id string, old, fresh item, names ...string) {
	for name := range fresh {
		if !slices.Contains(names, name) && !reflect.DeepEqual(old[name], fresh[name]) {
			sc.violate("%s: a note changes %s", id, name)
		}
	}
}

// taken is a message as a consumer received it.
type taken struct {
	id, receipt string
	f           *fact
	receives    int
	newer       bool          // the consumer cannot read it yet
	verdict     policy.Action // of its endpoint's policy at that time
}

func (sc *scenario) taken(m queue.Message) taken {
	t := taken{id: m.ID, receipt: m.Receipt, f: sc.fact(sc.queue.find(m.ID).event), receives: m.Receives, newer: isNewer(m.Body), verdict: policy.Accept}
	if e, err := queue.Decode(m.Body); err == nil {
		t.verdict = sc.verdict(sc.policies, cmp.Or(busOf(m.Body), e.Endpoint), t.f)
	}
	return t
}

// of returns the received message with an id.
func (p *proc) of(messageID string) taken {
	for _, t := range p.batch {
		if t.id == messageID {
			return t
		}
	}
	panic("process " + p.name + " was not handed message " + messageID)
}

// checkPolicy: a consumer touches the record only for a message that its endpoint takes.
func (sc *scenario) checkPolicy(p *proc, f *fact) {
	if p.batch != nil && !slices.ContainsFunc(p.batch, func(t taken) bool { return t.f == f && t.verdict == policy.Accept && !t.newer }) {
		sc.violate("%s: a delivery that its endpoint excludes touches the record", f.id)
	}
}

// acknowledged deletes a message, which must not be the last trace of an unfinished event. With an
// old receipt it may stay, as at SQS.
func (sc *scenario) acknowledged(p *proc, receipt string) {
	m := sc.queue.find(messageID(receipt))
	if m == nil {
		return
	}
	f, t := sc.fact(m.event), p.of(m.id)
	done := sc.state(f) == idempotency.Done || f.leftDone >= p.started || sc.isBroken(f) && sc.doneUnder(p, f)
	switch {
	case t.verdict == policy.Ignore:
		f.ignored = true
		sc.count("acknowledged and ignored")
	case t.newer && m.copied < p.started:
		sc.violate("%s: message %s of the next release is acknowledged without its copy in the DLQ", f.id, m.id)
	case t.verdict == policy.Park && m.copied < p.started:
		sc.violate("%s: message %s is to be parked, and acknowledged without its copy in the DLQ", f.id, m.id)
	case t.verdict == policy.Accept && !done && f.copied < p.started && m.held < p.started:
		sc.violate("%s: message %s is acknowledged while the record is %q and no copy is in the DLQ", f.id, m.id, sc.state(f))
	}
	if f.handled < 0 && done && t.verdict == policy.Accept && delivered(sc.consumed(m.body)) && m.copied < p.started {
		f.handled = sc.step
	}
	if m.receipt() != receipt {
		sc.count("deleted with an old receipt")
		if sc.rng.IntN(2) == 0 {
			sc.log("message %s of %s stays, as its receipt is old", m.id, m.event)
			return
		}
	}
	sc.log("message %s of %s is acknowledged", m.id, m.event)
	sc.queue.remove(m.id)
}

// delivered reports whether a message is of a delivery by Stripe, through either door.
func delivered(body string) bool {
	return strings.Contains(body, `"src":"webhook"`) || busOf(body) != ""
}

// parked checks a copy on its way to the dead-letter queue.
func (sc *scenario) parked(p *proc, messageID string, d queue.DeadLetter) {
	t := p.of(messageID)
	excluded := d.Reason == policy.ReasonLivemode || d.Reason == policy.ReasonAccount
	deserved := d.Reason == dispatch.ReasonHandler || d.Reason == dispatch.ReasonAccountRevoked && p.refusedAccount[t.f.id] || d.Reason == dispatch.ReasonCorrupt && sc.wasBroken(p, t.f)
	if t.newer && d.Reason == dispatch.ReasonNewerVersion && t.receives >= sc.limits.MaxReceives {
		deserved = true
	}
	if own := d.Reason == dispatch.ReasonHandler || d.Reason == dispatch.ReasonAccountRevoked; own && !p.failed[t.f.id] {
		sc.violate("%s: dead-lettered with reason %s before the record shows the failure", t.f.id, d.Reason)
	}
	if excluded != (t.verdict == policy.Park) || !excluded && !deserved {
		sc.violate("%s: dead-lettered with reason %s at receive %d while its endpoint's policy says %s", t.f.id, d.Reason, t.receives, t.verdict)
	}
	sc.count("dead-lettered: " + d.Reason)
}

func (sc *scenario) state(f *fact) idempotency.State {
	if sc.isBroken(f) {
		return "BROKEN"
	}
	return idempotency.State(sc.table.items[recordPrefix+f.id]["st"].Text)
}

// settled: done, or done so long ago that its record has expired.
func (sc *scenario) settled(f *fact) bool {
	return sc.state(f) == idempotency.Done || f.done && sc.state(f) == ""
}

// entered: without clock skew and pauses, only one claimed attempt at an event runs at a time.
// Effects do not need that, but a handler's calls to other services do.
func (sc *scenario) entered(p *proc, f *fact, claimed bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for o, also := range f.inside {
		if claimed && also && o != p && !o.dead && !o.halted && !p.halted && sc.plan.clocksAgree() && f.behaviour != hangs && f.behaviour != kills {
			sc.violate("%s: processes %d and %d run its handler at the same time", f.id, o.id, p.id)
		}
	}
	if !claimed && len(f.inside) > 0 {
		sc.count("a run without a claim next to another")
	}
	f.inside[p] = claimed
}

// checkRest: once nothing is pending, every event that was answered 2xx, and with reconcile every
// event, is done or in the dead-letter queue.
func (sc *scenario) checkRest() {
	sc.queue.expire()
	sc.dead.expire()
	sc.hold.expire()
	for _, f := range sc.facts {
		dead := false
		for _, m := range sc.dead.messages {
			dead = dead || m.event == f.id
		}
		if (f.accepted || sc.swept(f)) && !sc.settled(f) && !dead && !sc.excused(f) {
			sc.violate("%s (%s) is lost: its record is %q and nothing is left to bring it back", f.id, f.behaviour, sc.state(f))
		}
	}
}

// swept reports whether reconcile covers an event: of a handled type, in its key's mode, under an
// endpoint that takes it.
func (sc *scenario) swept(f *fact) bool { return sc.sweptUnder(sc.policies, f) }

func (sc *scenario) sweptUnder(all map[string]policy.Policy, f *fact) bool {
	on := sc.plan.policies.on
	return sc.reconciler != nil && f.behaviour != unhandled && f.env.Livemode == on && (!on || !sc.excludes(all, f)) && sc.reconciler.compared(f) &&
		time.Since(f.happened) < sc.limits.Reconcile.Weekly.Span // older events are out of every pass's reach
}

// excused: the event may be unfinished, as its message expired or was ignored or purged, and
// reconcile does not cover it.
func (sc *scenario) excused(f *fact) bool {
	return f.purgeMarked || f.withheld && !sc.deployed || (f.expired || f.ignored || f.purged) && !sc.swept(f) || sc.isBroken(f) && (sc.plan.reconciler.on || f.broken.wasDone() || f.broken.after != nil || sc.doneUnder(nil, f)) // a row that reconcile suspects is left alone
}

// checkEnd: after the fix and a redrive all events are done, and shared items counted each.
func (sc *scenario) checkEnd() {
	shared := map[string]int64{}
	for i, f := range sc.facts {
		takes := sc.verdict(sc.policies, f.home(), f) == policy.Accept // else its dead letters stay
		parked := slices.ContainsFunc(sc.dead.messages, func(m *message) bool { return m.event == f.id })
		leftover := parked && f.deadLetterPurged // another endpoint took it and parks it since; its own dead letter was purged
		if takes && !leftover && (f.accepted || sc.swept(f)) && !sc.settled(f) && !sc.excused(f) {
			sc.violate("%s (%s) is %q after the fix and a redrive", f.id, f.behaviour, sc.state(f))
		}
		if f.behaviour != unhandled && f.n == 0 {
			shared[sc.objectID(i)] += num(sc.table.items["COUNT#"+f.id], "n")
		}
	}
	for id, want := range shared {
		if got := num(sc.table.items["OBJ#"+id], "n"); got != want {
			sc.violate("the shared item of %s has counted %d, want %d", id, got, want)
		}
	}
}
