package scenes_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// TestTheUsualMistakesAreSeen builds the system with mistakes that are common in the field; a few
// seeds must find each.
func TestTheUsualMistakesAreSeen(t *testing.T) {
	tests := []struct {
		name, scene string
		flaw        flaw
		atLeast     int // of the tries
	}{
		{"the snapshot is written as it comes", "out-of-order", guarded(func(_, _ int64) bool { return true }), tries / 2},
		{"the snapshot is written if it is newer", "out-of-order", guarded(func(created, kept int64) bool { return created > kept }), tries / 2},
		{"the snapshot is written if it is not older", "out-of-order", guarded(func(created, kept int64) bool { return created >= kept }), tries / 2},
		{"newer snapshots only, in a storm", "storm", guarded(func(created, kept int64) bool { return created > kept }), tries / 2},
		{"not older snapshots, in a life", "subscription-life", guarded(func(created, kept int64) bool { return created >= kept }), tries / 4},
		{"the object is fetched and written blindly", "storm", flaw{store: blindly}, tries / 6},
		{"the object is fetched before the row is read", "storm", flaw{handlers: fetchFirst}, tries / 6},
		{"a fetch is spared that is still needed", "storm", flaw{handlers: eager}, tries / 4},
		{"a completion is taken for done and its effects lost", "refund", flaw{store: loses("FACT#")}, tries / 2},
		{"the message is not asked for", "subscription-life", flaw{store: loses("OUT#")}, tries / 2},
		{"only the items that Stripe shows are kept", "many-items", flaw{handlers: shownOnly}, tries / 2},
		{"what the customer may use is not kept", "trial-to-paid", flaw{store: loses("ENT#")}, tries / 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrong := playAll(t, tt.scene, tries, tt.flaw)
			if len(wrong) < tt.atLeast {
				t.Errorf("%d of %d seeds saw it, want at least %d", len(wrong), tries, tt.atLeast)
			}
		})
	}
}

// guarded writes events' snapshots, each if its second passes the guard against the last written one.
func guarded(passes func(created, kept int64) bool) flaw {
	return flaw{handlers: func(p *play) consumer.Handlers {
		return &guard{Handlers: p.mux(snapshots{}), passes: passes, kept: map[string]int64{}}
	}}
}

type guard struct {
	consumer.Handlers
	passes func(created, kept int64) bool
	kept   map[string]int64
}

type snapshotKey struct{}

func (g *guard) Dispatch(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	kept, known := g.kept[in.ObjectID]
	if known && !g.passes(in.Created, kept) {
		return nil, nil
	}
	g.kept[in.ObjectID] = in.Created
	in.SentAt = time.Time{} // snapshots cannot be coalesced
	return g.Handlers.Dispatch(context.WithValue(ctx, snapshotKey{}, in.Body), in)
}

// snapshots answers with the object that the event carries.
type snapshots struct{}

func (snapshots) FetchObject(ctx context.Context, _, _, _ string) ([]byte, error) {
	object, _, err := event.Data(ctx.Value(snapshotKey{}).([]byte))
	return object, err
}

// shownOnly keeps only the items that come with a subscription.
func shownOnly(p *play) consumer.Handlers { return p.mux(firstTen{present{p}}) }

type firstTen struct{ present }

func (f firstTen) FetchObject(ctx context.Context, account, object, id string) ([]byte, error) {
	raw, err := f.present.FetchObject(ctx, account, object, id)
	if err != nil || object != "subscription" {
		return raw, err
	}
	var sub map[string]any
	if err := json.Unmarshal(raw, &sub); err != nil {
		return nil, err
	}
	items := sub["items"].(map[string]any)
	data := items["data"].([]any)
	items["data"] = data[:min(len(data), 10)]
	return json.Marshal(sub)
}

// blindly makes every swap's condition hold.
func blindly(p *play, s consumer.Store) consumer.Store { return blind{s, p} }

type blind struct {
	consumer.Store
	p *play
}

func (b blind) Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, effects dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	for i, e := range effects {
		if e.Kind != dispatch.KindSwap {
			continue
		}
		item, _, err := b.p.store.Item(ctx, e.Key)
		if err != nil {
			return idempotency.CompleteResult{}, err
		}
		effects[i].Ver, _ = item["ver"].(int64)
	}
	return b.Store.Complete(ctx, c, o, effects, now)
}

// fetchFirst fetches the object before it reads the row.
func fetchFirst(p *play) consumer.Handlers {
	return &early{Handlers: p.mux(early{p: p}), p: p}
}

type early struct {
	consumer.Handlers
	p *play
}

type earlyKey struct{}

func (e *early) Dispatch(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	object, err := present{e.p}.FetchObject(ctx, in.Account, "", in.ObjectID)
	if err != nil {
		return nil, err
	}
	return e.Handlers.Dispatch(context.WithValue(ctx, earlyKey{}, object), in)
}

func (early) FetchObject(ctx context.Context, _, _, _ string) ([]byte, error) {
	return ctx.Value(earlyKey{}).([]byte), nil
}

// eager dates its fetches too late, so that a fetch from before an event's change counts as after it.
func eager(p *play) consumer.Handlers { return hasty{p.mux(present{p})} }

type hasty struct{ consumer.Handlers }

func (h hasty) Dispatch(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	in.FirstReceived = in.SentAt.Add(time.Hour)
	return h.Handlers.Dispatch(ctx, in)
}

// loses drops the effects whose keys have a prefix.
func loses(prefix string) func(*play, consumer.Store) consumer.Store {
	return func(_ *play, s consumer.Store) consumer.Store { return lossy{s, prefix} }
}

type lossy struct {
	consumer.Store
	prefix string
}

func (l lossy) Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, effects dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	kept := dispatch.Effects{}
	for _, e := range effects {
		if len(e.Key) < len(l.prefix) || e.Key[:len(l.prefix)] != l.prefix {
			kept = append(kept, e)
		}
	}
	return l.Store.Complete(ctx, c, o, kept, now)
}
