package dynamodb

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// table is a table within one transaction.
type table struct {
	*schema
	data *bbolt.Bucket
}

// openTable returns a table for operations on items.
func openTable(tx *transaction, name string) (*table, error) {
	return tableOr(tx, name, noSuchResource())
}

// tableOr returns a table, or the error absent if there is none of that name.
func tableOr(tx *transaction, name string, absent error) (*table, error) {
	s, err := loadSchema(tx, name)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, absent
	}
	return &table{schema: s, data: tx.Bucket(bucketData).Bucket([]byte(s.ID))}, nil
}

// get returns the item under a stored key, nil if there is none.
func (t *table) get(key []byte) (value.Item, error) {
	text := t.data.Bucket(bucketItems).Get(key)
	if text == nil {
		return nil, nil
	}
	return decodeItem(text)
}

func decodeItem(text []byte) (value.Item, error) {
	item, err := value.Item{}, error(nil)
	if !json.Valid(text) {
		err = errors.New("it is not JSON")
	} else {
		err = item.UnmarshalJSON(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read stored item: %w", &storedError{err})
	}
	return item, nil
}

// storedError hides the type of a decoding error: for a stored item it is an error of the
// file, not of the request.
type storedError struct{ err error }

func (e *storedError) Error() string { return e.err.Error() }

// replace replaces old by new, either of which may be nil, with its index entries, expiry and
// statistics.
func (t *table) replace(key []byte, old, new value.Item) error {
	items := t.data.Bucket(bucketItems)
	var err error
	if new == nil {
		err = items.Delete(key)
	} else {
		var text []byte
		if text, err = new.MarshalJSON(); err == nil {
			err = items.Put(key, text)
		}
	}
	if err != nil {
		return fmt.Errorf("write item: %w", err)
	}
	for i := range t.Indexes {
		ix := &t.Indexes[i]
		if err := move(t.data.Bucket(indexBucket(ix.Name)), t.entry(ix, old), t.entry(ix, new), key); err != nil {
			return fmt.Errorf("write index %s: %w", ix.Name, err)
		}
	}
	if err := move(t.data.Bucket(bucketExpiry), t.expiryKey(old, key), t.expiryKey(new, key), nil); err != nil {
		return fmt.Errorf("write expiry: %w", err)
	}
	return t.count(old, new)
}

func (t *table) entry(ix *index, item value.Item) []byte {
	if item == nil {
		return nil
	}
	return t.entryKey(ix, item)
}

// move replaces one entry of a bucket by another; nil means none.
func move(b *bbolt.Bucket, old, new, content []byte) error {
	if string(old) == string(new) {
		return nil
	}
	if old != nil {
		if err := b.Delete(old); err != nil {
			return err
		}
	}
	if new == nil {
		return nil
	}
	return b.Put(new, content)
}

// count keeps the table's number of items and their size.
func (t *table) count(old, new value.Item) error {
	items, size := t.stats()
	if old != nil {
		items, size = items-1, size-int64(old.Size())
	}
	if new != nil {
		items, size = items+1, size+int64(new.Size())
	}
	text := binary.BigEndian.AppendUint64(nil, uint64(items))
	return t.data.Put(keyStats, binary.BigEndian.AppendUint64(text, uint64(size)))
}

// stats returns the number of items and their size in bytes.
func (t *table) stats() (items, size int64) {
	text := t.data.Get(keyStats)
	if len(text) != 16 {
		return 0, 0
	}
	return int64(binary.BigEndian.Uint64(text)), int64(binary.BigEndian.Uint64(text[8:]))
}
