package dynamodb

import (
	"encoding/json"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/boltfile"
)

// The file's layout. Top-level buckets:
//
//	meta    "format" → formatVersion
//	tables  table name → schema as JSON
//	data    schema ID → a bucket a table:
//	          items         primary key → item as JSON
//	          index/<name>  index key + primary key → primary key
//	          expiry        8 bytes of expiry in seconds + primary key → nothing
//	          "stats"       item count and size, 8 bytes each
//	tokens  client token → its transaction's digest and end
//	tokenEnds  8 bytes of end in milliseconds + token → nothing
//
// Keys are made in keys.go.
var (
	bucketTables    = []byte("tables")
	bucketData      = []byte("data")
	bucketTokens    = []byte("tokens")
	bucketTokenEnds = []byte("tokenEnds")

	keyStats     = []byte("stats")
	bucketItems  = []byte("items")
	bucketExpiry = []byte("expiry")
)

func indexBucket(name string) []byte { return []byte("index/" + name) }

func prepareFile(tx *bbolt.Tx) error {
	return boltfile.Layout(formatVersion, string(bucketTables), string(bucketData), string(bucketTokens), string(bucketTokenEnds))(tx)
}

// transaction is one of the file's, with the schemas that were read before.
type transaction struct {
	*bbolt.Tx
	schemas *schemas
}

// maxSchemas bounds the decoded schemas; a table has a new one when it is changed.
const maxSchemas = 100

// schemas are decoded schemas by their stored form, as every request needs one.
type schemas struct {
	mu      sync.Mutex
	decoded map[string]*schema
}

func (c *schemas) read(text []byte) (*schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.decoded[string(text)]; s != nil {
		return s, nil
	}
	s := new(schema)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	if c.decoded == nil || len(c.decoded) == maxSchemas {
		c.decoded = map[string]*schema{}
	}
	c.decoded[string(text)] = s
	return s, nil
}

// loadSchema returns a table's schema, which must not be changed, or nil if there is no such
// table.
func loadSchema(tx *transaction, name string) (*schema, error) {
	text := tx.Bucket(bucketTables).Get([]byte(name))
	if text == nil {
		return nil, nil
	}
	s, err := tx.schemas.read(text)
	if err != nil {
		return nil, fmt.Errorf("read schema of %s: %w", name, err)
	}
	return s, nil
}

func saveSchema(tx *transaction, s *schema) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketTables).Put([]byte(s.Name), text)
}
