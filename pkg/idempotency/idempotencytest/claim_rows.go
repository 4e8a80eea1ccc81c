package idempotencytest

import (
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

func claimRows() []row {
	return []row{
		{"ok/no record → claimed as attempt 1 of generation 1", claimNew},
		{"ok/failed → claimed as the next attempt", claimFailed},
		{"ok/failed for good → claimed without the old reason", claimFailedForGood},
		{"ok/lease over → taken over as the next attempt", claimTakeOver},
		{"ok/replayed → claimed in the next generation", claimReplayed},
		{"ok/no receives left → zero left", claimLastReceive},
		{"refused/running with our own → claimed, not counted twice", claimOwn},
		{"refused/done → duplicate", claimDone},
		{"refused/done as ignored → duplicate", claimIgnored},
		{"refused/running by another → busy with its lease", claimBusy},
		{"refused/lease over but inside the margin → busy", claimInsideMargin},
		{"refused/other identity while running → corrupt", claimOtherIdentRunning},
		{"refused/other identity after its lease → corrupt", claimOtherIdentOver},
		{"refused/other identity after a failure → corrupt", claimOtherIdentFailed},
		{"refused/other identity when done → corrupt", claimOtherIdentDone},
		{"two events → two records", claimTwoEvents},
		{"ok/given up → claimed without the mark", claimGivenUp},
		{"ok/first written for reconcile → a claim for the webhook changes the source", claimAfterReconcile},
		{"refused/done for reconcile → duplicate, the webhook's message is noted", claimDoneForReconcile},
		{"refused/done for reconcile → a copy of reconcile changes nothing", claimCopyOfReconcile},
	}
}

func claimNew(b *bench) {
	req := b.request(b.t0)
	c := b.claim(req)
	b.equal("record", b.record(), b.firstRecord(c))
	b.equal("owner", c.Owner, req.Owner)
	b.equal("claim", idempotency.ClaimOf(b.record()).FirstAt, c.FirstAt)
	b.equal("attempt and generation", []int64{c.Attempt, c.Generation}, []int64{1, 1})
	b.equal("lease", c.Lease, req.Lease)
}

func claimFailed(b *bench) {
	first := b.claimed()
	b.failed(first)
	req := b.request(b.at(30))
	req.Event.Source, req.Receives, req.ReceivesLeft = event.Reconcile, 2, 13
	c := b.claim(req)
	want := b.firstRecord(c)
	want.Attempt, want.Lease, want.Updated = 2, req.Lease, b.at(30)
	want.ReceivesLeft = 13 // a message of reconcile leaves the source
	want.Fails, want.Err = 1, "boom"
	b.equal("record", b.record(), want)
	b.equal("first claim's time", c.FirstAt, b.t0)
}

func claimFailedForGood(b *bench) {
	b.fail(b.claimed(), idempotency.Failure{Now: b.at(2), Err: "no such plan", Reason: "permanent"})
	b.equal("reason of the failure", b.record().Reason, "permanent")
	b.claim(b.request(b.at(3)))
	b.equal("reason while running", b.record().Reason, "")
}

func claimTakeOver(b *bench) {
	first := b.claimed()
	// The last moment that is still inside the margin is one millisecond earlier.
	req := b.request(first.Lease.Add(margin + time.Millisecond))
	c := b.claim(req)
	want := b.firstRecord(c)
	want.Attempt, want.Lease, want.Updated = 2, req.Lease, req.Now
	b.equal("record", b.record(), want)
}

func claimReplayed(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	c := b.claim(b.request(b.at(101)))
	b.equal("attempt and generation", []int64{c.Attempt, c.Generation}, []int64{2, 2})
	b.equal("state", b.record().State, idempotency.Running)
}

func claimLastReceive(b *bench) {
	req := b.request(b.t0)
	req.Receives, req.ReceivesLeft = 16, -1
	b.claim(req)
	b.equal("receives left", b.record().ReceivesLeft, int64(0))
}

func claimOwn(b *bench) {
	req := b.request(b.t0)
	first := b.claim(req)
	b.unchanged(func() { b.equal("second answer", b.claim(req).Attempt, first.Attempt) })
}

// refusedClaim makes a request that must come to a verdict and change nothing.
func (b *bench) refusedClaim(req idempotency.ClaimRequest, want idempotency.ClaimResult) {
	b.Helper()
	b.unchanged(func() {
		got, err := b.Store.Claim(b.ctx, req)
		if err != nil {
			b.Fatalf("claim: %v", err)
		}
		b.equal("answer", got, want)
	})
}

func claimDone(b *bench) {
	b.done(b.claimed())
	b.refusedClaim(b.request(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Duplicate, DoneAt: b.at(2), Source: event.Webhook})
}

func claimIgnored(b *bench) {
	b.complete(b.claimed(), idempotency.Ignored, b.at(2))
	b.refusedClaim(b.request(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Duplicate, DoneAt: b.at(2), Source: event.Webhook})
}

func claimBusy(b *bench) {
	first := b.claimed()
	b.refusedClaim(b.request(b.at(10)), idempotency.ClaimResult{Verdict: idempotency.Busy, Lease: first.Lease})
}

func claimInsideMargin(b *bench) {
	first := b.claimed()
	b.refusedClaim(b.request(first.Lease.Add(margin)), idempotency.ClaimResult{Verdict: idempotency.Busy, Lease: first.Lease})
}

func (b *bench) otherIdent(now time.Time) idempotency.ClaimRequest {
	req := b.request(now)
	req.Event.ObjectID = "in_2"
	return req
}

func claimOtherIdentRunning(b *bench) {
	b.claimed()
	b.refusedClaim(b.otherIdent(b.at(1)), idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
}

func claimOtherIdentOver(b *bench) {
	b.claimed()
	b.refusedClaim(b.otherIdent(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
}

func claimOtherIdentFailed(b *bench) {
	b.failed(b.claimed())
	b.refusedClaim(b.otherIdent(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
}

func claimOtherIdentDone(b *bench) {
	b.done(b.claimed())
	b.refusedClaim(b.otherIdent(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
}

func claimTwoEvents(b *bench) {
	b.claimed()
	req := b.request(b.t0)
	req.Event.ID = "evt_2"
	b.unchanged(func() { b.equal("attempt", b.claim(req).Attempt, int64(1)) })
}

func claimGivenUp(b *bench) {
	b.dead(b.claimed())
	b.giveUp(b.giveUpRequest(), idempotency.PurgeMarked)
	c := b.claim(b.request(b.at(200)))
	r := b.record()
	b.equal("mark and attempt", []any{r.Purged.IsZero(), r.PurgeBy, c.Attempt}, []any{true, "", int64(2)})
}

// fromReconcile returns a request as [bench.request] does, of a message of reconcile.
func (b *bench) fromReconcile(now time.Time) idempotency.ClaimRequest {
	req := b.request(now)
	req.Event.Source = event.Reconcile
	return req
}

func claimAfterReconcile(b *bench) {
	b.failed(b.claim(b.fromReconcile(b.t0)))
	b.equal("source", b.record().Source, "reconcile")
	c := b.claim(b.request(b.at(30)))
	b.equal("source of claim and record", []string{string(c.Source), b.record().Source}, []string{"webhook", "webhook"})
}

func claimDoneForReconcile(b *bench) {
	b.done(b.claim(b.fromReconcile(b.t0)))
	want := b.record()
	got, err := b.Store.Claim(b.ctx, b.request(b.at(60)))
	if err != nil {
		b.Fatalf("claim: %v", err)
	}
	b.equal("answer", got, idempotency.ClaimResult{Verdict: idempotency.Duplicate, DoneAt: b.at(2), Source: event.Reconcile})
	want.Source = "webhook"
	b.equal("record", b.record(), want)
}

func claimCopyOfReconcile(b *bench) {
	b.done(b.claim(b.fromReconcile(b.t0)))
	b.refusedClaim(b.fromReconcile(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Duplicate, DoneAt: b.at(2), Source: event.Reconcile})
}
