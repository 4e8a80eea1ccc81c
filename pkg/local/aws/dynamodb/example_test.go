package dynamodb_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := dynamodb.Open(filepath.Join(dir, "tables.db"), dynamodb.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	server := httptest.NewServer(awsjson.Handler(db.Service()))
	defer server.Close()

	client := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	ctx, table := context.Background(), aws.String("counters")
	_, err = client.CreateTable(ctx, &sdk.CreateTableInput{TableName: table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}}})
	if err != nil {
		panic(err)
	}
	for range 3 {
		out, err := client.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: table,
			Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "visits"}},
			UpdateExpression:          aws.String("SET n = if_not_exists(n, :zero) + :one"),
			ConditionExpression:       aws.String("attribute_not_exists(n) OR n < :two"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":zero": number("0"), ":one": number("1"), ":two": number("2")},
			ReturnValues:              types.ReturnValueAllNew})
		if err != nil {
			fmt.Println("refused")
			continue
		}
		fmt.Println(out.Attributes["n"].(*types.AttributeValueMemberN).Value)
	}
	// Output:
	// 1
	// 2
	// refused
}

func number(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }
