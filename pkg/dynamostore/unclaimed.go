package dynamostore

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
)

// The writes of a run without a claim: Put of EVT#<id>, alone or as [0] of a transaction with
// the event's effects; refused with ALL_OLD. The record has the form that a claim with its
// completion or failure leaves.
//
// They hold only while there is no record. Anything wider, such as a failed record or one
// whose lease is over, would let a run that began before another attempt commit after it.
const unclaimedWhen = "attribute_not_exists(pk)"

// doneAtOnce is the completion of a run without a claim.
func (s *writer) doneAtOnce(c *idempotency.Claim, outcome idempotency.Outcome, keys []string, now time.Time) *types.Put {
	record := item{
		"st": str(string(idempotency.Done)), "done_at": millis(now), "upd": millis(now),
		"outcome": str(string(outcome)), "exp": num(now.Add(s.ttl).Unix()),
	}
	if len(keys) > 0 {
		record["fx"] = strs(keys)
	}
	return s.unclaimed(c, record)
}

// failedAtOnce is the failure of a run without a claim.
func (s *writer) failedAtOnce(c *idempotency.Claim, f idempotency.Failure) *types.Put {
	record := item{
		"st": str(string(idempotency.Failed)), "upd": millis(f.Now), "open": str(idempotency.Shard(c.EventID)),
		"fails": num(1), "err": str(bounded(f.Err)), "rc_left": num(int64(max(f.ReceivesLeft, 0))),
		"hist": historyString(c.Failed(f)),
	}
	if f.Reason != "" {
		record["reason"] = str(bounded(f.Reason))
	}
	return s.unclaimed(c, record)
}

// unclaimed adds what a claim would have written.
func (s *writer) unclaimed(c *idempotency.Claim, record item) *types.Put {
	e := c.Unclaimed.Event
	record["pk"] = str(idempotency.Key(c.EventID))
	record["att"], record["gen"], record["own"] = num(c.Attempt), num(c.Generation), str(c.Owner)
	record["ident"], record["etype"], record["created"] = str(idempotency.Identity(e)), str(e.Type), num(e.Created)
	record["src"], record["first_at"] = str(string(e.Source)), millis(c.FirstAt)
	return &types.Put{
		TableName: &s.table, Item: record, ConditionExpression: aws.String(unclaimedWhen),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// insert sends one put of a record until DynamoDB accepts or refuses it.
func (s *writer) insert(ctx context.Context, p *types.Put) *fault {
	in := &dynamodb.PutItemInput{
		TableName: p.TableName, Item: p.Item, ConditionExpression: p.ConditionExpression,
		ReturnValuesOnConditionCheckFailure: p.ReturnValuesOnConditionCheckFailure,
	}
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.client.PutItem(ctx, in)
		return err
	})
}
