package dynamostore

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// now is when these tests' events happen: ahead of any clock, so that nothing expires.
var now = time.Date(2051, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

func claimRequest() idempotency.ClaimRequest {
	return idempotency.ClaimRequest{
		Event: event.Envelope{
			ID: "evt_1PZabcdefghijklmnopqrstu", Type: "invoice.paid", Created: 1_700_000_000, ObjectID: "in_1", Source: event.Webhook,
		},
		Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(32 * time.Second), LeaseExpiredBefore: now.Add(-5 * time.Second),
		Receives: 1, ReceivesLeft: 15,
	}
}

// scripted returns a store on a wire with nothing behind it.
func scripted(t *testing.T, steps ...step) (*Store, *wire) {
	w := newWire(t, nil, steps...)
	return newStore(t, clientOf("http://127.0.0.1", w, false), "tollgate"), w
}

// Every answer that is not a decision of the claim's condition means that the store is
// down: it must never be read as "duplicate". What another try may cure is tried again.
func TestClaimStoreDown(t *testing.T) {
	const again = limits.CallTries
	cases := map[string]struct {
		step  step
		tries int
		hot   bool // only this record's item
	}{
		"throttled":              {failWith(400, "ThrottlingException"), again, true},
		"throughput exceeded":    {failWith(400, "ProvisionedThroughputExceededException"), again, true},
		"request limit":          {failWith(400, "RequestLimitExceeded"), again, true},
		"500":                    {failWith(500, "InternalServerError"), again, false},
		"503":                    {respond(503, "Service Unavailable"), again, false},
		"lost request":           {loseRequest, again, false},
		"never answered":         {hang, again, false},
		"access denied":          {failWith(400, "AccessDeniedException"), 1, false},
		"expired credentials":    {failWith(400, "ExpiredTokenException"), 1, false},
		"table missing":          {failWith(400, "ResourceNotFoundException"), 1, false},
		"validation":             {failWith(400, "ValidationException"), 1, false},
		"unknown code":           {failWith(400, "SomethingNew"), again, false},
		"no JSON":                {respond(200, "<html>"), again, false},
		"empty answer":           {respond(200, "{}"), 1, false},
		"another one's record":   {respond(200, `{"Attributes":{"pk":{"S":"EVT#evt_1"},"st":{"S":"RUNNING"},"att":{"N":"1"},"own":{"S":"other"}}}`), 1, false},
		"record of other types":  {respond(200, `{"Attributes":{"pk":{"S":"EVT#evt_1"},"att":{"S":"1"}}}`), 1, false},
		"refused by another key": {failWithFields(400, "ConditionalCheckFailedException", map[string]any{"Item": map[string]any{"pk": map[string]string{"S": "FACT#1"}}}), 1, false},
	}
	for name, c := range cases {
		t.Run("claim/"+name+" → store down", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, w := scripted(t, all(c.tries, c.step)...)
				ctx, cancel := contextWithTimeout(t, limits.AWS().RecordBudget)
				defer cancel()
				got, err := store.Claim(ctx, claimRequest())
				if !errors.Is(err, idempotency.ErrStoreDown) || got.Verdict != "" || errors.Is(err, idempotency.ErrThrottled) != c.hot {
					t.Errorf("claim = %+v, %v; want only %v, throttled %t", got, err, idempotency.ErrStoreDown, c.hot)
				}
				if n := len(w.requests()); n != c.tries {
					t.Errorf("%d requests, want %d", n, c.tries)
				}
			})
		})
	}
}

// TestClaimCured: after one failed try the budget has time for another.
func TestClaimCured(t *testing.T) {
	s := serveEmbedded(t)
	for name, step := range map[string]step{
		"throttled": failWith(400, "ThrottlingException"), "500": failWith(500, "InternalServerError"),
		"lost request": loseRequest, "lost response": loseResponse, "never answered": hang,
	} {
		t.Run(name, func(t *testing.T) {
			f, w := s.scripted(t, step)
			ctx, cancel := contextWithTimeout(t, limits.AWS().RecordBudget)
			defer cancel()
			req := claimRequest()
			got, err := f.Claim(ctx, req)
			if err != nil || got.Verdict != idempotency.Claimed || got.Claim.Attempt != 1 || got.Claim.Owner != req.Owner {
				t.Errorf("claim = %+v, %v; want the first attempt", got, err)
			}
			if n := len(w.requests()); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
		})
	}
}

