package dynamostore

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
)

// Names of the table's two sparse indexes, both of which project all attributes.
const (
	// OpenIndex has hash "open" (S, one of idempotency.Shards names) and range "upd" (N,
	// ms): the records that failed, or came a second time, and are not done.
	OpenIndex = "open-upd"
	// ListIndex has hash "lst" (S) and range "at" (S): what people list. "at" is a
	// string that sorts by time, such as a ULID or an RFC 3339 time in UTC of fixed
	// width, as a number could not tell two entries of one millisecond apart.
	ListIndex = "list"
)

// TableSchema returns the table's definition for local use and tests; on AWS the
// stack makes the same table with recovery and expiry ("exp") switched on.
func TableSchema(name string) *dynamodb.CreateTableInput {
	attribute := func(name string, t types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: t}
	}
	all := &types.Projection{ProjectionType: types.ProjectionTypeAll}
	index := func(name, hash, sort string) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{IndexName: aws.String(name), Projection: all, KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash}, {AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
		}}
	}
	return &dynamodb.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS),
			attribute("open", types.ScalarAttributeTypeS),
			attribute("upd", types.ScalarAttributeTypeN),
			attribute(dispatch.ListName, types.ScalarAttributeTypeS),
			attribute(dispatch.ListOrder, types.ScalarAttributeTypeS),
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			index(OpenIndex, "open", "upd"),
			index(ListIndex, dispatch.ListName, dispatch.ListOrder),
		},
	}
}
