package dynamodb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tollgate/pkg/local/aws/dynamodb/value"
)

type ttlSpecification struct {
	AttributeName string
	Enabled       *bool
}

type updateTTLInput struct {
	TableName               string
	TimeToLiveSpecification *ttlSpecification
}

func (d *DB) updateTTL(_ context.Context, in *updateTTLInput) (any, error) {
	spec := in.TimeToLiveSpecification
	if spec == nil || spec.Enabled == nil || spec.AttributeName == "" || len(spec.AttributeName) > maxExprNameBytes {
		return nil, invalid("1 validation error detected: timeToLiveSpecification needs Enabled and an AttributeName of 1 to 255 bytes")
	}
	err := d.update(func(tx *transaction) (bool, error) {
		t, err := d.findTable(tx, in.TableName)
		if err != nil {
			return false, err
		}
		switch {
		case *spec.Enabled && t.Expiry == spec.AttributeName:
			return false, invalid("TimeToLive is already enabled")
		case !*spec.Enabled && t.Expiry == "":
			return false, invalid("TimeToLive is already disabled")
		case t.Expiry != "" && t.Expiry != spec.AttributeName:
			return false, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.Expiry)
		}
		changed := *t.schema
		t.schema, changed.Expiry = &changed, ""
		if *spec.Enabled {
			changed.Expiry = spec.AttributeName
		}
		if err := t.rebuildExpiry(); err != nil {
			return false, err
		}
		return true, saveSchema(tx, t.schema)
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"TimeToLiveSpecification": spec}, nil
}

func (d *DB) describeTTL(_ context.Context, in *tableInput) (any, error) {
	out := map[string]any{"TimeToLiveStatus": "DISABLED"}
	err := d.view(func(tx *transaction) error {
		t, err := d.findTable(tx, in.TableName)
		if err == nil && t.Expiry != "" {
			out["TimeToLiveStatus"], out["AttributeName"] = "ENABLED", t.Expiry
		}
		return err
	})
	return map[string]any{"TimeToLiveDescription": out}, err
}

// expiryKey makes the key of an item's entry in the expiry bucket; nil if the
// item does not expire. Only numbers count as times.
func (t *table) expiryKey(item value.Item, key []byte) []byte {
	v := item[t.Expiry] // a missing item or attribute has no type
	if v.Type != value.Num || t.Expiry == "" {
		return nil
	}
	seconds, ok := v.Num.Int64()
	if !ok || seconds < 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(seconds)), key...)
}

// rebuildExpiry rebuilds the expiry bucket for the current attribute.
func (t *table) rebuildExpiry() error {
	if err := t.data.DeleteBucket(bucketExpiry); err != nil {
		return err
	}
	expiry, err := t.data.CreateBucket(bucketExpiry)
	if err != nil || t.Expiry == "" {
		return err
	}
	return t.data.Bucket(bucketItems).ForEach(func(key, text []byte) error {
		item, err := decodeItem(text)
		if err != nil {
			return err
		}
		if entry := t.expiryKey(item, key); entry != nil {
			return expiry.Put(entry, nil)
		}
		return nil
	})
}

const (
	// expiryDelay is how long an expired item stays readable; DynamoDB promises "within a few days".
	expiryDelay = 48 * time.Hour
	sweepEvery  = time.Minute
	// sweepBatch bounds the deletions of one transaction.
	sweepBatch = 500
	// forgottenExpiry: DynamoDB does not delete items that expired longer ago.
	forgottenExpiry = 5 * 365 * 24 * time.Hour
)

// sweepLoop deletes expired items and old client tokens until the database closes.
func (d *DB) sweepLoop() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := d.sweep(); err != nil && !errors.Is(err, errClosed) {
				slog.Error("sweep expired items", "error", err)
			}
		case <-d.closing:
			return
		}
	}
}

// sweep deletes everything that is due, a batch at a time.
func (d *DB) sweep() error {
	for more := true; more; {
		now := d.opts.Now()
		err := d.update(func(tx *transaction) (bool, error) {
			n, err := d.deleteDue(tx, now)
			more = n > 0
			return more, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteDue deletes a batch of tokens and of each table's items and returns how many.
func (d *DB) deleteDue(tx *transaction, now time.Time) (int, error) {
	n, err := forgetTokens(tx, now)
	if err != nil {
		return n, err
	}
	err = tx.Bucket(bucketTables).ForEach(func(name, _ []byte) error {
		t, err := openTable(tx, string(name))
		if err != nil {
			return err
		}
		for _, key := range t.dueItems(now) {
			item, err := t.get(key)
			if err != nil {
				return err
			}
			if item == nil {
				return fmt.Errorf("table %s: expiry of an item that is not there", t.Name)
			}
			if err := t.replace(key, item, nil); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// dueItems returns the primary keys of items that expired expiryDelay ago, at most a batch.
func (t *table) dueItems(now time.Time) [][]byte {
	oldest := max(0, now.Add(-forgottenExpiry).Unix())
	newest := now.Add(-expiryDelay).Unix()
	var keys [][]byte
	c := t.data.Bucket(bucketExpiry).Cursor()
	k, _ := c.Seek(binary.BigEndian.AppendUint64(nil, uint64(oldest)))
	for ; k != nil && len(keys) < sweepBatch; k, _ = c.Next() {
		if int64(binary.BigEndian.Uint64(k)) > newest {
			break
		}
		keys = append(keys, append([]byte(nil), k[8:]...))
	}
	return keys
}
