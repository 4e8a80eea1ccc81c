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
		got := b.fail(c, idempotency.Failure{Now: b.at(2), Err: "boom", Reason: "livemode", Fingerprint: "0123456789ab", Frame: "handlers.paid invoice.go:42"})
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
	{"ok/every failure → in the history, in order, the last ten of them", func(b *bench) {
		var want []idempotency.Attempt
		for n := range idempotency.MaxHistory + 3 {
			begun := b.at(100 * n)
			b.fail(b.claim(b.request(begun)), boom(begun.Add(1234*time.Millisecond)))
			want = append(want, attempt(int64(n+1), begun, 1234*time.Millisecond))
			b.equal("history", b.record().History, want[max(0, len(want)-idempotency.MaxHistory):])
		}
	}},
	{"ok/each attempt's own cause → in the history", func(b *bench) {
		var want []idempotency.Attempt
		for n, cause := range [][2]string{{"a", ""}, {"a", "f x.go:1"}, {"b", "f x.go:1"}, {"", ""}, {"b", "f x.go:1"}} {
			f := boom(b.at(100*n + 1))
			f.Fingerprint, f.Frame = cause[0], cause[1]
			b.fail(b.claim(b.request(b.at(100*n))), f)
			want = append(want, idempotency.Attempt{Number: int64(n + 1), Start: b.at(100 * n), Took: time.Second, Fingerprint: cause[0], Frame: cause[1]})
		}
		b.equal("history", b.record().History, want)
	}},
	{"ok/an attempt that was killed → a number that the history lacks", func(b *bench) {
		isFailed(b)
		b.claim(b.request(b.at(30)))
		b.fail(b.claim(b.request(b.at(90))), boom(b.at(91)))
		b.equal("history", b.record().History, []idempotency.Attempt{attempt(1, b.t0, 2*time.Second), attempt(3, b.at(90), time.Second)})
	}},
	{"ok/a clock that goes back, a frame that is long and separates → a history that can be read", func(b *bench) {
		f := boom(b.t0.Add(-time.Minute))
		f.Frame = "handlers.G[string,int]|" + strings.Repeat("€", 9)
		b.fail(b.claimed(), f)
		b.equal("history", b.record().History, []idempotency.Attempt{{Number: 1, Start: b.t0, Fingerprint: f.Fingerprint, Frame: "handlers.G[string_int]_€"}})
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

// attempt is one that failed with boom.
func attempt(n int64, start time.Time, took time.Duration) idempotency.Attempt {
	return idempotency.Attempt{Number: n, Start: start, Took: took, Fingerprint: "0123456789ab", Frame: "handlers.paid invoice.go:42"}
}

// failedRecord is the record of evt_1 claimed at the beginning and failed two seconds later.
func (b *bench) failedRecord(c *idempotency.Claim) idempotency.Record {
	r := b.firstRecord(c)
	r.State, r.Lease, r.Updated = idempotency.Failed, time.Time{}, b.at(2)
	r.Fails, r.Err, r.ReceivesLeft = 1, "boom", 14
	r.History = []idempotency.Attempt{attempt(1, b.t0, 2*time.Second)}
	return r
}

// refusedFail is a failure that must return want and change nothing.
func (b *bench) refusedFail(c *idempotency.Claim, want idempotency.FailResult) {
	b.Helper()
	b.unchanged(func() {
		b.equal("answer", b.fail(c, idempotency.Failure{Now: b.at(90), Err: "late", Reason: "permanent"}), want)
	})
}
