package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/delivery"
	"tollgate/pkg/limits"
)

// stateKey is the key of a destination's row, which does not expire.
func stateKey(destination string) string { return limits.KeyDestination + destination }

// The state of a destination: PutItem of DST#…, refused with ALL_OLD. It holds while the row has
// the version that the new state is based on, or is not there; see [delivery.Store].
//
// Inputs: :was the version.
const (
	stateFirst = "attribute_not_exists(pk)"
	stateSwap  = "ver=:was"
)

// openUntil is not "open", a key of the index of open records.
const openUntil = "open_until"

// State reads a destination's state.
func (d *Deliveries) State(ctx context.Context, destination string) (delivery.State, error) {
	attributes, err := d.get(ctx, stateKey(destination))
	if err != nil {
		return delivery.State{}, err
	}
	return stateOf(attributes)
}

// SwapState replaces a destination's state.
func (d *Deliveries) SwapState(ctx context.Context, destination string, next delivery.State) (won bool, err error) {
	it := item{"pk": str(stateKey(destination)), "kind": str("destination"), "ver": num(next.Ver + 1), "own": str(next.By)}
	for name, at := range map[string]time.Time{"since": next.Since, "seen": next.Seen, openUntil: next.Open, "off": next.Off, "paused": next.Paused} {
		if !at.IsZero() {
			it[name] = millis(at)
		}
	}
	for name, text := range map[string]string{"why": next.Why, "paused_by": next.PausedBy} {
		if text != "" {
			it[name] = str(text)
		}
	}
	in := &dynamodb.PutItemInput{
		TableName: &d.table, Item: it, ConditionExpression: new(string),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if *in.ConditionExpression = stateFirst; next.Ver > 0 {
		*in.ConditionExpression, in.ExpressionAttributeValues = stateSwap, item{":was": num(next.Ver)}
	}
	f := d.retry(ctx, func(ctx context.Context) error {
		_, err := d.client.PutItem(ctx, in)
		return err
	})
	switch {
	case f == nil:
		return true, nil
	case f.kind != refused:
		return false, f.down("write state of destination")
	}
	old, err := stateOf(f.old)
	return old.Ver == next.Ver+1 && old.By == next.By, err // by an earlier try whose answer was lost
}

func stateOf(attributes item) (delivery.State, error) {
	a := attributeReader{item: attributes}
	s := delivery.State{
		Ver: a.num("ver", 0), Since: a.millis("since"), Seen: a.millis("seen"), Open: a.millis(openUntil), Off: a.millis("off"),
		Why: a.str("why"), By: a.str("own"), Paused: a.millis("paused"), PausedBy: a.str("paused_by"),
	}
	if a.err != nil {
		return delivery.State{}, fmt.Errorf("state of destination: %w", a.err)
	}
	return s, nil
}

// The retry of a delivery that ended without success, or became a dead letter while it waited:
// UpdateItem of DLV#…. Its retries begin anew.
//
// Inputs: :retry, :failed and :disabled, the statuses that it leaves; :now in ms.
const (
	reopenSet  = "SET st=:retry, #next=:now, #first=:now"
	reopenWhen = "st=:retry OR st=:failed OR st=:disabled"
)

// Reopen lets a failed, disabled or waiting delivery be attempted again at once, for an operator's
// redrive. It returns the row's status then, "" without a row: such a delivery needs nothing.
func (d *Deliveries) Reopen(ctx context.Context, j delivery.Job, now time.Time) (delivery.Status, error) {
	expression, when := reopenSet, reopenWhen
	row, refusedBy, err := d.change(ctx, "reopen delivery", &dynamodb.UpdateItemInput{
		TableName: &d.table, Key: keyOf(deliveryKey(j)), UpdateExpression: &expression, ConditionExpression: &when,
		ExpressionAttributeNames: map[string]string{"#first": "first", "#next": "next"},
		ExpressionAttributeValues: item{
			":retry": str(string(delivery.Waiting)), ":failed": str(string(delivery.Failed)), ":disabled": str(string(delivery.Disabled)), ":now": millis(now),
		},
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	switch {
	case err != nil:
		return "", err
	case refusedBy != nil:
		return refusedBy.Status, nil
	}
	return row.Status, nil
}
