package dynamostore

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// readReasons reads why a transaction was cancelled: one reason for the record and one for
// each effect. The first of these counts: the record was refused; an item can never be
// written; a swap, then a check was refused. Otherwise inserts of known facts were refused:
// they are dropped, even if another item was contended, and the rest is to be committed at
// once; the result then has no verdict.
func readReasons(c *idempotency.Claim, effects dispatch.Effects, reasons []types.CancellationReason) (result idempotency.CompleteResult, rest dispatch.Effects, err error) {
	if len(reasons) != len(effects)+1 {
		return result, nil, unknown(fmt.Sprintf("transaction of %d items cancelled with %d reasons", len(effects)+1, len(reasons)))
	}
	if codeOf(reasons[0]) == reasonCondition {
		result, err = readComplete(c, reasons[0].Item)
		return result, nil, err
	}
	for i, r := range reasons {
		if rejects(r) {
			err := fmt.Errorf("commit effects: item %d of the transaction: %s: %s", i, codeOf(r), limits.Cut(aws.ToString(r.Message), maxText))
			return idempotency.CompleteResult{Verdict: idempotency.Rejected, Err: err}, nil, nil
		}
	}
	if _, found := firstRefused(dispatch.KindSwap, effects, reasons); found {
		return idempotency.CompleteResult{Verdict: idempotency.SwapRefused}, nil, nil
	}
	if e, found := firstRefused(dispatch.KindCheck, effects, reasons); found {
		return idempotency.CompleteResult{Verdict: idempotency.CheckRefused, Err: e.Err}, nil, nil
	}
	for i, e := range effects {
		if codeOf(reasons[i+1]) != reasonCondition {
			rest = append(rest, e)
		}
	}
	if len(rest) == len(effects) {
		return result, nil, unknown("transaction cancelled for " + codes(reasons))
	}
	return result, rest, nil
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

// codes lists the codes of at most ten reasons other than None.
func codes(reasons []types.CancellationReason) string {
	text, n := "", 0
	for i, r := range reasons {
		if codeOf(r) != reasonNone && n < 10 {
			text += fmt.Sprintf("[%d] %s ", i, codeOf(r))
			n++
		}
	}
	return text
}
