package simulation

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// Another program may write an event's row, so that it is not a valid record any more. Only this
// event is affected: its messages become dead letters, and all other events continue.

// breakage is a change of a row, and its repair.
type breakage struct {
	name   string
	whole  bool      // the whole row was replaced; else one attribute
	before item      // the row, nil for none
	spoilt string    // the attribute
	from   int       // step of the breakage
	until  time.Time // of the repair, zero while it is broken
	step   int       // of the repair
	after  func()    // runs at the repair
}

// spoil breaks the row of an event.
func (sc *scenario) spoil(f *fact) {
	if f.broken != nil {
		return
	}
	key := recordPrefix + f.id
	old := sc.table.items[key]
	fresh := maps.Clone(old)
	b := &breakage{before: old, from: sc.step, step: -1}
	state := idempotency.State(old["st"].Text)
	switch n := sc.rng.IntN(5); {
	case n == 0 || old == nil:
		b.name, b.whole = "put by hand", true
		fresh = item{"pk": value.Of(key), "st": value.Of("DONE"), "att": value.Of("one")}
	case n == 1:
		b.name, b.spoilt = "attempt is a text", "att"
	case n == 2:
		b.name, b.spoilt = "unknown state", "st"
	case n == 3 && state == idempotency.Running:
		b.name, b.spoilt = "running without a lease", "lease"
	case state == idempotency.Running: // its own writes would fail
		return
	default:
		b.name, b.spoilt = "fails is a text", "fails"
	}
	switch b.spoilt {
	case "":
	case "lease":
		delete(fresh, "lease")
	default:
		fresh[b.spoilt] = value.Of("one")
	}
	f.broken = b
	sc.table.items[key] = fresh
	sc.log("the row of %s is spoilt: %s", f.id, b.name)
	sc.count("spoilt row: " + b.name)
}

// repair restores a spoilt row and keeps what was written since.
func (sc *scenario) repair(f *fact) (was bool) {
	b := f.broken
	if b == nil || !b.until.IsZero() {
		return false
	}
	b.until, b.step = time.Now(), sc.step
	key := recordPrefix + f.id
	sc.log("the row of %s is repaired", f.id)
	now := sc.table.items[key]
	switch {
	case b.whole && b.before == nil:
		delete(sc.table.items, key)
	case b.whole:
		sc.table.items[key] = b.before
	default:
		fixed := maps.Clone(now)
		old, had := b.before[b.spoilt]
		switch {
		case b.spoilt == "lease" && (num(now, "lease") > 0 || now["st"].Text != string(idempotency.Running)):
		case had:
			fixed[b.spoilt] = old
		default:
			delete(fixed, b.spoilt)
		}
		sc.table.items[key] = fixed
	}
	if b.after != nil {
		b.after()
	}
	return true
}

// wasDone reports whether an event was done before its row was spoilt.
func (b *breakage) wasDone() bool { return b.before["st"].Text == string(idempotency.Done) }

// doneUnder reports whether a spoilt row was completed by its own attempt, or spoilt after
// it was done while a process ran.
func (sc *scenario) doneUnder(p *proc, f *fact) bool {
	if p != nil && f.broken.wasDone() && f.broken.from >= p.started {
		return true
	}
	return !f.broken.whole && sc.table.items[recordPrefix+f.id]["st"].Text == string(idempotency.Done)
}

// isBroken reports whether an event's row is not a valid record.
func (sc *scenario) isBroken(f *fact) bool {
	if f.broken == nil || !f.broken.until.IsZero() {
		return false
	}
	row := sc.table.items[recordPrefix+f.id]
	return f.broken.spoilt != "lease" || num(row, "lease") == 0 && row["st"].Text == string(idempotency.Running)
}

// wasBroken also counts a row that was repaired since a process began.
func (sc *scenario) wasBroken(p *proc, f *fact) bool {
	return f.broken != nil && (f.broken.until.IsZero() || f.broken.step >= p.started)
}

// outcome is a consumer's log line about a message.
type outcome struct {
	event, what, reason string
	own                 bool // the event's latest claim was the process's own
}

// outcomes is a slog.Handler that collects the consumer's lines about messages.
type outcomes struct {
	sc *scenario
	p  *proc
}

func (outcomes) Enabled(context.Context, slog.Level) bool { return true }

func (o outcomes) Handle(_ context.Context, r slog.Record) error {
	var got outcome
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "event_id":
			got.event = a.Value.String()
		case "outcome":
			got.what = a.Value.String()
		case "reason":
			got.reason = a.Value.String()
		}
		return true
	})
	if got.what == "" { // another line
		return nil
	}
	o.sc.mu.Lock()
	got.own = got.what == "busy" && o.sc.fact(got.event).holder == o.p
	o.p.outcomes = append(o.p.outcomes, got)
	o.sc.mu.Unlock()
	return nil
}

func (o outcomes) WithAttrs([]slog.Attr) slog.Handler { return o }
func (o outcomes) WithGroup(string) slog.Handler      { return o }

// checkOutcomes runs when a consumer has returned: a store that answered all of its calls is not
// taken for down.
func (sc *scenario) checkOutcomes(p *proc) {
	for _, o := range p.outcomes {
		sc.count("outcome: " + o.what)
		if o.what == "missed" {
			sc.checkMissed(p, sc.fact(o.event))
		}
		if o.what == "store_down" && !p.failing && !p.halted {
			sc.violate("process %d takes the store for down, which answered all that it asked", p.id)
		}
	}
}
