package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// The fence, in front of every write of an attempt after its claim: the record is still
// running, by this attempt and this owner. The attempt number rises with every claim, so a
// superseded attempt, or one whose event was done and replayed since, cannot change
// anything, whatever the clocks show.
//
// Inputs: :running, :att and :own of the claim.
const fence = "st=:running AND att=:att AND own=:own"

// The completion: UpdateItem of EVT#<id>, or [0] of a transaction with the event's
// effects; refused with ALL_OLD. It holds while the fence does.
//
// Inputs: :now in ms; :outcome; :exp in s, after which the table may forget the
// record; :fx the keys of the items written in the same transaction, if any. Leaving
// the index costs one write only where the record was in it.
const (
	completeSet     = "SET st=:done, done_at=:now, upd=:now, outcome=:outcome, exp=:exp"
	completeEffects = ", fx=:fx"
	completeRemove  = " REMOVE lease, #open, rc_left, reason, hist, purged, purge_by"

	completePlain   = completeSet + completeRemove
	completeWriting = completeSet + completeEffects + completeRemove
)

// Complete makes the record done and commits the effects with it: all or nothing.
//
// Inserts whose items are there already are dropped and the rest is committed at once; when
// nothing remains to be written the outcome is Stale, and remaining checks still have to
// hold. The record keeps the keys of the items that were written. Every error wraps
// idempotency.ErrStoreDown (not applied) or idempotency.ErrUnknown (may have been applied,
// now or later). The completion of a run without a claim puts the record; see unclaimed.go.
func (s *Store) Complete(ctx context.Context, c *idempotency.Claim, outcome idempotency.Outcome,
	effects dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	if err := effects.Validate(); err != nil {
		return idempotency.CompleteResult{Verdict: idempotency.Rejected, Err: err}, nil
	}
	for { // every further round has fewer effects
		f := s.commit(ctx, c, outcome, effects, now)
		switch {
		case f == nil:
			return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: outcome, Written: writtenKeys(effects)}, nil
		case f.kind == refused:
			return readComplete(c, f.old)
		case f.kind == cancelled:
			result, rest, err := readReasons(c, effects, f.reasons)
			if err != nil || result.Verdict != "" {
				return result, err
			}
			effects = rest
			if len(writtenKeys(effects)) == 0 {
				outcome = idempotency.AlreadyApplied
			}
		case f.kind == rejected:
			return idempotency.CompleteResult{Verdict: idempotency.Rejected, Err: fmt.Errorf("commit effects: %s", f.text)}, nil
		case f.kind == denied:
			return idempotency.CompleteResult{}, storeDown("complete", f.text)
		default:
			return idempotency.CompleteResult{}, unknown(f.text)
		}
	}
}

// commit sends one completion until DynamoDB accepts or refuses it: as a transaction when
// there are effects. The request is built once, so that every try has the same bytes.
func (s *writer) commit(ctx context.Context, c *idempotency.Claim, outcome idempotency.Outcome,
	effects dispatch.Effects, now time.Time) *fault {
	record := s.completion(c, outcome, effects, now)
	if len(effects) == 0 {
		return s.write(ctx, record)
	}
	items, err := s.transactItems(effects, now)
	if err != nil {
		return &fault{kind: rejected, text: err.Error()}
	}
	in := &dynamodb.TransactWriteItemsInput{
		ClientRequestToken: aws.String(c.NextToken()),
		TransactItems:      append([]types.TransactWriteItem{record}, items...),
	}
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.client.TransactWriteItems(ctx, in)
		return err
	})
}

func (s *writer) completion(c *idempotency.Claim, outcome idempotency.Outcome, effects dispatch.Effects, now time.Time) types.TransactWriteItem {
	keys := writtenKeys(effects)
	if c.Unclaimed != nil {
		return types.TransactWriteItem{Put: s.doneAtOnce(c, outcome, keys, now)}
	}
	u := s.fenced(c, completePlain, item{
		":done": str(string(idempotency.Done)), ":now": millis(now),
		":outcome": str(string(outcome)), ":exp": num(now.Add(s.ttl).Unix()),
	})
	u.ExpressionAttributeNames = openName()
	if len(keys) > 0 {
		u.UpdateExpression = aws.String(completeWriting)
		u.ExpressionAttributeValues[":fx"] = strs(keys)
	}
	return types.TransactWriteItem{Update: u}
}

// fenced returns an update of a claim's record behind the fence.
func (s *writer) fenced(c *idempotency.Claim, expression string, values item) *types.Update {
	values[":running"], values[":att"], values[":own"] = str(string(idempotency.Running)), num(c.Attempt), str(c.Owner)
	return &types.Update{
		TableName: &s.table, Key: recordKey(c.EventID), UpdateExpression: &expression, ConditionExpression: aws.String(fence),
		ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// write sends one write of a record until DynamoDB accepts or refuses it.
func (s *writer) write(ctx context.Context, record types.TransactWriteItem) *fault {
	if record.Put != nil {
		return s.insert(ctx, record.Put)
	}
	return s.update(ctx, record.Update)
}

func (s *writer) update(ctx context.Context, u *types.Update) *fault {
	in := &dynamodb.UpdateItemInput{
		TableName: u.TableName, Key: u.Key, UpdateExpression: u.UpdateExpression, ConditionExpression: u.ConditionExpression,
		ExpressionAttributeNames: u.ExpressionAttributeNames, ExpressionAttributeValues: u.ExpressionAttributeValues,
		ReturnValuesOnConditionCheckFailure: u.ReturnValuesOnConditionCheckFailure,
	}
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.client.UpdateItem(ctx, in)
		return err
	})
}

// readComplete reads the record that refused a completion.
func readComplete(c *idempotency.Claim, attributes item) (idempotency.CompleteResult, error) {
	old := decodeRow(attributes)
	if old != nil && old.Check() != nil && c.Unclaimed == nil {
		return idempotency.CompleteResult{}, unknown(old.Check().Error())
	}
	return idempotency.ReadCompleteRefusal(c, old), nil
}

func unknown(text string) error {
	return fmt.Errorf("%w: %s", idempotency.ErrUnknown, text)
}
