package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/boltfile"
)

// formatVersion names the layout of the file; see layout.go.
const formatVersion = "dynamodb-1"

// Options change what a database does; the zero value is usable.
type Options struct {
	// Now is the clock for creation times, time to live and client tokens. Defaults to time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	opts    Options
	bolt    *bbolt.DB
	schemas schemas
	jobs    chan *job
	closing chan struct{}
	once    sync.Once
	workers sync.WaitGroup
}

// Open opens the database in one file, or creates it. It returns a one-line error if another
// process has the file open, or if it is not a database of this package and format.
func Open(path string, o Options) (*DB, error) {
	o = o.withDefaults()
	bolt, err := boltfile.Open(path, prepareFile)
	if err != nil {
		return nil, fmt.Errorf("open tables %s: %w", path, err)
	}
	d := &DB{opts: o, bolt: bolt, jobs: make(chan *job), closing: make(chan struct{})}
	d.workers.Go(d.commitLoop)
	d.workers.Go(d.sweepLoop)
	return d, nil
}

// Close waits for running writes and closes the file. Later calls get an error; closing again
// does nothing.
func (d *DB) Close() error {
	d.once.Do(func() { close(d.closing) })
	d.workers.Wait()
	return d.bolt.Close()
}

// Service returns the database's operations for awsjson.Handler.
func (d *DB) Service() awsjson.Service {
	return awsjson.Service{
		Target:         "DynamoDB_20120810",
		Version:        "1.0",
		ErrorNamespace: "com.amazonaws.dynamodb.v20120810#",
		Operations: map[string]awsjson.Operation{
			"CreateTable":               operation(d.createTable),
			"DescribeTable":             operation(d.describeTable),
			"ListTables":                operation(d.listTables),
			"DeleteTable":               operation(d.deleteTable),
			"UpdateTimeToLive":          operation(d.updateTTL),
			"DescribeTimeToLive":        operation(d.describeTTL),
			"DescribeContinuousBackups": operation(d.describeBackups),
			"GetItem":                   operation(d.getItem),
			"PutItem":                   operation(d.putItem),
			"UpdateItem":                operation(d.updateItem),
			"DeleteItem":                operation(d.deleteItem),
			"Query":                     operation(d.query),
			"Scan":                      operation(d.scan),
			"BatchGetItem":              operation(d.batchGet),
			"TransactWriteItems":        operation(d.transactWrite),
		},
	}
}

// operation decodes requests for a typed function.
func operation[In, Out any](run func(context.Context, *In) (Out, error)) awsjson.Operation {
	return func(ctx context.Context, body []byte) (any, error) {
		in := new(In)
		if err := decodeRequest(body, in); err != nil {
			return nil, err
		}
		out, err := run(ctx, in)
		if err != nil {
			return nil, asAWS(err)
		}
		return out, nil
	}
}

// view runs f on a consistent snapshot of what is on disk.
func (d *DB) view(f func(*transaction) error) error {
	err := d.bolt.View(func(tx *bbolt.Tx) error { return f(&transaction{tx, &d.schemas}) })
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}
