package dynamostore

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// reading is the result of a cancelled transaction: a result, an error, or the rest of the
// effects to commit at once.
type reading struct {
	result idempotency.CompleteResult
	err    error
	again  bool
	rest   dispatch.Effects
}

// readReasons reads why a transaction was cancelled: one reason for the record and one for
// each effect. The first of these counts: the record was refused; an item can never be
// written; a swap, then a check was refused. Otherwise inserts of known facts were refused:
// they are dropped, even if another item was contended.
func readReasons(c *idempotency.Claim, effects dispatch.Effects, reasons []types.CancellationReason) reading {
	if len(reasons) != len(effects)+1 {
		return reading{err: unknown(fmt.Sprintf("transaction of %d items cancelled with %d reasons", len(effects)+1, len(reasons)))}
	}
	if codeOf(reasons[0]) == reasonCondition {
		result, err := readComplete(c, reasons[0].Item)
		return reading{result: result, err: err}
	}
	for i, r := range reasons {
		if rejects(r) {
			err := fmt.Errorf("commit effects: item %d of the transaction: %s: %s", i, codeOf(r), messageOf(r))
			return reading{result: idempotency.CompleteResult{Verdict: idempotency.Rejected, Err: err}}
		}
	}
	if _, found := firstRefused(dispatch.KindSwap, effects, reasons); found {
		return reading{result: idempotency.CompleteResult{Verdict: idempotency.SwapRefused}}
	}
	if e, found := firstRefused(dispatch.KindCheck, effects, reasons); found {
		return reading{result: idempotency.CompleteResult{Verdict: idempotency.CheckRefused, Err: e.Err}}
	}
	rest := withoutRefused(effects, reasons)
	if len(rest) == len(effects) {
		return reading{err: unknown("transaction cancelled for " + codes(reasons))}
	}
	return reading{again: true, rest: rest}
}

// firstRefused returns the first effect of a kind whose condition does not hold.
func firstRefused(k dispatch.Kind, effects dispatch.Effects, reasons []types.CancellationReason) (dispatch.Effect, bool) {
	for i, e := range effects {
		if e.Kind == k && codeOf(reasons[i+1]) == reasonCondition {
			return e, true
		}
	}
	return dispatch.Effect{}, false
}

// withoutRefused returns the effects whose conditions were not refused.
func withoutRefused(effects dispatch.Effects, reasons []types.CancellationReason) dispatch.Effects {
	var rest dispatch.Effects
	for i, e := range effects {
		if codeOf(reasons[i+1]) != reasonCondition {
			rest = append(rest, e)
		}
	}
	return rest
}

// codes lists the codes of at most ten reasons other than None.
func codes(reasons []types.CancellationReason) string {
	var text string
	n := 0
	for i, r := range reasons {
		if codeOf(r) == reasonNone || n == 10 {
			continue
		}
		n++
		text += fmt.Sprintf("[%d] %s ", i, codeOf(r))
	}
	return text
}
