package boltfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

var bucket = []byte("b")

func prepare(tx *bbolt.Tx) error {
	_, err := tx.CreateBucketIfNotExists(bucket)
	return err
}

// filled makes a file of some hundred pages and returns what is in it.
func filled(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "data.db")
	db, err := Open(path, prepare)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		err := db.Update(func(tx *bbolt.Tx) error {
			var errs []error
			for n := range 50 {
				errs = append(errs, tx.Bucket(bucket).Put(fmt.Appendf(nil, "%02d-%02d", n, round), bytes.Repeat([]byte("v"), 300)))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestOpenKeepsWhatIsThere(t *testing.T) {
	path, _ := filled(t)
	db, err := Open(path, prepare)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(bucket).Stats().KeyN; n != 1000 {
			t.Errorf("%d keys, want 1000", n)
		}
		return nil
	})
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, errors %v, %v", info.Mode(), err, statErr)
	}
}

// TestDamage breaks a good file in every way that a disk or a hand does: each is an
// error of one line, and no panic.
func TestDamage(t *testing.T) {
	page := os.Getpagesize()
	scramble := func(from, to int) func([]byte) []byte {
		return func(b []byte) []byte {
			for i := from; i < min(to, len(b)); i++ {
				b[i] ^= 0xa5
			}
			return b
		}
	}
	tests := map[string]func([]byte) []byte{
		"nothing":             func([]byte) []byte { return nil },
		"short text":          func([]byte) []byte { return []byte("no database") },
		"less than two metas": func(b []byte) []byte { return b[:page+page/2] },
		"only the metas":      func(b []byte) []byte { return b[:2*page] },
		"cut in the middle":   func(b []byte) []byte { return b[:len(b)/2/page*page] },
		"cut within a page":   func(b []byte) []byte { return b[:len(b)/3+7] },
		"all but the metas":   scramble(2*page, 1<<30),
		"the first pages":     scramble(2*page, 40*page),
		"the last pages":      func(b []byte) []byte { return scramble(len(b)/2, len(b))(b) },
		"pages of zeros":      func(b []byte) []byte { clear(b[2*page:]); return b },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			path, content := filled(t)
			if err := os.WriteFile(path, damage(content), 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := Open(path, prepare)
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	held, _ := filled(t)
	db, err := Open(held, prepare)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	free, _ := filled(t)
	refusal := errors.New("of another layout")
	refuse := func(*bbolt.Tx) error { return refusal }
	tests := []struct {
		name, path string
		prepare    func(*bbolt.Tx) error
		want       string
		is         error
	}{
		{"open elsewhere", held, prepare, "another process has it open", nil},
		{"text", text, prepare, "not a database", nil},
		{"folder", t.TempDir(), prepare, "is a directory", nil},
		{"no folder", filepath.Join(t.TempDir(), "none", "f"), prepare, "", fs.ErrNotExist},
		{"another layout", free, refuse, "", refusal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db, err := Open(tt.path, tt.prepare)
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q, want %q", err, tt.want)
			}
		})
	}
	db2, err := Open(free, prepare)
	if err != nil {
		t.Fatalf("a refused file stays locked: %v", err)
	}
	db2.Close()
}

// TestNewFileAppearsWhole: a file that could not be made leaves nothing behind.
func TestNewFileAppearsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	refusal := errors.New("no space")
	if db, err := Open(path, func(*bbolt.Tx) error { return refusal }); !errors.Is(err, refusal) {
		db.Close()
		t.Fatalf("error %v, want the refusal", err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) != 0 || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
	// Another process makes the file between our look and our own.
	other := file{path: path, prepare: prepare}
	db, err := other.replace(link, func(fresh *bbolt.DB) error {
		return os.WriteFile(path, []byte("the other's"), 0o600)
	})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		db.Close()
		t.Errorf("error %v, want that another process has it", err)
	}
}

// emptied makes a file of 16 MiB that holds one key in each hundred.
func emptied(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.db")
	db, err := OpenNoSync(path, prepare)
	if err != nil {
		t.Fatal(err)
	}
	for _, write := range []func(*bbolt.Bucket, int) error{
		func(b *bbolt.Bucket, n int) error {
			return b.Put(fmt.Appendf(nil, "%05d", n), bytes.Repeat([]byte("v"), 3000))
		},
		func(b *bbolt.Bucket, n int) error {
			if n%100 == 0 {
				return nil
			}
			return b.Delete(fmt.Appendf(nil, "%05d", n))
		},
	} {
		err := db.Update(func(tx *bbolt.Tx) error {
			var errs []error
			for n := range 4000 {
				errs = append(errs, write(tx.Bucket(bucket), n))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMostlyFreeFileIsCompacted(t *testing.T) {
	path := emptied(t)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	left := path + tempMark + "1" // of a process that was killed
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, prepare)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || after.Size() > before.Size()/10 || after.Mode().Perm() != 0o600 {
		t.Errorf("%d bytes of mode %v after %d (%v), want a tenth at most", after.Size(), after.Mode(), before.Size(), err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v: what was left is still there", err)
	}
	if _, err := Open(path, prepare); !errors.Is(err, errInUse) {
		t.Errorf("error %v, want the compacted file locked", err)
	}
	if err := errors.Join(db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte("new"), nil) }), db.Close()); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(path, prepare); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	again, err := os.Stat(path)
	if err != nil || !os.SameFile(after, again) {
		t.Errorf("a file without free space is compacted (%v)", err)
	}
	db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(bucket).Stats().KeyN; n != 41 {
			t.Errorf("%d keys, want 41", n)
		}
		return nil
	})
}

// TestFileThatLostItsName: a process that waited for the lock of a file which another process
// then compacted would write into a file that has no name any more.
func TestFileThatLostItsName(t *testing.T) {
	path, content := filled(t)
	f := file{path: path, prepare: prepare}
	f.openFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		opened, err := os.OpenFile(name, flag, mode)
		return opened, errors.Join(err, os.WriteFile(path+"2", content, 0o600), os.Rename(path+"2", path))
	}
	db, err := f.open()
	if err == nil {
		db.Close()
	}
	if !errors.Is(err, errInUse) {
		t.Errorf("error %v, want that another process has it", err)
	}
}

func TestLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	for _, step := range []struct {
		name, want string
		prepare    func(*bbolt.Tx) error
	}{
		{"a new file", "", Layout("things 1", "b")},
		{"the same again", "", Layout("things 1", "b")},
		{"another format", `the file has format "things 1", this program reads "things 2"`, Layout("things 2", "b")},
	} {
		db, err := Open(path, step.prepare)
		if got := fmt.Sprint(err); got != cmp.Or(step.want, "<nil>") {
			t.Errorf("%s: %s", step.name, got)
		}
		if err == nil {
			db.Close()
		}
	}
	foreign, _ := filled(t)
	if _, err := Open(foreign, Layout("things 1")); fmt.Sprint(err) != "the file is a database of another program" {
		t.Errorf("a file of another program: %v", err)
	}
}
