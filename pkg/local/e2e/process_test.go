//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// needsProc skips the test on systems without /proc.
func needsProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: other processes are looked at through Linux's /proc")
	}
}

// children are the pids of a process's children, by the name of the binary.
func (s *system) children(names ...string) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // gone since
		}
		// pid (name) state parent …
		name, rest, _ := strings.Cut(string(raw[strings.IndexByte(string(raw), '(')+1:]), ")")
		fields := strings.Fields(rest)
		for _, want := range names {
			if len(fields) > 1 && fields[1] == strconv.Itoa(s.cmd.Process.Pid) && name == want {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// gone waits until all of the processes have ended.
func gone(t *testing.T, pids []int) {
	t.Helper()
	eventually(t, func() (bool, string) {
		for _, pid := range pids {
			if state := procStatus(pid, "State"); state != "" && !strings.HasPrefix(state, "Z") {
				return false, fmt.Sprintf("process %d is there: %s", pid, state)
			}
		}
		return true, ""
	})
}

// peakMemory is the peak resident memory of a process in MiB.
func peakMemory(pid int) int {
	kib, _ := strconv.Atoi(strings.TrimSuffix(procStatus(pid, "VmHWM"), " kB"))
	return kib / 1024
}

func procStatus(pid int, field string) string {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
