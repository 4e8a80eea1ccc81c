//go:build unix && !linux

package lambdahost

import "syscall"

// processAttributes puts the child into its own process group, so that only the host
// gets a Ctrl-C in the terminal. If the host is killed, the child ends at its next call
// of the Runtime API.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
