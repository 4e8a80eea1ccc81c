package dynamostore

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/local/localtest"
)

// server is a DynamoDB that speaks HTTP.
type server struct {
	url    string
	tables atomic.Int64
}

// serveEmbedded serves an embedded DynamoDB until the test ends.
func serveEmbedded(t testing.TB) *server {
	t.Helper()
	return &server{url: localtest.Start(t, localtest.Options{}).URL}
}

// client returns the SDK's client with its own retries, or without any.
func (s *server) client(transport http.RoundTripper, retries bool) *dynamodb.Client {
	return clientOf(s.url, transport, retries)
}

func clientOf(url string, transport http.RoundTripper, retries bool) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		BaseEndpoint: aws.String(url),
		HTTPClient:   &http.Client{Transport: transport},
		Retryer:      retryer(retries),
	})
}

// retryer is the SDK's default but for its waits, or none.
func retryer(retries bool) aws.Retryer {
	if !retries {
		return aws.NopRetryer{}
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
	})
}

// table makes a fresh table and returns its name.
func (s *server) table(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("tollgate-%d", s.tables.Add(1))
	if _, err := s.client(http.DefaultTransport, true).CreateTable(t.Context(), TableSchema(name)); err != nil {
		t.Fatalf("create table: %v", err)
	}
	return name
}

// fixture is a store, an operator and a reader on a fresh table, and the client behind the
// reader.
type fixture struct {
	*Store
	operator *Operator
	reader   *Reader
	raw      *dynamodb.Client
	table    string
}

// fixture returns a store that speaks through a transport, without retries of the SDK.
func (s *server) fixture(t testing.TB, transport http.RoundTripper) fixture {
	t.Helper()
	table := s.table(t)
	raw := s.client(http.DefaultTransport, true)
	client := s.client(transport, false)
	return fixture{
		Store: newStore(t, client, table), operator: newOperator(t, client, table), reader: newReader(t, raw, table),
		raw: raw, table: table,
	}
}

func newStore(t testing.TB, c Client, table string) *Store {
	t.Helper()
	store, err := New(c, table, Options{})
	check(t, err)
	return store
}

func newOperator(t testing.TB, c Client, table string) *Operator {
	t.Helper()
	operator, err := NewOperator(c, table, Options{})
	check(t, err)
	return operator
}

func newReader(t testing.TB, c ReaderClient, table string) *Reader {
	t.Helper()
	reader, err := NewReader(c, table)
	check(t, err)
	return reader
}

// allWrites are all writes of a record.
type allWrites struct {
	*Store
	*Operator
}

func (f fixture) harness() idempotencytest.Harness {
	return idempotencytest.Harness{Store: allWrites{f.Store, f.operator}, Record: f.reader.Get, Item: f.reader.Item}
}

// TestLaw runs the suite that every store must pass.
func TestLaw(t *testing.T) {
	s := serveEmbedded(t)
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	idempotencytest.Run(t, func(t *testing.T) idempotencytest.Harness { return s.fixture(t, transport).harness() })
}

// TestLawMoto runs the suite against moto, an independent implementation.
func TestLawMoto(t *testing.T) {
	s := &server{url: localtest.Moto(t)}
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	idempotencytest.Run(t, func(t *testing.T) idempotencytest.Harness { return s.fixture(t, transport).harness() },
		"race", // its writes are not isolated from each other
		"effects/check/a field that is not there is not null") // it takes a missing attribute for null
}

// scripted returns a store whose first requests follow a script.
func (s *server) scripted(t testing.TB, steps ...step) (fixture, *wire) {
	t.Helper()
	w := newWire(t, http.DefaultTransport, steps...)
	return s.fixture(t, w), w
}

func contextWithTimeout(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errOf is the error of a call whose answer the test does not read.
func errOf[T any](_ T, err error) error { return err }
