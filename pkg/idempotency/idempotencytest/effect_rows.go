package idempotencytest

import (
	"fmt"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// checkError is a comparable error of a check.
type checkError string

func (e checkError) Error() string { return string(e) }

const (
	errCheck = checkError("the condition does not hold")
	errOther = checkError("the other condition does not hold")
)

var effectRows = []row{
	{"insert/every type of field comes back as it was", func(b *bench) {
		b.done(b.claimed(), dispatch.Insert(key(1), dispatch.Fields{
			"text": "grüße\u2028", "empty": "", "big": int64(-9007199254740993), "int": 7, "yes": true, "none": nil,
			"bytes": []byte{0, 255}, "list": []any{"a"},
			"nested": dispatch.Fields{"list": []any{"a", int64(1), nil, dispatch.Fields{"b": false}}, "void": []any{}},
		}))
		b.equal("item", b.item(key(1)), map[string]any{
			"pk": key(1), "text": "grüße\u2028", "empty": "", "big": int64(-9007199254740993), "int": int64(7), "yes": true, "none": nil,
			"bytes": []byte{0, 255}, "list": []any{"a"},
			"nested": map[string]any{"list": []any{"a", int64(1), nil, map[string]any{"b": false}}, "void": []any{}},
		})
	}},
	{"only inserts refused → dropped and the rest committed", func(b *bench) {
		b.given(dispatch.Insert(key(1), dispatch.Fields{"by": "given"}), dispatch.Insert(key(3), dispatch.Fields{"by": "given"}))
		b.completed(b.claimed(), 2, idempotency.Applied,
			dispatch.Insert(key(1), dispatch.Fields{"by": "us"}), dispatch.Insert(key(2), dispatch.Fields{"by": "us"}),
			dispatch.Insert(key(3), dispatch.Fields{"by": "us"}), dispatch.Swap(key(4), 0, dispatch.Fields{"by": "us"}))
		b.equal("named effects", b.record().Effects, []string{key(2), key(4)})
		b.equal("item that was there", b.item(key(1)), map[string]any{"pk": key(1), "by": "given"})
		b.equal("item that was not", b.item(key(2)), map[string]any{"pk": key(2), "by": "us"})
		b.equal("swapped item", b.item(key(4)), map[string]any{"pk": key(4), "by": "us", "ver": int64(1)})
	}},
	{"every insert refused → stale, none named", func(b *bench) {
		b.given(dispatch.Insert(key(1), nil), dispatch.Insert(key(2), nil))
		c := b.claimed()
		b.completed(c, 2, idempotency.AlreadyApplied, dispatch.Insert(key(1), dispatch.Fields{"n": 1}), dispatch.Insert(key(2), nil))
		b.equal("record", b.record(), b.doneRecord(c, idempotency.AlreadyApplied))
		b.equal("item", b.item(key(1)), map[string]any{"pk": key(1)})
	}},
	{"every insert refused, a check left → stale", func(b *bench) {
		b.given(dispatch.Insert(key(1), nil))
		b.completed(b.claimed(), 2, idempotency.AlreadyApplied, dispatch.Insert(key(1), nil), dispatch.CheckAbsent(key(2), errCheck))
		b.equal("named effects", b.record().Effects, []string(nil))
	}},
	{"stale in the next generation → the old keys stay named", func(b *bench) {
		b.done(b.claimed(), dispatch.Insert(key(1), nil))
		b.replayed(1)
		b.completed(b.claim(b.request(b.at(101))), 102, idempotency.AlreadyApplied, dispatch.Insert(key(1), nil))
		b.equal("named effects", b.record().Effects, []string{key(1)})
	}},
	{"swap/version that was read → replaced, version raised", func(b *bench) {
		b.given(dispatch.Swap(key(1), 0, dispatch.Fields{"old": "a"}))
		b.done(b.claimed(), dispatch.Swap(key(1), 1, dispatch.Fields{"new": "b"}))
		b.equal("item", b.item(key(1)), map[string]any{"pk": key(1), "new": "b", "ver": int64(2)})
	}},
	{"swap/version 0 and an item there → swap_refused", refusing(idempotency.SwapRefused, dispatch.Effects{dispatch.Insert(key(1), nil)}, dispatch.Swap(key(1), 0, nil))},
	{"swap/item without a version → swap_refused", refusing(idempotency.SwapRefused, dispatch.Effects{dispatch.Insert(key(1), nil)}, dispatch.Swap(key(1), 1, nil))},
	{"a swap refused → swap_refused, nothing written, the claim holds", refusing(idempotency.SwapRefused, dispatch.Effects{dispatch.Swap(key(1), 0, nil)},
		dispatch.Insert(key(9), nil), dispatch.Swap(key(1), 2, nil))},
	{"a swap and an insert refused → swap_refused, nothing written", refusing(idempotency.SwapRefused,
		dispatch.Effects{dispatch.Swap(key(1), 0, nil), dispatch.Insert(key(2), nil)},
		dispatch.Insert(key(2), nil), dispatch.Insert(key(9), nil), dispatch.Swap(key(1), 2, nil))},
	{"a swap and a check refused → swap_refused", refusing(idempotency.SwapRefused, dispatch.Effects{dispatch.Swap(key(1), 0, nil)},
		dispatch.CheckEqual(key(8), nil, errCheck), dispatch.Insert(key(9), nil), dispatch.Swap(key(1), 0, nil))},
	{"a check refused → its error, nothing written", refusing(idempotency.CheckRefused, nil, dispatch.Insert(key(9), nil), dispatch.CheckEqual(key(1), nil, errCheck))},
	{"a check and an insert refused → check_refused, nothing written", refusing(idempotency.CheckRefused, dispatch.Effects{dispatch.Insert(key(1), nil)},
		dispatch.Insert(key(1), nil), dispatch.Insert(key(9), nil), dispatch.CheckEqual(key(2), nil, errCheck))},
	{"two checks refused → the first one's error", refusing(idempotency.CheckRefused, nil,
		dispatch.CheckAbsent(key(1), errOther), dispatch.CheckEqual(key(2), nil, errCheck), dispatch.CheckEqual(key(3), nil, errOther))},
	{"check/conditions", checkConditions},
	{"check/a field that is not there is not null", refusing(idempotency.CheckRefused, dispatch.Effects{dispatch.Insert(key(1), nil)},
		dispatch.CheckEqual(key(1), dispatch.Fields{"plan": nil}, errCheck))},
	{"the record and a check refused → superseded", func(b *bench) {
		overtaken, successor := b.overtaken()
		b.unchanged(func() {
			got := b.complete(overtaken, idempotency.Applied, b.at(61), dispatch.CheckEqual(key(1), nil, errCheck), dispatch.Swap(key(2), 7, nil))
			b.equal("answer", got, idempotency.CompleteResult{Verdict: idempotency.Superseded, Lease: successor.Lease})
		})
	}},
	{"effects that no store can take → rejected, nothing written", effectsRejected},
	{"99 effects → completed", func(b *bench) {
		var many dispatch.Effects
		for i := range dispatch.MaxEffects {
			many = append(many, dispatch.Insert(key(i), dispatch.Fields{"n": i}))
		}
		b.given(many[:50]...)
		b.done(b.claimed(), many...)
		b.equal("count of named effects", len(b.record().Effects), dispatch.MaxEffects-50)
		b.equal("last item", b.item(key(98)), map[string]any{"pk": key(98), "n": int64(98)})
	}},
}

// given writes an item under an event of its own.
func (b *bench) given(effects ...dispatch.Effect) {
	b.Helper()
	req := b.request(b.t0)
	req.Event.ID = "evt_given"
	b.done(b.claim(req), effects...)
}

// refusing commits effects that must be refused and change nothing, and then others under the
// same claim, which must still hold. Before that, given are written by another event.
func refusing(want idempotency.CompleteVerdict, given dispatch.Effects, effects ...dispatch.Effect) func(*bench) {
	return func(b *bench) {
		b.given(given...)
		result := idempotency.CompleteResult{Verdict: want}
		if want == idempotency.CheckRefused {
			result.Err = errCheck
		}
		c := b.claimed()
		b.unchanged(func() { b.equal("answer", b.complete(c, idempotency.Applied, b.at(2), effects...), result) })
		b.equal("item of a refused completion", b.item(key(9)), map[string]any(nil))
		b.done(c, dispatch.Insert(key(9), nil))
	}
}

func checkConditions(b *bench) {
	b.given(dispatch.Swap(key(1), 0, dispatch.Fields{"status": "paid", "n": 3, "none": nil, "map": dispatch.Fields{"a": []any{1}}}))
	versioned := func(ver int64, f dispatch.Fields) dispatch.Effect {
		e := dispatch.CheckEqual(key(1), f, errCheck)
		e.Ver = ver
		return e
	}
	equal := func(f dispatch.Fields) dispatch.Effect { return dispatch.CheckEqual(key(1), f, errCheck) }
	conditions := []struct {
		name  string
		check dispatch.Effect
		holds bool
	}{
		{"present", equal(nil), true},
		{"absent", dispatch.CheckAbsent(key(1), errCheck), false},
		{"equal", equal(dispatch.Fields{"status": "paid", "n": int64(3), "none": nil, "map": dispatch.Fields{"a": []any{int64(1)}}}), true},
		{"one of two differs", equal(dispatch.Fields{"status": "paid", "n": 4}), false},
		{"other type", equal(dispatch.Fields{"n": "3"}), false},
		{"no such field", equal(dispatch.Fields{"plan": "x"}), false},
		{"nested differs", equal(dispatch.Fields{"map": dispatch.Fields{"a": []any{2}}}), false},
		{"version", versioned(1, nil), true},
		{"other version", versioned(2, nil), false},
		{"version and fields", versioned(1, dispatch.Fields{"status": "paid"}), true},
		{"version and other fields", versioned(1, dispatch.Fields{"status": "open"}), false},
		{"store's own field", equal(dispatch.Fields{"ver": 1}), true},
	}
	for i, c := range conditions {
		req := b.request(b.t0)
		req.Event.ID = fmt.Sprintf("evt_check_%d", i)
		want := idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied}
		if !c.holds {
			want = idempotency.CompleteResult{Verdict: idempotency.CheckRefused, Err: errCheck}
		}
		b.equal(c.name, b.complete(b.claim(req), idempotency.Applied, b.at(2), c.check), want)
	}
}

