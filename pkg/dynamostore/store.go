// Package dynamostore keeps idempotency records in DynamoDB and commits an event's
// effects in one transaction with its record.
//
// A record has eight writes (claim, complete, fail; done and failed at once, without a claim;
// replay, purge, reidentify), each one conditional request whose expression is a constant next
// to its method. Another one notes the webhook's message, when its claim finds a done record of
// reconcile's. How a refusal is read is defined by package idempotency; this package turns the
// service's answers into that package's words, and no error of the SDK leaves it. It never
// deletes, never reads before it writes and decides nothing by an index.
//
//	store, err := dynamostore.New(dynamostore.NewClient(cfg), "tollgate", dynamostore.Options{})
//	got, err := store.Claim(ctx, request)
//
// Every write bounds each of its tries and retries one that was not answered: pass an SDK
// client that does not retry.
//
// What an event costs, in write request units (WRU), while items stay under 1 KB and
// where k is the number of its effects:
//
//	claim                                   1
//	complete without effects                1    alone for a run without a claim
//	complete with k effects                 2 (1 + k), as a transaction costs double
//	claim from the second receive on       +1 to enter the index open-upd, +2 to move in it
//	fail                                    1, +1 to enter the index, +2 to move in it
//	complete of a record in the index      +1, doubled in a transaction
//	replay                                  1, +1 for the index
//	purge                                   1, +1 to leave the index
//	reidentify                              1, +2 to move in the index
//	a webhook's message after reconcile's  +1 to the refused claim
//	any refused write                       the same as an applied one
//
// What a delivery costs: 1 for its number at the first attempt, and 2 for each attempt.
//
// [Store] has what functions write, [Deliveries] what the sender writes, [Operator] what
// operators write, and [Reader] what all read. [TableSchema] is the table for local use and tests.
package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"tollgate/pkg/limits"
)

// Client is what a store and an operator need of the SDK's DynamoDB client.
type Client interface {
	ReaderClient
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// NewClient returns a client without what decides nothing: the id of the call and the user agent.
func NewClient(c aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(c, func(o *dynamodb.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			_, _ = s.Build.Remove("ClientRequestID") // they fail if a later SDK has none
			_, _ = s.Build.Remove("UserAgent")
			return nil
		})
	})
}

// Options of a store or an operator. The zero value serves.
type Options struct {
	// Limits gives RecordTTL, RecordBudget and CallTry. Defaults to limits.AWS().
	Limits limits.Limits
	// Retention is of what a store completes. Defaults to none: it is kept without end.
	Retention limits.Retention
	// Random gives numbers from 0 up to 1 for jitter and is called by several
	// goroutines. Defaults to rand.Float64.
	Random func() float64
}

// Store has what functions write: records and effects, and the notes of reconcile and the
// outbox. It reads through its [Reader]. It is safe for concurrent use.
type Store struct {
	*Reader
	*writer
}

// New returns a store on a table of the shape of [TableSchema].
func New(client Client, table string, o Options) (*Store, error) {
	w, err := newWriter(client, table, o)
	if err != nil {
		return nil, err
	}
	return &Store{Reader: &Reader{client: client, table: table}, writer: w}, nil
}

// Operator has what operators write: replays, purges, the lock on the dead-letter queue,
// the audit trail and released messages. It is safe for concurrent use.
type Operator struct{ *writer }

// NewOperator works on a table of the shape of [TableSchema].
func NewOperator(client Client, table string, o Options) (*Operator, error) {
	w, err := newWriter(client, table, o)
	if err != nil {
		return nil, err
	}
	return &Operator{w}, nil
}

// writer sends writes.
type writer struct {
	client Client
	table  string
	ttl    time.Duration
	rowTTL time.Duration // of a delivery's row
	kept   limits.Retention
	try    time.Duration // how long one try of a record's write may take
	margin time.Duration // of a deadline: no try is started with less than this left
	random func() float64
}

func newWriter(client Client, table string, o Options) (*writer, error) {
	if client == nil || table == "" {
		return nil, errNeed
	}
	o.Limits = cmp.Or(o.Limits, limits.AWS())
	if o.Limits.RecordTTL <= 0 || o.Limits.RecordBudget <= 0 {
		return nil, errors.New("dynamostore needs limits with a RecordTTL and a RecordBudget")
	}
	if err := o.Retention.Validate(); err != nil {
		return nil, fmt.Errorf("dynamostore: %w", err)
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &writer{
		client: client, table: table, ttl: o.Limits.RecordTTL, rowTTL: cmp.Or(o.Limits.Sender.RowTTL, limits.AWS().Sender.RowTTL), kept: o.Retention,
		try: o.Limits.Try(), margin: o.Limits.RecordBudget / 30, random: o.Random,
	}, nil
}

// putItem puts an item other than a record, under a condition unless it is "", and returns
// the item that refused it. Errors begin with what it does.
func (s *writer) putItem(ctx context.Context, what string, it item, condition string, values item) (refusedBy *attributeReader, err error) {
	in := &dynamodb.PutItemInput{TableName: &s.table, Item: it}
	if condition != "" {
		in.ConditionExpression, in.ExpressionAttributeValues = &condition, values
		in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	_, err = s.client.PutItem(ctx, in)
	return refusal(what, err)
}

// setItem updates an item other than a record, as putItem puts one.
func (s *writer) setItem(ctx context.Context, what, key, update, condition string, values item) (refusedBy *attributeReader, err error) {
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: keyOf(key), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	return refusal(what, err)
}

func refusal(what string, err error) (refusedBy *attributeReader, _ error) {
	if err == nil {
		return nil, nil
	}
	f := faultOf(err)
	if f.kind == refused {
		return &attributeReader{item: f.old}, nil
	}
	return nil, fmt.Errorf("%s: %s", what, f.text)
}

var errNeed = errors.New("dynamostore needs a client and a table's name")
