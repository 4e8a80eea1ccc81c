// Package boltfile opens the file that an embedded service keeps its data in: a bbolt
// database for one process at a time.
//
// It reads the whole file before it hands it out, because a damaged page ends the
// process whenever it is come upon, in the middle of other work. It repairs nothing.
//
//	db, err := boltfile.Open(path, initialise)
package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout bounds the wait for another process that has the file open.
const lockTimeout = time.Second

// ErrDamaged is the error of a file that was a database and can no longer be read.
var ErrDamaged = errors.New("the file is damaged: put a copy back, or remove it and lose what it holds")

// Open opens the database in one file, readable by its owner only, or makes it, and
// lets prepare make a new file's buckets or refuse one of another layout. Errors are of
// one line and do not name the file.
func Open(path string, prepare func(*bbolt.Tx) error) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() < int64(2*os.Getpagesize()) {
		return nil, fmt.Errorf("%w (%d bytes are not a database)", ErrDamaged, info.Size())
	}
	db, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := db.Update(prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if isNew {
		if err := syncFolder(filepath.Dir(path)); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

// open opens and checks the file. bbolt takes a page as it finds it: a page of nonsense
// panics, and one beyond the file's end is a fault of memory. What panicked may still be
// open, and locked, until the process ends.
func open(path string) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w (%v)", ErrDamaged, p)
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, errors.New("another process has it open: end that one, or use another folder")
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrChecksum), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("not a database of this program: %w", err)
	case err != nil:
		return nil, err
	}
	if err := db.View(func(tx *bbolt.Tx) error { return check(tx, path) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// check reads every page. The length comes first: the check itself runs beside us, where
// a fault of memory would end the process.
func check(tx *bbolt.Tx, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w (%d bytes of %d are there)", ErrDamaged, info.Size(), tx.Size())
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("%w (%v)", ErrDamaged, err)
		}
	}
	return first
}

// syncFolder makes a new file's name as durable as its content.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
