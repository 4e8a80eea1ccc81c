package idempotencytest

import (
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// atOnceRows are the writes of a run without a claim.
func atOnceRows() []row {
	rows := []row{
		{"done/no record → completed", func(b *bench) {
			c := b.unclaimed()
			b.completed(c, 2, idempotency.Applied)
			b.equal("record", b.record(), b.doneRecord(c, idempotency.Applied))
		}},
		{"done/no record, with effects → completed, all applied and named", func(b *bench) {
			c := b.unclaimed()
			b.completed(c, 2, idempotency.Applied,
				dispatch.Insert(key(1), nil), dispatch.CheckAbsent(key(2), errCheck), dispatch.Swap(key(3), 0, nil))
			b.equal("record", b.record(), b.doneRecord(c, idempotency.Applied, key(1), key(3)))
			b.equal("swap", b.item(key(3)), map[string]any{"pk": key(3), "ver": int64(1)})
		}},
		{"done/only inserts refused → stale", func(b *bench) {
			other := b.request(b.t0)
			other.Event.ID = "evt_2"
			b.done(b.claim(other), dispatch.Insert(key(1), nil))
			c := b.unclaimed()
			b.completed(c, 2, idempotency.AlreadyApplied, dispatch.Insert(key(1), nil))
			b.equal("record", b.record(), b.doneRecord(c, idempotency.AlreadyApplied))
		}},
		{"done/a swap refused → again, and nothing written", func(b *bench) {
			c := b.unclaimed()
			got := b.complete(c, idempotency.Applied, b.at(2), dispatch.Insert(key(1), nil), dispatch.Swap(key(3), 4, nil))
			b.equal("answer", got.Verdict, idempotency.SwapRefused)
			b.equal("insert", b.item(key(1)), map[string]any(nil))
			b.completed(c, 3, idempotency.Applied, dispatch.Insert(key(1), nil))
		}},
		{"done/done by ourselves → completed", func(b *bench) {
			c, effect := b.unclaimed(), dispatch.Insert(key(1), nil)
			b.done(c, effect)
			b.unchanged(func() { b.completed(c, 9, idempotency.Applied, effect) })
		}},
		{"failed/no record → written", func(b *bench) {
			c := b.unclaimed()
			b.failed(c)
			b.equal("record", b.record(), b.failedRecord(c))
		}},
		{"failed/for good → written with its reason, none left", func(b *bench) {
			c := b.unclaimed()
			b.fail(c, idempotency.Failure{Now: b.at(2), Err: "boom", Reason: "livemode", Fingerprint: "0123456789ab", Frame: "handlers.paid invoice.go:42"})
			want := b.failedRecord(c)
			want.Reason, want.ReceivesLeft = "livemode", 0
			b.equal("record", b.record(), want)
		}},
		{"failed/failed by ourselves → written", func(b *bench) {
			c := b.unclaimed()
			b.failed(c)
			b.unchanged(func() { b.failed(c) })
		}},
		{"failed/then a claim → attempt 2", func(b *bench) {
			b.failed(b.unclaimed())
			c := b.claim(b.request(b.at(30)))
			b.equal("attempt", c.Attempt, int64(2))
			b.fail(c, boom(b.at(31)))
			b.equal("history", b.record().History, []idempotency.Attempt{attempt(1, b.t0, 2*time.Second), attempt(2, b.at(30), time.Second)})
		}},
	}
	return append(rows, refusedRows()...)
}

// refusedRows are the writes that a record refuses.
func refusedRows() (rows []row) {
	for _, s := range refusals {
		rows = append(rows, row{"refused/" + s.name, func(b *bench) {
			c := b.unclaimed()
			s.state(b)
			done, failed := idempotency.Superseded, idempotency.FailSuperseded
			if s.settled {
				done, failed = idempotency.SupersededDone, idempotency.FailDone
			}
			b.unchanged(func() {
				b.equal("done", b.complete(c, idempotency.Applied, b.at(90)).Verdict, done)
				b.equal("done with effects", b.complete(c, idempotency.Applied, b.at(90), dispatch.Insert(key(9), nil)).Verdict, done)
				b.equal("failed", b.fail(c, idempotency.Failure{Now: b.at(90), Err: "late"}).Verdict, failed)
			})
			b.equal("effect of a refused completion", b.item(key(9)), map[string]any(nil))
		}})
	}
	return rows
}

// refusals are records that refuse a run without a claim: one that settles its message, and those
// that a claim must judge.
var refusals = []struct {
	name    string
	state   func(*bench)
	settled bool
}{
	{"done → done", isDone, true},
	{"done by another run without a claim → done", func(b *bench) { b.done(b.unclaimed()) }, true},
	{"running → claim", isRunning, false},
	{"failed → claim", isFailed, false},
	{"dead → claim", isDead, false},
	{"replayed → claim", isReplayed, false},
	{"running, its lease over → claim", func(b *bench) { b.claim(b.request(b.t0.Add(-time.Hour))) }, false},
	{"done under another identity → claim", func(b *bench) {
		req := b.request(b.t0)
		req.Event.Livemode = true
		b.done(b.claim(req))
	}, false},
	{"done by reconcile's message → claim, which notes the webhook's", func(b *bench) {
		req := b.request(b.t0)
		req.Event.Source = event.Reconcile
		b.done(b.claim(req))
	}, false},
}

// unclaimed is a run of evt_1 that began at the beginning without a claim.
func (b *bench) unclaimed() *idempotency.Claim { return idempotency.WithoutClaim(b.request(b.t0)) }
