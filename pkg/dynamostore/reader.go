package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// ReaderClient is what a reader needs of the SDK's DynamoDB client.
type ReaderClient interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Reader reads records and items. Nothing that it returns may decide whether an event runs:
// only the claim may. It is safe for concurrent use. Its errors are the service's, in text.
type Reader struct {
	client ReaderClient
	table  string
}

// NewReader returns a reader of a table of the shape of [TableSchema].
func NewReader(client ReaderClient, table string) (*Reader, error) {
	if client == nil || table == "" {
		return nil, errNeed
	}
	return &Reader{client: client, table: table}, nil
}

// Get reads an event's record as it is now; false when there is none. A record that
// cannot be read has Broken set.
func (r *Reader) Get(ctx context.Context, eventID string) (idempotency.Record, bool, error) {
	attributes, err := r.get(ctx, idempotency.Key(eventID))
	record := decodeRow(attributes)
	if err != nil || record == nil {
		return idempotency.Record{}, false, err
	}
	return *record, true, nil
}

// Item reads the item under a key as it is now, with its pk; false when there is
// none. Integers are int64, other numbers json.Number, sets lists.
func (r *Reader) Item(ctx context.Context, key string) (map[string]any, bool, error) {
	attributes, err := r.get(ctx, key)
	if err != nil || len(attributes) == 0 {
		return nil, false, err
	}
	return decodeItem(attributes), true, nil
}

func (r *Reader) get(ctx context.Context, pk string) (item, error) {
	out, err := r.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &r.table, Key: keyOf(pk), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, readError("read "+pk, err)
	}
	return out.Item, nil
}

// maxBatchGet is DynamoDB's bound on the items of one BatchGetItem.
const maxBatchGet = 100

// Records returns the records of events, by id; those without one are left out, and one
// that cannot be read has Broken set. One that is done may have been replayed a moment ago: it
// reads eventually consistently, for half the price, and then consistently what is missing or
// not done. It asks again, with pauses, for what the service leaves unread under load.
func (r *Reader) Records(ctx context.Context, eventIDs []string) (map[string]idempotency.Record, error) {
	found := make(map[string]idempotency.Record, len(eventIDs))
	for _, consistent := range []bool{false, true} {
		var ids []string
		for _, id := range eventIDs {
			if record, seen := found[id]; !seen || record.State != idempotency.Done || record.Broken != "" {
				delete(found, id)
				ids = append(ids, id)
			}
		}
		for some := range slices.Chunk(ids, maxBatchGet) {
			if err := r.batch(ctx, some, consistent, found); err != nil {
				return nil, fmt.Errorf("read records: %w", err)
			}
		}
	}
	return found, nil
}

func (r *Reader) batch(ctx context.Context, eventIDs []string, consistent bool, found map[string]idempotency.Record) error {
	keys := make([]item, len(eventIDs))
	for i, id := range eventIDs {
		keys[i] = recordKey(id)
	}
	ask := map[string]types.KeysAndAttributes{r.table: {Keys: keys, ConsistentRead: &consistent}}
	for try := 0; ; try++ {
		out, err := r.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: ask})
		if err != nil {
			return errors.New(faultOf(err).text)
		}
		for _, attributes := range out.Responses[r.table] {
			if record := decodeRow(attributes); record != nil {
				found[record.ID] = *record
			}
		}
		ask = out.UnprocessedKeys
		if len(ask) == 0 {
			return nil
		}
		if try+1 == maxTries || !limits.Pause(ctx, min(firstWait<<try, longestWait), 0, 0.5) {
			return errors.New("the table leaves records unread: too much is read at once")
		}
	}
}

func readError(what string, err error) error {
	return fmt.Errorf("%s: %s", what, faultOf(err).text)
}
