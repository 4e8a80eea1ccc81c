package idempotencytest

import (
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

func completeRows() []row {
	return []row{
		{"ok/no effects → completed", completePlain},
		{"ok/nothing to do → completed as ignored", completeIgnored},
		{"ok/with effects → completed, all applied and named", completeEffects},
		{"ok/checks only → completed, none named", completeChecks},
		{"ok/after a failure → completed, failures kept", completeAfterFailure},
		{"ok/again in the next generation → completed", completeReplayed},
		{"refused/done with our own and attempt → completed", completeAgain},
		{"refused/done by another → superseded_done", completeDoneByAnother},
		{"refused/running by another → superseded with its lease", completeRunningByAnother},
		{"refused/failed by another → superseded", completeFailedByAnother},
		{"refused/failed by ourselves → superseded", completeFailedByUs},
		{"refused/no record → superseded", completeNoRecord},
		{"refused/replayed since → superseded", completeReplayedSince},
		{"refused/done in the next generation → superseded_done", completeOldGeneration},
		{"refused/same attempt, other owner → superseded", completeOtherOwner},
		{"refused/same owner, other attempt → superseded", completeOtherAttempt},
	}
}

func completePlain(b *bench) {
	c := b.claimed()
	got := b.complete(c, idempotency.Applied, b.at(2))
	b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied})
	b.equal("record", b.record(), b.doneRecord(c))
}

// doneRecord is the record of evt_1 claimed at the beginning and completed two seconds later.
func (b *bench) doneRecord(c *idempotency.Claim) idempotency.Record {
	r := b.firstRecord(c)
	r.State, r.Outcome, r.Lease, r.ReceivesLeft = idempotency.Done, idempotency.Applied, time.Time{}, -1
	r.Updated, r.DoneAt = b.at(2), b.at(2)
	return r
}

func completeIgnored(b *bench) {
	c := b.claimed()
	got := b.complete(c, idempotency.Ignored, b.at(2))
	b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Ignored})
	want := b.doneRecord(c)
	want.Outcome = idempotency.Ignored
	b.equal("record", b.record(), want)
}

func completeEffects(b *bench) {
	c := b.claimed()
	got := b.complete(c, idempotency.Applied, b.at(2),
		dispatch.Insert(key(1), dispatch.Fields{"amount": int64(500)}),
		dispatch.CheckAbsent(key(2), errCheck),
		dispatch.Swap(key(3), 0, dispatch.Fields{"status": "paid"}))
	b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied})
	want := b.doneRecord(c)
	want.Effects = []string{key(1), key(3)}
	b.equal("record", b.record(), want)
	b.equal("insert", b.item(key(1)), map[string]any{"pk": key(1), "amount": int64(500)})
	b.equal("check", b.item(key(2)), map[string]any(nil))
	b.equal("swap", b.item(key(3)), map[string]any{"pk": key(3), "status": "paid", "ver": int64(1)})
}

func completeChecks(b *bench) {
	c := b.claimed()
	b.done(c, dispatch.CheckAbsent(key(1), errCheck))
	b.equal("record", b.record(), b.doneRecord(c))
}

func completeAfterFailure(b *bench) {
	b.failed(b.claimed())
	c := b.claim(b.request(b.at(30)))
	b.complete(c, idempotency.Applied, b.at(31))
	got := b.record()
	b.equal("failures", got.Fails, int64(1))
	b.equal("error", got.Err, "boom")
	b.equal("state", got.State, idempotency.Done)
}

func completeReplayed(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	c := b.claim(b.request(b.at(101)))
	got := b.complete(c, idempotency.Applied, b.at(102))
	b.equal("answer", got.Verdict, idempotency.Completed)
	r := b.record()
	b.equal("generation", r.Generation, int64(2))
	b.equal("done at", r.DoneAt, b.at(102))
}

func completeAgain(b *bench) {
	c := b.claimed()
	effect := dispatch.Insert(key(1), dispatch.Fields{"n": int64(1)})
	b.done(c, effect)
	b.unchanged(func() {
		got := b.complete(c, idempotency.Applied, b.at(9), effect)
		b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied})
	})
}

// refusedComplete is a completion that must come to a verdict, change nothing and write no effect.
func (b *bench) refusedComplete(c *idempotency.Claim, want idempotency.CompleteResult) {
	b.Helper()
	b.unchanged(func() {
		b.equal("answer", b.complete(c, idempotency.Applied, b.at(90)), want)
		b.equal("answer with effects", b.complete(c, idempotency.Applied, b.at(90), dispatch.Insert(key(9), nil)), want)
	})
	b.equal("effect of a refused completion", b.item(key(9)), map[string]any(nil))
}

func completeDoneByAnother(b *bench) {
	zombie, successor := b.overtaken()
	b.done(successor)
	b.refusedComplete(zombie, idempotency.CompleteResult{Verdict: idempotency.SupersededDone})
}

func completeRunningByAnother(b *bench) {
	zombie, successor := b.overtaken()
	b.refusedComplete(zombie, idempotency.CompleteResult{Verdict: idempotency.Superseded, Lease: successor.Lease})
}

func completeFailedByAnother(b *bench) {
	zombie, successor := b.overtaken()
	b.failed(successor)
	b.refusedComplete(zombie, idempotency.CompleteResult{Verdict: idempotency.Superseded})
}

func completeFailedByUs(b *bench) {
	c := b.claimed()
	b.failed(c)
	b.refusedComplete(c, idempotency.CompleteResult{Verdict: idempotency.Superseded})
}

func completeNoRecord(b *bench) {
	c := &idempotency.Claim{EventID: "evt_1", Owner: idempotency.NewOwner(), Attempt: 1, Generation: 1}
	got := b.complete(c, idempotency.Applied, b.at(2), dispatch.Insert(key(9), nil))
	b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Superseded})
	b.none("evt_1")
	b.equal("effect of a refused completion", b.item(key(9)), map[string]any(nil))
}

func completeReplayedSince(b *bench) {
	zombie, successor := b.overtaken()
	b.done(successor)
	b.replayed(1)
	b.refusedComplete(zombie, idempotency.CompleteResult{Verdict: idempotency.Superseded})
	b.refusedComplete(successor, idempotency.CompleteResult{Verdict: idempotency.Superseded})
	again := b.claim(b.request(b.at(101)))
	b.refusedComplete(zombie, idempotency.CompleteResult{Verdict: idempotency.Superseded, Lease: again.Lease})
	b.refusedComplete(successor, idempotency.CompleteResult{Verdict: idempotency.Superseded, Lease: again.Lease})
}

func completeOldGeneration(b *bench) {
	first := b.claimed()
	b.done(first)
	b.replayed(1)
	b.complete(b.claim(b.request(b.at(101))), idempotency.Applied, b.at(102))
	b.refusedComplete(first, idempotency.CompleteResult{Verdict: idempotency.SupersededDone})
}

func completeOtherOwner(b *bench) {
	c := b.claimed()
	forged := *c
	forged.Owner = idempotency.NewOwner()
	b.refusedComplete(&forged, idempotency.CompleteResult{Verdict: idempotency.Superseded, Lease: c.Lease})
}

func completeOtherAttempt(b *bench) {
	c := b.claimed()
	forged := *c
	forged.Attempt = 2
	b.refusedComplete(&forged, idempotency.CompleteResult{Verdict: idempotency.Superseded, Lease: c.Lease})
}
