package idempotencytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// Op names a write of a store.
type Op string

const (
	OpClaim    Op = "claim"
	OpComplete Op = "complete"
	OpFail     Op = "fail"
	OpReplay   Op = "replay"

	OpPurge      Op = "purge"
	OpReidentify Op = "reidentify"
)

// Fault is what goes wrong with one write.
type Fault struct {
	// Err is returned in place of the answer: an error that the write documents,
	// wrapped or not. Nil: nothing goes wrong.
	Err error
	// Applied means that the response is lost, not the request: the write is done first.
	Applied bool
}

// Memory is a [Store] in memory. It is deterministic and safe for concurrent use; make
// one with [NewMemory].
type Memory struct {
	faults func(op Op, eventID string) Fault

	mu      sync.Mutex
	records map[string]idempotency.Record
	items   map[string]map[string]any
}

// NewMemory returns an empty store. faults, if not nil, is asked before each write
// and may be called by several goroutines at once.
func NewMemory(faults func(op Op, eventID string) Fault) *Memory {
	return &Memory{
		faults:  faults,
		records: make(map[string]idempotency.Record),
		items:   make(map[string]map[string]any),
	}
}

// Record returns an event's record; false when there is none.
func (m *Memory) Record(_ context.Context, eventID string) (idempotency.Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.lookUp(eventID)
	if r == nil {
		return idempotency.Record{}, false, nil
	}
	return *r, true, nil
}

// Item returns a copy of an effect's item; false when there is none.
func (m *Memory) Item(_ context.Context, key string) (map[string]any, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	item, found := m.items[key]
	if !found {
		return nil, false, nil
	}
	return copyFields(item), true, nil
}

// Records returns all records in the order of their events' ids.
func (m *Memory) Records() []idempotency.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []idempotency.Record
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		out = append(out, *m.lookUp(id))
	}
	return out
}

// Keys returns the keys of all effects' items in their order.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.items))
}

// Harness returns the store as a [Harness].
func (m *Memory) Harness() Harness { return Harness{Store: m, Record: m.Record, Item: m.Item} }

// Claim implements [Store].
func (m *Memory) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	return write(ctx, m, OpClaim, req.Event.ID, idempotency.ErrStoreDown, func() (idempotency.ClaimResult, error) {
		return m.claim(req), nil
	})
}

func (m *Memory) claim(req idempotency.ClaimRequest) idempotency.ClaimResult {
	old, ident := m.lookUp(req.Event.ID), idempotency.Identity(req.Event)
	if old != nil && (!claimable(*old, req.LeaseExpiredBefore) || !idempotency.IdentitiesOf(req.Event).Has(old.Identity)) {
		result, explained := idempotency.ReadClaimRefusal(req, old)
		if !explained {
			return idempotency.ClaimResult{Verdict: idempotency.Busy}
		}
		if result.Verdict == idempotency.Duplicate && result.Source == event.Reconcile && req.Event.Source.Delivered() {
			old.Source = string(req.Event.Source)
			m.records[old.ID] = *old
		}
		return result
	}
	r := idempotency.Record{ID: req.Event.ID, Generation: 1, Identity: ident, FirstAt: millis(req.Now)}
	if old != nil {
		r = *old
	}
	r.State, r.Owner, r.Lease, r.Updated = idempotency.Running, req.Owner, millis(req.Lease), millis(req.Now)
	r.Attempt++
	r.Type, r.Created = req.Event.Type, req.Event.Created
	if r.Source == "" || req.Event.Source != event.Reconcile {
		r.Source = string(req.Event.Source)
	}
	r.ReceivesLeft, r.Reason = int64(max(req.ReceivesLeft, 0)), ""
	r.Purged, r.PurgeBy = time.Time{}, ""
	m.records[r.ID] = r
	return idempotency.ClaimResult{Verdict: idempotency.Claimed, Claim: idempotency.ClaimOf(r)}
}

// claimable is the claim's condition on the record's state.
func claimable(r idempotency.Record, cutoff time.Time) bool {
	return r.State == idempotency.Failed || r.State == idempotency.Running && !r.Lease.IsZero() && r.Lease.Before(millis(cutoff))
}

// Fail implements [Store].
func (m *Memory) Fail(ctx context.Context, c *idempotency.Claim, f idempotency.Failure) (idempotency.FailResult, error) {
	return write(ctx, m, OpFail, c.EventID, idempotency.ErrStoreDown, func() (idempotency.FailResult, error) {
		return m.fail(c, f), nil
	})
}

func (m *Memory) fail(c *idempotency.Claim, f idempotency.Failure) idempotency.FailResult {
	r := m.lookUp(c.EventID)
	if r == nil && c.Unclaimed != nil {
		r = first(c)
	} else if !holds(r, c) {
		return idempotency.ReadFailRefusal(c, r)
	}
	r.State, r.Updated, r.Lease = idempotency.Failed, millis(f.Now), time.Time{}
	r.Fails++
	r.Err, r.ReceivesLeft, r.History = bounded(f.Err), int64(max(f.ReceivesLeft, 0)), c.Failed(f)
	if f.Reason != "" {
		r.Reason = bounded(f.Reason)
	}
	m.records[r.ID] = *r
	return idempotency.FailResult{Verdict: idempotency.FailWritten}
}

