package dynamodb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestTableLife(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newServer(t, Options{Now: c.Now})
	ctx := context.Background()
	s.table("things", "pk", "sk", gsi("list", "lpk", ""), keyType("sk", "N"))
	s.put("things", attrs{"pk": str("a"), "sk": num("1"), "x": str("yz")})

	out, err := s.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: aws.String("things")})
	check(t, err)
	d := out.Table
	got := fmt.Sprint(*d.TableName, d.TableStatus, *d.TableArn, *d.ItemCount, *d.TableSizeBytes, d.CreationDateTime.Equal(c.now), d.BillingModeSummary.BillingMode,
		*d.KeySchema[0].AttributeName, d.KeySchema[1].KeyType, len(d.AttributeDefinitions),
		*d.GlobalSecondaryIndexes[0].IndexName, d.GlobalSecondaryIndexes[0].IndexStatus, d.GlobalSecondaryIndexes[0].Projection.ProjectionType, len(d.GlobalSecondaryIndexes[0].KeySchema))
	want := fmt.Sprint("things", "ACTIVE", "arn:aws:dynamodb:us-east-1:000000000000:table/things", 1, 10, true, "PAY_PER_REQUEST", "pk", "RANGE", 3, "list", "ACTIVE", "ALL", 1)
	if got != want {
		t.Errorf("description\n got %s\nwant %s", got, want)
	}
	if _, err := s.GetItem(ctx, &sdk.GetItemInput{TableName: d.TableArn, Key: attrs{"pk": str("a"), "sk": num("1.0")}}); err != nil {
		t.Errorf("table by ARN: %v", err)
	}
	backups, err := s.DescribeContinuousBackups(ctx, &sdk.DescribeContinuousBackupsInput{TableName: aws.String("things")})
	if err != nil || backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != "DISABLED" {
		t.Errorf("backups %v, %v", backups, err)
	}
	if err := sdk.NewTableExistsWaiter(s).Wait(ctx, &sdk.DescribeTableInput{TableName: aws.String("things")}, time.Second); err != nil {
		t.Error(err)
	}
	s.reopen()
	if got := s.get("things", attrs{"pk": str("a"), "sk": num("1")}); got == nil {
		t.Error("the item is gone after a restart")
	}
	deleted, err := s.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: aws.String("things")})
	if err != nil || deleted.TableDescription.TableStatus != "DELETING" {
		t.Errorf("delete: %v, %v", deleted, err)
	}
	_, err = s.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: aws.String("things")})
	wantError(t, err, "ResourceNotFoundException: Requested resource not found: Table: things not found")
	s.table("things", "pk", "")
	if got := s.get("things", attrs{"pk": str("a")}); got != nil {
		t.Errorf("a new table of the same name has %v", got)
	}
}

func TestCreateTableRefusals(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	const bad = "ValidationException: One or more parameter values were invalid: "
	const badKeys = "ValidationException: Invalid KeySchema: it needs a HASH key, at most one RANGE key, and both in AttributeDefinitions"
	tests := []struct {
		name   string
		change func(*sdk.CreateTableInput)
		err    string
	}{
		{"name with a slash", func(in *sdk.CreateTableInput) { in.TableName = aws.String("a/b") },
			"ValidationException: 1 validation error detected: Value 'a/b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		{"range key first", func(in *sdk.CreateTableInput) { in.KeySchema[0].KeyType = "RANGE" }, badKeys},
		{"same key twice", func(in *sdk.CreateTableInput) {
			in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String("pk"), KeyType: "RANGE"})
		}, badKeys},
		{"key of type list", keyType("pk", "L"), "ValidationException: 1 validation error detected: Value 'L' at 'attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]"},
		{"provisioned", func(in *sdk.CreateTableInput) { in.BillingMode = "" }, "ValidationException: a BillingMode other than PAY_PER_REQUEST is not supported by this embedded DynamoDB"},
		{"index twice", func(in *sdk.CreateTableInput) { gsi("ixx", "g", "")(in); gsi("ixx", "g", "")(in) }, bad + "Duplicate index name: ixx"},
		{"keys only", func(in *sdk.CreateTableInput) {
			gsi("ixx", "g", "")(in)
			in.GlobalSecondaryIndexes[0].Projection.ProjectionType = "KEYS_ONLY"
		}, "ValidationException: a Projection other than ALL is not supported by this embedded DynamoDB"},
		{"stream", func(in *sdk.CreateTableInput) {
			in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: "NEW_IMAGE"}
		}, "ValidationException: the member \"StreamSpecification\" is not supported by this embedded DynamoDB"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			in := &sdk.CreateTableInput{TableName: aws.String("things"), BillingMode: "PAY_PER_REQUEST",
				AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: "S"}},
				KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}}}
			tc.change(in)
			_, err := s.CreateTable(context.Background(), in)
			wantError(t, err, tc.err)
		})
	}
}
