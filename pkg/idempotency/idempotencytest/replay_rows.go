package idempotencytest

import (
	"errors"
	"strings"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

func replayRows() []row {
	return []row{
		{"ok/done → failed in the next generation, the attempt kept", replayDone},
		{"ok/done a second time → third generation", replayTwice},
		{"ok/long reason → cut", replayLongWhy},
		{"refused/failed in the next generation by us → written", replayAgain},
		{"refused/failed in the next generation by another → no longer done", replayByAnother},
		{"refused/running again → no longer done", replayRunningAgain},
		{"refused/done in the next generation → no longer done", replayDoneAgain},
		{"refused/never done → no longer done", replayNeverDone},
		{"refused/failed → no longer done", replayFailed},
		{"refused/no record → no longer done", replayNoRecord},
	}
}

func (b *bench) replayRequest(generation int64) idempotency.ReplayRequest {
	return idempotency.ReplayRequest{EventID: "evt_1", Generation: generation, Now: b.at(100), By: "ann", Why: "wrong rate"}
}

func replayDone(b *bench) {
	b.failed(b.claimed())
	c := b.claim(b.request(b.at(30)))
	b.complete(c, idempotency.Applied, b.at(31), dispatch.Insert(key(1), nil))
	want := b.record()
	b.replayed(1)
	want.State, want.Generation, want.Updated = idempotency.Failed, 2, b.at(100)
	want.Fails, want.Err, want.ReplayBy, want.ReplayWhy = 0, "", "ann", "wrong rate"
	b.equal("record", b.record(), want)
}

func replayTwice(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	b.done(b.claim(b.request(b.at(101))))
	b.replayed(2)
	c := b.claim(b.request(b.at(201)))
	b.equal("attempt and generation", []int64{c.Attempt, c.Generation}, []int64{3, 3})
}

func replayLongWhy(b *bench) {
	b.done(b.claimed())
	req := b.replayRequest(1)
	req.Why = strings.Repeat("x", limits.MaxErrorText+1)
	if err := b.Store.Replay(b.ctx, req); err != nil {
		b.Fatalf("replay: %v", err)
	}
	b.equal("reason", b.record().ReplayWhy, strings.Repeat("x", limits.MaxErrorText))
}

func replayAgain(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	b.unchanged(func() { b.replayed(1) })
}

// refusedReplay is a replay that must find that the event is no longer done.
func (b *bench) refusedReplay(req idempotency.ReplayRequest) {
	b.Helper()
	b.unchanged(func() { b.noLongerDone(req) })
}

func (b *bench) noLongerDone(req idempotency.ReplayRequest) {
	b.Helper()
	if err := b.Store.Replay(b.ctx, req); !errors.Is(err, idempotency.ErrNoLongerDone) {
		b.Errorf("replay = %v, want %v", err, idempotency.ErrNoLongerDone)
	}
}

func replayByAnother(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	req := b.replayRequest(1)
	req.By = "bob"
	b.refusedReplay(req)
}

func replayRunningAgain(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	b.claim(b.request(b.at(101)))
	b.refusedReplay(b.replayRequest(1))
}

func replayDoneAgain(b *bench) {
	b.done(b.claimed())
	b.replayed(1)
	b.done(b.claim(b.request(b.at(101))))
	b.refusedReplay(b.replayRequest(1))
}

func replayNeverDone(b *bench) {
	b.claimed()
	b.refusedReplay(b.replayRequest(1))
}

func replayFailed(b *bench) {
	b.failed(b.claimed())
	b.refusedReplay(b.replayRequest(1))
}

func replayNoRecord(b *bench) {
	b.noLongerDone(b.replayRequest(1))
	b.none("evt_1")
}
