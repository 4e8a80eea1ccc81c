package dynamostore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

var (
	errFirst  = errors.New("first condition")
	errSecond = errors.New("second condition")
)

// fiveEffects stand behind the record in the transactions of these tests.
func fiveEffects() dispatch.Effects {
	return dispatch.Effects{
		dispatch.Insert("K1", nil), dispatch.Swap("K2", 0, nil), dispatch.CheckAbsent("K3", errFirst),
		dispatch.CheckAbsent("K4", errSecond), dispatch.Insert("K5", nil),
	}
}

func someClaim() *idempotency.Claim {
	return &idempotency.Claim{EventID: "evt_1", Owner: idempotency.NewOwner(), Attempt: 1, Generation: 1}
}

// Several reasons at once: the first rule that fits decides.
func TestCompleteReasons(t *testing.T) {
	cases := []struct {
		reasons string // of the record and of the five effects
		name    string
		verdict idempotency.CompleteVerdict
		err     error
	}{
		{"C-----", "record refused", idempotency.Superseded, nil},
		{"CVCCCT", "record refused first of all", idempotency.Superseded, nil},
		{"-V----", "validation", idempotency.Rejected, nil},
		{"--S---", "collection too large", idempotency.Rejected, nil},
		{"----D-", "duplicate item", idempotency.Rejected, nil},
		{"V-----", "validation of the record", idempotency.Rejected, nil},
		{"-CCCTV", "validation before every refusal but the record's", idempotency.Rejected, nil},
		{"--C---", "swap refused", idempotency.SwapRefused, nil},
		{"-CCCCC", "swap refused before checks and inserts", idempotency.SwapRefused, nil},
		{"T-C--H", "swap refused with contention", idempotency.SwapRefused, nil},
		{"---C--", "first check refused", idempotency.CheckRefused, errFirst},
		{"----C-", "second check refused", idempotency.CheckRefused, errSecond},
		{"-C-CCC", "checks refused before inserts", idempotency.CheckRefused, errFirst},
		{"-P--C-", "check refused with contention", idempotency.CheckRefused, errSecond},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("complete/reasons %s: %s → %s", tc.reasons, tc.name, tc.verdict), func(t *testing.T) {
			store, w := scripted(t, cancelWith(tc.reasons))
			got, err := store.Complete(t.Context(), someClaim(), idempotency.Applied, fiveEffects(), now)
			if err != nil || got.Verdict != tc.verdict {
				t.Fatalf("complete = %+v, %v; want %s", got, err, tc.verdict)
			}
			if tc.verdict != idempotency.Rejected && got.Err != tc.err {
				t.Errorf("error %v, want %v", got.Err, tc.err)
			}
			if tc.verdict == idempotency.Rejected && got.Err == nil {
				t.Error("rejected without an error")
			}
			w.requests()
		})
	}
}

// Refused inserts are dropped, even with contention, and the rest is sent at once as
// a new transaction; contention alone sends the same one again.
func TestCompleteSendsAgain(t *testing.T) {
	everything := []string{"EVT#evt_1", "K1", "K2", "K3", "K4", "K5"}
	cases := []struct {
		reasons  string
		name     string
		keys     []string
		newToken bool
	}{
		{"-C----", "an insert refused", []string{"EVT#evt_1", "K2", "K3", "K4", "K5"}, true},
		{"-C---C", "both inserts refused", []string{"EVT#evt_1", "K2", "K3", "K4"}, true},
		{"-C---T", "an insert refused, the other in conflict", []string{"EVT#evt_1", "K2", "K3", "K4", "K5"}, true},
		{"HC---P", "an insert refused, the rest throttled", []string{"EVT#evt_1", "K2", "K3", "K4", "K5"}, true},
		{"T-----", "the record in conflict", everything, false},
		{"--T--T", "effects in conflict", everything, false},
		{"-H----", "throttled", everything, false},
		{"P----H", "throughput exceeded", everything, false},
		{"T-H-P-", "conflict and throttling", everything, false},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("complete/reasons %s: %s → sent again", tc.reasons, tc.name), func(t *testing.T) {
			store, w := scripted(t, cancelWith(tc.reasons), respond(200, "{}"))
			got, err := store.Complete(t.Context(), someClaim(), idempotency.Applied, fiveEffects(), now)
			if err != nil || got.Verdict != idempotency.Completed || got.Outcome != idempotency.Applied {
				t.Fatalf("complete = %+v, %v", got, err)
			}
			sent := w.requests()
			if diff := cmp.Diff(tc.keys, sent[1].keys(t)); diff != "" {
				t.Errorf("second transaction (-want +got):\n%s", diff)
			}
			if same := sent[0].token(t) == sent[1].token(t); same == tc.newToken || sent[1].token(t) == "" {
				t.Errorf("tokens %q and %q", sent[0].token(t), sent[1].token(t))
			}
			if same := cmp.Equal(sent[0].members(t), sent[1].members(t)); same == tc.newToken {
				t.Errorf("the same request again: %v, want %v", same, !tc.newToken)
			}
		})
	}
}

