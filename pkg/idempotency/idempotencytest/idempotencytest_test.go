package idempotencytest_test

import (
	"errors"
	"testing"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

func TestMemory(t *testing.T) {
	idempotencytest.Run(t, func(*testing.T) idempotencytest.Harness { return idempotencytest.NewMemory(nil).Harness() })
}

func TestMemoryFaults(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	req := idempotency.ClaimRequest{
		Event: event.Envelope{ID: "evt_1", Type: "invoice.paid"}, Owner: idempotency.NewOwner(),
		Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now,
	}
	for _, applied := range []bool{false, true} {
		fault := idempotencytest.Fault{}
		m := idempotencytest.NewMemory(func(op idempotencytest.Op, id string) idempotencytest.Fault {
			if id != "evt_1" {
				t.Errorf("%s of %q, want evt_1", op, id)
			}
			return fault
		})

		fault = idempotencytest.Fault{Err: idempotency.ErrStoreDown, Applied: applied}
		if got, err := m.Claim(t.Context(), req); !errors.Is(err, idempotency.ErrStoreDown) || got.Verdict != "" {
			t.Fatalf("claim with a fault = %+v, %v", got, err)
		}
		if n := len(m.Records()); n != map[bool]int{false: 0, true: 1}[applied] {
			t.Errorf("applied %v: %d records", applied, n)
		}
		fault = idempotencytest.Fault{}
		got, err := m.Claim(t.Context(), req)
		if err != nil || got.Verdict != idempotency.Claimed || got.Claim.Attempt != 1 {
			t.Fatalf("claim again = %+v, %v", got, err)
		}

		fault = idempotencytest.Fault{Err: idempotency.ErrUnknown, Applied: applied}
		effects := dispatch.Effects{dispatch.Insert("FACT#1", nil)}
		if _, err := m.Complete(t.Context(), got.Claim, idempotency.Applied, effects, now); !errors.Is(err, idempotency.ErrUnknown) {
			t.Fatalf("complete with a fault: %v", err)
		}
		if n := len(m.Keys()); n != map[bool]int{false: 0, true: 1}[applied] {
			t.Errorf("applied %v: %d items", applied, n)
		}
	}
}