func TestClaimConflicts(t *testing.T) {
	s := serveEmbedded(t)
	conflict := failWith(400, "TransactionConflictException")
	t.Run("claim/conflict twice → claimed", func(t *testing.T) {
		f, w := s.scripted(t, conflict, conflict)
		got, err := f.Claim(t.Context(), claimRequest())
		if err != nil || got.Verdict != idempotency.Claimed || got.Claim.Attempt != 1 {
			t.Errorf("claim = %+v, %v", got, err)
		}
		if n := len(w.requests()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
	t.Run("claim/conflict three times → busy, no lease known", func(t *testing.T) {
		f, w := s.scripted(t, conflict, conflict, conflict)
		wantBusy(t, f.Store, claimRequest())
		if n := len(w.requests()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

// A claim that lost a race meets a record that no longer explains the refusal.
func TestClaimUnexplained(t *testing.T) {
	s := serveEmbedded(t)
	refusedBy := func(item map[string]any) step {
		return failWithFields(400, "ConditionalCheckFailedException", map[string]any{"Item": item})
	}
	failed := map[string]any{"pk": map[string]string{"S": "EVT#evt_1PZabcdefghijklmnopqrstu"}, "st": map[string]string{"S": "FAILED"}}
	for name, item := range map[string]map[string]any{"no item": nil, "failed": failed} {
		t.Run("claim/refused once, "+name+" → claimed with the same owner", func(t *testing.T) {
			f, w := s.scripted(t, refusedBy(item))
			req := claimRequest()
			got, err := f.Claim(t.Context(), req)
			if err != nil || got.Verdict != idempotency.Claimed || got.Claim.Owner != req.Owner {
				t.Errorf("claim = %+v, %v", got, err)
			}
			sent := w.requests()
			if len(sent) != 2 || !cmp.Equal(sent[0].members(t), sent[1].members(t)) {
				t.Errorf("%d requests, want the same one twice", len(sent))
			}
		})
		t.Run("claim/refused twice, "+name+" → busy, no lease known", func(t *testing.T) {
			f, _ := s.scripted(t, refusedBy(item), refusedBy(item))
			wantBusy(t, f.Store, claimRequest())
		})
	}
}

func wantBusy(t *testing.T, s *Store, req idempotency.ClaimRequest) {
	t.Helper()
	got, err := s.Claim(t.Context(), req)
	if err != nil || got.Verdict != idempotency.Busy || !got.Lease.IsZero() {
		t.Errorf("claim = %+v, %v; want busy without a lease", got, err)
	}
}

func TestClaimLostResponse(t *testing.T) {
	s := serveEmbedded(t)
	t.Run("claim/response lost, the SDK sends again → claimed as the same attempt", func(t *testing.T) {
		f := s.fixture(t, http.DefaultTransport)
		w := newWire(t, http.DefaultTransport, loseResponse)
		store := newStore(t, s.client(w, true), f.table)
		got, err := store.Claim(t.Context(), claimRequest())
		if err != nil || got.Verdict != idempotency.Claimed || got.Claim.Attempt != 1 {
			t.Errorf("claim = %+v, %v", got, err)
		}
		if n := len(w.requests()); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}

// TestClaimBrokenRecord: a row that something else wrote is the problem of its own event
// alone, whatever is wrong with it, and stays as it is.
func TestClaimBrokenRecord(t *testing.T) {
	s := serveEmbedded(t)
	for name, tc := range map[string]struct {
		change item
		want   string
	}{
		"running without a lease":  {item{"st": str("RUNNING")}, "without a lease"},
		"lease of another type":    {item{"st": str("RUNNING"), "lease": str("soon")}, "attribute lease"},
		"attempt of another type":  {item{"st": str("FAILED"), "att": str("one")}, "attribute att"},
		"done, attempt malformed":  {item{"st": str("DONE"), "att": str("one")}, "attribute att"},
		"unknown state":            {item{"st": str("PAUSED")}, "PAUSED"},
		"no state":                 {item{}, "unknown"},
		"state of another type":    {item{"st": num(1)}, "attribute st"},
		"identity of another type": {item{"st": str("FAILED"), "ident": num(1)}, "attribute ident"},
	} {
		t.Run(name, func(t *testing.T) {
			f := s.fixture(t, http.DefaultTransport)
			req := claimRequest()
			row := item{"pk": str(idempotency.Key(req.Event.ID)), "att": num(4), "own": str("someone"), "gen": num(1), "ident": str(idempotency.Identity(req.Event))}
			maps.Copy(row, tc.change)
			check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})))
			got, err := f.Store.Claim(t.Context(), req)
			if err != nil || got.Verdict != idempotency.Corrupt || got.Err == nil || !strings.Contains(got.Err.Error(), tc.want) {
				t.Errorf("claim = %+v, %v; want corrupt for %q", got, err, tc.want)
			}
			after, _, err := f.reader.Get(t.Context(), req.Event.ID)
			if err != nil || after.Broken == "" || after.Owner != "someone" {
				t.Errorf("record %+v, %v; want it as it was", after, err)
			}
		})
	}
}

// TestClaimOfARowThatCannotBeReadAfterwards: a broken attribute that the claim's condition
// does not read is found in the answer.
func TestClaimOfARowThatCannotBeReadAfterwards(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	req := claimRequest()
	row := item{"pk": str(idempotency.Key(req.Event.ID)), "st": str("FAILED"), "att": num(4), "fails": str("many"), "ident": str(idempotency.Identity(req.Event))}
	check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})))
	if got, err := f.Store.Claim(t.Context(), req); err != nil || got.Verdict != idempotency.Corrupt {
		t.Errorf("claim = %+v, %v; want corrupt", got, err)
	}
}

// The index names a record from its message's second receive on.
func TestClaimEntersTheIndex(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	for receives, want := range map[int]int{1: 0, 2: 1} {
		req := claimRequest()
		req.Event.ID = strings.Repeat("x", receives)
		req.Receives = receives
		check(t, errOf(f.Claim(t.Context(), req)))
		page, err := f.reader.List(t.Context(), ListRequest{Type: req.Event.Type, Status: Failed})
		if err != nil || len(page.Records) != want {
			t.Errorf("%d receives: %d records in the index, error %v; want %d", receives, len(page.Records), err, want)
		}
		if c, err := f.Claim(t.Context(), req); err != nil || c.Verdict != idempotency.Claimed {
			t.Fatalf("claim = %+v, %v", c, err)
		} else if _, err := f.Complete(t.Context(), c.Claim, idempotency.Applied, nil, now); err != nil {
			t.Fatal(err)
		}
		if page, err = f.reader.List(t.Context(), ListRequest{}); err != nil || len(page.Records) != 0 {
			t.Errorf("%d receives: the index still has %+v, error %v", receives, page.Records, err)
		}
	}
}

// TestFailOfARowBrokenMeanwhile: a row that was broken under a running attempt is not a fault
// of the store, which would stop the batch's other messages.
func TestFailOfARowBrokenMeanwhile(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	req := claimRequest()
	got, err := f.Store.Claim(t.Context(), req)
	if err != nil || got.Verdict != idempotency.Claimed {
		t.Fatalf("claim = %+v, %v", got, err)
	}
	row := item{"pk": str(idempotency.Key(req.Event.ID)), "st": str("DONE"), "att": str("one")}
	check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})))
	failed, err := f.Store.Fail(t.Context(), got.Claim, idempotency.Failure{Now: req.Now, Err: "a bug"})
	if err != nil || failed.Verdict != idempotency.FailSuperseded {
		t.Errorf("fail = %+v, %v; want superseded", failed, err)
	}
}
