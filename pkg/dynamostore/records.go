package dynamostore

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
)

// maxBatchGet is DynamoDB's bound on the items of one BatchGetItem.
const maxBatchGet = 100

// RecordsClient is what [Records] needs of the SDK's DynamoDB client.
type RecordsClient interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
}

// Records reads many records at once, consistently. It is safe for concurrent use. Its
// errors are the service's, in text.
type Records struct {
	client RecordsClient
	table  string
	pauses *Store // whose waits between two tries serve here too
}

// NewRecords reads a table of the shape of [TableSchema].
func NewRecords(client RecordsClient, table string) (*Records, error) {
	if err := need(client != nil, table); err != nil {
		return nil, err
	}
	return &Records{client: client, table: table, pauses: &Store{random: func() float64 { return 0.5 }}}, nil
}

// Records returns the records of events, by id; those without one are left out, and one
// that cannot be read has Broken set. What the
// service leaves unread under load is asked for again, with pauses.
func (r *Records) Records(ctx context.Context, eventIDs []string) (map[string]idempotency.Record, error) {
	found := make(map[string]idempotency.Record, len(eventIDs))
	for start := 0; start < len(eventIDs); start += maxBatchGet {
		if err := r.batch(ctx, eventIDs[start:min(start+maxBatchGet, len(eventIDs))], found); err != nil {
			return nil, fmt.Errorf("read records: %w", err)
		}
	}
	return found, nil
}

func (r *Records) batch(ctx context.Context, eventIDs []string, found map[string]idempotency.Record) error {
	keys := make([]item, len(eventIDs))
	for i, id := range eventIDs {
		keys[i] = recordKey(id)
	}
	ask := map[string]types.KeysAndAttributes{r.table: {Keys: keys, ConsistentRead: aws.Bool(true)}}
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
		if try+1 == maxTries || !r.pauses.pause(ctx, min(firstWait<<try, longestWait)) {
			return errors.New("the table leaves records unread: too much is read at once")
		}
	}
}
