package dynamodb

import (
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
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
	bucketMeta      = []byte("meta")
	bucketTables    = []byte("tables")
	bucketData      = []byte("data")
	bucketTokens    = []byte("tokens")
	bucketTokenEnds = []byte("tokenEnds")

	keyFormat    = []byte("format")
	keyStats     = []byte("stats")
	bucketItems  = []byte("items")
	bucketExpiry = []byte("expiry")
)

func indexBucket(name string) []byte { return []byte("index/" + name) }

// prepareFile makes a new file's buckets, or refuses a file of another layout.
func prepareFile(tx *bbolt.Tx) error {
	if meta := tx.Bucket(bucketMeta); meta != nil {
		if got := string(meta.Get(keyFormat)); got != formatVersion {
			return fmt.Errorf("the file has format %q, this program reads %q", got, formatVersion)
		}
		return nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return errors.New("the file is a database of another program")
	}
	for _, name := range [][]byte{bucketTables, bucketData, bucketTokens, bucketTokenEnds} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyFormat, []byte(formatVersion))
}

// loadSchema returns a table's schema, or nil if there is no such table.
func loadSchema(tx *bbolt.Tx, name string) (*schema, error) {
	text := tx.Bucket(bucketTables).Get([]byte(name))
	if text == nil {
		return nil, nil
	}
	s := new(schema)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read schema of %s: %w", name, err)
	}
	return s, nil
}

func saveSchema(tx *bbolt.Tx, s *schema) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketTables).Put([]byte(s.Name), text)
}