func TestCompleteStaleNeedsNoTransaction(t *testing.T) {
	t.Run("complete/every insert refused → stale by a plain update", func(t *testing.T) {
		store, w := scripted(t, cancelWith("-CC"), respond(200, "{}"))
		effects := dispatch.Effects{dispatch.Insert("K1", nil), dispatch.Insert("K2", nil)}
		got, err := store.Complete(t.Context(), someClaim(), idempotency.Applied, effects, now)
		if err != nil || got.Verdict != idempotency.Completed || got.Outcome != idempotency.AlreadyApplied {
			t.Fatalf("complete = %+v, %v", got, err)
		}
		if sent := w.requests(); sent[1].target != "UpdateItem" || bytes.Contains(sent[1].body, []byte(":fx")) {
			t.Errorf("second request is %s %s", sent[1].target, sent[1].body)
		}
	})
	t.Run("complete/every insert refused, a check left → stale with the check", func(t *testing.T) {
		store, w := scripted(t, cancelWith("-C-"), respond(200, "{}"))
		effects := dispatch.Effects{dispatch.Insert("K1", nil), dispatch.CheckAbsent("K2", errFirst)}
		got, err := store.Complete(t.Context(), someClaim(), idempotency.Applied, effects, now)
		if err != nil || got.Outcome != idempotency.AlreadyApplied {
			t.Fatalf("complete = %+v, %v", got, err)
		}
		sent := w.requests()
		if !cmp.Equal(sent[1].keys(t), []string{"EVT#evt_1", "K2"}) || bytes.Contains(sent[1].body, []byte(":fx")) {
			t.Errorf("second request is %s", sent[1].body)
		}
	})
}

// What comes instead of an answer, with and without effects.
func TestCompleteErrors(t *testing.T) {
	cases := []struct {
		name string
		step step
		want error // nil: rejected
		once bool  // not sent again
	}{
		{"access denied", failWith(400, "AccessDeniedException"), idempotency.ErrStoreDown, true},
		{"expired credentials", failWith(400, "ExpiredTokenException"), idempotency.ErrStoreDown, true},
		{"table missing", failWith(400, "ResourceNotFoundException"), idempotency.ErrStoreDown, true},
		{"validation", failWith(400, "ValidationException"), nil, true},
		{"collection too large", failWith(400, "ItemCollectionSizeLimitExceededException"), nil, true},
		{"parameter mismatch", failWith(400, "IdempotentParameterMismatchException"), nil, true},
		{"duplicate item", failWith(400, "DuplicateItemException"), nil, true},
		{"request too large", respond(413, "<html>"), nil, true},
		{"500", failWith(500, "InternalServerError"), idempotency.ErrUnknown, false},
		{"503", respond(503, "busy"), idempotency.ErrUnknown, false},
		{"connection lost", loseRequest, idempotency.ErrUnknown, false},
		{"no answer", hang, idempotency.ErrUnknown, false},
		{"answer cut short", respond(200, `{"Attr`), idempotency.ErrUnknown, false},
		{"unknown code", failWith(400, "SomethingNew"), idempotency.ErrUnknown, false},
		{"throttled", failWith(400, "ThrottlingException"), idempotency.ErrUnknown, false},
		{"throughput exceeded", failWith(400, "ProvisionedThroughputExceededException"), idempotency.ErrUnknown, false},
		{"conflict", failWith(400, "TransactionConflictException"), idempotency.ErrUnknown, false},
		{"same transaction in progress", failWith(400, "TransactionInProgressException"), idempotency.ErrUnknown, false},
	}
	for _, tc := range cases {
		for name, effects := range map[string]dispatch.Effects{"plain": nil, "with effects": fiveEffects()} {
			t.Run("complete/"+tc.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					steps := all(maxTries, tc.step)
					if tc.once {
						steps = steps[:1]
					}
					completeInVain(t, effects, tc.want, steps)
				})
			})
		}
	}
	t.Run("complete/cancelled for an unknown reason → unknown", func(t *testing.T) {
		completeInVain(t, fiveEffects(), idempotency.ErrUnknown, []step{cancelWith("-?----")})
	})
	t.Run("complete/cancelled without reasons → unknown", func(t *testing.T) {
		completeInVain(t, fiveEffects(), idempotency.ErrUnknown, []step{cancelWith("")})
	})
}

