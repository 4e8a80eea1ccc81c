package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency"
)

// The list of open records: Query of one partition of open-upd, the newest first.
//
// Inputs: :shard; :since in ms.
const openQuery = "#open=:shard AND upd >= :since"

// listIndex merges the partitions of the index.
func (r *Reader) listIndex(ctx context.Context, req ListRequest) (page Page, err error) {
	shards := make([]string, idempotency.Shards)
	for i := range shards {
		shards[i] = idempotency.ShardName(uint32(i))
	}
	newest := merge{
		read: func(p *partition) (*dynamodb.QueryOutput, error) {
			if page.Read >= req.MaxRead {
				return nil, nil
			}
			// No partition may use up what the others need for their first record.
			items := min(pageItems, req.Limit, req.MaxRead/idempotency.Shards, req.MaxRead-page.Read)
			out, err := r.queryOpen(ctx, req, p, items)
			if err != nil {
				return nil, readError("list records of index "+OpenIndex, err)
			}
			page.Read += len(out.Items)
			return out, nil
		},
		keep:   func(row item) bool { return req.Matches(*decodeRow(row)) },
		before: func(a, b position) bool { return a.Updated > b.Updated },
	}
	rows, next, err := newest.take(shards, req.Cursor, req.Limit)
	if err != nil {
		return Page{}, err
	}
	for _, row := range rows {
		page.Records = append(page.Records, *decodeRow(row))
	}
	page.Cursor = next
	return page, nil
}

func (r *Reader) queryOpen(ctx context.Context, req ListRequest, p *partition, items int) (*dynamodb.QueryOutput, error) {
	since := int64(0)
	if !req.Since.IsZero() {
		since = req.Since.UnixMilli()
	}
	q := &dynamodb.QueryInput{
		TableName: &r.table, IndexName: aws.String(OpenIndex), KeyConditionExpression: aws.String(openQuery),
		ExpressionAttributeNames: openName(), ExpressionAttributeValues: item{":shard": str(p.name), ":since": num(since)},
		ScanIndexForward: aws.Bool(false), Limit: aws.Int32(int32(items)),
	}
	if p.start.PK != "" {
		q.ExclusiveStartKey = item{"pk": str(p.start.PK), "open": str(p.name), "upd": num(p.start.Updated)}
	}
	return r.client.Query(ctx, q)
}
