package boltfile

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Meta is the bucket that holds the file's format.
const Meta = "meta"

// Layout returns a function for [Open] that creates the buckets of a new file, and rejects a
// file with another format or of another program.
func Layout(format string, buckets ...string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		if meta := tx.Bucket([]byte(Meta)); meta != nil {
			if got := meta.Get([]byte("format")); string(got) != format {
				return fmt.Errorf("the file has format %q, this program reads %q", got, format)
			}
			return nil
		}
		if name, _ := tx.Cursor().First(); name != nil {
			return errors.New("the file is a database of another program")
		}
		for _, name := range append([]string{Meta}, buckets...) {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(Meta)).Put([]byte("format"), []byte(format))
	}
}
