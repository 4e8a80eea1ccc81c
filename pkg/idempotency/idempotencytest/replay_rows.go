package idempotencytest

import (
	"errors"
	"strings"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

var replayRows = []row{
	{"ok/done → failed in the next generation, the attempt kept", func(b *bench) {
		isFailed(b)
		b.complete(b.claim(b.request(b.at(30))), idempotency.Applied, b.at(31), dispatch.Insert(key(1), nil))
		want := b.record()
		b.replayed(1)
		want.State, want.Generation, want.Updated = idempotency.Failed, 2, b.at(100)
		want.Fails, want.Err, want.ReplayBy, want.ReplayWhy = 0, "", "ann", "wrong rate"
		b.equal("record", b.record(), want)
	}},
	{"ok/done a second time → third generation", func(b *bench) {
		isReplayed(b)
		b.done(b.claim(b.request(b.at(101))))
		b.replayed(2)
		c := b.claim(b.request(b.at(201)))
		b.equal("attempt and generation", []int64{c.Attempt, c.Generation}, []int64{3, 3})
	}},
	{"ok/long reason → cut", func(b *bench) {
		isDone(b)
		b.replay("ann", strings.Repeat("x", limits.MaxErrorText+1), 1, nil)
		b.equal("reason", b.record().ReplayWhy, strings.Repeat("x", limits.MaxErrorText))
	}},
	{"refused/failed in the next generation by us → written", func(b *bench) {
		isReplayed(b)
		b.unchanged(func() { b.replayed(1) })
	}},
	{"refused/failed in the next generation by another → no longer done", refusedReplay("bob", isReplayed)},
	{"refused/running again → no longer done", refusedReplay("ann", func(b *bench) {
		isReplayed(b)
		b.claim(b.request(b.at(101)))
	})},
	{"refused/done in the next generation → no longer done", refusedReplay("ann", func(b *bench) {
		isReplayed(b)
		b.done(b.claim(b.request(b.at(101))))
	})},
	{"refused/never done → no longer done", refusedReplay("ann", isRunning)},
	{"refused/failed → no longer done", refusedReplay("ann", isFailed)},
	{"refused/no record → no longer done", refusedReplay("ann", noRecord)},
}

// refusedReplay is a replay of the first generation by somebody that must find that evt_1 is
// no longer done.
func refusedReplay(by string, state func(*bench)) func(*bench) {
	return func(b *bench) {
		state(b)
		b.unchanged(func() { b.replay(by, "wrong rate", 1, idempotency.ErrNoLongerDone) })
	}
}

// replayed replays evt_1 from a generation.
func (b *bench) replayed(generation int64) {
	b.Helper()
	b.replay("ann", "wrong rate", generation, nil)
}

func (b *bench) replay(by, why string, generation int64, want error) {
	b.Helper()
	req := idempotency.ReplayRequest{EventID: "evt_1", Generation: generation, Now: b.at(100), By: by, Why: why}
	if err := b.Store.Replay(b.ctx, req); !errors.Is(err, want) {
		b.Fatalf("replay = %v, want %v", err, want)
	}
}
