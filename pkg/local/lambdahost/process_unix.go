//go:build unix && !linux

package lambdahost

import "syscall"

// processAttributes puts the child into a group of its own, so that a Ctrl-C in
// the terminal is the host's to handle. If the host is killed, a child ends by
// itself at its next call of the Runtime API.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
