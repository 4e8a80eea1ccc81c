package idempotencytest

import (
	"context"
	"reflect"
	"slices"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// Complete implements [Store].
func (m *Memory) Complete(ctx context.Context, c *idempotency.Claim, outcome idempotency.Outcome,
	effects dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	if err := effects.Validate(); err != nil {
		return idempotency.CompleteResult{Verdict: idempotency.Rejected, Err: err}, nil
	}
	return write(ctx, m, OpComplete, c.EventID, idempotency.ErrUnknown, func() (idempotency.CompleteResult, error) {
		return m.complete(c, outcome, effects, now), nil
	})
}

func (m *Memory) complete(c *idempotency.Claim, outcome idempotency.Outcome, effects dispatch.Effects, now time.Time) idempotency.CompleteResult {
	r := m.lookUp(c.EventID)
	if r == nil && c.Unclaimed != nil {
		r = first(c)
	} else if !holds(r, c) {
		return idempotency.ReadCompleteRefusal(c, r)
	}
	var refusedSwap bool
	var refusedCheck error
	var writes dispatch.Effects
	for _, e := range effects {
		met := m.meets(e)
		switch {
		case e.Kind == dispatch.KindSwap && !met:
			refusedSwap = true
		case e.Kind == dispatch.KindCheck && !met && refusedCheck == nil:
			refusedCheck = e.Err
		case e.Kind != dispatch.KindCheck && met:
			writes = append(writes, e)
		}
	}
	if refusedSwap {
		return idempotency.CompleteResult{Verdict: idempotency.SwapRefused}
	}
	if refusedCheck != nil {
		return idempotency.CompleteResult{Verdict: idempotency.CheckRefused, Err: refusedCheck}
	}
	dropped := slices.ContainsFunc(effects, func(e dispatch.Effect) bool { return e.Kind == dispatch.KindInsert && !m.meets(e) })
	if dropped && len(writes) == 0 {
		outcome = idempotency.AlreadyApplied
	}
	m.apply(writes)
	m.finish(*r, outcome, writes, now)
	return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: outcome, Written: keysOf(writes)}
}

// meets reports whether an effect's condition holds.
func (m *Memory) meets(e dispatch.Effect) bool {
	item, found := m.items[e.Key]
	switch {
	case e.Kind == dispatch.KindInsert, e.Absent, e.Kind == dispatch.KindSwap && e.Ver == 0:
		return !found
	case !found, e.Ver > 0 && item["ver"] != e.Ver:
		return false
	case e.Kind == dispatch.KindSwap:
		return true
	}
	for name, want := range copyFields(e.Fields) {
		if got, has := item[name]; !has || !reflect.DeepEqual(got, want) {
			return false
		}
	}
	return true
}

func (m *Memory) apply(writes dispatch.Effects) {
	for _, e := range writes {
		item := copyFields(e.Fields)
		item["pk"] = e.Key
		if e.Kind == dispatch.KindSwap {
			item["ver"] = e.Ver + 1
		}
		m.items[e.Key] = item
	}
}

// finish makes a record done. Without writes it keeps the keys of an earlier generation.
func (m *Memory) finish(r idempotency.Record, outcome idempotency.Outcome, writes dispatch.Effects, now time.Time) {
	r.State, r.Outcome, r.DoneAt, r.Updated = idempotency.Done, outcome, millis(now), millis(now)
	r.Lease, r.ReceivesLeft, r.Reason, r.History = time.Time{}, -1, "", nil
	r.Purged, r.PurgeBy = time.Time{}, ""
	if len(writes) > 0 {
		r.Effects = nil
	}
	r.Effects = append(r.Effects, keysOf(writes)...)
	m.records[r.ID] = r
}

func keysOf(writes dispatch.Effects) (keys []string) {
	for _, e := range writes {
		keys = append(keys, e.Key)
	}
	return keys
}
