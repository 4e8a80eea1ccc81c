package secretsmanager

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/boltfile"
)

// Options of [Open]; the zero value is ready to use.
type Options struct {
	// Now is read for every timestamp; time.Now by default.
	Now func() time.Time
	// Account is the 12-digit account id in ARNs, "000000000000" by default.
	Account string
	// Region is the region in ARNs, "us-east-1" by default.
	Region string
	// Logger is told of each change by name and version, never of a value. Silent by default.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Account = cmp.Or(o.Account, "000000000000")
	o.Region = cmp.Or(o.Region, "us-east-1")
	var faults []error
	if len(o.Account) != 12 || strings.Trim(o.Account, "0123456789") != "" {
		faults = append(faults, fmt.Errorf("account %q is not 12 digits", o.Account))
	}
	if strings.ContainsAny(o.Region, ": /") {
		faults = append(faults, fmt.Errorf("region %q is not a region", o.Region))
	}
	return o, errors.Join(faults...)
}

const (
	formatName    = "tollgate secretsmanager 1"
	bucketMeta    = "meta"
	bucketSecrets = "secrets" // name → record as JSON
)

// DB is an open set of secrets. It is safe for concurrent use.
type DB struct {
	opts Options
	bolt *bbolt.DB
}

// Open reads the file at path or makes it, and sets its mode to 0600. It fails with one line when the options are
// wrong, when another process has the file open (after a second), when it is no database of this package, or when it
// is of another format.
func Open(path string, o Options) (*DB, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open secrets %s: %w", path, err)
	}
	bolt, err := boltfile.Open(path, initialise)
	if err != nil {
		return nil, fmt.Errorf("open secrets %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open secrets %s: %w", path, err), bolt.Close())
	}
	return &DB{opts: o, bolt: bolt}, nil
}

func initialise(tx *bbolt.Tx) error {
	if meta := tx.Bucket([]byte(bucketMeta)); meta != nil {
		if format := meta.Get([]byte("format")); string(format) != formatName {
			return fmt.Errorf("format is %q, this program reads %q", format, formatName)
		}
		return nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return errors.New("a database of another program")
	}
	meta, err := tx.CreateBucket([]byte(bucketMeta))
	if err != nil {
		return err
	}
	_, err = tx.CreateBucket([]byte(bucketSecrets))
	return errors.Join(err, meta.Put([]byte("format"), []byte(formatName)))
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
			"UpdateSecret":             operation(db.updateSecret),
			"UpdateSecretVersionStage": operation(db.updateSecretVersionStage),
			"DescribeSecret":           operation(db.describeSecret),
			"ListSecrets":              operation(db.listSecrets),
			"DeleteSecret":             operation(db.deleteSecret),
		},
	}
}

// operation puts a typed function behind the wire: members that it does not know are refused. What could not be
// read is told without its content, which may be a secret.
func operation[In, Out any](run func(In) (Out, error)) awsjson.Operation {
	return func(_ context.Context, body []byte) (any, error) {
		var in In
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err != nil {
			if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
				return nil, errParameter("The member %s is not supported by this embedded service.", name)
			}
		} else if _, err = d.Token(); err == io.EOF {
			return run(in)
		}
		return nil, awsjson.Errorf("SerializationException", "the request is not the JSON of this operation (near byte %d)", d.InputOffset())
	}
}
