package dynamostore

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency"
)

// maxOpen bounds the ids that Open keeps in memory, some 10 MB.
const maxOpen = 100_000

// The ids of open records: Query of one partition of open-upd, whole.
//
// Input: :shard.
const (
	openWhole  = "#open=:shard"
	openFields = "pk, created"
)

// Open returns the creation times, in seconds, by id, of the events of the whole index: those
// that were done once or failed, or came a second time, and are not done now; 0 for an unknown
// time. The index lags a moment behind the table. More than maxOpen are an error.
func (r *Reader) Open(ctx context.Context) (map[string]int64, error) {
	open := map[string]int64{}
	for shard := range idempotency.Shards {
		q := &dynamodb.QueryInput{
			TableName: &r.table, IndexName: aws.String(OpenIndex), KeyConditionExpression: aws.String(openWhole),
			ExpressionAttributeNames: openName(), ExpressionAttributeValues: item{":shard": str(idempotency.ShardName(uint32(shard)))},
			ProjectionExpression: aws.String(openFields),
		}
		err := r.each(ctx, q, func(row item) bool {
			pk, created := attributeReader{item: row}, attributeReader{item: row}
			if id, ours := strings.CutPrefix(pk.str("pk"), idempotency.KeyPrefix); ours {
				open[id] = created.num("created", 0)
			}
			return len(open) <= maxOpen
		})
		if err != nil {
			return nil, err
		}
		if len(open) > maxOpen {
			return nil, fmt.Errorf("more than %d records are open", maxOpen)
		}
	}
	return open, nil
}
