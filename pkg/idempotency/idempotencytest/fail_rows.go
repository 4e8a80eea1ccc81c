package idempotencytest

import (
	"strings"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

func failRows() []row {
	return []row{
		{"ok/transient → written", failTransient},
		{"ok/for good → written with its reason, none left", failForGood},
		{"ok/second failure → counted", failTwice},
		{"ok/long text → cut between two characters", failLongText},
		{"ok/text that is not UTF-8 → mended", failBrokenText},
		{"refused/failed with our own → written, not counted twice", failAgain},
		{"refused/done by ourselves → done", failDoneByUs},
		{"refused/done by another → done", failDoneByAnother},
		{"refused/running by another → superseded with its lease", failRunningByAnother},
		{"refused/failed by another → superseded", failFailedByAnother},
		{"refused/no record → superseded", failNoRecord},
		{"refused/replayed since → superseded", failReplayedSince},
		{"refused/same attempt, other owner → superseded", failOtherOwner},
		{"refused/same owner, other attempt → superseded", failOtherAttempt},
	}
}

// failedRecord is the record of evt_1 claimed at the beginning and failed two seconds later.
func (b *bench) failedRecord(c *idempotency.Claim) idempotency.Record {
	r := b.firstRecord(c)
	r.State, r.Lease, r.Updated = idempotency.Failed, time.Time{}, b.at(2)
	r.Fails, r.Err, r.ReceivesLeft = 1, "boom", 14
	return r
}

func failTransient(b *bench) {
	c := b.claimed()
	b.failed(c)
	b.equal("record", b.record(), b.failedRecord(c))
}

func failForGood(b *bench) {
	c := b.claimed()
	got := b.fail(c, idempotency.Failure{Now: b.at(2), Err: "boom", Reason: "livemode"})
	b.equal("answer", got, idempotency.FailResult{Verdict: idempotency.FailWritten})
	want := b.failedRecord(c)
	want.Reason, want.ReceivesLeft = "livemode", 0
	b.equal("record", b.record(), want)
}

func failTwice(b *bench) {
	b.failed(b.claimed())
	c := b.claim(b.request(b.at(30)))
	b.fail(c, idempotency.Failure{Now: b.at(31), Err: "again", ReceivesLeft: 13})
	r := b.record()
	b.equal("failures", r.Fails, int64(2))
	b.equal("error", r.Err, "again")
}

func failLongText(b *bench) {
	// Three bytes a character and one byte in front: the bound falls inside a character.
	text := "x" + strings.Repeat("€", limits.MaxErrorText)
	c := b.claimed()
	b.fail(c, idempotency.Failure{Now: b.at(2), Err: text, ReceivesLeft: 14})
	b.equal("error", b.record().Err, text[:1+3*((limits.MaxErrorText-1)/3)])
}

func failBrokenText(b *bench) {
	b.fail(b.claimed(), idempotency.Failure{Now: b.at(2), Err: "a\xffb", ReceivesLeft: 14})
	b.equal("error", b.record().Err, "a\uFFFDb")
}

// refusedFail is a failure that must come to a verdict and change nothing.
func (b *bench) refusedFail(c *idempotency.Claim, want idempotency.FailResult) {
	b.Helper()
	b.unchanged(func() {
		b.equal("answer", b.fail(c, idempotency.Failure{Now: b.at(90), Err: "late", Reason: "permanent"}), want)
	})
}

func failAgain(b *bench) {
	c := b.claimed()
	b.failed(c)
	b.refusedFail(c, idempotency.FailResult{Verdict: idempotency.FailWritten})
}

func failDoneByUs(b *bench) {
	c := b.claimed()
	b.done(c)
	b.refusedFail(c, idempotency.FailResult{Verdict: idempotency.FailDone})
}

func failDoneByAnother(b *bench) {
	zombie, successor := b.overtaken()
	b.done(successor)
	b.refusedFail(zombie, idempotency.FailResult{Verdict: idempotency.FailDone})
}

func failRunningByAnother(b *bench) {
	zombie, successor := b.overtaken()
	b.refusedFail(zombie, idempotency.FailResult{Verdict: idempotency.FailSuperseded, Lease: successor.Lease})
}

func failFailedByAnother(b *bench) {
	zombie, successor := b.overtaken()
	b.failed(successor)
	b.refusedFail(zombie, idempotency.FailResult{Verdict: idempotency.FailSuperseded})
}

func failNoRecord(b *bench) {
	c := &idempotency.Claim{EventID: "evt_1", Owner: idempotency.NewOwner(), Attempt: 1, Generation: 1}
	got := b.fail(c, idempotency.Failure{Now: b.at(2), Err: "boom"})
	b.equal("answer", got, idempotency.FailResult{Verdict: idempotency.FailSuperseded})
	b.none("evt_1")
}

func failReplayedSince(b *bench) {
	zombie, successor := b.overtaken()
	b.done(successor)
	b.replayed(1)
	b.refusedFail(zombie, idempotency.FailResult{Verdict: idempotency.FailSuperseded})
	again := b.claim(b.request(b.at(101)))
	b.refusedFail(zombie, idempotency.FailResult{Verdict: idempotency.FailSuperseded, Lease: again.Lease})
	b.refusedFail(successor, idempotency.FailResult{Verdict: idempotency.FailSuperseded, Lease: again.Lease})
}

func failOtherOwner(b *bench) {
	c := b.claimed()
	forged := *c
	forged.Owner = idempotency.NewOwner()
	b.refusedFail(&forged, idempotency.FailResult{Verdict: idempotency.FailSuperseded, Lease: c.Lease})
}

func failOtherAttempt(b *bench) {
	c := b.claimed()
	forged := *c
	forged.Attempt = 2
	b.refusedFail(&forged, idempotency.FailResult{Verdict: idempotency.FailSuperseded, Lease: c.Lease})
}
