package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency"
)

// maxNotDead is how many records of a partition OldestDead reads to find a dead one.
const maxNotDead = 2500

// The oldest dead record: Query of one partition of open-upd, the oldest first, until one is dead.
//
// Inputs: :shard; :since and :until in ms.
const deadQuery = "#open=:shard AND upd BETWEEN :since AND :until"

// OldestDead returns the last change of the dead event that has not changed for longest, of those
// changed between two times; zero: none. An event whose message still waits changes at every
// receive, so that an until before the longest wait leaves dead and purged events to read. Too many
// of these are an error. The index lags a moment behind the table.
func (r *Reader) OldestDead(ctx context.Context, since, until time.Time) (oldest time.Time, err error) {
	for shard := range idempotency.Shards {
		q := &dynamodb.QueryInput{
			TableName: &r.table, IndexName: aws.String(OpenIndex), KeyConditionExpression: aws.String(deadQuery),
			ExpressionAttributeNames: openName(), ExpressionAttributeValues: item{
				":shard": str(idempotency.ShardName(uint32(shard))), ":since": millis(since), ":until": millis(until),
			},
			Limit: aws.Int32(pageItems),
		}
		read := 0
		err := r.each(ctx, q, func(row item) bool {
			rec := decodeRow(row)
			dead := Dead.includes(*rec)
			if dead && (oldest.IsZero() || rec.Updated.Before(oldest)) {
				oldest = rec.Updated
			}
			read++
			return !dead && read < maxNotDead
		})
		if err != nil {
			return time.Time{}, err
		}
		if read == maxNotDead {
			return time.Time{}, fmt.Errorf("the oldest %d open records of partition %d are not dead: list them with tollgate events list", maxNotDead, shard)
		}
	}
	return oldest, nil
}
