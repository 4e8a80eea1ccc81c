package dynamostore

import (
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// TestAtOnceLost: a write without a claim that was not answered is sent again with the same bytes,
// and is applied once.
func TestAtOnceLost(t *testing.T) {
	s := serveEmbedded(t)
	for name, effects := range map[string]dispatch.Effects{"plain": nil, "with effects": {dispatch.Insert("K1", nil)}} {
		for fault, step := range map[string]step{"request lost": loseRequest, "response lost": loseResponse} {
			t.Run(name+", "+fault, func(t *testing.T) {
				f, w := s.scripted(t, step)
				got, err := f.Complete(t.Context(), idempotency.WithoutClaim(claimRequest()), idempotency.Applied, effects, now)
				if err != nil || got.Verdict != idempotency.Completed || got.Outcome != idempotency.Applied {
					t.Fatalf("complete = %+v, %v", got, err)
				}
				sent := w.requests()
				if len(sent) != 2 {
					t.Fatalf("%d requests, want 2", len(sent))
				}
				if diff := cmp.Diff(sent[0].members(t), sent[1].members(t)); diff != "" {
					t.Errorf("the second try differs:\n%s", diff)
				}
				if r := f.record(t); r.State != idempotency.Done || r.Attempt != 1 {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
	f, _ := s.scripted(t, loseResponse)
	got, err := f.Fail(t.Context(), idempotency.WithoutClaim(claimRequest()), idempotency.Failure{Now: now, Err: "boom", ReceivesLeft: 14})
	if err != nil || got.Verdict != idempotency.FailWritten {
		t.Errorf("fail = %+v, %v", got, err)
	}
}

// TestAtOnceDenied: a table that cannot be used has taken nothing.
func TestAtOnceDenied(t *testing.T) {
	f, _ := serveEmbedded(t).scripted(t, all(2, failWith(http.StatusBadRequest, "AccessDeniedException"))...)
	c := idempotency.WithoutClaim(claimRequest())
	if _, err := f.Complete(t.Context(), c, idempotency.Applied, nil, now); !errors.Is(err, idempotency.ErrStoreDown) {
		t.Errorf("complete: %v", err)
	}
	if _, err := f.Fail(t.Context(), c, idempotency.Failure{Now: now, Err: "boom"}); !errors.Is(err, idempotency.ErrStoreDown) {
		t.Errorf("fail: %v", err)
	}
}

// TestAtOnceBrokenRow: a row that is no record is for a claim to judge, even if it says that it is
// done.
func TestAtOnceBrokenRow(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	row := recordKey(claimRequest().Event.ID)
	row["st"], row["att"] = str("DONE"), str("one")
	check(t, errOf(f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: row})))
	c := idempotency.WithoutClaim(claimRequest())
	for name, effects := range map[string]dispatch.Effects{"plain": nil, "with effects": {dispatch.Insert("K1", nil)}} {
		if got, err := f.Complete(t.Context(), c, idempotency.Applied, effects, now); err != nil || got.Verdict != idempotency.Superseded {
			t.Errorf("%s: complete = %+v, %v, want superseded", name, got, err)
		}
	}
	if got, err := f.Fail(t.Context(), c, idempotency.Failure{Now: now, Err: "boom"}); err != nil || got.Verdict != idempotency.FailSuperseded {
		t.Errorf("fail = %+v, %v, want superseded", got, err)
	}
}
