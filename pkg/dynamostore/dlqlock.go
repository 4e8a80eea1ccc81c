package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/redrive"
)

// dlqKey is the item that keeps two operators from working on the dead-letter queue at once.
const dlqKey = "OPS#dlq"

// The operator's claim: PutItem of OPS#dlq, refused with ALL_OLD. It holds when nobody
// has the claim, when it is over, and for its own owner, who renews it so, or whose
// first answer was lost.
//
// Inputs: :own random, one for each piece of work; :now in ms.
const dlqClaimWhen = "attribute_not_exists(pk) OR lease < :now OR own=:own"

// Its end: UpdateItem of OPS#dlq for the owner alone. The item stays and tells who was last.
const (
	dlqReleaseSet  = "SET lease=:zero"
	dlqReleaseWhen = "own=:own"
)

// LockDLQ takes or renews the claim on the dead-letter queue; another's is a *redrive.LockedError.
func (o *Operator) LockDLQ(ctx context.Context, c redrive.Lock, now time.Time) error {
	_, err := o.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &o.table,
		Item: item{
			"pk": str(dlqKey), "own": str(c.Owner), "who": str(bounded(c.By)), "what": str(c.What), "lease": millis(c.Until),
		},
		ConditionExpression:                 aws.String(dlqClaimWhen),
		ExpressionAttributeValues:           item{":own": str(c.Owner), ":now": millis(now)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err == nil {
		return nil
	}
	f := faultOf(err)
	if f.kind != refused {
		return fmt.Errorf("claim dead-letter queue: %s", f.text)
	}
	a := attributeReader{item: f.old}
	held := redrive.Lock{Owner: a.str("own"), By: a.str("who"), What: a.str("what"), Until: a.millis("lease")}
	if a.err != nil {
		return fmt.Errorf("claim dead-letter queue: %w", a.err)
	}
	return &redrive.LockedError{Lock: held}
}

// UnlockDLQ ends the owner's claim; nothing happens when another has it.
func (o *Operator) UnlockDLQ(ctx context.Context, owner string) error {
	_, err := o.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &o.table,
		Key:                       keyOf(dlqKey),
		UpdateExpression:          aws.String(dlqReleaseSet),
		ConditionExpression:       aws.String(dlqReleaseWhen),
		ExpressionAttributeValues: item{":own": str(owner), ":zero": num(0)},
	})
	if err == nil {
		return nil
	}
	if f := faultOf(err); f.kind != refused {
		return fmt.Errorf("release dead-letter queue: %s", f.text)
	}
	return nil
}
