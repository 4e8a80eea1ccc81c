package idempotencytest

import (
	"strings"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

var failRows = []row{
	{"ok/transient → written", func(b *bench) {
		c := b.claimed()
		b.failed(c)
		b.equal("record", b.record(), b.failedRecord(c))
	}},
	{"ok/for good → written with its reason, none left", func(b *bench) {
		c := b.claimed()
		got := b.fail(c, idempotency.Failure{Now: b.at(2), Err: "boom", Reason: "livemode"})
		b.equal("answer", got, idempotency.FailResult{Verdict: idempotency.FailWritten})
		want := b.failedRecord(c)
		want.Reason, want.ReceivesLeft = "livemode", 0
		b.equal("record", b.record(), want)
	}},
	{"ok/second failure → counted", func(b *bench) {
		isFailed(b)
		b.fail(b.claim(b.request(b.at(30))), idempotency.Failure{Now: b.at(31), Err: "again", ReceivesLeft: 13})
		b.equal("failures and error", []any{b.record().Fails, b.record().Err}, []any{int64(2), "again"})
	}},
	{"ok/long text → cut between two characters", func(b *bench) {
		// Three bytes a character and one byte in front: the bound falls inside a character.
		text := "x" + strings.Repeat("€", limits.MaxErrorText)
		b.fail(b.claimed(), idempotency.Failure{Now: b.at(2), Err: text, ReceivesLeft: 14})
		b.equal("error", b.record().Err, text[:1+3*((limits.MaxErrorText-1)/3)])
	}},
	{"ok/text that is not UTF-8 → mended", func(b *bench) {
		b.fail(b.claimed(), idempotency.Failure{Now: b.at(2), Err: "a\xffb", ReceivesLeft: 14})
		b.equal("error", b.record().Err, "a\uFFFDb")
	}},
	{"refused/done by ourselves → done", func(b *bench) {
		c := b.claimed()
		b.done(c)
		b.refusedFail(c, idempotency.FailResult{Verdict: idempotency.FailDone})
	}},
}

// lostFailRows fails with each of [lostClaims].
func lostFailRows() (rows []row) {
	for _, l := range lostClaims {
		rows = append(rows, row{"refused/" + l.name + " → " + string(l.fail), func(b *bench) {
			l.lose(b, func(c *idempotency.Claim, lease time.Time) {
				b.refusedFail(c, idempotency.FailResult{Verdict: l.fail, Lease: lease})
			})
		}})
	}
	return rows
}

// failedRecord is the record of evt_1 claimed at the beginning and failed two seconds later.
func (b *bench) failedRecord(c *idempotency.Claim) idempotency.Record {
	r := b.firstRecord(c)
	r.State, r.Lease, r.Updated = idempotency.Failed, time.Time{}, b.at(2)
	r.Fails, r.Err, r.ReceivesLeft = 1, "boom", 14
	return r
}

// refusedFail is a failure that must return want and change nothing.
func (b *bench) refusedFail(c *idempotency.Claim, want idempotency.FailResult) {
	b.Helper()
	b.unchanged(func() {
		b.equal("answer", b.fail(c, idempotency.Failure{Now: b.at(90), Err: "late", Reason: "permanent"}), want)
	})
}
