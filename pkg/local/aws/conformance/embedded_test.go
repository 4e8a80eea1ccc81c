package conformance

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb"
	"tollgate/pkg/local/aws/secretsmanager"
	"tollgate/pkg/local/aws/sqs"
)

// startEmbedded serves all embedded services from a fresh folder and returns the base URL.
func startEmbedded(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	db, err := dynamodb.Open(filepath.Join(dir, "dynamodb"), dynamodb.Options{})
	if err != nil {
		t.Fatalf("open DynamoDB: %v", err)
	}
	queues, err := sqs.Open(filepath.Join(dir, "sqs"), sqs.Options{})
	if err != nil {
		t.Fatalf("open SQS: %v", err)
	}
	secrets, err := secretsmanager.Open(filepath.Join(dir, "secrets"), secretsmanager.Options{})
	if err != nil {
		t.Fatalf("open Secrets Manager: %v", err)
	}
	server := httptest.NewServer(awsjson.Handler(db.Service(), queues.Service(), secrets.Service()))
	t.Cleanup(func() {
		queues.Close() // ends long polls, which the server waits for
		server.Close()
		db.Close()
		secrets.Close()
	})
	return server.URL
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	runChecks(t, localTarget(t, "embedded", startEmbedded(t), nil, "dynamodb", "sqs", "secretsmanager"))
}

// TestEmbeddedRefusesWhatItLacks states what the embedded services do not do: AWS
// has it, so they must say no and never do something else.
func TestEmbeddedRefusesWhatItLacks(t *testing.T) {
	t.Parallel()
	target := localTarget(t, "embedded", startEmbedded(t), nil)
	for _, c := range []check{
		{"sqs/lacks/fifo-queues", "", "FIFO queues.", lacksFIFO},
		{"dynamodb/lacks/local-indexes", "", "Local secondary indexes.", lacksLocalIndexes},
		{"dynamodb/lacks/legacy-parameters", "", "Parameters from before expressions.", lacksLegacyParameters},
		{"dynamodb/lacks/partiql", "", "PartiQL.", lacksPartiQL},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := runCheck(t.Context(), target, c); err != nil {
				t.Error(err)
			}
		})
	}
}

func lacksFIFO(p *probe) {
	_, err := p.sqs.CreateQueue(p.ctx, &awssqs.CreateQueueInput{QueueName: aws.String(unique() + ".fifo"), Attributes: attributes{"FifoQueue": "true"}})
	p.refused(err, badAttribute+"|"+badValue+"|UnsupportedOperation", "create a FIFO queue")
}

func lacksLocalIndexes(p *probe) {
	in := schema{sort: "S", attributes: map[string]types.ScalarAttributeType{"x": "S"}}.input(unique())
	in.LocalSecondaryIndexes = []types.LocalSecondaryIndex{{IndexName: aws.String("by-x"),
		KeySchema: []types.KeySchemaElement{hashKey("pk"), sortKey("x")}, Projection: projectAll()}}
	_, err := p.dynamo.CreateTable(p.ctx, in)
	p.refused(err, invalid, "create a local secondary index")
}

func lacksLegacyParameters(p *probe) {
	table := p.table()
	_, err := p.dynamo.UpdateItem(p.ctx, &awsdynamodb.UpdateItemInput{TableName: &table, Key: key("a"),
		AttributeUpdates: map[string]types.AttributeValueUpdate{"x": {Value: num("1")}}})
	p.refused(err, invalid, "update by AttributeUpdates")
	_, err = p.dynamo.PutItem(p.ctx, &awsdynamodb.PutItemInput{TableName: &table, Item: key("a"),
		Expected: map[string]types.ExpectedAttributeValue{"pk": {Exists: aws.Bool(false)}}})
	p.refused(err, invalid, "put by Expected")
	p.sameItem(nil, p.get(table, key("a")), "item")
}

func lacksPartiQL(p *probe) {
	_, err := p.dynamo.ExecuteStatement(p.ctx, &awsdynamodb.ExecuteStatementInput{Statement: aws.String(`SELECT * FROM "x"`)})
	p.refused(err, "UnknownOperationException", "a PartiQL statement")
}
