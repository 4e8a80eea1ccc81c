package boltfile

import (
	"os"

	"go.etcd.io/bbolt"
)

const (
	// compactFrom is the size in bytes below which a file is left as it is.
	compactFrom = 8 << 20
	// compactBatch bounds the bytes that one transaction copies.
	compactBatch = 1 << 20
)

// compacted replaces the file by a copy without free space if that halves its size, and
// returns the copy; else it returns the database. If the copy fails, as on a full disk,
// nothing changes.
func (f file) compacted(db *bbolt.DB) *bbolt.DB {
	info, err := os.Stat(f.path)
	if err != nil || info.Size() < compactFrom || 2*inUse(db) > info.Size() {
		return db
	}
	fresh, err := f.replace(os.Rename, func(fresh *bbolt.DB) error { return bbolt.Compact(fresh, db, compactBatch) })
	if err != nil {
		return db
	}
	db.Close() // it was only read, and its file has been replaced
	return fresh
}

// inUse is how many bytes of the file's pages hold data.
func inUse(db *bbolt.DB) (n int64) {
	db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			s := b.Stats()
			n += int64(s.LeafInuse + s.BranchInuse)
			return nil
		})
	})
	return n
}
