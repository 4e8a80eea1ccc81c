//go:build failpoints && unix

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Enabled reports whether the program was built with failpoints.
const Enabled = true

// Late is how long a function's process may live beyond its timeout, so that a paused one can
// continue after its lease. Lambda kills late, too.
const Late = 20 * time.Second

// At is a point. It returns at once unless the point is armed. Any goroutine may call it.
func At(point string) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	armFile := filepath.Join(filepath.Dir(self), Folder, point)
	switch {
	case take(armFile + "." + Kill):
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // do nothing until the signal arrives
	case take(armFile + "." + Stop):
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
}

// take reports whether this process took the arm file: only one rename succeeds.
func take(armFile string) bool {
	return os.Rename(armFile, fmt.Sprintf("%s.%d", armFile, os.Getpid())) == nil
}
