package dynamostore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// Erasing an item without a version, a fact or a message: UpdateItem that removes what
// dispatch.Anonymize removes. Its key, its amounts and its expiry stay. It holds for an item that
// is there, and may be repeated.
const (
	eraseSet  = "SET #erased=:true"
	eraseWhen = "attribute_exists(pk)"
)

// Erase removes what leads to a person from a group of items, the last of which leads to the
// others and is changed last. Those with a version change together, under the condition that none
// has changed since it was read, and get the next one: a running handler that has read the old one
// runs again. It is false if one has changed: read the group again.
func (o *Operator) Erase(ctx context.Context, customer string, group []map[string]any) (done bool, err error) {
	var swaps dispatch.Effects
	var leader map[string]any
	next := int64(0)
	for i, it := range group {
		ver, versioned := it["ver"].(int64)
		switch {
		case versioned:
			fields := dispatch.Anonymize(it, customer)
			delete(fields, "pk")
			delete(fields, "ver")
			key, _ := it["pk"].(string)
			swaps, next = append(swaps, dispatch.Swap(key, ver, fields)), max(next, ver+1)
		case i == len(group)-1:
			leader = it
		default:
			if err := o.eraseItem(ctx, customer, it); err != nil {
				return false, err
			}
		}
	}
	if len(swaps) > 0 {
		if done, err := o.Mend(ctx, swaps, next); err != nil || !done {
			return false, err
		}
	}
	if leader == nil {
		return true, nil
	}
	return true, o.eraseItem(ctx, customer, leader)
}

func (o *Operator) eraseItem(ctx context.Context, customer string, it map[string]any) error {
	key, _ := it["pk"].(string)
	left := dispatch.Anonymize(it, customer)
	names, removed := map[string]string{"#erased": dispatch.Erased}, []string{}
	for _, name := range slices.Sorted(maps.Keys(it)) {
		if _, stays := left[name]; !stays {
			placeholder := fmt.Sprintf("#n%d", len(removed))
			names[placeholder], removed = name, append(removed, placeholder)
		}
	}
	expression := eraseSet
	if len(removed) > 0 {
		expression += " REMOVE " + strings.Join(removed, ", ")
	}
	return o.empty(ctx, "erase "+key, key, expression, eraseWhen, names, item{":true": &types.AttributeValueMemberBOOL{Value: true}})
}

// EraseRecord removes the last error of an event's record: it may quote what was refused.
func (o *Operator) EraseRecord(ctx context.Context, eventID string) error {
	return o.empty(ctx, "erase error of "+eventID, idempotency.Key(eventID), "REMOVE err", "attribute_exists(err)", nil, nil)
}

// EraseDelivery removes the attempts of a delivery, with what its receiver answered.
func (o *Operator) EraseDelivery(ctx context.Context, j delivery.Job) error {
	key := deliveryKey(j)
	return o.empty(ctx, "erase "+key, key, "REMOVE hist", "attribute_exists(hist)", nil, nil)
}

// empty updates an item; one that is not there, or has nothing to remove, is left.
func (o *Operator) empty(ctx context.Context, what, key, expression, when string, names map[string]string, values item) error {
	_, err := o.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &o.table, Key: keyOf(key), UpdateExpression: &expression, ConditionExpression: aws.String(when),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	_, err = refusal(what, err)
	return err
}

// The items that name a customer: Scan of the table, their keys only. Attributes that handlers and
// forwarded events have for it.
//
// Input: :id, the customer's.
const (
	naming      = "customer=:id OR #to=:id OR #object=:id"
	namingField = "pk"
)

// Naming returns the keys of all items that name a customer: also those that are in no list, such as
// the messages of forwarded events. It reads the whole table, eventually consistent, and counts the
// items that it has read.
func (r *Reader) Naming(ctx context.Context, customer string, count func(read int)) (keys []string, err error) {
	in := &dynamodb.ScanInput{
		TableName: &r.table, FilterExpression: aws.String(naming), ProjectionExpression: aws.String(namingField),
		ExpressionAttributeNames: map[string]string{"#to": "to", "#object": "object"}, ExpressionAttributeValues: item{":id": str(customer)},
	}
	for {
		out, err := r.client.Scan(ctx, in)
		if err != nil {
			return nil, readError("scan for customer", err)
		}
		count(int(out.ScannedCount))
		for _, row := range out.Items {
			a := attributeReader{item: row}
			keys = append(keys, a.str("pk"))
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return keys, nil
		}
	}
}
