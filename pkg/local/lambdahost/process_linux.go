package lambdahost

import "syscall"

// processAttributes puts the child into a group of its own, so that a Ctrl-C in
// the terminal is the host's to handle, and has the kernel kill it when the
// thread that started it dies, so that not even kill -9 of the host leaves it behind.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
