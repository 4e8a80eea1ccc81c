package idempotencytest

import (
	"time"

	"tollgate/pkg/idempotency"
)

// The states of evt_1 that rows begin with. Claims are made at the beginning, and end two
// seconds later.
func noRecord(*bench)    {}
func isRunning(b *bench) { b.claimed() }
func isFailed(b *bench)  { b.failed(b.claimed()) }
func isDead(b *bench)    { b.dead(b.claimed()) }
func isDone(b *bench)    { b.done(b.claimed()) }

func isReplayed(b *bench) {
	isDone(b)
	b.replayed(1)
}

// atLastReceive returns a claim of the last receive.
func (b *bench) atLastReceive(now time.Time) *idempotency.Claim {
	req := b.request(now)
	req.Receives, req.ReceivesLeft = 16, 0
	return b.claim(req)
}

// lateWrite is a write of a claim after it lost its record, whose present owner has a lease.
type lateWrite func(c *idempotency.Claim, lease time.Time)

// lostClaims are the ways in which a claim loses its record, each with what the claim's
// writes return then.
var lostClaims = []struct {
	name     string
	complete idempotency.CompleteVerdict
	fail     idempotency.FailVerdict
	lose     func(b *bench, late lateWrite)
}{
	{"done by another", idempotency.SupersededDone, idempotency.FailDone, func(b *bench, late lateWrite) {
		overtaken, successor := b.overtaken()
		b.done(successor)
		late(overtaken, time.Time{})
	}},
	{"running by another", idempotency.Superseded, idempotency.FailSuperseded, func(b *bench, late lateWrite) {
		overtaken, successor := b.overtaken()
		late(overtaken, successor.Lease)
	}},
	{"failed by another", idempotency.Superseded, idempotency.FailSuperseded, func(b *bench, late lateWrite) {
		overtaken, successor := b.overtaken()
		b.failed(successor)
		late(overtaken, time.Time{})
	}},
	{"failed by ourselves", idempotency.Superseded, idempotency.FailWritten, func(b *bench, late lateWrite) {
		c := b.claimed()
		b.failed(c)
		late(c, time.Time{})
	}},
	{"no record", idempotency.Superseded, idempotency.FailSuperseded, func(_ *bench, late lateWrite) {
		late(&idempotency.Claim{EventID: "evt_1", Owner: idempotency.NewOwner(), Attempt: 1, Generation: 1}, time.Time{})
	}},
	{"replayed since", idempotency.Superseded, idempotency.FailSuperseded, func(b *bench, late lateWrite) {
		overtaken, successor := b.overtaken()
		b.done(successor)
		b.replayed(1)
		late(overtaken, time.Time{})
		again := b.claim(b.request(b.at(101)))
		late(overtaken, again.Lease)
		late(successor, again.Lease)
	}},
	{"done in the next generation", idempotency.SupersededDone, idempotency.FailDone, func(b *bench, late lateWrite) {
		first := b.claimed()
		b.done(first)
		b.replayed(1)
		b.done(b.claim(b.request(b.at(101))))
		late(first, time.Time{})
	}},
	{"same attempt, other owner", idempotency.Superseded, idempotency.FailSuperseded, func(b *bench, late lateWrite) {
		forged := *b.claimed()
		forged.Owner = idempotency.NewOwner()
		late(&forged, forged.Lease)
	}},
	{"same owner, other attempt", idempotency.Superseded, idempotency.FailSuperseded, func(b *bench, late lateWrite) {
		forged := *b.claimed()
		forged.Attempt = 2
		late(&forged, forged.Lease)
	}},
}
