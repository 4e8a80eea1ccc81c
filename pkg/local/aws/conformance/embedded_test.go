package conformance

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

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