// completeInVain wants an error, or a rejection, within the record's budget.
func completeInVain(t *testing.T, effects dispatch.Effects, want error, steps []step) {
	t.Helper()
	w := newWire(t, nil, steps...)
	store := newStore(t, clientOf("http://127.0.0.1", w, false), "tollgate")
	ctx, cancel := contextWithTimeout(t, 3*time.Second)
	defer cancel()
	got, err := store.Complete(ctx, someClaim(), idempotency.Applied, effects, now)
	if want == nil {
		if err != nil || got.Verdict != idempotency.Rejected || got.Err == nil {
			t.Errorf("complete = %+v, %v; want rejected", got, err)
		}
	} else if !errors.Is(err, want) || got.Verdict != "" {
		t.Errorf("complete = %+v, %v; want only %v", got, err, want)
	}
	for _, s := range w.sent[1:] {
		if !cmp.Equal(s.members(t), w.sent[0].members(t)) {
			t.Errorf("another request was sent:\n%s\n%s", w.sent[0].body, s.body)
		}
	}
	if len(steps) > 1 && len(w.sent) < 2 {
		t.Errorf("%d requests, want several", len(w.sent))
	}
	if len(steps) == 1 && len(w.sent) != 1 {
		t.Errorf("%d requests, want 1", len(w.sent))
	}
}

func TestCompleteLeavesTimeOver(t *testing.T) {
	for name, s := range map[string]step{"conflict": cancelWith("T-----"), "500": failWith(500, "InternalServerError")} {
		t.Run("complete/only "+name+" → unknown before the deadline", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				ctx, cancel := contextWithTimeout(t, 700*time.Millisecond)
				defer cancel()
				w := newWire(t, nil, all(maxTries, s)...)
				store := newStore(t, clientOf("http://127.0.0.1", w, false), "tollgate")
				if _, err := store.Complete(ctx, someClaim(), idempotency.Applied, fiveEffects(), now); !errors.Is(err, idempotency.ErrUnknown) {
					t.Errorf("complete: %v", err)
				}
				if d := time.Since(begin); ctx.Err() != nil || d < 200*time.Millisecond {
					t.Errorf("took %v of 700 ms, context %v", d, ctx.Err())
				}
			})
		})
	}
}

func TestCompleteEndedContext(t *testing.T) {
	for name, effects := range map[string]dispatch.Effects{"plain": nil, "with effects": fiveEffects()} {
		t.Run("complete/context cancelled, "+name+" → unknown", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			store := newStore(t, clientOf("http://127.0.0.1", newWire(t, nil, func(r *http.Request, n http.RoundTripper) (*http.Response, error) {
				cancel()
				return hang(r, n)
			}), false), "tollgate")
			if got, err := store.Complete(ctx, someClaim(), idempotency.Applied, effects, now); !errors.Is(err, idempotency.ErrUnknown) {
				t.Errorf("complete = %+v, %v", got, err)
			}
		})
	}
}

func TestErrorsQuoteNoPayload(t *testing.T) {
	secret := strings.Repeat("x", maxText) + "payload"
	store, _ := scripted(t, failWithMessage(400, "ValidationException", secret))
	got, err := store.Complete(t.Context(), someClaim(), idempotency.Applied, nil, now)
	if err != nil || got.Verdict != idempotency.Rejected || strings.Contains(got.Err.Error(), "payload") {
		t.Errorf("complete = %+v, %v", got, err)
	}
	if !strings.Contains(got.Err.Error(), "ValidationException: xxx") {
		t.Errorf("error %q does not name the service's", got.Err)
	}
}
