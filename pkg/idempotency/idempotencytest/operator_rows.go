package idempotencytest

import (
	"time"

	"tollgate/pkg/idempotency"
)

func giveUpRows() []row {
	return []row{
		{"ok/dead → marked, nothing else changed", giveUpDead},
		{"ok/dead, the letter names no attempt → marked", giveUpUnnamed},
		{"ok/killed at its last receive, lease over → marked", giveUpKilled},
		{"ok/marked before → marked again", giveUpAgain},
		{"ok/receives left, by id → marked", giveUpAny},
		{"ok/a failure after it → keeps the mark", giveUpLateFail},
		{"ok/completed after it → without the mark", giveUpCompleted},
		{"refused/receives left → waiting", giveUpWaiting},
		{"refused/another attempt → waiting", giveUpOtherAttempt},
		{"refused/running → busy", giveUpBusy},
		{"refused/running, by id → busy", giveUpAnyBusy},
		{"refused/done → done", giveUpDone},
		{"refused/done, by id → done", giveUpAnyDone},
		{"refused/other identity → corrupt", giveUpOtherIdent},
		{"refused/no record → no record", giveUpNone},
	}
}

// dead makes a claim's record failed for good, two seconds after the beginning.
func (b *bench) dead(c *idempotency.Claim) {
	b.Helper()
	got := b.fail(c, idempotency.Failure{Now: b.at(2), Err: "no such plan", Reason: "handler", ReceivesLeft: 0})
	if got.Verdict != idempotency.FailWritten {
		b.Fatalf("fail = %+v, want written", got)
	}
}

func (b *bench) giveUpRequest() idempotency.PurgeRequest {
	return idempotency.PurgeRequest{
		EventID: "evt_1", Identity: idempotency.Identity(envelope("evt_1")), Attempt: 1, By: "ann",
		Now: b.at(100), LeaseExpiredBefore: b.at(100).Add(-margin),
	}
}

func (b *bench) giveUp(req idempotency.PurgeRequest, want idempotency.PurgeVerdict) {
	b.Helper()
	got, err := b.Store.Purge(b.ctx, req)
	if err != nil || got != want {
		b.Fatalf("give up = %s, %v; want %s", got, err, want)
	}
}

// marked gives evt_1 up and wants the mark to be all that changes.
func (b *bench) marked(req idempotency.PurgeRequest) {
	b.Helper()
	want := b.record()
	b.giveUp(req, idempotency.PurgeMarked)
	want.Purged, want.PurgeBy, want.Updated = req.Now, "ann", req.Now
	b.equal("record", b.record(), want)
}

// notMarked wants a verdict and no change.
func (b *bench) notMarked(req idempotency.PurgeRequest, want idempotency.PurgeVerdict) {
	b.Helper()
	b.unchanged(func() { b.giveUp(req, want) })
}

func giveUpDead(b *bench) {
	b.dead(b.claimed())
	b.marked(b.giveUpRequest())
}

func giveUpUnnamed(b *bench) {
	b.dead(b.claimed())
	req := b.giveUpRequest()
	req.Attempt = 0
	b.marked(req)
}

func giveUpKilled(b *bench) {
	req := b.request(b.t0)
	req.Receives, req.ReceivesLeft = 16, 0
	b.claim(req)
	b.marked(b.giveUpRequest())
}

func giveUpAgain(b *bench) {
	b.dead(b.claimed())
	b.marked(b.giveUpRequest())
	b.marked(b.giveUpRequest())
}

func giveUpAny(b *bench) {
	b.failed(b.claimed())
	req := b.giveUpRequest()
	req.Attempt, req.Any = 7, true
	b.marked(req)
}

func giveUpLateFail(b *bench) {
	req := b.request(b.t0)
	req.Receives, req.ReceivesLeft = 16, 0
	c := b.claim(req)
	b.marked(b.giveUpRequest())
	b.fail(c, idempotency.Failure{Now: b.at(101), Err: "late", ReceivesLeft: 0})
	b.equal("mark", b.record().Purged, b.at(100))
}

func giveUpCompleted(b *bench) {
	req := b.request(b.t0)
	req.Receives, req.ReceivesLeft = 16, 0
	c := b.claim(req)
	b.marked(b.giveUpRequest())
	b.complete(c, idempotency.Applied, b.at(101))
	b.equal("mark and state", []any{b.record().Purged, b.record().State}, []any{time.Time{}, idempotency.Done})
}

func giveUpWaiting(b *bench) {
	b.failed(b.claimed())
	b.notMarked(b.giveUpRequest(), idempotency.PurgeWaiting)
}

