package dynamostore

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// TestMain bounds the random walks, each call of which is synced to disk twice or more;
// -rapid.checks sets another number.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestMemoryAgrees makes the same random calls to this store and to the one in memory,
// which the suite holds to the same law, and wants the same answers, records and items.
func TestMemoryAgrees(t *testing.T) {
	s := serveEmbedded(t)
	rapid.Check(t, func(rt *rapid.T) {
		f := s.fixture(t, http.DefaultTransport)
		memory := idempotencytest.NewMemory(nil)
		w := &world{rt: rt, stores: []idempotencytest.Harness{f.harness(), memory.Harness()}, now: now}
		rt.Repeat(map[string]func(*rapid.T){
			"":         func(*rapid.T) { w.compare(t) },
			"claim":    func(rt *rapid.T) { w.claim(t, rt) },
			"complete": func(rt *rapid.T) { w.complete(t, rt) },
			"fail":     func(rt *rapid.T) { w.fail(t, rt) },
			"replay":   func(rt *rapid.T) { w.replay(t, rt) },
		})
	})
}

// world is two stores and all claims that were ever granted, so that any of them can
// write late.
type world struct {
	rt     *rapid.T
	stores []idempotencytest.Harness
	now    time.Time
	claims []*idempotency.Claim
}

// same makes a call to both stores and wants the same answer.
func (w *world) same(rt *rapid.T, what string, call func(i int, s idempotencytest.Harness) (any, error)) {
	rt.Helper()
	var answers []any
	for i, s := range w.stores {
		got, err := call(i, s)
		if err != nil {
			rt.Fatalf("%s: %v", what, err)
		}
		answers = append(answers, got)
	}
	if diff := cmp.Diff(answers[1], answers[0], cmp.Comparer(func(x, y error) bool { return errors.Is(x, y) || errors.Is(y, x) }),
		cmp.AllowUnexported(idempotency.Claim{})); diff != "" {
		rt.Fatalf("%s (-memory +dynamodb):\n%s", what, diff)
	}
}

// tick moves the clock, sometimes past a lease.
func (w *world) tick(rt *rapid.T) time.Time {
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 5_000, 31_999, 37_001}).Draw(rt, "ms")) * time.Millisecond)
	return w.now
}

func (w *world) claim(t *testing.T, rt *rapid.T) {
	req := claimRequest()
	req.Event.ID = eventID(rt)
	req.Now = w.tick(rt)
	req.Lease, req.LeaseExpiredBefore = req.Now.Add(32*time.Second), req.Now.Add(-5*time.Second)
	req.Receives = rapid.IntRange(1, 3).Draw(rt, "receives")
	if rapid.IntRange(0, 9).Draw(rt, "other identity") == 0 {
		req.Event.Created++
	}
	again := w.held(t, req.Event.ID)
	if again != "" && rapid.Bool().Draw(rt, "same request again") {
		req.Owner = again
	}
	var granted *idempotency.Claim
	w.same(rt, "claim", func(_ int, s idempotencytest.Harness) (any, error) {
		got, err := s.Store.Claim(t.Context(), req)
		granted = got.Claim
		return got, err
	})
	if granted != nil && granted.Owner != again {
		w.claims = append(w.claims, granted)
	}
}

// held returns the owner that a running record shows, as its own request sent again does.
func (w *world) held(t *testing.T, id string) string {
	r, _, err := w.stores[1].Record(t.Context(), id)
	if err != nil || r.State != idempotency.Running {
		return ""
	}
	return r.Owner
}

func eventID(rt *rapid.T) string {
	return fmt.Sprintf("evt_%d", rapid.IntRange(1, 2).Draw(rt, "event"))
}

// anyClaim draws one of all claims and returns a copy for each store.
func (w *world) anyClaim(rt *rapid.T) []*idempotency.Claim {
	if len(w.claims) == 0 {
		rt.Skip("no claim yet")
	}
	c := rapid.SampledFrom(w.claims).Draw(rt, "claim")
	c.NextToken() // no two transactions may share one
	one, two := *c, *c
	for range 3 { // as many as one completion can take
		c.NextToken()
	}
	return []*idempotency.Claim{&one, &two}
}

func (w *world) complete(t *testing.T, rt *rapid.T) {
	claims, effects, when := w.anyClaim(rt), drawEffects(rt), w.tick(rt)
	w.same(rt, "complete", func(i int, s idempotencytest.Harness) (any, error) {
		return s.Store.Complete(t.Context(), claims[i], idempotency.Applied, effects, when)
	})
}

func drawEffects(rt *rapid.T) dispatch.Effects {
	var effects dispatch.Effects
	for k := range 3 {
		key, ver := fmt.Sprintf("K%d", k), rapid.Int64Range(0, 2).Draw(rt, "version")
		fields := dispatch.Fields{"n": rapid.Int64Range(0, 1).Draw(rt, "n")}
		switch rapid.IntRange(0, 5).Draw(rt, "effect") {
		case 0:
			effects = append(effects, dispatch.Insert(key, fields))
		case 1:
			effects = append(effects, dispatch.Swap(key, ver, fields))
		case 2:
			effects = append(effects, dispatch.CheckAbsent(key, errFirst))
		case 3:
			check := dispatch.CheckEqual(key, fields, errSecond)
			check.Ver = ver
			effects = append(effects, check)
		}
	}
	return effects
}

func (w *world) fail(t *testing.T, rt *rapid.T) {
	claims := w.anyClaim(rt)
	failure := idempotency.Failure{
		Now: w.tick(rt), Err: rapid.StringN(0, 20, -1).Draw(rt, "error"),
		Reason: rapid.SampledFrom([]string{"", "permanent"}).Draw(rt, "reason"), ReceivesLeft: rapid.IntRange(-1, 2).Draw(rt, "left"),
	}
	w.same(rt, "fail", func(i int, s idempotencytest.Harness) (any, error) {
		return s.Store.Fail(t.Context(), claims[i], failure)
	})
}

func (w *world) replay(t *testing.T, rt *rapid.T) {
	req := idempotency.ReplayRequest{
		EventID: eventID(rt), Generation: rapid.Int64Range(1, 3).Draw(rt, "generation"), Now: w.tick(rt),
		By: rapid.SampledFrom([]string{"ann", "bob"}).Draw(rt, "by"), Why: "why",
	}
	w.same(rt, "replay", func(_ int, s idempotencytest.Harness) (any, error) {
		return fmt.Sprint(s.Store.Replay(t.Context(), req)), nil
	})
}

func (w *world) compare(t *testing.T) {
	for i := range 2 {
		w.same(w.rt, "record", func(_ int, s idempotencytest.Harness) (any, error) {
			r, _, err := s.Record(t.Context(), fmt.Sprintf("evt_%d", i+1))
			return r, err
		})
	}
	for k := range 3 {
		w.same(w.rt, "item", func(_ int, s idempotencytest.Harness) (any, error) {
			it, _, err := s.Item(t.Context(), fmt.Sprintf("K%d", k))
			return it, err
		})
	}
}
