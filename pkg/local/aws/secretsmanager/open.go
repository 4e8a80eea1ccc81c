package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/boltfile"
)

// Options of [Open]; the zero value is ready to use.
type Options struct {
	// Now is read for every timestamp; time.Now by default.
	Now func() time.Time
}

const (
	formatName    = "tollgate secretsmanager 1"
	bucketSecrets = "secrets" // name → record as JSON
)

// DB is an open set of secrets. It is safe for concurrent use.
type DB struct {
	opts Options
	bolt *bbolt.DB
}

// Open reads or creates the file at path and sets its mode to 0600. It returns a one-line error if another process has
// the file open (after a second), or if it is not a database of this package and format.
func Open(path string, o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	bolt, err := boltfile.Open(path, boltfile.Layout(formatName, bucketSecrets))
	if err != nil {
		return nil, fmt.Errorf("open secrets %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open secrets %s: %w", path, err), bolt.Close())
	}
	return &DB{opts: o, bolt: bolt}, nil
}

// Close waits for running operations and releases the file; later operations fail.
func (db *DB) Close() error { return db.bolt.Close() }

// Service is the table of operations for [awsjson.Handler].
func (db *DB) Service() awsjson.Service {
	return awsjson.Service{
		Target: "secretsmanager", Version: "1.1",
		Operations: map[string]awsjson.Operation{
			"CreateSecret":             operation(db.createSecret),
			"GetSecretValue":           operation(db.getSecretValue),
			"PutSecretValue":           operation(db.putSecretValue),
			"UpdateSecretVersionStage": operation(db.updateSecretVersionStage),
			"DescribeSecret":           operation(db.describeSecret),
			"ListSecrets":              operation(db.listSecrets),
			"DeleteSecret":             operation(db.deleteSecret),
		},
	}
}

// operation decodes requests for a typed function and rejects unknown members. Errors do not quote the request, which
// may hold a secret.
func operation[In, Out any](run func(In) (Out, error)) awsjson.Operation {
	return func(_ context.Context, body []byte) (any, error) {
		var in In
		unknown, err := awsjson.Decode(body, &in)
		if unknown != "" {
			return nil, errParameter("The member %s is not supported by this embedded service.", unknown)
		}
		if err != nil {
			return nil, awsjson.Errorf("SerializationException", "the request is not the JSON of this operation")
		}
		return run(in)
	}
}
