package boltfile

import (
	"bytes"
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