// Replay implements [Store].
func (m *Memory) Replay(ctx context.Context, req idempotency.ReplayRequest) error {
	_, err := write(ctx, m, OpReplay, req.EventID, idempotency.ErrStoreDown, func() (struct{}, error) {
		return struct{}{}, m.replay(req)
	})
	return err
}

func (m *Memory) replay(req idempotency.ReplayRequest) error {
	r := m.lookUp(req.EventID)
	if r == nil || r.State != idempotency.Done || r.Generation != req.Generation {
		return idempotency.ReadReplayRefusal(req, r)
	}
	r.State, r.Generation, r.Updated = idempotency.Failed, req.Generation+1, millis(req.Now)
	r.Fails, r.Err, r.Reason, r.History = 0, "", "", nil
	r.Purged, r.PurgeBy = time.Time{}, ""
	r.ReplayBy, r.ReplayWhy = req.By, bounded(req.Why)
	m.records[r.ID] = *r
	return nil
}

// Purge implements [Store].
func (m *Memory) Purge(ctx context.Context, req idempotency.PurgeRequest) (idempotency.PurgeVerdict, error) {
	return write(ctx, m, OpPurge, req.EventID, idempotency.ErrStoreDown, func() (idempotency.PurgeVerdict, error) {
		r := m.lookUp(req.EventID)
		named := req.Any || r != nil && r.ReceivesLeft == 0 && (req.Attempt == 0 || req.Attempt == r.Attempt)
		if r == nil || !claimable(*r, req.LeaseExpiredBefore) || !req.Identities.Has(r.Identity) || !named {
			return idempotency.ReadPurgeRefusal(req, r), nil
		}
		r.Purged, r.PurgeBy, r.Updated = millis(req.Now), bounded(req.By), millis(req.Now)
		m.records[r.ID] = *r
		return idempotency.PurgeMarked, nil
	})
}

// Reidentify implements [Store].
func (m *Memory) Reidentify(ctx context.Context, req idempotency.ReidentifyRequest) (idempotency.ReidentifyVerdict, error) {
	return write(ctx, m, OpReidentify, req.EventID, idempotency.ErrStoreDown, func() (idempotency.ReidentifyVerdict, error) {
		r := m.lookUp(req.EventID)
		if r == nil || !claimable(*r, req.LeaseExpiredBefore) || r.Identity != req.Old || r.Generation != 1 || !r.DoneAt.IsZero() {
			return idempotency.ReadReidentifyRefusal(req, r), nil
		}
		r.Identity, r.Updated = req.New, millis(req.Now)
		m.records[r.ID] = *r
		return idempotency.Reidentified, nil
	})
}

// write runs one write under the lock, with its fault. A context that has ended is a
// request that was not sent.
func write[T any](ctx context.Context, m *Memory, op Op, eventID string, ended error, apply func() (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, ended
	}
	var fault Fault
	if m.faults != nil {
		fault = m.faults(op, eventID)
	}
	if fault.Err != nil && !fault.Applied {
		return none, fault.Err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	result, err := apply()
	if fault.Err != nil {
		return none, fault.Err
	}
	return result, err
}

// lookUp returns a copy of a record, nil when there is none.
func (m *Memory) lookUp(eventID string) *idempotency.Record {
	r, found := m.records[eventID]
	if !found {
		return nil
	}
	r.Effects, r.History = slices.Clone(r.Effects), slices.Clone(r.History)
	return &r
}

// holds is the fence: the record is running, by this attempt and this owner.
func holds(r *idempotency.Record, c *idempotency.Claim) bool {
	return r != nil && c.Unclaimed == nil && r.State == idempotency.Running && r.Attempt == c.Attempt && r.Owner == c.Owner
}

// first is the record of a run without a claim, before what its write adds.
func first(c *idempotency.Claim) *idempotency.Record {
	e := c.Unclaimed.Event
	return &idempotency.Record{
		ID: e.ID, Attempt: c.Attempt, Owner: c.Owner, Generation: c.Generation, Identity: idempotency.Identity(e),
		Type: e.Type, Created: e.Created, Source: string(e.Source), FirstAt: millis(c.FirstAt),
	}
}

// millis gives a time the precision that records have.
func millis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

// bounded makes a text fit a record.
func bounded(s string) string { return limits.Cut(s, limits.MaxErrorText) }

// copyFields copies fields deeply and gives integers the one type that reading has.
func copyFields(f dispatch.Fields) map[string]any {
	out := make(map[string]any, len(f)+2)
	for name, v := range f {
		out[name] = copyValue(v)
	}
	return out
}

func copyValue(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case []byte:
		return append([]byte{}, v...)
	case dispatch.Fields:
		return copyFields(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copyValue(v[i])
		}
		return out
	default:
		return v
	}
}