func effectsRejected(b *bench) {
	c := b.claimed()
	var many dispatch.Effects
	for i := range dispatch.MaxEffects + 1 {
		many = append(many, dispatch.Insert(key(100+i), nil))
	}
	cases := []struct {
		name    string
		effects dispatch.Effects
	}{
		{"a record's key", dispatch.Effects{dispatch.Insert(idempotency.Key("evt_2"), nil)}},
		{"no key", dispatch.Effects{dispatch.Insert("", nil)}},
		{"one key twice", dispatch.Effects{dispatch.Insert(key(9), nil), dispatch.Swap(key(9), 0, nil)}},
		{"a type that cannot be stored", dispatch.Effects{dispatch.Insert(key(9), dispatch.Fields{"rate": 0.5})}},
		{"a list's name that no index holds", dispatch.Effects{dispatch.Insert(key(9), dispatch.Fields{"lst": string(make([]byte, 2049)), "at": "2026"})}},
		{"an item too large", dispatch.Effects{dispatch.Insert(key(9), dispatch.Fields{"text": string(make([]byte, dispatch.MaxItemBytes))})}},
		{"too many", many},
	}
	for _, tc := range cases {
		b.unchanged(func() {
			got := b.complete(c, idempotency.Applied, b.at(2), tc.effects...)
			if got.Verdict != idempotency.Rejected || got.Err == nil {
				b.Errorf("%s: %+v, want rejected with an error", tc.name, got)
			}
		})
	}
	b.equal("item of rejected effects", b.item(key(9)), map[string]any(nil))
	b.equal("item of rejected effects", b.item(key(100)), map[string]any(nil))
	b.done(c)
}
