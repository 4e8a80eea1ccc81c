package dynamodb

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/local/aws/awsjson"
)

// The SDK's types by shorter names, for tables of tests.
type (
	attrs = map[string]types.AttributeValue
	av    = types.AttributeValue
)

func str(s string) av { return &types.AttributeValueMemberS{Value: s} }
func num(s string) av { return &types.AttributeValueMemberN{Value: s} }

// server is a database in a file behind a real socket, with a real client.
type server struct {
	*sdk.Client
	t    testing.TB
	db   *DB
	http *httptest.Server
	path string
	opts Options
}

func newServer(t testing.TB, o Options) *server {
	s := &server{t: t, path: filepath.Join(t.TempDir(), "tables.db"), opts: o}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *server) open() {
	s.t.Helper()
	db, err := Open(s.path, s.opts)
	check(s.t, err)
	s.db = db
	s.http = httptest.NewServer(awsjson.Handler(db.Service()))
	s.Client = sdk.New(sdk.Options{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
		BaseEndpoint:     aws.String(s.http.URL),
		RetryMaxAttempts: 1,
	})
}

func (s *server) close() {
	s.http.Close()
	if err := s.db.Close(); err != nil {
		s.t.Error(err)
	}
}

// reopen closes the database and opens the same file again.
func (s *server) reopen() {
	s.t.Helper()
	s.close()
	s.open()
}

// table makes an on-demand table with string keys; sort may be "".
func (s *server) table(name, hash, sort string, more ...func(*sdk.CreateTableInput)) {
	s.t.Helper()
	in := &sdk.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &hash, AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &hash, KeyType: "HASH"}},
	}
	if sort != "" {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &sort, AttributeType: "S"})
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: &sort, KeyType: "RANGE"})
	}
	for _, f := range more {
		f(in)
	}
	check(s.t, errOf(s.CreateTable(context.Background(), in)))
}

// keyType changes the type of a key attribute.
func keyType(name string, t types.ScalarAttributeType) func(*sdk.CreateTableInput) {
	return func(in *sdk.CreateTableInput) {
		for i, d := range in.AttributeDefinitions {
			if *d.AttributeName == name {
				in.AttributeDefinitions[i].AttributeType = t
				return
			}
		}
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &name, AttributeType: t})
	}
}

// gsi adds an index with string keys.
func gsi(name, hash, sort string) func(*sdk.CreateTableInput) {
	return func(in *sdk.CreateTableInput) {
		ix := types.GlobalSecondaryIndex{
			IndexName:  &name,
			KeySchema:  []types.KeySchemaElement{{AttributeName: &hash, KeyType: "HASH"}},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}
		define := func(attr string) {
			for _, d := range in.AttributeDefinitions {
				if *d.AttributeName == attr {
					return
				}
			}
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &attr, AttributeType: "S"})
		}
		define(hash)
		if sort != "" {
			define(sort)
			ix.KeySchema = append(ix.KeySchema, types.KeySchemaElement{AttributeName: &sort, KeyType: "RANGE"})
		}
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, ix)
	}
}

func (s *server) put(table string, item attrs) {
	s.t.Helper()
	check(s.t, errOf(s.PutItem(context.Background(), &sdk.PutItemInput{TableName: &table, Item: item})))
}

func (s *server) get(table string, key attrs) attrs {
	s.t.Helper()
	out, err := s.GetItem(context.Background(), &sdk.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
	check(s.t, err)
	return out.Item
}

// explain returns an AWS error as "Code: message", "" for none.
func explain(err error) string {
	if err == nil {
		return ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "not an AWS error: " + err.Error()
	}
	return api.ErrorCode() + ": " + api.ErrorMessage()
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if got := explain(err); got != want {
		t.Errorf("error\n got %s\nwant %s", got, want)
	}
}

// sameAttrs compares items of the SDK, whose structs have a hidden member.
var sameAttrs = cmpopts.IgnoreUnexported(
	types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{},
	types.AttributeValueMemberBOOL{}, types.AttributeValueMemberNULL{}, types.AttributeValueMemberL{},
	types.AttributeValueMemberM{}, types.AttributeValueMemberSS{}, types.AttributeValueMemberNS{},
	types.AttributeValueMemberBS{})

// ids returns the string attribute of each item, in order.
func ids(items []attrs, name string) []string {
	var out []string
	for _, it := range items {
		if v, ok := it[name].(*types.AttributeValueMemberS); ok {
			out = append(out, v.Value)
		}
	}
	return out
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errOf is the error of a call whose answer the test does not read.
func errOf[T any](_ T, err error) error { return err }
