// Package boltfile opens the file that an embedded service keeps its data in: a bbolt
// database for one process at a time.
//
// It checks the whole file at the start, because a damaged page would end the process when it
// is read later. It does not repair files. It compacts a file that is mostly free space.
// [Gather] collects the changes that are to share a commit.
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
var ErrDamaged = errors.New("the file is damaged: restore a copy, or remove it and lose its data")

var errInUse = errors.New("another process has it open: stop that process, or use another folder")

// Open opens or creates the database in one file that only its owner can read. prepare creates
// the buckets of a new file or rejects another layout. A new file gets its name when it is
// complete, so an empty file is damaged. Errors are one line and do not name the file.
func Open(path string, prepare func(*bbolt.Tx) error) (*bbolt.DB, error) {
	return file{path: path, prepare: prepare}.open()
}

// OpenNoSync is [Open] for a file whose writes are not synced to disk: it survives its process,
// but a crash of the machine may damage it.
func OpenNoSync(path string, prepare func(*bbolt.Tx) error) (*bbolt.DB, error) {
	return file{path: path, prepare: prepare, noSync: true}.open()
}

type file struct {
	path    string
	prepare func(*bbolt.Tx) error
	noSync  bool

	openFile func(name string, flag int, mode os.FileMode) (*os.File, error) // default: os.OpenFile
}

func (f file) open() (*bbolt.DB, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.replace(link, func(fresh *bbolt.DB) error { return fresh.Update(f.prepare) })
	}
	if err == nil && info.Mode().IsRegular() && info.Size() < int64(2*os.Getpagesize()) {
		return nil, fmt.Errorf("%w (%d bytes are not a database)", ErrDamaged, info.Size())
	}
	db, err := f.checked()
	if err != nil {
		return nil, err
	}
	if err := db.Update(f.prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	f.removeLeft()
	return f.compacted(db), nil
}

// replace fills a new database and gives it the file's name by put. The database is locked
// before it has the name.
func (f file) replace(put func(from, to string) error, fill func(*bbolt.DB) error) (*bbolt.DB, error) {
	temp, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+tempMark+"*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name()) // a partial file must not use space on a full disk
	if err := temp.Close(); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(temp.Name(), 0o600, f.options())
	if err != nil {
		return nil, err
	}
	db.NoSync = true // until it is complete
	err = fill(db)
	if err == nil {
		err = db.Sync()
	}
	if err == nil {
		err = put(temp.Name(), f.path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.NoSync = f.noSync
	return db, nil
}

const tempMark = ".new-"

// link gives a file a name and fails if the name is taken.
func link(from, to string) error {
	if err := os.Link(from, to); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errInUse
}

// removeLeft removes the unfinished files of processes that ended while they made one.
func (f file) removeLeft() {
	left, _ := filepath.Glob(f.path + tempMark + "*")
	for _, name := range left {
		os.Remove(name)
	}
}

func (f file) options() *bbolt.Options {
	// A freelist in the file would be rewritten at each commit.
	return &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoSync: f.noSync, NoFreelistSync: f.noSync}
}

// checked opens and checks the file. bbolt does not validate pages: a garbage page panics,
// and one beyond the file's end is a memory fault. After a panic the file may stay open, and
// locked, until the process ends.
func (f file) checked() (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w (%v)", ErrDamaged, p)
		}
	}()
	var opened *os.File
	o := f.options()
	o.OpenFile = func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
		open := f.openFile
		if open == nil {
			open = os.OpenFile
		}
		opened, err = open(path, flag, mode)
		return opened, err
	}
	db, err = bbolt.Open(f.path, 0o600, o)
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, errInUse
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrChecksum), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("not a database of this program: %w", err)
	case err != nil:
		return nil, err
	}
	if err := f.isStill(opened); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.View(func(tx *bbolt.Tx) error { return check(tx, f.path) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// isStill reports whether the file that was opened has the name: another process may have
// compacted it while we waited for its lock.
func (f file) isStill(opened *os.File) error {
	a, err := opened.Stat()
	if err != nil {
		return err
	}
	if b, err := os.Stat(f.path); err != nil || !os.SameFile(a, b) {
		return errInUse
	}
	return nil
}

// check reads every page. It checks the length first: bbolt's check runs in another goroutine,
// where a memory fault would end the process.
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
