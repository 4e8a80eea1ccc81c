package idempotencytest

import (
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

var completeRows = []row{
	{"ok/no effects → completed", func(b *bench) {
		c := b.claimed()
		b.completed(c, 2, idempotency.Applied)
		b.equal("record", b.record(), b.doneRecord(c, idempotency.Applied))
	}},
	{"ok/nothing to do → completed as ignored", func(b *bench) {
		c := b.claimed()
		got := b.complete(c, idempotency.Ignored, b.at(2))
		b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Ignored})
		b.equal("record", b.record(), b.doneRecord(c, idempotency.Ignored))
	}},
	{"ok/with effects → completed, all applied and named", func(b *bench) {
		c := b.claimed()
		b.completed(c, 2, idempotency.Applied,
			dispatch.Insert(key(1), dispatch.Fields{"amount": int64(500)}),
			dispatch.CheckAbsent(key(2), errCheck),
			dispatch.Swap(key(3), 0, dispatch.Fields{"status": "paid"}))
		b.equal("record", b.record(), b.doneRecord(c, idempotency.Applied, key(1), key(3)))
		b.equal("insert", b.item(key(1)), map[string]any{"pk": key(1), "amount": int64(500)})
		b.equal("check", b.item(key(2)), map[string]any(nil))
		b.equal("swap", b.item(key(3)), map[string]any{"pk": key(3), "status": "paid", "ver": int64(1)})
	}},
	{"ok/checks only → completed, none named", func(b *bench) {
		c := b.claimed()
		b.done(c, dispatch.CheckAbsent(key(1), errCheck))
		b.equal("record", b.record(), b.doneRecord(c, idempotency.Applied))
	}},
	{"ok/after a failure → completed, failures counted, their history removed", func(b *bench) {
		isFailed(b)
		b.completed(b.claim(b.request(b.at(30))), 31, idempotency.Applied)
		r := b.record()
		b.equal("failures, error and state", []any{r.Fails, r.Err, r.State}, []any{int64(1), "boom", idempotency.Done})
		b.equal("history", r.History, []idempotency.Attempt(nil))
	}},
	{"ok/again in the next generation → completed", func(b *bench) {
		isReplayed(b)
		b.completed(b.claim(b.request(b.at(101))), 102, idempotency.Applied)
		b.equal("generation and time", []any{b.record().Generation, b.record().DoneAt}, []any{int64(2), b.at(102)})
	}},
	{"refused/done with our own and attempt → completed", func(b *bench) {
		c, effect := b.claimed(), dispatch.Insert(key(1), dispatch.Fields{"n": int64(1)})
		b.done(c, effect)
		b.unchanged(func() { b.completed(c, 9, idempotency.Applied, effect) })
	}},
	{"refused/done by ourselves, replayed since → superseded", func(b *bench) {
		c := b.claimed()
		b.done(c)
		b.replayed(1)
		b.refusedComplete(c, idempotency.CompleteResult{Verdict: idempotency.Superseded})
	}},
}

// lostCompleteRows completes with each of [lostClaims].
func lostCompleteRows() (rows []row) {
	for _, l := range lostClaims {
		rows = append(rows, row{"refused/" + l.name + " → " + string(l.complete), func(b *bench) {
			l.lose(b, func(c *idempotency.Claim, lease time.Time) {
				b.refusedComplete(c, idempotency.CompleteResult{Verdict: l.complete, Lease: lease})
			})
		}})
	}
	return rows
}

// doneRecord is the record of evt_1 claimed at the beginning and completed two seconds later.
func (b *bench) doneRecord(c *idempotency.Claim, outcome idempotency.Outcome, effects ...string) idempotency.Record {
	r := b.firstRecord(c)
	r.State, r.Outcome, r.Lease, r.ReceivesLeft = idempotency.Done, outcome, time.Time{}, -1
	r.Updated, r.DoneAt, r.Effects = b.at(2), b.at(2), effects
	return r
}

// completed is a completion as applied that must be done with an outcome. It wrote what the
// record names, unless the record is of an earlier completion.
func (b *bench) completed(c *idempotency.Claim, seconds int, want idempotency.Outcome, effects ...dispatch.Effect) {
	b.Helper()
	got := b.complete(c, idempotency.Applied, b.at(seconds), effects...)
	result := idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: want}
	if r := b.record(); r.DoneAt.Equal(b.at(seconds)) && want == idempotency.Applied {
		result.Written = r.Effects
	}
	b.equal("answer", got, result)
}

// refusedComplete is a completion that must return want, change nothing and write no effect.
func (b *bench) refusedComplete(c *idempotency.Claim, want idempotency.CompleteResult) {
	b.Helper()
	b.unchanged(func() {
		b.equal("answer", b.complete(c, idempotency.Applied, b.at(90)), want)
		b.equal("answer with effects", b.complete(c, idempotency.Applied, b.at(90), dispatch.Insert(key(9), nil)), want)
	})
	b.equal("effect of a refused completion", b.item(key(9)), map[string]any(nil))
}
