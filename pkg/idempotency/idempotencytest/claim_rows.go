package idempotencytest

import (
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

var claimRows = []row{
	{"ok/no record → claimed as attempt 1 of generation 1", func(b *bench) {
		req := b.request(b.t0)
		c := b.claim(req)
		b.equal("record", b.record(), b.firstRecord(c))
		b.equal("owner", c.Owner, req.Owner)
		b.equal("claim", idempotency.ClaimOf(b.record()).FirstAt, c.FirstAt)
		b.equal("attempt and generation", []int64{c.Attempt, c.Generation}, []int64{1, 1})
		b.equal("lease", c.Lease, req.Lease)
	}},
	{"ok/failed → claimed as the next attempt", func(b *bench) {
		isFailed(b)
		req := b.request(b.at(30))
		req.Event.Source, req.Receives, req.ReceivesLeft = event.Reconcile, 2, 13
		c := b.claim(req)
		want := b.firstRecord(c)
		want.Attempt, want.Lease, want.Updated = 2, req.Lease, b.at(30)
		want.ReceivesLeft = 13 // a message of reconcile leaves the source
		want.Fails, want.Err = 1, "boom"
		want.History = []idempotency.Attempt{attempt(1, b.t0, 2*time.Second)}
		b.equal("record", b.record(), want)
		b.equal("first claim's time", c.FirstAt, b.t0)
		b.equal("this one's begin and history", []any{c.Start, c.History}, []any{b.at(30), want.History})
	}},
	{"ok/failed for good → claimed without the old reason", func(b *bench) {
		isDead(b)
		b.equal("reason of the failure", b.record().Reason, "handler")
		b.claim(b.request(b.at(3)))
		b.equal("reason while running", b.record().Reason, "")
	}},
	{"ok/lease over → taken over as the next attempt", func(b *bench) {
		// The last moment inside the margin is one millisecond earlier.
		req := b.request(b.claimed().Lease.Add(margin + time.Millisecond))
		want := b.firstRecord(b.claim(req))
		want.Attempt, want.Lease, want.Updated = 2, req.Lease, req.Now
		b.equal("record", b.record(), want)
	}},
	{"ok/replayed → claimed in the next generation", func(b *bench) {
		isReplayed(b)
		c := b.claim(b.request(b.at(101)))
		b.equal("attempt and generation", []int64{c.Attempt, c.Generation}, []int64{2, 2})
		b.equal("state", b.record().State, idempotency.Running)
	}},
	{"ok/no receives left → zero left", func(b *bench) {
		req := b.request(b.t0)
		req.Receives, req.ReceivesLeft = 16, -1
		b.claim(req)
		b.equal("receives left", b.record().ReceivesLeft, int64(0))
	}},
	{"refused/running with our own, purged since → begun when we asked", func(b *bench) {
		req := b.request(b.t0)
		b.claim(req)
		purge := b.purgeRequest()
		purge.Any = true
		b.purge(purge, idempotency.PurgeMarked)
		c := b.claim(req)
		b.equal("begin", c.Start.UnixMilli(), b.t0.UnixMilli())
		b.fail(c, boom(b.at(2)))
		b.equal("history", b.record().History, []idempotency.Attempt{attempt(1, b.t0, 2*time.Second)})
	}},
	{"refused/running with our own → claimed, not counted twice", func(b *bench) {
		req := b.request(b.t0)
		first := b.claim(req)
		b.unchanged(func() { b.equal("second answer", b.claim(req).Attempt, first.Attempt) })
	}},
	{"refused/done → duplicate", func(b *bench) {
		isDone(b)
		b.refusedClaim(b.request(b.at(60)), b.duplicate(event.Webhook))
	}},
	{"refused/done as ignored → duplicate", func(b *bench) {
		b.complete(b.claimed(), idempotency.Ignored, b.at(2))
		b.refusedClaim(b.request(b.at(60)), b.duplicate(event.Webhook))
	}},
	{"refused/running by another → busy with its lease", func(b *bench) {
		first := b.claimed()
		b.refusedClaim(b.request(b.at(10)), idempotency.ClaimResult{Verdict: idempotency.Busy, Lease: first.Lease})
	}},
	{"refused/lease over but inside the margin → busy", func(b *bench) {
		first := b.claimed()
		b.refusedClaim(b.request(first.Lease.Add(margin)), idempotency.ClaimResult{Verdict: idempotency.Busy, Lease: first.Lease})
	}},
	{"refused/other identity while running → corrupt", otherIdentity(isRunning, 1)},
	{"refused/other identity after its lease → corrupt", otherIdentity(isRunning, 60)},
	{"refused/other identity after a failure → corrupt", otherIdentity(isFailed, 60)},
	{"refused/other identity when done → corrupt", otherIdentity(isDone, 60)},
	{"ok/failed without the account of its context → claimed, the identity stays", after(func(b *bench) { b.failed(b.claim(b.unnamed(b.t0))) }, func(b *bench) {
		ident := b.record().Identity
		c := b.claim(b.named(b.at(60)))
		b.equal("identity and attempt", []any{b.record().Identity, c.Attempt}, []any{ident, int64(2)})
		b.failed(c)
		b.equal("attempt of the release before", b.claim(b.unnamed(b.at(120))).Attempt, int64(3))
	})},
	{"refused/done without the account of its context → duplicate", after(func(b *bench) { b.done(b.claim(b.unnamed(b.t0))) }, func(b *bench) {
		b.refusedClaim(b.named(b.at(60)), b.duplicate(event.Webhook))
	})},
	{"refused/running without the account of its context → busy", after(func(b *bench) { b.claim(b.unnamed(b.t0)) }, func(b *bench) {
		b.refusedClaim(b.named(b.at(10)), idempotency.ClaimResult{Verdict: idempotency.Busy, Lease: b.t0.Add(leaseTime)})
	})},
	{"refused/of another object, without the account of its context → corrupt", after(noRecord, func(b *bench) {
		req := b.unnamed(b.t0)
		req.Event.ObjectID = "in_2"
		b.failed(b.claim(req))
		b.refusedClaim(b.named(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
	})},
	{"refused/of another account by context → corrupt", after(func(b *bench) { b.failed(b.claim(b.named(b.t0))) }, func(b *bench) {
		req := b.named(b.at(60))
		req.Event.Account = "acct_2"
		b.refusedClaim(req, idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
	})},
	{"refused/failed without an account, claimed for a connected one → corrupt", after(func(b *bench) { b.failed(b.claim(b.unnamed(b.t0))) }, func(b *bench) {
		b.refusedClaim(b.request(b.at(60)), idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
	})},
	{"two events → two records", func(b *bench) {
		isRunning(b)
		req := b.request(b.t0)
		req.Event.ID = "evt_2"
		b.unchanged(func() { b.equal("attempt", b.claim(req).Attempt, int64(1)) })
	}},
	{"ok/purged → claimed without the mark", func(b *bench) {
		isDead(b)
		b.purge(b.purgeRequest(), idempotency.PurgeMarked)
		c := b.claim(b.request(b.at(200)))
		r := b.record()
		b.equal("mark and attempt", []any{r.Purged.IsZero(), r.PurgeBy, c.Attempt}, []any{true, "", int64(2)})
	}},
	{"ok/first written for reconcile → a claim for the webhook changes the source", func(b *bench) {
		b.failed(b.claim(b.fromReconcile(b.t0)))
		b.equal("source", b.record().Source, "reconcile")
		c := b.claim(b.request(b.at(30)))
		b.equal("source of claim and record", []string{string(c.Source), b.record().Source}, []string{"webhook", "webhook"})
	}},
	{"refused/done for reconcile → duplicate, the webhook's message is noted", func(b *bench) {
		b.done(b.claim(b.fromReconcile(b.t0)))
		want := b.record()
		want.Source = "webhook"
		b.answerClaim(b.request(b.at(60)), b.duplicate(event.Reconcile))
		b.equal("record", b.record(), want)
	}},
	{"refused/done for reconcile → a copy of reconcile changes nothing", func(b *bench) {
		b.done(b.claim(b.fromReconcile(b.t0)))
		b.refusedClaim(b.fromReconcile(b.at(60)), b.duplicate(event.Reconcile))
	}},
}

// answerClaim makes a request that must be answered so.
func (b *bench) answerClaim(req idempotency.ClaimRequest, want idempotency.ClaimResult) {
	b.Helper()
	got, err := b.Store.Claim(b.ctx, req)
	if err != nil {
		b.Fatalf("claim: %v", err)
	}
	b.equal("answer", got, want)
}

// refusedClaim makes a request that must be answered so and change nothing.
func (b *bench) refusedClaim(req idempotency.ClaimRequest, want idempotency.ClaimResult) {
	b.Helper()
	b.unchanged(func() { b.answerClaim(req, want) })
}

// duplicate is the answer for a record that is done.
func (b *bench) duplicate(source event.Source) idempotency.ClaimResult {
	return idempotency.ClaimResult{Verdict: idempotency.Duplicate, DoneAt: b.at(2), Source: source}
}

// otherIdentity claims an event with the id of another one, which is in a state.
func otherIdentity(state func(*bench), seconds int) func(*bench) {
	return func(b *bench) {
		state(b)
		req := b.request(b.at(seconds))
		req.Event.ObjectID = "in_2"
		b.refusedClaim(req, idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: idempotency.ErrIdentity})
	}
}

// fromReconcile returns a request as [bench.request] does, of a message of reconcile.
func (b *bench) fromReconcile(now time.Time) idempotency.ClaimRequest {
	req := b.request(now)
	req.Event.Source = event.Reconcile
	return req
}

// named asks for evt_1 as an event whose account is known from its context.
func (b *bench) named(now time.Time) idempotency.ClaimRequest {
	req := b.request(now)
	req.Event.AccountFrom = event.FromContext
	return req
}

// unnamed asks for the same event as a release does that ignores context.
func (b *bench) unnamed(now time.Time) idempotency.ClaimRequest {
	req := b.request(now)
	req.Event.Account = ""
	return req
}

// after runs a test in a state.
func after(state, test func(*bench)) func(*bench) {
	return func(b *bench) {
		state(b)
		test(b)
	}
}
