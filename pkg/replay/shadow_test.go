package replay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// rows is the table as a map.
type rows map[string]map[string]any

func (r rows) Item(_ context.Context, key string) (map[string]any, bool, error) {
	item, ok := r[key]
	return item, ok, nil
}

// handler returns fixed effects and keeps its input.
type handler struct {
	typ     string
	effects dispatch.Effects
	err     error
	got     dispatch.Input
}

func (h *handler) Handles(e event.Envelope) bool { return e.Type == h.typ }
func (h *handler) Dispatch(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
	h.got = in
	return h.effects, h.err
}

func TestChanges(t *testing.T) {
	gone := errors.New("the plan is gone")
	for _, c := range []struct {
		name   string
		effect dispatch.Effect
		item   map[string]any
		want   Change
	}{
		{"a new fact", dispatch.Insert("K", dispatch.Fields{"amount": 5, "note": nil}), nil,
			Change{Verdict: WouldInsert, Fields: []Field{{Name: "amount", New: 5, Is: true}, {Name: "note", Is: true}}}},
		{"a known fact", dispatch.Insert("K", dispatch.Fields{"amount": 5}), map[string]any{"pk": "K", "amount": int64(5)}, Change{Verdict: IsThere}},
		{"a message that was not held when it was first asked for", dispatch.Insert("K", dispatch.Fields{"amount": 5, "lst": "HELD#1", "queued_at": 9, "held": "old"}),
			map[string]any{"pk": "K", "amount": int64(5), "lst": "OUT#1", "queued_at": int64(1)}, Change{Verdict: IsThere}},
		{"a known fact that was sent since", dispatch.Insert("K", dispatch.Fields{"amount": 5, "lst": "OUT#1"}), map[string]any{"pk": "K", "amount": int64(5), "sent_at": int64(9)}, Change{Verdict: IsThere}},
		{"a known fact that reads otherwise now", dispatch.Insert("K", dispatch.Fields{"amount": 6}), map[string]any{"pk": "K", "amount": int64(5)},
			Change{Verdict: IsThere, Fields: []Field{{Name: "amount", Old: int64(5), New: 6, Was: true, Is: true}}}},
		{"a first row", dispatch.Swap("K", 0, dispatch.Fields{"status": "active"}), nil,
			Change{Verdict: WouldInsert, Fields: []Field{{Name: "status", New: "active", Is: true}, {Name: "ver", New: int64(1), Is: true}}}},
		{"a row that changes", dispatch.Swap("K", 3, dispatch.Fields{"status": "canceled", "why": "x"}), map[string]any{"pk": "K", "ver": int64(3), "status": "active", "until": int64(7)},
			Change{Verdict: WouldChange, Fields: []Field{
				{Name: "status", Old: "active", New: "canceled", Was: true, Is: true}, {Name: "until", Old: int64(7), Was: true},
				{Name: "ver", Old: int64(3), New: int64(4), Was: true, Is: true}, {Name: "why", New: "x", Is: true},
			}}},
		{"a row that stays", dispatch.Swap("K", 3, dispatch.Fields{"n": 1, "l": []any{1, dispatch.Fields{"b": []byte("x")}}}),
			map[string]any{"pk": "K", "ver": int64(3), "n": int64(1), "l": []any{int64(1), map[string]any{"b": []byte("x")}}}, Change{Verdict: Unchanged}},
		{"a row fetched anew", dispatch.Swap("K", 3, dispatch.Fields{"n": 1, dispatch.FetchedAt: 9, dispatch.FetchedAfter: 8, dispatch.ShownCreated: 7}),
			map[string]any{"pk": "K", "ver": int64(3), "n": int64(1), dispatch.FetchedAt: int64(5)}, Change{Verdict: Unchanged}},
		{"a row that changed meanwhile", dispatch.Swap("K", 2, dispatch.Fields{"a": 1}), map[string]any{"pk": "K", "ver": int64(3), "a": int64(1)},
			Change{Verdict: WouldRunAgain, Fields: []Field{}}},
		{"a row that came meanwhile", dispatch.Swap("K", 0, nil), map[string]any{"pk": "K", "ver": int64(1)}, Change{Verdict: WouldRunAgain, Fields: []Field{}}},
		{"a row that went meanwhile", dispatch.Swap("K", 1, nil), nil, Change{Verdict: WouldRunAgain, Fields: []Field{}}},
		{"absent as wanted", dispatch.CheckAbsent("K", gone), nil, Change{Verdict: Holds}},
		{"not absent", dispatch.CheckAbsent("K", gone), map[string]any{"pk": "K"}, Change{Verdict: DoesNotHold, Error: "the plan is gone"}},
		{"there as wanted", dispatch.CheckEqual("K", nil, gone), map[string]any{"pk": "K"}, Change{Verdict: Holds}},
		{"not there", dispatch.CheckEqual("K", nil, gone), nil, Change{Verdict: DoesNotHold, Error: "the plan is gone"}},
		{"equal as wanted", dispatch.CheckEqual("K", dispatch.Fields{"n": 1}, gone), map[string]any{"pk": "K", "n": int64(1), "m": "x"}, Change{Verdict: Holds}},
		{"not equal", dispatch.CheckEqual("K", dispatch.Fields{"n": 1}, gone), map[string]any{"pk": "K", "n": int64(2)}, Change{Verdict: DoesNotHold, Error: "the plan is gone"}},
		{"null is not absent", dispatch.CheckEqual("K", dispatch.Fields{"n": nil}, gone), map[string]any{"pk": "K"}, Change{Verdict: DoesNotHold, Error: "the plan is gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Key, c.want.Kind = "K", c.effect.Kind
			got := changeOf(c.effect, c.item, c.item != nil)
			if c.want.Verdict == WouldRunAgain { // which fields differ is of no use then
				got.Fields = []Field{}
			}
			if c.want.Fields == nil && len(got.Fields) == 0 {
				got.Fields = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShadow(t *testing.T) {
	w := newFakes(t)
	first := now.Add(-30 * time.Hour)
	w.record.FirstAt = first
	h := &handler{typ: "invoice.paid", effects: dispatch.Effects{dispatch.Insert("A", nil), dispatch.Insert("B", nil)}}
	s := Shadow{
		Records: w, Rows: rows{"A": {"pk": "A"}}, Events: w, Handlers: h, Endpoint: "default", Now: func() time.Time { return now },
	}
	p, err := s.Event(t.Context(), "evt_1")
	if err != nil || !p.Writes || len(p.Changes) != 2 || p.Changes[0].Verdict != IsThere || p.Changes[1].Verdict != WouldInsert {
		t.Errorf("%+v, %v", p, err)
	}
	want := dispatch.Input{Envelope: envelopeOf(t, body, ""), Attempt: 3, Generation: 4, FirstAt: first, Now: now, Settle: -1}
	want.Endpoint, want.Source, want.ReceivedAt, want.Body = "default", event.Replay, now, []byte(body)
	if diff := cmp.Diff(want, h.got); diff != "" {
		t.Errorf("the handler's input (-want +got):\n%s", diff)
	}
	if len(w.did) != 1 || w.did[0] != "fetch" {
		t.Errorf("it did %q", w.did)
	}
	s.Rows = rows{"A": {"pk": "A"}, "B": {"pk": "B"}}
	if p, err := s.Event(t.Context(), "evt_1"); err != nil || p.Writes {
		t.Errorf("it reports that something would be written: %+v, %v", p, err)
	}
	w.record = nil // not known yet: a first attempt
	if p, err := s.Event(t.Context(), "evt_1"); err != nil || p.Known || h.got.Attempt != 1 || h.got.Generation != 1 || !h.got.FirstAt.Equal(now) {
		t.Errorf("%+v, %v, input %+v", p, err, h.got)
	}
}

func TestShadowRefusals(t *testing.T) {
	boom := dispatch.Park("no_plan", errors.New("boom"))
	for _, c := range []struct {
		name    string
		change  func(*fakes, *Shadow, *handler)
		refused bool
		is      error
	}{
		{"no handler", func(_ *fakes, _ *Shadow, h *handler) { h.typ = "charge.failed" }, true, nil},
		{"gone at Stripe", func(w *fakes, _ *Shadow, _ *handler) { w.events = nil }, true, nil},
		{"another event than the record's", func(w *fakes, _ *Shadow, _ *handler) { w.record.Identity = idempotency.Identity(event.Envelope{}) }, true, nil},
		{"the handler fails", func(_ *fakes, _ *Shadow, h *handler) { h.err = boom }, false, boom},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, h := newFakes(t), &handler{typ: "invoice.paid"}
			s := Shadow{Records: w, Rows: rows{}, Events: w, Handlers: h, Budget: time.Second}
			c.change(w, &s, h)
			_, err := s.Event(t.Context(), "evt_1")
			if _, refused := errors.AsType[*RefusedError](err); refused != c.refused || err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v", err)
			}
			if c.refused && h.got.ID != "" {
				t.Error("the handler ran")
			}
		})
	}
}
