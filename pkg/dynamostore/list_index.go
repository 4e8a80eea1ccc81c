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

// shardReader reads one partition of the index, a page at a time.
type shardReader struct {
	shard string
	at    position             // behind the last record that was taken or passed over
	next  []idempotency.Record // read and not yet taken
	start position             // where the next query starts
}

// listIndex merges the partitions of the index.
func (r *Reader) listIndex(ctx context.Context, req ListRequest) (Page, error) {
	from, err := positionsOf(req.Cursor, idempotency.Shards)
	if err != nil {
		return Page{}, err
	}
	shards := make([]*shardReader, idempotency.Shards)
	for i := range shards {
		shards[i] = &shardReader{shard: idempotency.ShardName(uint32(i)), at: from[i], start: from[i]}
	}
	var page Page
	for len(page.Records) < req.Limit {
		if full, err := r.fill(ctx, req, shards, &page); err != nil {
			return Page{}, err
		} else if !full {
			break
		}
		s := newest(shards)
		if s == nil {
			break
		}
		page.Records = append(page.Records, s.take())
	}
	to := make(cursor, len(shards))
	for i, s := range shards {
		to[i] = s.at
	}
	page.Cursor = to.encode()
	return page, nil
}

// fill reads on in every partition that has no record at hand. It reports false when
// the bound on reads was met before: then nobody knows which record is the newest.
func (r *Reader) fill(ctx context.Context, req ListRequest, shards []*shardReader, page *Page) (bool, error) {
	for _, s := range shards {
		for len(s.next) == 0 && !s.at.End {
			if s.start.End {
				s.at.End = true
				break
			}
			if page.Read >= req.MaxRead {
				return false, nil
			}
			// No partition may use up what the others need for their first record.
			items := min(pageItems, req.Limit, req.MaxRead/idempotency.Shards, req.MaxRead-page.Read)
			read, err := r.query(ctx, req, s, items)
			page.Read += read
			if err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// query reads one page of a partition.
func (r *Reader) query(ctx context.Context, req ListRequest, s *shardReader, items int) (read int, err error) {
	since := int64(0)
	if !req.Since.IsZero() {
		since = req.Since.UnixMilli()
	}
	out, err := r.client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &r.table,
		IndexName:                 aws.String(OpenIndex),
		KeyConditionExpression:    aws.String(openQuery),
		ExpressionAttributeNames:  openName(),
		ExpressionAttributeValues: item{":shard": str(s.shard), ":since": num(since)},
		ExclusiveStartKey:         s.start.indexKey(s.shard),
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(int32(items)),
	})
	if err != nil {
		return 0, readError("list records of index "+OpenIndex, err)
	}
	for _, attributes := range out.Items {
		record := decodeRow(attributes)
		s.start = positionOf(*record)
		if req.matches(*record) {
			s.next = append(s.next, *record)
		} else if len(s.next) == 0 {
			s.at = s.start
		}
	}
	if len(out.LastEvaluatedKey) == 0 || len(out.Items) == 0 {
		s.start.End = true
	}
	return len(out.Items), nil
}

// newest returns the partition whose record at hand changed last, nil when all are at
// their end. Ties go by the lower partition.
func newest(shards []*shardReader) *shardReader {
	var best *shardReader
	for _, s := range shards {
		if len(s.next) > 0 && (best == nil || s.next[0].Updated.After(best.next[0].Updated)) {
			best = s
		}
	}
	return best
}

func (s *shardReader) take() idempotency.Record {
	r := s.next[0]
	s.next = s.next[1:]
	s.at = positionOf(r)
	if len(s.next) == 0 {
		s.at = s.start // what was read behind r did not match
	}
	return r
}