func giveUpOtherAttempt(b *bench) {
	b.failed(b.claimed())
	b.dead(b.claim(b.request(b.at(60))))
	b.notMarked(b.giveUpRequest(), idempotency.PurgeWaiting)
}

func giveUpBusy(b *bench) {
	req := b.request(b.at(90))
	req.Receives, req.ReceivesLeft = 16, 0
	b.claim(req)
	b.notMarked(b.giveUpRequest(), idempotency.PurgeBusy)
}

func giveUpAnyBusy(b *bench) {
	b.claim(b.request(b.at(90)))
	req := b.giveUpRequest()
	req.Any = true
	b.notMarked(req, idempotency.PurgeBusy)
}

func giveUpDone(b *bench) {
	b.done(b.claimed())
	b.notMarked(b.giveUpRequest(), idempotency.PurgeDone)
}

func giveUpAnyDone(b *bench) {
	b.done(b.claimed())
	req := b.giveUpRequest()
	req.Any = true
	b.notMarked(req, idempotency.PurgeDone)
}

func giveUpOtherIdent(b *bench) {
	b.dead(b.claimed())
	req := b.giveUpRequest()
	req.Identity = "another"
	b.notMarked(req, idempotency.PurgeOtherIdentity)
}

func giveUpNone(b *bench) {
	b.giveUp(b.giveUpRequest(), idempotency.PurgeNoRecord)
	b.none("evt_1")
}

func reidentifyRows() []row {
	return []row{
		{"ok/failed → the new identity", reidentifyFailed},
		{"ok/lease over → the new identity", reidentifyOver},
		{"refused/reidentified before → reidentified", reidentifyAgain},
		{"refused/running → busy", reidentifyBusy},
		{"refused/done → done", reidentifyDone},
		{"refused/done before a replay → done", reidentifyReplayed},
		{"refused/another identity than was seen → changed", reidentifyChanged},
		{"refused/no record → no record", reidentifyNone},
	}
}

func (b *bench) reidentify(want idempotency.ReidentifyVerdict) {
	b.Helper()
	other := envelope("evt_1")
	other.Account = ""
	got, err := b.Store.Reidentify(b.ctx, idempotency.ReidentifyRequest{
		EventID: "evt_1", Old: idempotency.Identity(envelope("evt_1")), New: idempotency.Identity(other),
		Now: b.at(100), LeaseExpiredBefore: b.at(100).Add(-margin),
	})
	if err != nil || got != want {
		b.Fatalf("reidentify = %s, %v; want %s", got, err, want)
	}
	if want != idempotency.Reidentified {
		return
	}
	b.equal("identity", b.record().Identity, idempotency.Identity(other))
	req := b.request(b.at(200))
	req.Event = other
	b.claim(req)
}

func reidentifyFailed(b *bench) {
	b.failed(b.claimed())
	b.reidentify(idempotency.Reidentified)
}

func reidentifyOver(b *bench) {
	b.claimed()
	b.reidentify(idempotency.Reidentified)
}

func reidentifyAgain(b *bench) {
	b.failed(b.claimed())
	b.reidentify(idempotency.Reidentified)
	req := b.request(b.at(400))
	req.Event.Account = ""
	b.failed(b.claim(req))
	b.reidentifyOnce(idempotency.Reidentified)
}

// reidentifyOnce makes the request again without looking behind it.
func (b *bench) reidentifyOnce(want idempotency.ReidentifyVerdict) {
	b.Helper()
	other := envelope("evt_1")
	other.Account = ""
	b.unchanged(func() {
		got, err := b.Store.Reidentify(b.ctx, idempotency.ReidentifyRequest{
			EventID: "evt_1", Old: idempotency.Identity(envelope("evt_1")), New: idempotency.Identity(other),
			Now: b.at(500), LeaseExpiredBefore: b.at(500).Add(-margin),
		})
		if err != nil || got != want {
			b.Fatalf("reidentify = %s, %v; want %s", got, err, want)
		}
	})
}

func reidentifyBusy(b *bench) {
	b.claim(b.request(b.at(90)))
	b.unchanged(func() { b.reidentify(idempotency.ReidentifyBusy) })
}

func reidentifyDone(b *bench) {
	b.done(b.claimed())
	b.unchanged(func() { b.reidentify(idempotency.ReidentifyDone) })
}

func reidentifyReplayed(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	b.unchanged(func() { b.reidentify(idempotency.ReidentifyDone) })
}

func reidentifyChanged(b *bench) {
	req := b.request(b.t0)
	req.Event.ObjectID = "in_2"
	b.failed(b.claim(req))
	b.unchanged(func() { b.reidentify(idempotency.ReidentifyChanged) })
}

func reidentifyNone(b *bench) {
	b.reidentify(idempotency.ReidentifyNoRecord)
	b.none("evt_1")
}
