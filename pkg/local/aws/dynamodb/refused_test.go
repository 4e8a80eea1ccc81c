package dynamodb

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestLegacyParametersAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	key := attrs{"pk": str("x")}
	exists := map[string]types.ExpectedAttributeValue{"a": {Exists: aws.Bool(false)}}
	cond := map[string]types.Condition{"pk": {ComparisonOperator: "EQ", AttributeValueList: []av{str("x")}}}
	name := aws.String("things")
	calls := map[string]func() error{
		"Expected": func() error {
			return errOf(s.PutItem(context.Background(), &sdk.PutItemInput{TableName: name, Item: key, Expected: exists}))
		},
		"AttributeUpdates": func() error {
			return errOf(s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: name, Key: key, AttributeUpdates: map[string]types.AttributeValueUpdate{"a": {Value: str("x")}}}))
		},
		"KeyConditions": func() error {
			return errOf(s.Query(context.Background(), &sdk.QueryInput{TableName: name, KeyConditions: cond}))
		},
		"QueryFilter": func() error {
			return errOf(s.Query(context.Background(), &sdk.QueryInput{TableName: name, QueryFilter: cond}))
		},
		"ScanFilter": func() error {
			return errOf(s.Scan(context.Background(), &sdk.ScanInput{TableName: name, ScanFilter: cond}))
		},
		"ConditionalOperator": func() error {
			return errOf(s.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: name, Key: key, ConditionalOperator: "AND"}))
		},
		"AttributesToGet": func() error {
			return errOf(s.GetItem(context.Background(), &sdk.GetItemInput{TableName: name, Key: key, AttributesToGet: []string{"a"}}))
		},
		"LocalSecondaryIndexes": func() error {
			return errOf(s.CreateTable(context.Background(), &sdk.CreateTableInput{TableName: aws.String("other"), BillingMode: "PAY_PER_REQUEST",
				AttributeDefinitions:  []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: "S"}},
				KeySchema:             []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}},
				LocalSecondaryIndexes: []types.LocalSecondaryIndex{{IndexName: aws.String("lsi"), KeySchema: []types.KeySchemaElement{}, Projection: &types.Projection{}}}}))
		},
	}
	for member, call := range calls {
		t.Run(member, func(t *testing.T) {
			wantError(t, call(), fmt.Sprintf("ValidationException: the member %q is not supported by this embedded DynamoDB", member))
		})
	}
	_, err := s.db.Service().Operations["PutItem"](context.Background(), []byte(`{"TableName":"things","Item":{"pk":{"S":"x"}},"Surprise":1}`))
	wantError(t, err, "not an AWS error: ValidationException: the member \"Surprise\" is not supported by this embedded DynamoDB")
}
