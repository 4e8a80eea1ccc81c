//go:build failpoints && unix

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Enabled says whether the program was built with failpoints.
const Enabled = true

// Late is how long beyond its timeout a function's process may live, so that one that
// stood still can go on: a zombie. Lambda, too, kills late.
const Late = 20 * time.Second

// At is a point. It returns at once unless the point is armed. Any goroutine may call it.
func At(point string) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	ticket := filepath.Join(filepath.Dir(self), Folder, point)
	switch {
	case take(ticket + "." + Kill):
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives: nothing may happen any more
	case take(ticket + "." + Stop):
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
}

// take reports whether the ticket was there and is ours: a rename has one winner.
func take(ticket string) bool {
	return os.Rename(ticket, fmt.Sprintf("%s.%d", ticket, os.Getpid())) == nil
}
