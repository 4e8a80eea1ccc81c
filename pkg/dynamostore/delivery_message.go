package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/dispatch"
)

// An operator's message: PutItem of OUT#…. It is on no list, so only its own jobs send it. It holds
// while its key is free.
const messageFirst = "attribute_not_exists(pk)"

// PutMessage stores an outbox message under a new key, for jobs of its own. It expires as a
// delivery's row does.
func (d *Deliveries) PutMessage(ctx context.Context, key string, fields dispatch.Fields, now time.Time) error {
	it, err := encodeFields(fields)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	it["pk"], it["kind"], it["exp"] = str(key), str("outbox"), num(now.Add(d.rowTTL).Unix())
	it[dispatch.MessageQueued], it[dispatch.ListOrder] = millis(now), str(second(now))
	f := d.retry(ctx, func(ctx context.Context) error {
		_, err := d.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &d.table, Item: it, ConditionExpression: aws.String(messageFirst)})
		return err
	})
	if f != nil && f.kind != refused { // an earlier try whose answer was lost
		return f.down("write message")
	}
	return nil
}
