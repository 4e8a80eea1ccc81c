// Package boltfiletest makes the writes of an open database fail as on a full disk.
//
//	room := boltfiletest.FillDisk(t, path)
//	…                                      // ENOSPC
//	room()                                 // writes work again
package boltfiletest

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"
)

// FillDisk makes every write to the file fail with ENOSPC, until the returned function is
// called. This process must have the file open exactly once.
func FillDisk(t *testing.T, path string) (room func()) {
	t.Helper()
	fd := descriptor(t, path)
	saved, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(syscall.Dup3(int(full.Fd()), fd, syscall.O_CLOEXEC), full.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(syscall.Dup3(saved, fd, syscall.O_CLOEXEC), syscall.Close(saved)); err != nil {
			t.Fatal(err)
		}
	}
}

// descriptor finds the file descriptor of an open file.
func descriptor(t *testing.T, path string) int {
	t.Helper()
	want, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range all {
		if got, err := os.Stat("/proc/self/fd/" + each.Name()); err == nil && os.SameFile(got, want) {
			fd, _ := strconv.Atoi(each.Name())
			return fd
		}
	}
	t.Fatalf("%s is not open", path)
	return 0
}
