package dynamostore

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency"
)

// ReaderClient is what a reader needs of the SDK's DynamoDB client.
type ReaderClient interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Reader shows records and items to operators. It writes nothing, and nothing that it
// returns may decide whether an event runs: that is for the claim alone. It is safe
// for concurrent use. Its errors are the service's, in text.
type Reader struct {
	client ReaderClient
	table  string
}

// NewReader returns a reader of a table of the shape of [TableSchema].
func NewReader(client ReaderClient, table string) (*Reader, error) {
	if err := need(client != nil, table); err != nil {
		return nil, err
	}
	return &Reader{client: client, table: table}, nil
}

// Get reads an event's record as it is now; false when there is none. A record that
// cannot be read has Broken set.
func (r *Reader) Get(ctx context.Context, eventID string) (idempotency.Record, bool, error) {
	attributes, err := r.get(ctx, idempotency.Key(eventID))
	if err != nil {
		return idempotency.Record{}, false, err
	}
	record := decodeRow(attributes)
	if record == nil {
		return idempotency.Record{}, false, nil
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

func readError(what string, err error) error {
	return fmt.Errorf("%s: %s", what, faultOf(err).text)
}
