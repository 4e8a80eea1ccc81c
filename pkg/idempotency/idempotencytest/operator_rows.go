package idempotencytest

import (
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

var purgeRows = []row{
	{"ok/dead → marked, nothing else changed", purging(isDead, idempotency.PurgeMarked)},
	{"ok/dead, the message names no attempt → marked", purging(isDead, idempotency.PurgeMarked, ofAttempt(0))},
	{"ok/killed at its last receive, lease over → marked", purging(killed, idempotency.PurgeMarked)},
	{"ok/marked before → marked again", purging(func(b *bench) {
		isDead(b)
		b.marked(b.purgeRequest())
	}, idempotency.PurgeMarked)},
	{"ok/receives left, by id → marked", purging(isFailed, idempotency.PurgeMarked, byID, ofAttempt(7))},
	{"ok/a failure after it → keeps the mark", func(b *bench) {
		c := b.atLastReceive(b.t0)
		b.marked(b.purgeRequest())
		b.fail(c, idempotency.Failure{Now: b.at(101), Err: "late", ReceivesLeft: 0})
		b.equal("mark", b.record().Purged, b.at(100))
	}},
	{"ok/completed after it → without the mark", func(b *bench) {
		c := b.atLastReceive(b.t0)
		b.marked(b.purgeRequest())
		b.complete(c, idempotency.Applied, b.at(101))
		b.equal("mark and state", []any{b.record().Purged, b.record().State}, []any{time.Time{}, idempotency.Done})
	}},
	{"ok/dead, recorded without the account of its context → marked", purging(func(b *bench) { b.dead(b.claim(b.unnamed(b.t0))) }, idempotency.PurgeMarked, func(req *idempotency.PurgeRequest) {
		req.Identities = idempotency.IdentitiesOf(inContextEnvelope())
	})},
	{"refused/done, recorded without the account of its context → done", purging(func(b *bench) { b.done(b.claim(b.unnamed(b.t0))) }, idempotency.PurgeDone, func(req *idempotency.PurgeRequest) {
		req.Identities = idempotency.IdentitiesOf(inContextEnvelope())
	})},
	{"refused/recorded without an account, purged for a connected one → corrupt", purging(func(b *bench) { b.dead(b.claim(b.unnamed(b.t0))) }, idempotency.PurgeOtherIdentity)},
	{"refused/receives left → waiting", purging(isFailed, idempotency.PurgeWaiting)},
	{"refused/another attempt → waiting", purging(func(b *bench) {
		isFailed(b)
		b.dead(b.claim(b.request(b.at(60))))
	}, idempotency.PurgeWaiting)},
	{"refused/running → busy", purging(func(b *bench) { b.atLastReceive(b.at(90)) }, idempotency.PurgeBusy)},
	{"refused/running, by id → busy", purging(func(b *bench) { b.claim(b.request(b.at(90))) }, idempotency.PurgeBusy, byID)},
	{"refused/done → done", purging(isDone, idempotency.PurgeDone)},
	{"refused/done, by id → done", purging(isDone, idempotency.PurgeDone, byID)},
	{"refused/other identity → corrupt", purging(isDead, idempotency.PurgeOtherIdentity, func(req *idempotency.PurgeRequest) { req.Identities = idempotency.Identities{"another"} })},
	{"refused/no record → no record", purging(noRecord, idempotency.PurgeNoRecord)},
}

// inContextEnvelope is evt_1, with an account that is known from its context.
func inContextEnvelope() event.Envelope {
	e := envelope("evt_1")
	e.AccountFrom = event.FromContext
	return e
}

func killed(b *bench) { b.atLastReceive(b.t0) }

func byID(req *idempotency.PurgeRequest) { req.Any = true }

func ofAttempt(n int64) func(*idempotency.PurgeRequest) {
	return func(req *idempotency.PurgeRequest) { req.Attempt = n }
}

// purging purges evt_1 in a state. A refusal must change nothing.
func purging(state func(*bench), want idempotency.PurgeVerdict, changes ...func(*idempotency.PurgeRequest)) func(*bench) {
	return func(b *bench) {
		state(b)
		req := b.purgeRequest()
		for _, change := range changes {
			change(&req)
		}
		if want == idempotency.PurgeMarked {
			b.marked(req)
			return
		}
		b.unchanged(func() { b.purge(req, want) })
	}
}

// dead makes a claim's record failed for good, two seconds after the beginning.
func (b *bench) dead(c *idempotency.Claim) {
	b.Helper()
	got := b.fail(c, idempotency.Failure{Now: b.at(2), Err: "no such plan", Reason: "handler"})
	if got.Verdict != idempotency.FailWritten {
		b.Fatalf("fail = %+v, want written", got)
	}
}

func (b *bench) purgeRequest() idempotency.PurgeRequest {
	return idempotency.PurgeRequest{
		EventID: "evt_1", Identities: idempotency.IdentitiesOf(envelope("evt_1")), Attempt: 1, By: "ann",
		Now: b.at(100), LeaseExpiredBefore: b.at(100).Add(-margin),
	}
}

func (b *bench) purge(req idempotency.PurgeRequest, want idempotency.PurgeVerdict) {
	b.Helper()
	got, err := b.Store.Purge(b.ctx, req)
	if err != nil || got != want {
		b.Fatalf("purge = %s, %v; want %s", got, err, want)
	}
}

// marked purges evt_1, which must change its mark and nothing else.
func (b *bench) marked(req idempotency.PurgeRequest) {
	b.Helper()
	want := b.record()
	b.purge(req, idempotency.PurgeMarked)
	want.Purged, want.PurgeBy, want.Updated = req.Now, "ann", req.Now
	b.equal("record", b.record(), want)
}

var reidentifyRows = []row{
	{"ok/failed → the new identity", reidentifying(isFailed, idempotency.Reidentified)},
	{"ok/lease over → the new identity", reidentifying(isRunning, idempotency.Reidentified)},
	{"refused/reidentified before → reidentified", func(b *bench) {
		reidentifying(isFailed, idempotency.Reidentified)(b)
		req := b.request(b.at(400))
		req.Event.Account = ""
		b.failed(b.claim(req))
		b.unchanged(func() { b.reidentify(500, idempotency.Reidentified) })
	}},
	{"refused/running → busy", reidentifying(func(b *bench) { b.claim(b.request(b.at(90))) }, idempotency.ReidentifyBusy)},
	{"refused/done → done", reidentifying(isDone, idempotency.ReidentifyDone)},
	{"refused/done before a replay → done", reidentifying(isReplayed, idempotency.ReidentifyDone)},
	{"refused/another identity than was seen → changed", reidentifying(func(b *bench) {
		req := b.request(b.t0)
		req.Event.ObjectID = "in_2"
		b.failed(b.claim(req))
	}, idempotency.ReidentifyChanged)},
	{"refused/no record → no record", reidentifying(noRecord, idempotency.ReidentifyNoRecord)},
}

// reidentifying gives evt_1 in a state the identity without an account, by which it can then
// be claimed. A refusal must change nothing.
func reidentifying(state func(*bench), want idempotency.ReidentifyVerdict) func(*bench) {
	return func(b *bench) {
		state(b)
		if want != idempotency.Reidentified {
			b.unchanged(func() { b.reidentify(100, want) })
			return
		}
		b.reidentify(100, want)
		req := b.request(b.at(200))
		req.Event.Account = ""
		b.equal("identity", b.record().Identity, idempotency.Identity(req.Event))
		b.claim(req)
	}
}

func (b *bench) reidentify(seconds int, want idempotency.ReidentifyVerdict) {
	b.Helper()
	other := envelope("evt_1")
	other.Account = ""
	got, err := b.Store.Reidentify(b.ctx, idempotency.ReidentifyRequest{
		EventID: "evt_1", Old: idempotency.Identity(envelope("evt_1")), New: idempotency.Identity(other),
		Now: b.at(seconds), LeaseExpiredBefore: b.at(seconds).Add(-margin),
	})
	if err != nil || got != want {
		b.Fatalf("reidentify = %s, %v; want %s", got, err, want)
	}
}
