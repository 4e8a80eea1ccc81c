package idempotencytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// Run tests a store. newHarness is called once for each test, and tests run in parallel. Tests
// whose names begin with one of known are left out, as "race" or "claim/ok": known faults of a
// database that is not ours.
func Run(t *testing.T, newHarness func(t *testing.T) Harness, known ...string) {
	tables := []struct {
		name string
		rows []row
	}{
		{"claim", claimRows},
		{"complete", slices.Concat(completeRows, lostCompleteRows())},
		{"effects", effectRows},
		{"fail", slices.Concat(failRows, lostFailRows())},
		{"at once", atOnceRows()},
		{"replay", replayRows},
		{"purge", purgeRows},
		{"reidentify", reidentifyRows},
		{"race", raceRows},
	}
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			for _, r := range table.rows {
				if slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(table.name+"/"+r.name, k) }) {
					continue
				}
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					r.test(newBench(t, newHarness(t)))
				})
			}
		})
	}
}

// row is one row of an outcome table: the state that a write finds, and the expected
// result.
type row struct {
	name string
	test func(*bench)
}

// bench is one running test on one store.
type bench struct {
	*testing.T
	Harness
	ctx context.Context
	t0  time.Time // the test's beginning, with the precision that records have
}

// Times of the bench's claims, on the scale of AWS.
const (
	leaseTime = 32 * time.Second
	margin    = 5 * time.Second
)

func newBench(t *testing.T, h Harness) *bench {
	// Far ahead of any clock, so that no store takes a record for expired.
	t0 := time.Date(2051, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	return &bench{T: t, Harness: h, ctx: t.Context(), t0: t0}
}

// at returns the time some seconds after the test's beginning.
func (b *bench) at(seconds int) time.Time { return b.t0.Add(time.Duration(seconds) * time.Second) }

func envelope(id string) event.Envelope {
	return event.Envelope{
		ID: id, Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "default", Account: "acct_1",
		APIVersion: "2023-10-16", Created: 2_558_000_000, ObjectID: "in_1", Source: event.Webhook, Body: []byte("{}"),
	}
}

// request asks for a new claim of evt_1 at a time.
func (b *bench) request(now time.Time) idempotency.ClaimRequest {
	return idempotency.ClaimRequest{
		Event: envelope("evt_1"), Owner: idempotency.NewOwner(),
		Now: now, Lease: now.Add(leaseTime), LeaseExpiredBefore: now.Add(-margin), Receives: 1, ReceivesLeft: 15,
	}
}

// claim makes a request that must be granted.
func (b *bench) claim(req idempotency.ClaimRequest) *idempotency.Claim {
	b.Helper()
	got, err := b.Store.Claim(b.ctx, req)
	if err != nil || got.Verdict != idempotency.Claimed {
		b.Fatalf("claim = %+v, %v; want claimed", got, err)
	}
	return got.Claim
}

// claimed returns a claim of evt_1 made at the beginning.
func (b *bench) claimed() *idempotency.Claim {
	b.Helper()
	return b.claim(b.request(b.t0))
}

// overtaken returns a claim of evt_1 and the one that superseded it after its lease.
func (b *bench) overtaken() (overtaken, successor *idempotency.Claim) {
	b.Helper()
	overtaken = b.claimed()
	return overtaken, b.claim(b.request(b.at(60)))
}

// complete is a completion that must be answered.
func (b *bench) complete(c *idempotency.Claim, outcome idempotency.Outcome, now time.Time, effects ...dispatch.Effect) idempotency.CompleteResult {
	b.Helper()
	got, err := b.Store.Complete(b.ctx, c, outcome, effects, now)
	if err != nil {
		b.Fatalf("complete: %v", err)
	}
	return got
}

// done makes a claim's record done, two seconds after the beginning.
func (b *bench) done(c *idempotency.Claim, effects ...dispatch.Effect) {
	b.Helper()
	if got := b.complete(c, idempotency.Applied, b.at(2), effects...); got.Verdict != idempotency.Completed {
		b.Fatalf("complete = %+v, want completed", got)
	}
}

// fail is a failure that must be answered.
func (b *bench) fail(c *idempotency.Claim, f idempotency.Failure) idempotency.FailResult {
	b.Helper()
	got, err := b.Store.Fail(b.ctx, c, f)
	if err != nil {
		b.Fatalf("fail: %v", err)
	}
	return got
}

// failed makes a claim's record failed, two seconds after the beginning.
func (b *bench) failed(c *idempotency.Claim) {
	b.Helper()
	if got := b.fail(c, boom(b.at(2))); got.Verdict != idempotency.FailWritten {
		b.Fatalf("fail = %+v, want written", got)
	}
}

// boom is a transient failure.
func boom(now time.Time) idempotency.Failure {
	return idempotency.Failure{Now: now, Err: "boom", ReceivesLeft: 14, Fingerprint: "0123456789ab", Frame: "handlers.paid invoice.go:42"}
}

// record returns evt_1's record, which must be there.
func (b *bench) record() idempotency.Record {
	b.Helper()
	r, found, err := b.Record(b.ctx, "evt_1")
	if err != nil || !found {
		b.Fatalf("record evt_1: found %v, error %v", found, err)
	}
	return r
}

// item returns an effect's item, nil when there is none.
func (b *bench) item(key string) map[string]any {
	b.Helper()
	item, _, err := b.Item(b.ctx, key)
	if err != nil {
		b.Fatalf("item %s: %v", key, err)
	}
	return item
}

func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(sameError)); diff != "" {
		b.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func sameError(x, y error) bool { return x == y }

// unchanged runs a write that must leave evt_1's record, if there is one, as it was.
func (b *bench) unchanged(write func()) {
	b.Helper()
	read := func() idempotency.Record {
		r, _, err := b.Record(b.ctx, "evt_1")
		b.equal("error of a read", err, nil)
		return r
	}
	before := read()
	write()
	b.equal("record after a refused write", read(), before)
}

// firstRecord is the record of evt_1 after its first claim at the beginning.
func (b *bench) firstRecord(c *idempotency.Claim) idempotency.Record {
	return idempotency.Record{
		ID: "evt_1", State: idempotency.Running, Attempt: 1, Owner: c.Owner, Lease: b.t0.Add(leaseTime), Generation: 1,
		Identity: idempotency.Identity(envelope("evt_1")), Type: "invoice.paid", Created: 2_558_000_000, Source: "webhook",
		FirstAt: b.t0, Updated: b.t0, ReceivesLeft: 15,
	}
}

func key(n int) string { return fmt.Sprintf("FACT#%d", n) }
