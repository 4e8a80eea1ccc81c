package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// kind is what an error of the service means for a write.
type kind string

const (
	refused   kind = "refused"   // its condition does not hold; old is what was there
	cancelled kind = "cancelled" // a transaction was not applied, for the reasons given
	conflict  kind = "conflict"  // not applied: another transaction has the item, or the same one still runs
	throttled kind = "throttled" // not applied: too much at once
	denied    kind = "denied"    // not applied: no access, or no such table
	rejected  kind = "rejected"  // not applied, and never will be in this form
	lost      kind = "lost"      // anything else: it may have been applied, now or later
)

// fault is an error of the service. Its text has at most maxText bytes of the service's
// message, which may quote values.
type fault struct {
	kind    kind
	text    string
	old     item
	reasons []types.CancellationReason
}

// maxText bounds what is kept of a message of the service, in bytes.
const maxText = 200

// transient reports whether the same bytes are worth another try.
func (f *fault) transient() bool { return f.kind == conflict || f.kind == throttled || f.kind == lost }

// down is the error for a write that was not made, or may not have been.
func (f *fault) down(verb string) error {
	if f.kind == throttled {
		return fmt.Errorf("%w: %w: %s: %s", idempotency.ErrStoreDown, idempotency.ErrThrottled, verb, f.text)
	}
	return storeDown(verb, f.text)
}

// record returns the record that refused a write for an event, nil when there was none.
func (f *fault) record(verb, eventID string) (*idempotency.Record, error) {
	old := decodeRow(f.old)
	if old != nil && old.ID != eventID {
		return nil, storeDown(verb, "the answer is about another item")
	}
	return old, nil
}

// faultOf reads an error of the SDK.
func faultOf(err error) *fault {
	if e, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return &fault{kind: refused, text: e.ErrorCode(), old: e.Item}
	}
	if e, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		f := &fault{kind: cancelled, text: e.ErrorCode(), reasons: e.CancellationReasons}
		if onlyContention(e.CancellationReasons) {
			f.kind = conflict
		}
		return f
	}
	f := &fault{kind: lost, text: limits.Cut(textOf(err), maxText)}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		f.kind = kindOfCode(e.ErrorCode())
		f.text = e.ErrorCode() + ": " + limits.Cut(e.ErrorMessage(), maxText)
	}
	_, neverSent := errors.AsType[*smithy.SerializationError](err)
	answer, answered := errors.AsType[*smithyhttp.ResponseError](err)
	if neverSent || answered && answer.HTTPStatusCode() == http.StatusRequestEntityTooLarge {
		f.kind = rejected
	}
	return f
}

// textOf returns the cause of an error that is not the service's: in the SDK's text it comes
// last, and would be cut.
func textOf(err error) string {
	if errors.Is(err, context.Canceled) {
		return context.Canceled.Error()
	}
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return "no answer from DynamoDB: " + e.Err.Error()
	}
	return err.Error()
}

// kindOfCode maps an error code. An unknown code is lost: whether the write was applied is
// unknown.
func kindOfCode(code string) kind {
	switch code {
	case "TransactionConflictException", "TransactionInProgressException":
		return conflict
	case "ThrottlingException", "Throttling", "ProvisionedThroughputExceededException", "RequestLimitExceeded":
		return throttled
	case "AccessDeniedException", "ResourceNotFoundException", "TableNotFoundException",
		"UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException",
		"MissingAuthenticationTokenException", "MissingAuthenticationToken",
		"ExpiredTokenException", "ExpiredToken", "OptInRequired":
		return denied
	case "ValidationException", "ItemCollectionSizeLimitExceededException",
		"IdempotentParameterMismatchException", "DuplicateItemException",
		"SerializationException":
		return rejected
	default:
		return lost
	}
}

// Codes of the reasons for which a transaction is cancelled.
const (
	reasonNone      = "None"
	reasonCondition = "ConditionalCheckFailed"
)

// onlyContention reports whether a transaction failed for conflicts or throttling alone.
func onlyContention(reasons []types.CancellationReason) bool {
	some := false
	for _, r := range reasons {
		switch codeOf(r) {
		case reasonNone:
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			some = true
		default:
			return false
		}
	}
	return some
}

// rejects reports whether a retry of the same item cannot succeed.
func rejects(r types.CancellationReason) bool {
	return slices.Contains([]string{"ValidationError", "ItemCollectionSizeLimitExceeded", "DuplicateItem"}, codeOf(r))
}

func codeOf(r types.CancellationReason) string { return cmp.Or(aws.ToString(r.Code), reasonNone) }
